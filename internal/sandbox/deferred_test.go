package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const tokenBody = `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret"}`

// done is how much was carried out, of whatever kind.
func done(s *sandbox.Sandbox) int {
	t := s.State().Totals
	return t.Rows["Web_Registrations"] + t.Contacts["APIEvent-sandbox-welcome"]*10 + t.Messages*100 + t.Jobs*1000 + (t.Tokens-1)*10_000
}

// The calls that can be carried out late, and what each leaves: see done. An event
// stores a row, too.
var routes = []struct {
	name, method, path, body string
	done                     int
}{
	{"rowset", "POST", rowset, "[" + person("a", "") + "]", 1},
	{"row", "PUT", "/hub/v1/dataevents/key:Web_Registrations/rows/SubscriberKey:a", person("a", ""), 1},
	{"rows", "PUT", asyncPath, items(flat("a", "")), 1000},
	{"event", "POST", eventsPath, `{"ContactKey":"a","EventDefinitionKey":"APIEvent-sandbox-welcome","Data":{` + goodData + `}}`, 11},
	{"events", "POST", batchPath, batch(batchMember("a", "")), 11},
	{"message", "POST", messagesPath + "/m-1", oneMessage(ana), 100},
	{"messages", "POST", messagesPath, `{"definitionKey":"welcome","recipients":[{` + ana + `}]}`, 100},
	{"token", "POST", "/v2/token", tokenBody, 10_000},
}

// What a fault answers says nothing of what is done: nothing, all at once, or all
// of it later.
func TestApply(t *testing.T) {
	t.Parallel()
	faults := map[string]sandbox.Fault{
		"500": {Status: 500}, "429": {Status: 429}, "401": {Status: 401}, "empty 200": {Name: "empty_body", Status: 200},
		"204": {Name: "empty_body", Status: 204}, "HTML": {Name: "html", Status: 200}, "foreign JSON": {Name: "foreign_json", Status: 200},
		"redirect": {Name: "redirect", Status: 307}, "text": {Name: "plain_text", Status: 200},
	}
	for _, route := range routes {
		for name, fault := range faults {
			t.Run(route.name+", "+name, func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t)
				auth := authorize(t, s)
				call := func(f sandbox.Fault) int {
					f.Count = 1
					setFaults(t, s, f)
					return send(t, s, route.method, route.path, route.body, auth).Code
				}
				status := fault.Status
				got := []int{call(fault), done(s)}
				fault.ApplyAfterMS = 5000
				got = append(got, call(fault), done(s), s.State().Totals.Late)
				advance(t, s, 5*time.Second-1)
				got = append(got, done(s))
				advance(t, s, 1)
				got = append(got, done(s), s.State().Totals.Late)
				if diff := cmp.Diff([]int{status, 0, status, 0, 1, 0, route.done, 0}, got); diff != "" {
					t.Errorf("refused, done, late, done, late, done, done, late (-want +got):\n%s", diff)
				}
				s.Reset()
				auth = authorize(t, s)
				fault.ApplyAfterMS, fault.Apply = 0, true
				if diff := cmp.Diff([]int{status, route.done}, []int{call(fault), done(s)}); diff != "" {
					t.Errorf("at once (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What the vendor would refuse is not carried out later either: it is checked when
// it comes.
func TestLateCallIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	setFaults(t, s, sandbox.Fault{ApplyAfterMS: 1000, Status: 500, Count: 1}, sandbox.Fault{ApplyAfterMS: 1000, Count: 1}, sandbox.Fault{ApplyAfterMS: 1500_000, Status: 500, Count: 1})
	got := []int{
		send(t, s, "POST", rowset, "["+person("a", "")+"]").Code,
		send(t, s, "POST", rowset, "["+person("b", "")+"]").Code,
		send(t, s, "POST", rowset, "["+person("c", "")+"]", auth).Code,
	}
	if diff := cmp.Diff([]int{500, 401, 500}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	advance(t, s, time.Hour) // by then the token has expired, which was good when it was used
	if n := done(s); n != 1 {
		t.Errorf("done %d, want the row with a good token", n)
	}
}

// Calls that are late, and jobs, are carried out in the order of their times, also
// by one step of the clock: the newest row is not the last one.
func TestLateOrder(t *testing.T) {
	t.Parallel()
	name := func(s *sandbox.Sandbox) any {
		if list := rows(s); len(list) > 0 {
			return list[0]["FirstName"]
		}
		return nil
	}
	for _, late := range [][]int{{9000, 3000, 6000}, {3000, 6000, 9000}, {6000, 9000, 3000}} {
		s := newSandbox(t)
		auth := authorize(t, s)
		last := 0
		for i, ms := range late {
			setFaults(t, s, sandbox.Fault{Status: 502, ApplyAfterMS: ms})
			send(t, s, "POST", rowset, "["+person("a", fmt.Sprintf(`,"FirstName":"%d"`, i))+"]", auth)
			if ms > late[last] {
				last = i
			}
		}
		setFaults(t, s, sandbox.Fault{Name: "job_time", DelayMS: 7000})
		submit(t, s, auth, "PUT", asyncPath, items(flat("a", `,"FirstName":"job"`)))
		setFaults(t, s)
		send(t, s, "POST", rowset, "["+person("a", `,"FirstName":"now"`)+"]", auth)
		got := []any{name(s)}
		advance(t, s, time.Hour)
		got = append(got, name(s))
		if diff := cmp.Diff([]any{"now", fmt.Sprint(last)}, got); diff != "" {
			t.Errorf("%v: the row (-want +got):\n%s", late, diff)
		}
	}
}

// server is a sandbox that listens, on the true clock.
func server(t *testing.T) (s *sandbox.Sandbox, url, auth string) {
	t.Helper()
	s = sandbox.New(sandbox.Config{})
	listener := httptest.NewServer(s)
	t.Cleanup(listener.Close)
	t.Cleanup(s.Reset) // ends what hangs
	return s, listener.URL, authorize(t, s)
}

// postRow makes one call over a connection of its own.
func postRow(ctx context.Context, t *testing.T, url, auth, body string) (status int, answer string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", url+rowset, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(auth, ": ")
	r.Header.Set(name, value)
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// What a caller sees of connections that break, and what was done by then and
// later.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	row := "[" + person("a", "") + "]"
	for _, c := range []struct {
		name   string
		fault  sandbox.Fault
		status int
		answer string
		err    error
		now    int // rows
		later  int
	}{
		{"reset", sandbox.Fault{Name: "reset"}, 0, "", syscall.ECONNRESET, 0, 0},
		{"reset, done", sandbox.Fault{Name: "reset", Apply: true}, 0, "", syscall.ECONNRESET, 1, 1},
		{"reset, done later", sandbox.Fault{Name: "reset", ApplyAfterMS: 3600_000, DelayMS: 1}, 0, "", syscall.ECONNRESET, 0, 1},
		{"dropped, done later", sandbox.Fault{Name: "drop_answer", ApplyAfterMS: 3600_000}, 0, "", io.EOF, 0, 1},
		{"cut", sandbox.Fault{Name: "cut_body"}, 200, row[:len(row)/2], io.ErrUnexpectedEOF, 1, 1},
		{"cut, not done", sandbox.Fault{Name: "cut_body", Status: 202}, 202, `{"requestId":"`, io.ErrUnexpectedEOF, 0, 0},
		{"cut, done later", sandbox.Fault{Name: "cut_body", Status: 200, ApplyAfterMS: 3600_000}, 200, `{"requestId":"`, io.ErrUnexpectedEOF, 0, 1},
		{"hangs", sandbox.Fault{Name: "hang"}, 0, "", context.DeadlineExceeded, 0, 0},
		{"hangs, done", sandbox.Fault{Name: "hang", Apply: true}, 0, "", context.DeadlineExceeded, 1, 1},
		{"hangs, done later", sandbox.Fault{Name: "hang", ApplyAfterMS: 3600_000}, 0, "", context.DeadlineExceeded, 0, 1},
		{"late, hung up", sandbox.Fault{ApplyAfterMS: 3600_000}, 0, "", context.DeadlineExceeded, 0, 1},
		{"slow, done at once", sandbox.Fault{Apply: true, DelayMS: 3600_000}, 0, "", context.DeadlineExceeded, 1, 1},
		{"slow, hung up", sandbox.Fault{DelayMS: 3600_000}, 0, "", context.DeadlineExceeded, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, url, auth := server(t)
			setFaults(t, s, c.fault)
			ctx, cancel := t.Context(), func() {}
			if errors.Is(c.err, context.DeadlineExceeded) {
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
			}
			defer cancel()
			status, answer, err := postRow(ctx, t, url, auth, row)
			if status != c.status || !errors.Is(err, c.err) || !strings.HasPrefix(answer, c.answer) || c.answer == "" && answer != "" {
				t.Errorf("got %d %q %v, want %d %q %v", status, answer, err, c.status, c.answer, c.err)
			}
			if n := len(rows(s)); n != c.now {
				t.Errorf("%d rows at once, want %d", n, c.now)
			}
			advance(t, s, time.Hour)
			if n := len(rows(s)); n != c.later {
				t.Errorf("%d rows later, want %d", n, c.later)
			}
		})
	}
}

// A caller that waits is told the truth once the call was carried out: by the clock
// or by true time. One that waits when the sandbox is reset is not answered.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	row := "[" + person("a", "") + "]"
	type result struct {
		status int
		answer string
		failed bool
	}
	for name, c := range map[string]struct {
		ms   int
		end  func(*testing.T, *sandbox.Sandbox)
		want result
		rows int
	}{
		"advanced":  {3600_000, func(t *testing.T, s *sandbox.Sandbox) { advance(t, s, time.Hour) }, result{200, row, false}, 1},
		"true time": {30, func(*testing.T, *sandbox.Sandbox) {}, result{200, row, false}, 1},
		"reset":     {3600_000, func(_ *testing.T, s *sandbox.Sandbox) { s.Reset() }, result{0, "", true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url, auth := server(t)
			setFaults(t, s, sandbox.Fault{ApplyAfterMS: c.ms})
			got := make(chan result, 1)
			go func() {
				status, answer, err := postRow(t.Context(), t, url, auth, row)
				got <- result{status, answer, err != nil}
			}()
			for s.State().Totals.Late == 0 && len(rows(s)) == 0 { // until it has come
				select {
				case r := <-got:
					t.Fatalf("answered at once: %v", r)
				case <-time.After(time.Millisecond):
				}
			}
			c.end(t, s)
			if r := <-got; r != c.want {
				t.Errorf("got %+v, want %+v", r, c.want)
			}
			if n := len(rows(s)); n != c.rows {
				t.Errorf("%d rows, want %d", n, c.rows)
			}
		})
	}
}

// A redirect leads where the fault says.
func TestRedirectFault(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	setFaults(t, s, sandbox.Fault{Name: "redirect", Count: 1}, sandbox.Fault{Name: "redirect", Status: 308, Location: "https://portal.example/login"})
	got := []string{
		send(t, s, "POST", rowset, "[]").Header().Get("Location"),
		send(t, s, "POST", "/v2/token", "{}").Header().Get("Location"),
	}
	if diff := cmp.Diff([]string{"https://proxy.invalid/", "https://portal.example/login"}, got); diff != "" {
		t.Errorf("locations (-want +got):\n%s", diff)
	}
}
