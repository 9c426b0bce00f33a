package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
	"onramp/internal/tracing/tracetest"
)

const (
	callersTrace  = "0af7651916cd43dd8448eb211c80319c"
	callersSpan   = "b7ad6b7169203331"
	callersParent = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// traced adds tracing to a configuration, and leaves out the calls that belong to no
// registration.
func traced(c *tracetest.Collector, more string) func(cfg string) string {
	return func(cfg string) string {
		return cfg + "tracing: { endpoint: \"" + c.URL + "\"" + more + " }\nwatch: { schema: off, sample: off }\n"
	}
}

// shown is a tree without what is different in every run.
func shown(tree string, known map[string]string) string {
	for value, name := range known {
		tree = strings.ReplaceAll(tree, value, name)
	}
	tree = regexp.MustCompile(`onramp\.request_id=\S+`).ReplaceAllString(tree, "onramp.request_id=REQUEST")
	return "\n" + tree
}

// checked waits until the gateway has made its checks at the start, which need a token.
func (w *world) checked() {
	w.t.Helper()
	w.until("the checks", func() bool {
		var status struct{ Checks []struct{ State string } }
		w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
		return len(status.Checks) > 0 && !slices.ContainsFunc(status.Checks, func(c struct{ State string }) bool { return c.State == "pending" })
	})
}

// A registration is one trace, from the caller's span to Marketing Cloud's last answer:
// also when a try fails, the gateway is restarted, and the token is no longer valid.
func TestTrace(t *testing.T) {
	t.Parallel()
	c := tracetest.New(t)
	w := newSandboxed(t)
	database := filepath.Join(t.TempDir(), "onramp.db")
	edit := traced(c, ", sample: 1")
	w.start(edit, database)
	w.checked()
	if err := w.sandbox.SetFaults([]sandbox.Fault{{Match: "/hub/v1/", Status: 500, Count: 1}}); err != nil {
		t.Fatal(err)
	}
	a := w.post(`{"email":"ana.secret@example.org","first_name":"Anastasia"}`, map[string]string{
		"traceparent": callersParent, "tracestate": "site=a1,rum=b2", "baggage": "who=Anastasia", "User-Agent": "Anastasia's phone", "X-Forwarded-For": "203.0.113.77",
	})
	w.until("the first try", func() bool { return strings.Contains(strings.Join(w.whats(a.ID), " "), "retry") })
	w.end()
	w.start(edit, database)
	w.until("the delivery", func() bool { return slices.Contains(w.whats(a.ID), "delivered journey:APIEvent-sandbox-welcome") })
	w.end()
	host, _, _ := strings.Cut(strings.TrimPrefix(w.cloud, "http://"), ":")
	want := `
(b7ad6b7169203331)
POST /v1/forms/{form}/registrations (server) http.request.method=POST http.response.status_code=202 http.route=/v1/forms/{form}/registrations onramp.form=registration state site=a1,rum=b2
  accept (internal) onramp.form=registration onramp.registration_id=ID onramp.repeated=false state site=a1,rum=b2
    deliver data_extension:Web_Registrations (internal) http.response.status_code=500 onramp.attempt=1 onramp.delivery_id=ID.1 onramp.destination=data_extension:Web_Registrations onramp.mode=sync onramp.vendor_code=500 onramp.verdict=retry ERROR retry state site=a1,rum=b2
      call data_extension:Web_Registrations (internal) onramp.deliveries=1 onramp.destination=data_extension:Web_Registrations onramp.mode=sync state site=a1,rum=b2
        POST rows (client) error.type=500 http.request.method=POST http.response.status_code=500 onramp.call=rows server.address=HOST ERROR  state site=a1,rum=b2
    deliver data_extension:Web_Registrations (internal) http.response.status_code=200 onramp.attempt=2 onramp.delivery_id=ID.1 onramp.destination=data_extension:Web_Registrations onramp.mode=sync onramp.verdict=delivered state site=a1,rum=b2
      call data_extension:Web_Registrations (internal) onramp.deliveries=1 onramp.destination=data_extension:Web_Registrations onramp.mode=sync state site=a1,rum=b2
        POST rows (client) http.request.method=POST http.response.status_code=200 onramp.call=rows server.address=HOST state site=a1,rum=b2
    deliver journey:APIEvent-sandbox-welcome (internal) http.response.status_code=201 onramp.attempt=1 onramp.delivery_id=ID.2 onramp.destination=journey:APIEvent-sandbox-welcome onramp.verdict=delivered state site=a1,rum=b2
      call journey:APIEvent-sandbox-welcome (internal) onramp.deliveries=1 onramp.destination=journey:APIEvent-sandbox-welcome state site=a1,rum=b2
        POST journey (client) http.request.method=POST http.response.status_code=201 onramp.call=journey server.address=HOST state site=a1,rum=b2
`
	if diff := cmp.Diff(want, shown(c.Tree(callersTrace), map[string]string{a.ID: "ID", host: "HOST"})); diff != "" {
		t.Error(diff)
	}
	holdsNone(t, c, "ana.secret", "example.org", "Anastasia", "203.0.113.77", sandbox.ClientSecret, "127.0.0.1:", "baggage")
}

// holdsNone looks for what must not be in any export.
func holdsNone(t *testing.T, c *tracetest.Collector, values ...string) {
	t.Helper()
	raw := string(c.Raw())
	if raw == "" {
		t.Error("nothing was exported")
	}
	for _, value := range values {
		if strings.Contains(raw, value) {
			t.Errorf("%q was exported", value)
		}
	}
}

// A token that is fetched for a call is part of it.
func TestTraceToken(t *testing.T) {
	t.Parallel()
	c := tracetest.New(t)
	w := newWorld(t, traced(c, ""))
	w.checked()
	if err := w.sandbox.Fault(sandbox.Fault{Name: sandbox.FaultRevokeTokens}); err != nil {
		t.Fatal(err)
	}
	w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait})
	w.end()
	const call = "      call data_extension:Web_Registrations"
	_, tree, _ := strings.Cut(c.Tree(c.TraceOf("accept")), call)
	tree, _, _ = strings.Cut(tree, "    deliver journey")
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(tree), "\n")[1:] {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " (client)")
		_, status, _ := strings.Cut(rest, "status_code=")
		got = append(got, name+" "+status[:3])
	}
	if diff := cmp.Diff([]string{"POST rows 401", "POST token 200", "POST rows 200"}, got); diff != "" {
		t.Error(diff)
	}
	holdsNone(t, c, "ana@", sandbox.ClientSecret)
}

// A call for several deliveries has a trace of its own, with a link to each, and each
// has one to it, but only to those that are recorded.
func TestTraceBatch(t *testing.T) {
	t.Parallel()
	c := tracetest.New(t)
	w := newWorld(t, func(cfg string) string {
		cfg, _, _ = strings.Cut(cfg, "      - journey:")
		return traced(c, ", sample: 0.000000001, trust_parent: true")(cfg)
	})
	const path = "/api/destinations/data_extension:Web_Registrations"
	w.admin(path+"/pause", map[string]string{"reason": "a test"}, http.StatusOK, new(any))
	trace := func(n int) string { return fmt.Sprintf("%031x%d", 0xabc, n) }
	for i, flag := range []string{"01", "01", "00", "01"} {
		w.post(fmt.Sprintf(`{"email":"p%d@example.org"}`, i), map[string]string{"traceparent": "00-" + trace(i) + "-" + callersSpan + "-" + flag})
	}
	w.admin(path+"/resume", struct{}{}, http.StatusOK, new(any))
	w.until("all delivered", func() bool {
		var status struct{ Registrations map[string]int }
		w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
		return status.Registrations["delivered"] == 4
	})
	w.end()
	call := c.TraceOf("call data_extension:Web_Registrations")
	want := `
call data_extension:Web_Registrations (internal) onramp.deliveries=4 onramp.destination=data_extension:Web_Registrations onramp.mode=sync
  -> deliver data_extension:Web_Registrations
  -> deliver data_extension:Web_Registrations
  -> deliver data_extension:Web_Registrations
  POST rows (client) http.request.method=POST http.response.status_code=200 onramp.call=rows server.address=127.0.0.1
`
	if diff := cmp.Diff(want, "\n"+c.Tree(call)); diff != "" {
		t.Error(diff)
	}
	for i, recorded := range []bool{true, true, false, true} {
		tree := c.Tree(trace(i))
		if recorded != strings.Contains(tree, "    deliver data_extension:Web_Registrations (internal)") ||
			recorded != strings.Contains(tree, "      -> call data_extension:Web_Registrations\n") || !recorded && tree != "" {
			t.Errorf("trace %d:\n%s", i, tree)
		}
	}
}

// The asynchronous route's request and the questions for its results are part of the
// call, and the spans have Marketing Cloud's name for it.
func TestTraceAsync(t *testing.T) {
	t.Parallel()
	c := tracetest.New(t)
	w := newWorld(t, func(cfg string) string {
		cfg, _, _ = strings.Cut(cfg, "      - journey:")
		return traced(c, "")(strings.Replace(cfg, "mode: auto", "mode: async", 1))
	})
	a := w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait, "traceparent": callersParent})
	w.end()
	_, tree, _ := strings.Cut(c.Tree(callersTrace), "    deliver")
	tree = regexp.MustCompile(`(?m)(^ +GET async_poll.*\n)+`).ReplaceAllString(tree, "GET async_poll…\n") // as many as it takes
	tree = regexp.MustCompile(`(?m)^ +POST token.*\n`).ReplaceAllString(tree, "")                         // or its check at the start has fetched it
	want := `
 data_extension:Web_Registrations (internal) http.response.status_code=200 onramp.attempt=1 onramp.delivery_id=ID.1 onramp.destination=data_extension:Web_Registrations onramp.mode=async onramp.request_id=REQUEST onramp.verdict=delivered
      call data_extension:Web_Registrations (internal) onramp.deliveries=1 onramp.destination=data_extension:Web_Registrations onramp.mode=async
        PUT async_rows (client) http.request.method=PUT http.response.status_code=202 onramp.call=async_rows server.address=127.0.0.1
GET async_poll…
`
	if diff := cmp.Diff(want, shown(tree, map[string]string{a.ID: "ID"})); diff != "" {
		t.Error(diff)
	}
}

// An event is a trace from Marketing Cloud's call to the sink, which can go on with it.
// What it changes in a row belongs to the registration's trace, with a link to it.
func TestTraceEvent(t *testing.T) {
	t.Parallel()
	type request struct{ parent, state, body string }
	got := make(chan request, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Header.Get("traceparent"), r.Header.Get("tracestate"), string(body)}
	}))
	t.Cleanup(hook.Close)
	c := tracetest.New(t)
	w := newWorld(t, func(cfg string) string {
		return traced(c, "")(cfg + "sinks:\n  - { name: hook, types: [\"*.EmailUnsubscribe\"], webhook: { url: \"" + hook.URL + "\", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } }\n")
	})
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := w.post(`{"email":"bob+open+unsubscribe@example.org","opt_in":true}`, map[string]string{"Prefer": wait, "traceparent": callersParent})
	w.until("the change", func() bool {
		return len(w.columns("bob+open+unsubscribe@example.org", "OptInStatus")) == 1 && w.columns("bob+open+unsubscribe@example.org", "OptInStatus")[0] == false
	})
	r := <-got
	w.until("all is settled", func() bool {
		var status struct{ Deliveries map[string]int }
		w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
		return status.Deliveries["delivered"] == 4
	})
	w.end()
	_, event, _ := strings.Cut(r.body, `"traceparent":"00-`)
	eventTrace := event[:32]
	if !strings.HasPrefix(r.parent, "00-"+eventTrace+"-") || r.parent[36:] == event[33:52] || !strings.HasSuffix(r.parent, "-01") {
		t.Errorf("the sink got traceparent %s with %s", r.parent, r.body)
	}
	want := `
POST /ens/{callback} (server) http.request.method=POST http.response.status_code=200 http.route=/ens/{callback}
  accept (internal) onramp.callback=events onramp.events=N onramp.events_stored=N
    deliver sink:hook (producer) http.response.status_code=200 onramp.attempt=1 onramp.delivery_id=EVENT onramp.destination=sink:hook onramp.verdict=delivered
      call sink:hook (client) onramp.deliveries=1 onramp.destination=sink:hook
`
	tree := regexp.MustCompile(`delivery_id=\S+`).ReplaceAllString(c.Tree(eventTrace), "delivery_id=EVENT")
	tree = regexp.MustCompile(`(events|stored)=\d+`).ReplaceAllString(tree, "$1=N")
	if diff := cmp.Diff(want, "\n"+tree); diff != "" {
		t.Error(diff)
	}
	tree = c.Tree(callersTrace)
	if last := tree[strings.LastIndex(tree, "    deliver "):]; !strings.Contains(last, "      -> accept\n") || strings.Contains(last, a.ID) {
		t.Errorf("the change is\n%s", last)
	}
	holdsNone(t, c, "bob+", "example.org", "whsec_")
}

// A caller's traceparent is gone on with if it is one, but whether the trace is recorded
// here it decides only if it is trusted: whatever flag and whatever id it chooses.
func TestTraceParent(t *testing.T) {
	t.Parallel()
	const rarely, recorded = ", sample: 0.000000001", "recorded"
	low := "00-00000000000000000000000000000001-" + callersSpan + "-01" // which a share of ids would always include
	for name, row := range map[string]struct {
		config string
		header http.Header
		want   string // tracestate of the caller's trace, or recorded, or "" if it is not there
	}{
		"valid":                    {"", http.Header{"Traceparent": {callersParent}}, recorded},
		"not sampled":              {"", http.Header{"Traceparent": {strings.Replace(callersParent, "-01", "-00", 1)}}, recorded},
		"not sampled, trusted":     {", trust_parent: true", http.Header{"Traceparent": {strings.TrimSuffix(callersParent, "01") + "00"}}, ""},
		"stranger, sampled":        {rarely, http.Header{"Traceparent": {callersParent}}, ""},
		"stranger, low id":         {rarely, http.Header{"Traceparent": {low}}, ""},
		"trusted, sampled":         {rarely + ", trust_parent: true", http.Header{"Traceparent": {callersParent}}, recorded},
		"upper case":               {"", http.Header{"Traceparent": {strings.ToUpper(callersParent)}}, ""},
		"zeros":                    {"", http.Header{"Traceparent": {"00-" + callersTrace + "-0000000000000000-01"}}, ""},
		"too long":                 {"", http.Header{"Traceparent": {callersParent + strings.Repeat("-00", 1000)}}, ""},
		"later version":            {"", http.Header{"Traceparent": {"01" + callersParent[2:] + "-more"}}, recorded},
		"forbidden version":        {"", http.Header{"Traceparent": {"ff" + callersParent[2:]}}, ""},
		"two":                      {"", http.Header{"Traceparent": {callersParent, low}}, ""},
		"state":                    {"", http.Header{"Traceparent": {callersParent}, "Tracestate": {"a=1", "b=2"}}, "a=1,b=2"},
		"state that is none":       {"", http.Header{"Traceparent": {callersParent}, "Tracestate": {"ana@example.org"}}, recorded},
		"state that is too long":   {"", http.Header{"Traceparent": {callersParent}, "Tracestate": {"a=" + strings.Repeat("x", 250) + ",b=" + strings.Repeat("x", 250) + ",c=" + strings.Repeat("x", 50)}}, recorded},
		"state without its parent": {"", http.Header{"Tracestate": {"a=1"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tracetest.New(t)
			w := newWorld(t, traced(c, row.config))
			r, err := http.NewRequest(http.MethodPost, w.gateway.PublicURL()+"/v1/forms/registration/registrations", strings.NewReader(`{"email":"ana@example.org"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = row.header.Clone()
			r.Header.Set("Content-Type", "application/json")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			w.end()
			line, _, _ := strings.Cut(strings.TrimPrefix(c.Tree(callersTrace), "("+callersSpan+")\n"), "\n")
			_, state, hasState := strings.Cut(line, " state ")
			switch {
			case line != "" && !hasState:
				state = recorded
			case strings.Contains(row.config, rarely) && row.want == "" && c.Spans() > 0:
				t.Errorf("%d spans were exported", c.Spans())
			}
			if response.StatusCode != http.StatusAccepted || state != row.want {
				t.Errorf("answered %d, trace %q, want %q", response.StatusCode, state, row.want)
			}
		})
	}
}

// A trace is recorded as a whole or not at all, whichever the share decides for.
func TestTraceWhole(t *testing.T) {
	t.Parallel()
	c := tracetest.New(t)
	w := newWorld(t, traced(c, ", sample: 0.5"))
	trace := func(n int) string { return fmt.Sprintf("%030x%02d", 0xabc, n) }
	const n = 30
	for i := range n {
		w.post(fmt.Sprintf(`{"email":"p%d@example.org"}`, i), map[string]string{"traceparent": "00-" + trace(i) + "-" + callersSpan + "-01"})
	}
	w.until("all delivered", func() bool {
		var status struct{ Registrations map[string]int }
		w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
		return status.Registrations["delivered"] == n
	})
	w.end()
	recorded := 0
	for i := range n {
		tree := c.Tree(trace(i))
		if tree != "" {
			recorded++
		}
		for _, span := range []string{"POST /v1/forms", "  accept ", "    deliver data_extension", "    deliver journey"} {
			if tree != "" && !strings.Contains(tree, span) {
				t.Errorf("trace %d has no %q:\n%s", i, span, tree)
			}
		}
	}
	if recorded == 0 || recorded == n {
		t.Errorf("%d of %d traces are recorded", recorded, n)
	}
}

// A collector that is down, or takes nothing, costs nobody a registration, and a stop no
// more than its time. The status says what is lost.
func TestTraceCollectorFails(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"down":    nil,
		"refuses": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is noticed
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(answer)
			if answer == nil {
				server.Close()
			}
			t.Cleanup(server.Close)
			w := newWorld(t, func(cfg string) string {
				return traced(&tracetest.Collector{URL: server.URL}, "")(cfg) + "drain_timeout: 1s\n"
			})
			if a := w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait}); a.Code != http.StatusCreated {
				t.Errorf("answered %+v", a)
			}
			var status struct {
				Tracing struct{ Sent, Waiting, Failed int }
			}
			w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
			if spans := status.Tracing; spans.Waiting+spans.Failed < 5 || spans.Sent > 0 {
				t.Errorf("the status is %+v", spans)
			}
			begun := time.Now()
			w.end()
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("the stop took %v", took)
			}
		})
	}
}
