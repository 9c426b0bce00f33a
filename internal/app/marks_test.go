package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/internal/app"
	"onramp/internal/sandbox"
	"onramp/internal/tracing/tracetest"
)

// marked makes a value that is looked for: of a person, a secret, or a text that only a
// stranger can have typed.
func marked(what string) string { return "zq" + what + "qz" }

// watched collects what must not hold a mark.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// listener takes each request's body, and answers with a status and what it was sent.
func (w *watched) listener(t *testing.T, status int, echo bool) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append(body, '\n'))
		rw.WriteHeader(status)
		if echo {
			_, _ = rw.Write(body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// besieged is a gateway at log level debug whose configuration is full of marks, while
// everything that it calls fails and echoes what it was sent.
type besieged struct {
	*world
	log, alerts, urls watched
	collector         *tracetest.Collector
	answers           []string // of the public and the admin listener to strangers
	token             string
}

func newBesieged(t *testing.T) *besieged {
	t.Helper()
	b := &besieged{world: newSandboxed(t), collector: tracetest.New(t), token: marked("admintoken") + "-0123456789"}
	b.through(func(rw http.ResponseWriter, r *http.Request) bool {
		_, _ = b.urls.Write([]byte(r.URL.String() + "\n"))
		return b.echoes(rw, r)
	})
	sink := new(watched).listener(t, http.StatusInternalServerError, true)
	receiver := b.alerts.listener(t, http.StatusOK, false)
	database := filepath.Join(t.TempDir(), "onramp.db")
	cfg, err := b.config(func(text string) string {
		for old, new := range map[string]string{
			`admin: { listen: "127.0.0.1:8081" }`: `admin: { listen: "127.0.0.1:8081", token: "` + b.token + `" }`,
			"public: {":                           "public: { trusted_proxies: [127.0.0.1],",
			"secret: demo-ens-secret":             "secret: " + marked("enssecret") + "-0123456789",
			"password: demo-password":             "password: " + marked("enspassword"),
		} {
			text = strings.Replace(text, old, new, 1)
		}
		key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(marked("hook"), 4)[:32]))
		return text + "log: { level: debug }\nwatch: { disk_free: 1000000TB }\ntracing: { endpoint: \"" + b.collector.URL + "\" }\n" +
			"sinks: [ { name: crm, webhook: { url: \"" + sink.URL + "/" + marked("hookpath") + "\", secret: whsec_" + key + ", headers: { X-Key: " + marked("hookheader") + " } } } ]\n" +
			"alerts: [ \"generic+" + receiver.URL + "/" + marked("alertpath") + "\" ]\n"
	}, database)
	if err != nil {
		t.Fatal(err)
	}
	b.gateway, err = app.Start(t.Context(), cfg, app.Options{
		Log: slog.New(slog.NewJSONHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})), Version: "test", OwnURL: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.ended = stop, make(chan error, 1)
	go func() { b.ended <- b.gateway.Run(ctx) }()
	t.Cleanup(b.end)
	return b
}

// echoes has Marketing Cloud refuse rows and journey entries, with what they hold in its
// message: for one row alone, and for the credentials.
func (b *besieged) echoes(rw http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/hub/") {
		return false
	}
	body, _ := io.ReadAll(r.Body)
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusBadRequest)
	message := strings.Map(func(c rune) rune {
		if strings.ContainsRune(`"{}[]\`, c) {
			return ' '
		}
		return c
	}, string(body))
	_ = json.NewEncoder(rw).Encode(map[string]any{"message": "Invalid value " + message, "errorcode": 10001, "documentation": message})
	return true
}

// ask sends a request to a listener and keeps its answer among those of strangers.
func (b *besieged) ask(base, method, path, body string, header ...string) (status int, answer string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	var shown bytes.Buffer
	_ = response.Header.Write(&shown)
	b.answers = append(b.answers, fmt.Sprintf("%d %s%s", response.StatusCode, shown.String(), text))
	return response.StatusCode, string(text)
}

// visit is what a visitor's request brings along, all of it marked.
func visit(more ...string) []string {
	return append([]string{
		"X-Forwarded-For", "203.0.113.77", "User-Agent", marked("agent"), "Referer", "https://" + marked("site") + ".example/" + marked("page") + "?email=" + marked("query"),
		"Cookie", "session=" + marked("cookie"), "Authorization", "Bearer " + marked("bearer"), "Accept-Language", marked("language"), "From", marked("from") + "@example.org",
		"Host", marked("host") + ".example", "X-Request-Id", marked("request"),
	}, more...)
}

// forms sends a person to the form in every encoding, well and badly.
func (b *besieged) forms() (ids []string) {
	const form, text, multipart = "Content-Type", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	person := func(n int) string {
		return fmt.Sprintf(`{"email":"%s%d@example.org","first_name":%q,"last_name":%q,"opt_in":true}`, marked("person"), n, marked("first"), marked("last"))
	}
	public := b.gateway.PublicURL()
	part := func(name, value string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	for i, sent := range [][2]string{
		{"application/json", person(1)},
		{text, "email=" + marked("person") + "2%40example.org&first_name=" + marked("first")},
		{multipart, part("email", marked("person")+"3@example.org") + part("last_name", marked("last")) + "--x--\r\n"},
	} {
		status, answer := b.ask(public, http.MethodPost, app.DemoPath, sent[1], visit(form, sent[0], "Idempotency-Key", marked("key")+fmt.Sprint(i))...)
		var accepted struct{ ID string }
		if err := json.Unmarshal([]byte(answer), &accepted); err != nil || status != http.StatusAccepted {
			b.t.Errorf("%s: %d %s", sent[0], status, answer)
		}
		ids = append(ids, accepted.ID)
	}
	for name, sent := range map[string][2]string{
		"not an address": {"application/json", strings.Replace(person(4), "@", " ", 1)}, "a list": {"application/json", `{"email":["` + marked("person") + `"]}`}, "cut off": {"application/json", `{"email":"` + marked("person")}, "a doubled key": {"application/json", `{"email":"` + marked("a") + `","email":"` + marked("b") + `"}`},
		"deep": {"application/json", strings.Repeat(`{"`+marked("deep")+`":`, 100)}, "a form": {text, "email=%zz" + marked("person")}, "no boundary": {"multipart/form-data", part("email", marked("person"))},
		"a file": {multipart, "--x\r\nContent-Disposition: form-data; name=\"email\"; filename=\"" + marked("file") + "\"\r\n\r\nx\r\n--x--\r\n"},
		"a type": {"text/" + marked("type"), person(5)}, "a charset": {"application/json; charset=" + marked("charset"), person(6)},
	} {
		if status, answer := b.ask(public, http.MethodPost, app.DemoPath, sent[1], visit(form, sent[0])...); status < 400 {
			b.t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	b.ask(public, http.MethodPost, app.DemoPath, person(7), visit(form, "application/json", "Content-Encoding", marked("coding"))...)
	b.ask(public, http.MethodPost, app.DemoPath, person(8), visit(form, "application/json", "Origin", "null", "Idempotency-Key", strings.Repeat(marked("key"), 100))...)
	return ids
}

// routes sends marks to all else that is public, to the admin API, and past all routes.
func (b *besieged) routes(ids []string) {
	public, operators := b.gateway.PublicURL(), b.gateway.AdminURL()
	const form = "application/x-www-form-urlencoded"
	for _, path := range []string{
		"/v1/forms/" + marked("form"), "/v1/forms/registration?x=" + marked("query"), "/v1/registrations/" + marked("id"), "/v1/registrations/" + ids[0] + "?" + marked("query"), "/" + marked("path") + "?" + marked("query"),
		"/f/" + marked("form"), "/embed/" + marked("form") + ".js", "/healthz?" + marked("query"), "/openapi.json?" + marked("query"), "/.well-known/" + marked("path"), "/ens/" + marked("callback"),
	} {
		b.ask(public, http.MethodGet, path, "", visit()...)
	}
	b.ask(public, strings.ToUpper(marked("method")), "/"+marked("path"), "", visit()...)
	grant := func(body string, header ...string) string {
		_, answer := b.ask(public, http.MethodPost, "/oauth2/token?"+marked("query"), body, append(visit()[:6], append([]string{"Content-Type", form}, header...)...)...)
		return answer
	}
	grant("grant_type=" + marked("grant") + "&client_id=demo-ens&client_secret=" + marked("wrongsecret"))
	grant("grant_type=client_credentials&client_id=" + marked("client") + "&client_secret=" + marked("wrongsecret"))
	grant("grant_type=client_credentials&scope="+marked("scope"), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("demo-ens:"+marked("wrongsecret"))))
	grant("grant_type=password&client_id=demo-ens&client_secret=" + marked("enssecret") + "-0123456789&username=demo-user&password=" + marked("wrongpassword"))
	var token struct {
		AccessToken string `json:"access_token"`
	}
	answer := grant("grant_type=client_credentials&client_id=demo-ens&client_secret=" + marked("enssecret") + "-0123456789")
	if err := json.Unmarshal([]byte(answer), &token); err != nil || token.AccessToken == "" {
		b.t.Errorf("no token: %s", answer)
	}
	b.answers = slices.DeleteFunc(b.answers, func(a string) bool { return strings.Contains(a, token.AccessToken) })
	event := `[{"eventCategoryType":"TransactionalSendEvents.EmailSent","compositeId":"` + marked("composite") + `","info":{"to":"` + marked("person") + `1@example.org","subscriberKey":"` + marked("person") + `1@example.org"}}]`
	for _, with := range [][]string{
		{"Authorization", "Bearer " + token.AccessToken},
		{"Authorization", "Bearer " + token.AccessToken + marked("forged")},
		{"Authorization", "Bearer " + marked("bearer")},
		{"Authorization", "Bearer " + token.AccessToken, "x-sfmc-ens-signature", marked("signature")},
		{"Authorization", "Bearer " + token.AccessToken, "Content-Type", "text/" + marked("type")},
	} {
		header := append([]string{"Content-Type", "application/json", "User-Agent", marked("agent")}, with...)
		for _, body := range []string{event, `{"callbackId":"` + marked("callback") + `","verificationKey":"` + marked("probekey") + `"}`, `[{"` + marked("person")} {
			b.ask(public, http.MethodPost, "/ens/events", body, header...)
		}
	}
	for _, path := range []string{"/api/registrations?q=" + marked("person"), "/api/registrations/" + marked("id"), "/api/events?since=" + marked("query"), "/" + marked("path"), "/metrics?" + marked("query")} {
		b.ask(operators, http.MethodGet, path, "", visit()...)
		r, _ := http.NewRequestWithContext(b.t.Context(), http.MethodGet, operators+path, nil) // an operator sees people: only the log counts
		r.Header.Set("Authorization", "Bearer "+b.token)
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
		}
	}
	for _, edit := range []string{`{"fields":{"first_name":"` + marked("edited") + `"}}`, `{"fields":{"email":"` + marked("edited") + `"}}`, `{"` + marked("edited")} {
		b.admin("/api/deliveries/"+ids[0]+".1/edit", edit)
	}
	b.admin("/api/registrations/"+ids[0]+"/resend", `{}`)
	b.admin("/api/resends/plan", `{"kind":"registrations","filter":{"form":"`+marked("form")+`","q":"`+marked("person")+`"}}`)
}

// admin posts as an operator does.
func (b *besieged) admin(path, body string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.gateway.AdminURL()+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	response.Body.Close()
}

// broken sends what net/http itself refuses.
func (b *besieged) broken() {
	for _, raw := range []string{
		"GET /" + marked("path") + " HTTP/9.9\r\n\r\n", marked("line") + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" + marked("header") + "\r\n\r\n",
		"POST " + app.DemoPath + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + marked("coding") + "\r\n\r\n",
		"POST " + app.DemoPath + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + marked("chunk") + "\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat(marked("long"), 8000) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.gateway.PublicURL(), "http://"))
		if err != nil {
			b.t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(conn, raw)
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		b.answers = append(b.answers, "raw: "+string(answer))
	}
}

// No personal value, no secret and nothing that a stranger typed is in the log, at level
// debug, in the metrics, traces, alerts, in the URLs of calls, or in an answer to a stranger,
// while all that is called fails and echoes what it was sent.
func TestMarkedValues(t *testing.T) {
	t.Parallel()
	b := newBesieged(t)
	if err := b.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := b.forms()
	b.routes(ids)
	b.broken()
	b.until("dead letters and events", func() bool {
		status, text := b.asOperator("/api/status")
		return status == http.StatusOK && strings.Contains(text, `"dead":3`)
	})
	b.until("an alert about them", func() bool { return strings.Contains(b.alerts.String(), "dead") })
	if err := b.sandbox.SetFaults([]sandbox.Fault{{Match: "/v2/token", Status: 401, Message: marked("tokenanswer")}}); err != nil {
		t.Fatal(err)
	}
	_, metrics := b.asOperator("/metrics")
	b.end()
	for where, text := range map[string]string{
		"the log": b.log.String(), "the metrics": metrics, "the traces": string(b.collector.Raw()), "the alerts": b.alerts.String(), "the URLs of calls": b.urls.String(), "an answer": strings.Join(b.answers, "\n"),
	} {
		if text == "" {
			t.Errorf("%s: nothing to look at", where)
		}
		for line := range strings.Lines(text) {
			lower := strings.ToLower(line)
			if i := strings.Index(lower, "zq"); i >= 0 && strings.Contains(lower[i:], "qz") || strings.Contains(lower, "203.0.113.77") {
				t.Errorf("%s: %.600s", where, line)
			}
		}
	}
	if !strings.Contains(b.log.String(), `"level":"DEBUG"`) {
		t.Error("the log has no line at level debug")
	}
}

// asOperator asks the admin API with the token.
func (b *besieged) asOperator(path string) (status int, text string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.gateway.AdminURL()+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}
