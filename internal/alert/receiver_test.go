package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/alert"
	"onramp/internal/onramp"
)

// request is what a webhook got.
type request struct{ Method, URI, Type, Body string }

// A webhook gets title and text as JSON, unless its URL has another wish.
func TestWebhook(t *testing.T) {
	t.Parallel()
	const title, text = "onramp: store unreachable: registrations refused", "cause: no \"room\"\nwaiting: 0 deliveries\nsince: TIME (0s)\nhint: " +
		"registrations are answered with 503 until the database can be written to: check that it is running and that its disk has space; see onramp check --only database" +
		"\nrunbook: docs/runbook/store-unreachable.md (onramp explain runbook store-unreachable)"
	object := func(v map[string]string) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	both := object(map[string]string{"title": title, "message": text})
	for _, c := range []struct {
		name, before, after string // of the server's address
		want                request
	}{
		{"plain", "generic+http://", "", request{"POST", "/", "application/json", both}},
		{"with a path and its own parameters", "generic+http://", "/hook/x?a=b%20c&@X-Y=z&$source=web", request{
			"POST", "/hook/x?a=b+c", "application/json", object(map[string]string{"title": title, "message": text, "source": "web"}),
		}},
		{"the service's own form", "generic://", "/hook?disabletls=yes", request{"POST", "/hook", "application/json", both}},
		{"other names", "generic+http://", "/?template=JSON&titlekey=subject&messagekey=body&method=PUT", request{
			"PUT", "/", "application/json", object(map[string]string{"subject": title, "body": text}),
		}},
		{"plain text", "generic+http://", "/?template=", request{"POST", "/", "text/plain", title + "\n" + text}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan request, 1)
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got <- request{r.Method, r.RequestURI, r.Header.Get("Content-Type"), string(body)}
			}))
			defer server.Close()
			url := c.before + strings.TrimPrefix(server.URL, "http://") + c.after
			w := &world{trouble: errors.New(`no "room"`), free: 1, total: 1}
			watcher, err := alert.New(alert.Config{Receivers: []onramp.Secret{onramp.Secret(url)}}, w.sources(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { watcher.Run(ctx) })
			r := <-got
			stop()
			running.Wait()
			if _, after, ok := strings.Cut(r.Body, "since: "); ok {
				r.Body = strings.Replace(r.Body, after[:strings.Index(after, " (")], "TIME", 1)
			}
			if diff := cmp.Diff(c.want, r); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// The mail's title stands in its subject.
func TestMail(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	mail := make(chan string, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		mail <- converse(c)
	}()
	w := &world{health: []onramp.Health{stopped(onramp.Destination{Kind: onramp.Journey, Key: "Grüße"}, "blocked", "403", "c", time.Now())}, free: 1, total: 1}
	watcher, err := alert.New(alert.Config{Receivers: []onramp.Secret{onramp.Secret("smtp://" + listener.Addr().String() + "/?from=a@example.com&to=b@example.com&starttls=no")}},
		w.sources(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { watcher.Run(ctx) })
	got := <-mail
	stop()
	running.Wait()
	for _, want := range []string{"Subject: =?utf-8?q?onramp:_blocked:_journey:Gr=C3=BC=C3=9Fe?=\r\n", "To: b@example.com\r\n", "\r\n\r\ncause: 403\r\nwaiting: 0 deliveries\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the mail lacks %q:\n%s", want, got)
		}
	}
}

// converse plays a mail server and gives what it received.
func converse(c net.Conn) string {
	var got strings.Builder
	_, _ = io.WriteString(c, "220 test\r\n")
	buffer := make([]byte, 4096)
	for data := false; ; {
		n, err := c.Read(buffer)
		if err != nil {
			return got.String()
		}
		got.Write(buffer[:n])
		said := string(buffer[:n])
		switch {
		case data && !strings.HasSuffix(got.String(), "\r\n.\r\n"):
			continue
		case !data && strings.HasPrefix(said, "DATA"):
			data = true
			_, _ = io.WriteString(c, "354 go on\r\n")
		case !data && strings.HasPrefix(said, "QUIT"):
			_, _ = io.WriteString(c, "221 bye\r\n")
			return got.String()
		default:
			data = false
			_, _ = io.WriteString(c, "250 ok\r\n")
		}
	}
}

// The services that are promised are there, and mistakes in their URLs are all
// named at once, without what is secret in them.
func TestURLs(t *testing.T) {
	t.Parallel()
	const secret = "Hunter2222"
	w := &world{}
	good := []onramp.Secret{
		"slack://hook:T00000000-B00000000-Hunter2222Hunter2222Hunt@webhook",
		"slack://xoxb:123456789012-1234567890123-Hunter2222Hunter2222Hunt@C001",
		"smtp://user:Hunter2222@mail.example.com:587/?from=a@example.com&to=b@example.com",
		"teams+https://example.webhook.office.com/webhookb2/11111111-4444-4444-8444-cccccccccccc@22222222-4444-4444-8444-cccccccccccc/IncomingWebhook/33333333012222222222333333333344/44444444-4444-4444-8444-cccccccccccc/V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHEx05",
		"teams://11111111-4444-4444-8444-cccccccccccc@22222222-4444-4444-8444-cccccccccccc/33333333012222222222333333333344/44444444-4444-4444-8444-cccccccccccc/V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHEx05?host=example.webhook.office.com",
		"pagerduty:///0123456789abcdef0123456789abcdef",
		"generic+https://alerts.example.com/Hunter2222",
		"generic://alerts.example.com/Hunter2222?disabletls=yes",
		"discord://Hunter2222@123456789",
		"matrix://user:Hunter2222@127.0.0.1:1", // nobody is there: it must not be asked before there is an alert
	}
	if _, err := alert.New(alert.Config{Receivers: good}, w.sources(), slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("good URLs: %v", err)
	}
	_, err := alert.New(alert.Config{Receivers: []onramp.Secret{
		good[0],
		"slakc://hook:Hunter2222@webhook",
		"slack://hook:Hunter2222@webhook",
		"smtp://user:Hunter2222@mail.example.com/?to=b@example.com",
		"smtp://user:Hunter2222@mail.example.com/?from=a@example.com&to=b@example.com&Hunter2222=Hunter2222",
		"smtp://user:Hunter%3a2222@mail.example.com/?from=a@example.com&to=b@example.com&timeout=Hunter%3a2222",
		"teams://Hunter2222",
		"teams+https://Hunter2222",
		"pagerduty:///Hunter2222",
		"smtp+https://user:Hunter2222@mail.example.com",
		"Hunter2222",
		"slack://user:Hunter2222@%zz",
	}}, w.sources(), slog.New(slog.DiscardHandler))
	want := `alerts[1]: names an unknown service; did you mean slack://?
alerts[2]: slack: invalid slack token format
alerts[3]: smtp: fromAddress missing from config URL
alerts[4]: smtp: setting query parameter "…" to "…": not a valid config key: … (valid keys: [auth clienthost encryption … …address …name requirestarttls skiptlsverify starttls subject timeout title to toaddresses usehtml usestarttls])
alerts[5]: smtp: parsing … parameter "…": time: invalid duration "…"
alerts[6]: teams: invalid URL format: missing extraId component
alerts[7]: teams: invalid webhook URL format - must contain organization domain
alerts[8]: pagerduty: invalid integration key format: must be a 32-character hexadecimal string
alerts[9]: smtp: this service does not support URLs with a +
alerts[10]: must be the URL of a service, such as slack://…, smtp://…, teams://…, pagerduty://… or generic+https://…
alerts[11]: the slack URL is not valid: percent-encode special characters in names and passwords, such as %40 for @`
	if err == nil {
		t.Fatal("wrong URLs pass")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the secret is in %v", err)
	}
}

// What a service says when it fails is in the log without the URL.
func TestFailureIsLoggedWithoutURL(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Error(rw, r.RequestURI, http.StatusForbidden)
	}))
	closed := httptest.NewServer(nil)
	closed.Close()
	defer server.Close()
	const parts = "/Hunter1111/Hunter2222?key=Hunter3333&other=Hunter%3a4444"
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	lines := make(lineWriter, 100)
	w := &world{trouble: errors.New("x"), free: 1, total: 1}
	watcher, err := alert.New(alert.Config{Receivers: []onramp.Secret{
		onramp.Secret("generic+http://user:Hunter5555@" + host(server) + parts),
		onramp.Secret("generic+http://user:Hunter5555@" + host(closed) + parts),
		onramp.Secret("matrix://user:Hunter5555@" + host(closed) + "/?disabletls=yes"),
		onramp.Secret("pagerduty://" + host(closed) + "/0123456789abcdef0123456789abcdef"), // it takes no title
	}}, w.sources(), slog.New(slog.NewTextHandler(lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { watcher.Run(ctx) })
	failed := map[string]string{}
	for len(failed) < 4 {
		line := <-lines
		if strings.Contains(line, "Hunter") || strings.Contains(line, "0123456789") || strings.Contains(line, host(server)) || strings.Contains(line, host(closed)) {
			t.Errorf("a part of the URL is in %s", line)
		}
		if _, after, ok := strings.Cut(line, "receiver=alerts["); ok {
			failed[after[:1]] = after
		}
	}
	stop()
	running.Wait()
	for i, want := range []string{"403 Forbidden", "connection refused", "connection refused", "connection refused"} {
		if got := failed[fmt.Sprint(i)]; !strings.Contains(got, want) {
			t.Errorf("alerts[%d]: %q, want it to say %s", i, got, want)
		}
	}
}

// lineWriter gives each line of a log.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

// sending runs a watcher over receivers, with a new trouble every second.
func sending(t *testing.T, runFor time.Duration, receivers map[string]func(title, text string) error) (log string) {
	t.Helper()
	var out strings.Builder
	w := &world{free: 1, total: 1}
	watcher, err := alert.New(alert.Config{}, w.sources(), slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				a.Value = slog.StringValue(a.Value.Time().UTC().Format("04:05"))
			}
			return a
		},
	})))
	if err != nil {
		t.Fatal(err)
	}
	for name, send := range receivers {
		watcher.AddReceiver(name, send)
	}
	ctx, stop := context.WithTimeout(t.Context(), runFor)
	defer stop()
	var script sync.WaitGroup
	script.Go(func() {
		pass(500 * time.Millisecond)
		for i := 1; ctx.Err() == nil; i++ {
			w.change(func(w *world) {
				w.health = []onramp.Health{stopped(journey, "blocked", "403", fmt.Sprint(i), time.Now())}
			})
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
	watcher.Run(ctx)
	script.Wait()
	synctest.Wait() // for what hangs to hang
	return out.String()
}

// lines gives the log's lines about receivers.
func lines(log string) []string {
	var list []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "receiver=") {
			list = append(list, strings.TrimSuffix(strings.TrimPrefix(line, "time="), "\n"))
		}
	}
	return list
}

// A receiver that fails is tried again with growing pauses; others don't wait.
func TestRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var good, bad []time.Duration
		log := sending(t, 5*time.Minute+500*time.Millisecond, map[string]func(string, string) error{
			"good": func(string, string) error { good = append(good, time.Since(start)); return nil },
			"bad": func(string, string) error {
				bad = append(bad, time.Since(start))
				if len(bad) == 8 {
					panic("secret")
				}
				return errors.New("no")
			},
		})
		if len(good) != 300 || good[299] != 300*time.Second {
			t.Errorf("the good one was alerted %d times, at last at %v; want 300 in 5 minutes", len(good), good[len(good)-1])
		}
		want := []time.Duration{
			time.Second, 6 * time.Second, 36 * time.Second, 156 * time.Second,
			156 * time.Second, 161 * time.Second, 191 * time.Second,
		}
		if diff := cmp.Diff(want, bad[:7]); diff != "" {
			t.Errorf("tries (-want +got):\n%s", diff)
		}
		// the last of the second alert is cut short by the end, and sixteen are queued
		if n := len(bad) - 7; n != 1+16 {
			t.Errorf("%d tries at the end, want 17", n)
		}
		got := lines(log)
		for _, want := range []string{
			`00:01 level=WARN msg="alert failed, will retry" receiver=bad service=test cause=blocked:1 tries=1 err=no`,
			`00:18 level=WARN msg="alert dropped" receiver=bad service=test cause=blocked:2`,
			`02:36 level=ERROR msg="alert not sent" receiver=bad service=test cause=blocked:1 tries=4 err=no`,
			` tries=4 err="the service's code failed"`,
			`05:00 level=ERROR msg="alert not sent" receiver=bad service=test cause=blocked:300 tries=1 err=no`,
		} {
			if !strings.Contains(strings.Join(got, "\n")+"\n", want+"\n") {
				t.Errorf("the log lacks %s:\n%s", want, strings.Join(got, "\n"))
			}
		}
	})
}

// A receiver that hangs is given up after ten seconds, is not asked by more than
// three at once, and keeps Run no longer than five seconds.
func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		start := time.Now()
		var mu sync.Mutex
		var tries []time.Duration
		log := sending(t, 3*time.Minute+500*time.Millisecond, map[string]func(string, string) error{
			"hung": func(string, string) error {
				mu.Lock()
				tries = append(tries, time.Since(start))
				mu.Unlock()
				<-forever
				return nil
			},
		})
		if took := time.Since(start); took != 3*time.Minute+500*time.Millisecond {
			t.Errorf("ended after %v, though nothing more could be tried", took)
		}
		if diff := cmp.Diff([]time.Duration{time.Second, 16 * time.Second, 56 * time.Second}, tries); diff != "" {
			t.Errorf("tries (-want +got):\n%s", diff)
		}
		for _, want := range []string{`tries=1 err="no answer within 10s"`, `tries=4 err="earlier sends are still hanging"`} {
			if !strings.Contains(log, want) {
				t.Errorf("the log lacks %s:\n%s", want, log)
			}
		}
	})
}

// What is queued at the end gets five seconds.
func TestLastChance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var sent atomic.Int64
		log := sending(t, 4500*time.Millisecond, map[string]func(string, string) error{
			"slow": func(string, string) error { pass(2400 * time.Millisecond); sent.Add(1); return nil },
			"hung": func(string, string) error { pass(time.Hour); return nil },
		})
		if took := time.Since(start); took != 9500*time.Millisecond {
			t.Errorf("ended after %v, want 9.5s", took)
		}
		if n := sent.Load(); n != 3 {
			t.Errorf("%d of 4 were sent, want the 3 for which there was time", n)
		}
		got := strings.Join(lines(log), "\n") + "\n"
		for _, want := range []string{
			`00:09 level=ERROR msg="alert not sent" receiver=slow service=test cause=blocked:4 tries=1 err="no time left"`,
			`00:09 level=ERROR msg="alert not sent" receiver=hung service=test cause=blocked:1 tries=1 err="no time left"`,
			`00:09 level=ERROR msg="alert not sent" receiver=hung service=test cause=blocked:2 tries=1 err="no time left"`,
		} {
			if !strings.Contains(got, want+"\n") {
				t.Errorf("the log lacks %s:\n%s", want, got)
			}
		}
		pass(2 * time.Hour) // for what was left behind
	})
}
