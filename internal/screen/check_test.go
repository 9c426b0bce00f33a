package screen_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"onramp/internal/onramp"
	"onramp/internal/screen"
)

// A form that is sent too soon, or doesn't say when its page was loaded, is suspicious; the
// time is signed, for one form, and ends after a day.
func TestFillTime(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.MinFillTime = 3 * time.Second })
	stamp := d.guard.Stamp()
	check := func(what, time, want string) {
		t.Helper()
		if got := d.submit("email", "ana@example.org", "_time", time); got != want {
			t.Errorf("%s: %q, not %q", what, got, want)
		}
	}
	check("at once", stamp, "too_fast")
	d.at = d.at.Add(2999 * time.Millisecond)
	check("a moment too soon", stamp, "too_fast")
	d.at = d.at.Add(time.Millisecond)
	check("in time", stamp, "")
	check("without", "", "no_fill_time")
	check("made up", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "no_fill_time")
	for i := range len(stamp) {
		changed := []byte(stamp)
		if changed[i]++; i < len(stamp)-1 {
			check(fmt.Sprintf("changed at %d", i), string(changed), "no_fill_time")
		}
	}
	other := newDoor(t, func(s *screen.Settings) { s.MinFillTime = time.Second })
	check("with the key of another gateway", other.guard.Stamp(), "no_fill_time")
	d.open()
	check("after a restart", stamp, "")
	d.at = d.at.Add(24 * time.Hour)
	check("a day later", stamp, "no_fill_time")
	optional := newDoor(t, func(s *screen.Settings) { s.MinFillTime, s.OptionalTime = time.Second, true })
	if got := optional.submit("email", "ana@example.org"); got != "" {
		t.Errorf("without, where it is optional: %q", got)
	}
	if got := optional.submit("email", "ana@example.org", "_time", "x"); got != "no_fill_time" {
		t.Errorf("made up, where it is optional: %q", got)
	}
}

// An input that visitors don't see stays empty; whatever else is in it was a program.
func TestHoneypot(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Honeypots = []string{"website", "fax"} })
	for value, want := range map[string]string{"": "", " \t": "", "x": "honeypot"} {
		if got := d.submit("website", "", "email", "ana@example.org", "fax", value); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
	_, rest := d.guard.Take([]onramp.Input{{Name: "website"}, {Name: "email"}, {Name: "other"}})
	if len(rest) != 2 || rest[0].Name != "email" || rest[1].Name != "other" {
		t.Error(rest)
	}
	for _, v := range []onramp.Scalar{{Kind: onramp.True}, {Kind: onramp.Number, Text: "1"}, {Kind: onramp.Nested, Text: "[]"}} {
		controls, _ := d.guard.Take([]onramp.Input{{Name: "fax", Value: v}})
		if controls == (screen.Controls{}) {
			t.Errorf("%+v is taken for empty", v)
		}
	}
}

// Addresses and domains are blocked by settings and by a file, which is read again when it
// changes, and stays as it was when it can't be read.
func TestBlocked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "blocked.txt")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now().Add(-time.Hour)
	write("# ours\n198.51.100.7 # a bot\nspam.example\n", begin)
	d := newDoor(t, func(s *screen.Settings) {
		s.Blocked, s.BlockedFile = []string{"203.0.113.0/24", "2001:db8::/32", "bücher.example"}, file
		s.Disposable = true
	})
	check := func(ip, address, want string) {
		t.Helper()
		if got := d.submitFrom(ip, "", "email", address); got != want {
			t.Errorf("%s from %s: %q, not %q", address, ip, got, want)
		}
	}
	check("192.0.2.1", "ana@example.org", "")
	check("203.0.113.9", "ana@example.org", "blocked_address")
	check("2001:db8::1", "ana@example.org", "blocked_address")
	check("198.51.100.7", "ana@example.org", "blocked_address")
	check("192.0.2.1", "ana@Mail.SPAM.example", "blocked_domain")
	check("192.0.2.1", "ana@notspam.example", "")
	check("192.0.2.1", "ana@xn--bcher-kva.example", "blocked_domain")
	check("192.0.2.1", "ana@mailinator.com", "disposable_domain")
	check("192.0.2.1", "ana@x.yopmail.com", "disposable_domain")
}

func TestBlockedFileIsReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "blocked.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("spam.example")
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(s *screen.Settings) { s.BlockedFile = file })
		gate, err := screen.New(t.Context(), d.cfg)
		if err != nil {
			t.Fatal(err)
		}
		d.guard = gate.Guard("registration")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { gate.Run(ctx); close(ended) }()
		for _, row := range []struct{ text, want string }{
			{"other.example\n", ""}, {"not a domain!\n", ""}, {"spam.example\nother.example", "blocked_domain"},
		} {
			write(row.text)
			<-time.After(6 * time.Second)
			synctest.Wait()
			if got := d.submit("email", "ana@spam.example"); got != row.want {
				t.Errorf("%q: %q", row.text, got)
			}
		}
		stop()
		<-ended
	})
}

// resolver is a DNS of our own.
type resolver struct {
	mx    map[string][]*net.MX
	ips   map[string][]netip.Addr
	fails map[string]error
	asked atomic.Int64
	hangs bool
}

func (r *resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	r.asked.Add(1)
	if r.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := r.fails[name]; err != nil {
		return nil, err
	}
	if found := r.mx[name]; found != nil {
		return found, nil
	}
	return nil, &net.DNSError{IsNotFound: true, Name: name}
}

func (r *resolver) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	if found := r.ips[name]; found != nil {
		return found, nil
	}
	return nil, &net.DNSError{IsNotFound: true, Name: name}
}

// A domain without mail server is suspicious: unless it has an address, or the DNS fails.
func TestMX(t *testing.T) {
	t.Parallel()
	dns := &resolver{
		mx:    map[string][]*net.MX{"example.org.": {{Host: "mail.example.org."}}, "null.example.": {{Host: "."}}},
		ips:   map[string][]netip.Addr{"host.example.": {netip.MustParseAddr("192.0.2.9")}, "null.example.": {netip.MustParseAddr("192.0.2.9")}},
		fails: map[string]error{"broken.example.": &net.DNSError{IsTimeout: true}, "servfail.example.": errors.New("no")},
	}
	d := newDoor(t, func(s *screen.Settings) { s.MX = true })
	d.cfg.Resolver = dns
	d.open()
	for range 2 {
		for domain, want := range map[string]string{
			"example.org": "", "EXAMPLE.org": "", "host.example": "", "null.example": "no_mail_server", "nothing.example": "no_mail_server",
			"broken.example": "", "servfail.example": "",
		} {
			if got := d.submit("email", "ana@"+domain); got != want {
				t.Errorf("%s: %q, not %q", domain, got, want)
			}
		}
	}
	if n := dns.asked.Load(); n != 4+2*2 { // what is known is not asked again, failures are
		t.Errorf("the DNS was asked %d times", n)
	}
	d.at = d.at.Add(11 * time.Minute)
	dns.mx["nothing.example."] = dns.mx["example.org."]
	if got := d.submit("email", "ana@nothing.example"); got != "" {
		t.Errorf("mended: %q", got)
	}
}

// A DNS that hangs costs two seconds, and nothing is held for it.
func TestMXHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(s *screen.Settings) { s.MX = true })
		d.cfg.Resolver = &resolver{hangs: true}
		d.open()
		begin := time.Now()
		if got := d.submit("email", "ana@example.org"); got != "" || time.Since(begin) != 2*time.Second {
			t.Errorf("%q after %v", got, time.Since(begin))
		}
	})
}

// One long value with more people than allowed is suspicious, and a short one never.
func TestIdentical(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Identical.Addresses = 10 })
	const advert = "Win a million now"
	held := 0
	for i := range 40 {
		text := advert
		if i%2 == 1 {
			text = "  win  a MILLION   now"
		}
		if d.submit("email", fmt.Sprintf("a%d@example.org", i), "first_name", text) == "identical_value" {
			held++
		}
	}
	if held < 28 || held > 32 { // the count is good to a few in a hundred
		t.Errorf("%d of 40 are held", held)
	}
	for i := range 40 {
		if got := d.submit("email", fmt.Sprintf("b%d@example.org", i), "first_name", "Ana"); got != "" {
			t.Fatalf("Ana is held: %s", got)
		}
		if got := d.submit("email", fmt.Sprintf("ana+%d@example.org", i), "first_name", "one person who tests"); got != "" {
			t.Fatalf("one person with many addresses: %s", got)
		}
	}
	for i := range 30_000 { // far more values than there is room for
		d.submit("email", "ana@example.org", "first_name", fmt.Sprintf("a value %07d", i))
	}
	if got := d.submit("email", "zoe@example.org", "first_name", advert); got != "identical_value" {
		t.Errorf("it is forgotten: %q", got)
	}
	d.at = d.at.Add(2 * time.Hour)
	if got := d.submit("email", "zoe@example.org", "first_name", advert); got != "" {
		t.Errorf("two hours later: %q", got)
	}
}

// service is a captcha service.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	answer string
	status int
	asked  []url.Values
	hangs  bool
}

func newService(t *testing.T) *service {
	s := &service{answer: `{"success":true}`, status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.asked = append(s.asked, r.PostForm)
		answer, status, hangs := s.answer, s.status, s.hangs
		s.mu.Unlock()
		if hangs {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// set says how the service answers from now on.
func (s *service) set(status int, hangs bool, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.hangs, s.answer = status, hangs, answer
}

// questions are those that were asked.
func (s *service) questions() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Each captcha service is asked in its own words, and must answer for this host, this action
// and a high enough score.
func TestCaptcha(t *testing.T) {
	t.Parallel()
	for provider, input := range map[screen.Provider]string{
		screen.Turnstile: "cf-turnstile-response", screen.HCaptcha: "h-captcha-response", screen.ReCaptcha: "g-recaptcha-response",
	} {
		t.Run(string(provider), func(t *testing.T) {
			t.Parallel()
			service := newService(t)
			d := newDoor(t, func(s *screen.Settings) {
				s.Captcha = screen.Captcha{
					Provider: provider, SiteKey: "site", Secret: "secret", VerifyURL: service.URL, Hostnames: []string{"www.example.com"}, Action: "register",
					MinScore: 0.5, OnError: screen.FailClosed, Timeout: time.Second,
				}
			})
			n := 0
			check := func(what, answer, want string) {
				t.Helper()
				service.set(200, false, answer)
				n++
				if got := d.submit("email", "ana@example.org", input, fmt.Sprintf("token%d", n)); got != want {
					t.Errorf("%s: %q, not %q", what, got, want)
				}
			}
			check("good", `{"success":true,"hostname":"www.example.com","action":"register","score":0.5}`, "")
			want := url.Values{"secret": {"secret"}, "response": {"token1"}, "remoteip": {"192.0.2.1"}}
			if provider == screen.HCaptcha {
				want.Set("sitekey", "site")
			}
			if got := service.questions()[0].Encode(); got != want.Encode() {
				t.Errorf("asked %s, not %s", got, want.Encode())
			}
			check("not solved", `{"success":false,"error-codes":["invalid-input-response"]}`, "captcha")
			check("another host", `{"success":true,"hostname":"evil.example","action":"register","score":0.9}`, "captcha")
			check("another action", `{"success":true,"hostname":"www.example.com","action":"login","score":0.9}`, "captcha")
			check("low score", `{"success":true,"hostname":"www.example.com","action":"register","score":0.4}`, "captcha")
			check("no score", `{"success":true,"hostname":"www.example.com","action":"register"}`, "captcha")
			check("no JSON, closed", `<html>`, "captcha")
			asked := len(service.questions())
			if got := d.submit("email", "ana@example.org"); got != "captcha" || len(service.questions()) != asked {
				t.Errorf("without a token: %q", got)
			}
		})
	}
}

// While the service can't be asked, its setting decides; a repeat of the same submission
// needs no second token, and anybody else does.
func TestCaptchaTrouble(t *testing.T) {
	t.Parallel()
	service := newService(t)
	for onError, want := range map[screen.OnError]string{screen.FailOpen: "", screen.FailClosed: "captcha"} {
		d := newDoor(t, func(s *screen.Settings) {
			s.Captcha = screen.Captcha{Provider: screen.Turnstile, SiteKey: "a", Secret: "b", VerifyURL: service.URL, OnError: onError, Timeout: 50 * time.Millisecond}
		})
		for what, trouble := range map[string]func(){
			"broken":  func() { service.set(500, false, `{"success":true}`) },
			"hanging": func() { service.set(200, true, "") },
			"refuses": func() { service.set(200, false, `{"success":false,"error-codes":["invalid-input-secret"]}`) },
		} {
			trouble()
			if got := d.submit("email", "ana@example.org", "cf-turnstile-response", "x"); got != want {
				t.Errorf("%s, %s: %q", what, onError, got)
			}
		}
		service.set(200, false, `{"success":true}`)
		if got := d.submitFrom("192.0.2.1", "key1", "email", "ana@example.org", "cf-turnstile-response", "once"); got != "" {
			t.Error(got)
		}
		service.set(200, false, `{"success":false,"error-codes":["timeout-or-duplicate"]}`)
		if got := d.submitFrom("192.0.2.1", "key1", "email", "ana@example.org", "cf-turnstile-response", "once"); got != "" {
			t.Errorf("the same submission again: %q", got)
		}
		if got := d.submitFrom("192.0.2.1", "key2", "email", "ana@example.org", "cf-turnstile-response", "once"); got != "captcha" {
			t.Errorf("another submission with the same token: %q", got)
		}
	}
}

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// The site's own check is asked with a signature, and decides.
func TestHook(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	answer := ""
	var question map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := verifier.VerifyIgnoringTimestamp(body, r.Header); err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal(body, &question); err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(answer, "/") {
			http.Redirect(w, r, answer, http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	d := newDoor(t, func(s *screen.Settings) {
		s.Hook = screen.Hook{URL: server.URL, Secret: hookSecret, Timeout: time.Second, OnError: screen.FailClosed}
	})
	for _, row := range []struct{ answer, want string }{
		{`{"verdict":"accept"}`, ""},
		{`{"verdict":"hold"}`, "hook"},
		{`{"verdict":"hold","reason":" known \n from\u0000 last year "}`, "hook: known from last year"},
		{`{"verdict":"refuse","reason":"private"}`, "the site does not accept this registration"},
		{`{"verdict":"maybe"}`, "hook"},
		{``, "hook"},
		{`/elsewhere`, "hook"},
	} {
		answer = row.answer
		if got := d.submit("email", "ana@example.org", "first_name", "Ana"); got != row.want {
			t.Errorf("%s: %q, not %q", row.answer, got, row.want)
		}
	}
	data := question["data"].(map[string]any)
	if question["type"] != "registration.screen" || data["form"] != "registration" || data["ip"] != "192.0.2.1" || data["fields"].(map[string]any)["first_name"] != "Ana" {
		t.Errorf("asked %v", question)
	}
}

// A hook that fails is not asked for a while, and its setting decides; then one question
// finds out whether it works again.
func TestHookBreaker(t *testing.T) {
	t.Parallel()
	status := 500
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"verdict":"hold"}`)
	}))
	t.Cleanup(server.Close)
	d := newDoor(t, func(s *screen.Settings) {
		s.Hook = screen.Hook{URL: server.URL, Secret: hookSecret, Timeout: time.Second, OnError: screen.FailOpen}
	})
	try := func(n int, want string, wantAsked int64) {
		t.Helper()
		for range n {
			if got := d.submit("email", "ana@example.org"); got != want {
				t.Errorf("%q, not %q", got, want)
			}
		}
		if got := asked.Swap(0); got != wantAsked {
			t.Errorf("it was asked %d times, not %d", got, wantAsked)
		}
	}
	try(20, "", 5)
	d.at = d.at.Add(10 * time.Second)
	try(20, "", 1)
	d.at = d.at.Add(19 * time.Second)
	try(1, "", 0)
	d.at = d.at.Add(time.Second)
	status = 200
	try(3, "hook", 3)
}

// A suspect waits as long as those who are asked about elsewhere.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(s *screen.Settings) { s.MX, s.Honeypots = true, []string{"website"} })
		d.cfg.Resolver = &resolver{hangs: true} // 2 s for each domain
		d.memory = nil
		memory := screen.NewMemory(d.kept, d.cfg.Log, time.Now)
		d.cfg.Memory = memory
		gate, err := screen.New(t.Context(), d.cfg)
		if err != nil {
			t.Fatal(err)
		}
		d.guard = gate.Guard("registration")
		d.submit("email", "ana@example.org")
		begin := time.Now()
		if got := d.submit("email", "ana@example.org", "website", "x"); got != "honeypot" || time.Since(begin) != 2*time.Second {
			t.Errorf("%q after %v", got, time.Since(begin))
		}
	})
}
