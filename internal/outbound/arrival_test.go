package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// arrival is what an outcome says of whether the call was carried out.
type arrival struct {
	Verdict        onramp.Verdict
	MayHaveArrived bool
}

// arrivals are those of a call to each kind of destination: rows by either route,
// an event, one that may be repeated, and a message.
func arrivals(t *testing.T, cfg outbound.Config) map[string]arrival {
	t.Helper()
	got := map[string]arrival{}
	for name, call := range map[string]onramp.Call{
		"row": one(dataExtension), "async": {Destination: dataExtension, Async: true, Deliveries: several(1)},
		"event": one(journey), "repeatable event": one(repeated), "events": {Destination: journey, Deliveries: several(2)},
		"message": one(mail), "messages": {Destination: message, Deliveries: several(2)},
	} {
		cfg.ClientID, cfg.ClientSecret, cfg.AccountID = "id", "secret", "1"
		s, err := outbound.New(cfg, noKeeper{}, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range s.Send(t.Context(), call) {
			got[name] = arrival{o.Verdict, o.MayHaveArrived}
		}
	}
	return got
}

// alike is what is wanted of every kind.
func alike(v onramp.Verdict, mayHaveArrived bool) map[string]arrival {
	want := map[string]arrival{}
	for _, name := range []string{"row", "async", "event", "repeatable event", "events", "message", "messages"} {
		want[name] = arrival{v, mayHaveArrived}
	}
	return want
}

// lost is what is wanted when the call may have been carried out: an event is then
// not repeated.
func lost() map[string]arrival {
	want := alike(onramp.Retry, true)
	want["event"], want["events"] = arrival{onramp.Unknown, true}, arrival{onramp.Unknown, true}
	return want
}

// dials gives the first connection, for the token, from the network, and the others
// from next.
func dials(next func(network, addr string) (net.Conn, error)) *http.Transport {
	var n atomic.Int32
	return &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if n.Add(1)%2 == 1 { // each Sender asks for a token of its own
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		return next(network, addr)
	}}
}

// deaf is a connection that nothing can be written to.
type deaf struct{ net.Conn }

func (deaf) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
}

// What breaks a connection tells whether the call may have been carried out.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for name, row := range map[string]struct {
		next func(network, addr string) (net.Conn, error) // the call's connection; nil: of the network
		call func(w http.ResponseWriter, r *http.Request) // what the server makes of the call
		want map[string]arrival

		timeout time.Duration
	}{
		"dial refused": {next: func(string, string) (net.Conn, error) { return nil, refused }, want: alike(onramp.Retry, false)},
		"no such host": {next: func(string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}, want: alike(onramp.Retry, false)},
		"TLS fails":     {next: func(string, string) (net.Conn, error) { return nil, errors.New("tls: handshake failure") }, want: alike(onramp.Retry, false)},
		"reset at once": {next: func(network, addr string) (net.Conn, error) { c, err := net.Dial(network, addr); return deaf{c}, err }, want: alike(onramp.Retry, false)},
		"reset after the request": {call: func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}, want: lost()},
		"closed without an answer": {call: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: lost()},
		"no answer in time":        {call: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want: lost(), timeout: 200 * time.Millisecond},
		"body cut off": {call: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"requestId":"q`))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, want: lost()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Connection", "close")
				if r.URL.Path == "/v2/token" {
					reply{status: 200, body: goodToken}.write(w)
					return
				}
				// to notice that the caller hangs up
				_, _ = r.Body.Read(make([]byte, 10_000))
				row.call(w, r)
			}))
			t.Cleanup(server.Close)
			cfg := outbound.Config{AuthURL: server.URL, Timeout: row.timeout}
			if row.next != nil {
				cfg.Transport = dials(row.next)
			}
			if diff := cmp.Diff(row.want, arrivals(t, cfg)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The answer tells, too: what a server in trouble or a proxy says leaves it open,
// and a refusal does not.
func TestAnswersThatLeaveItOpen(t *testing.T) {
	t.Parallel()
	later := map[string]string{"Retry-After": "5"}
	open := func(v onramp.Verdict) map[string]arrival { return alike(v, true) }
	no := func(v onramp.Verdict) map[string]arrival { return alike(v, false) }
	for name, row := range map[string]struct {
		answer reply
		want   map[string]arrival
	}{
		"500":                         {reply{status: 500}, open(onramp.Retry)},
		"502":                         {reply{status: 502, body: "<html>Bad Gateway</html>"}, open(onramp.Retry)},
		"503":                         {reply{status: 503}, open(onramp.Retry)},
		"503, 50300":                  {reply{status: 503, body: `{"errorcode":50300,"message":"x"}`}, open(onramp.Retry)},
		"503 of a proxy, Retry-After": {reply{status: 503, header: later}, open(onramp.Throttled)},
		"503, 50300, Retry-After":     {reply{status: 503, header: later, body: `{"errorcode":50300,"message":"x"}`}, no(onramp.Throttled)},
		"504":                         {reply{status: 504}, open(onramp.Retry)},
		"408":                         {reply{status: 408}, open(onramp.Retry)},
		"596":                         {reply{status: 596}, no(onramp.Blocked)},
		"429":                         {reply{status: 429}, no(onramp.Throttled)},
		"429, 50200":                  {reply{status: 429, body: `{"errorcode":50200,"message":"x"}`}, no(onramp.Blocked)},
		"401":                         {reply{status: 401}, no(onramp.Blocked)},
		"403":                         {reply{status: 403}, no(onramp.Blocked)},
		"404":                         {reply{status: 404}, no(onramp.Blocked)},
		"400":                         {reply{status: 400, body: `{"errorcode":10004,"message":"x"}`}, no(onramp.Rejected)},
		"400, bare 10006":             {reply{status: 400, body: `{"errorcode":10006,"message":"x"}`}, no(onramp.Retry)},
		"413":                         {reply{status: 413}, no(onramp.Rejected)},
		"an error inside 202":         {reply{status: 202, body: `{"errorcode":50100,"message":"x"}`}, no(onramp.Throttled)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := cloud(t, reply{status: 200, body: goodToken}, row.answer)
			if diff := cmp.Diff(row.want, arrivals(t, outbound.Config{AuthURL: url})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A connection that was kept is closed when it is used again, and then nobody
// listens: net/http's second try left nothing either. A call that was answered 401
// left nothing when there is no other token.
func TestSecondTries(t *testing.T) {
	t.Parallel()
	want := alike(onramp.Retry, false)
	if diff := cmp.Diff(want, arrivals(t, outbound.Config{AuthURL: "http://cloud.test", Transport: &http.Transport{DialContext: staleOnce()}})); diff != "" {
		t.Errorf("stale connection: %s", diff)
	}
	var tokens atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/v2/token":
			reply{status: 401}.write(w)
		case tokens.Add(1)%2 == 1:
			reply{status: 200, body: goodToken}.write(w)
		default:
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	if diff := cmp.Diff(alike(onramp.Blocked, false), arrivals(t, outbound.Config{AuthURL: server.URL})); diff != "" {
		t.Errorf("no second token: %s", diff)
	}
}

// staleOnce dials connections that answer a request for a token, are kept, and take
// nothing more; the next one is refused.
func staleOnce() func(context.Context, string, string) (net.Conn, error) {
	var n atomic.Int32
	return func(context.Context, string, string) (net.Conn, error) {
		if n.Add(1)%2 == 0 {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		ours, theirs := net.Pipe()
		go func() {
			r := make([]byte, 10_000)
			for read := ""; !strings.Contains(read, `"id"`); { // until the body has come
				n, err := theirs.Read(r)
				if err != nil {
					return
				}
				read += string(r[:n])
			}
			_, _ = fmt.Fprintf(theirs, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(goodToken), goodToken)
		}()
		return &stale{Conn: ours}, nil
	}
}

// stale takes one write.
type stale struct {
	net.Conn
	used atomic.Bool
}

func (s *stale) Write(b []byte) (int, error) {
	if s.used.Swap(true) {
		return deaf{}.Write(b)
	}
	return s.Conn.Write(b)
}

// When a split meets a lost answer, only what was in that call may have arrived.
func TestSplitThatIsLost(t *testing.T) {
	t.Parallel()
	calls := 0
	r := &rowset{bad: []string{"p0"}, saved: map[string]int{}}
	a := &account{answer: func(req *http.Request, body string) reply {
		if calls++; calls == 3 {
			return reply{drop: true}
		}
		return r.answer(req, body)
	}}
	var got []bool
	for _, o := range a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: several(8)}) {
		got = append(got, o.MayHaveArrived)
	}
	if diff := cmp.Diff([]bool{true, true, false, false, false, false, false, false}, got); diff != "" {
		t.Error(diff)
	}
}

// What something in between answers is no success of any kind of call, and an event is
// not repeated after it.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]reply{
		"empty 200": {status: 200}, "empty 201": {status: 201}, "empty 202": {status: 202}, "204": {status: 204},
		"two quotes": {status: 200, body: `""`}, "null": {status: 200, body: "null"}, "text": {status: 200, body: "OK"},
		"captive portal": {status: 200, body: "<html>Sign in</html>"}, "object": {status: 200, body: `{}`},
		"list": {status: 200, body: `[]`}, "empty row": {status: 200, body: `[{}]`}, "foreign JSON": {status: 200, body: `{"ok":true}`},
		"no results": {status: 200, body: `{"results":[]}`}, "cut off": {status: 200, body: `{"requestId":"q`},
		"302": {status: 302, header: map[string]string{"Location": "https://portal.example/"}}, "303": {status: 303}, "307": {status: 307}, "308": {status: 308},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := cloud(t, reply{status: 200, body: goodToken}, answer)
			if diff := cmp.Diff(lost(), arrivals(t, outbound.Config{AuthURL: url})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The rows that an answer leaves out are not delivered: all are sent again.
func TestFewerRowsThanSent(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`[{"keys":{"SubscriberKey":"p0"},"values":{}}]`, `{"results":[{"rows":1,"errorcode":0,"status":"OK"}]}`,
		`{"results":[{"rows":1,"errorcode":0,"status":"OK"},{"rows":0,"errorcode":0,"status":"OK"}]}`,
	} {
		a := &account{answer: func(*http.Request, string) reply { return reply{status: 200, body: body} }}
		got := a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: several(2)})
		if diff := cmp.Diff(map[onramp.Verdict][]int{onramp.Retry: {0, 1}}, verdicts(got)); diff != "" || len(a.calls) != 1 {
			t.Errorf("%s: %d calls: %s", body, len(a.calls), diff)
		}
	}
}

// A poll that something in between answers does not complete a request.
func TestForeignPolls(t *testing.T) {
	t.Parallel()
	for name, poll := range map[string]reply{
		"empty": {status: 200}, "204": {status: 204}, "captive portal": {status: 200, body: "<html>Sign in</html>"}, "foreign JSON": {status: 200, body: `{"ok":true}`},
		"status of another kind": {status: 200, body: `{"status":"Complete"}`}, "redirect": {status: 302},
		"another request": {status: 200, body: `{"status":{"requestStatus":"Complete","resultStatus":"OK","hasErrors":false,"requestId":"j9"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &job{submit: reply{status: 202, body: `{"requestId":"j1"}`}, statuses: []reply{poll}}
				a := &account{answer: j.answer}
				got := a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Async: true, Deliveries: several(1)})
				if got[0].Verdict != onramp.Retry || !got[0].MayHaveArrived {
					t.Errorf("for ever: %+v", got)
				}
				j = &job{submit: reply{status: 202, body: `{"requestId":"j1"}`}, statuses: []reply{poll, poll, status("Complete", "OK", false)}}
				a.answer = j.answer
				got = a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Async: true, Deliveries: several(1)})
				if got[0].Verdict != onramp.Delivered {
					t.Errorf("for a while: %+v", got)
				}
				j = &job{submit: reply{status: 202, body: `{"requestId":"j1"}`}, statuses: []reply{status("Complete", "Has Errors", true)}, pages: []reply{poll}}
				a.answer = j.answer
				got = a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Async: true, Deliveries: several(2)})
				if got[0].Verdict != onramp.Retry || got[1].Verdict != onramp.Retry || !got[1].MayHaveArrived {
					t.Errorf("results: %+v", got)
				}
			})
		})
	}
}

// When a split meets a foreign answer, what was not sent is not unknown.
func TestSplitOfEvents(t *testing.T) {
	t.Parallel()
	calls := 0
	a := &account{answer: func(_ *http.Request, body string) reply {
		if calls++; calls == 1 {
			return reply{status: 400, body: `{"message":"bad","errorcode":10005}`}
		}
		return reply{status: 200, body: `<html>Sign in</html>`}
	}}
	got := a.sends(t).Send(t.Context(), onramp.Call{Destination: journey, Deliveries: several(4)})
	if diff := cmp.Diff(map[onramp.Verdict][]int{onramp.Unknown: {0, 1}, onramp.Retry: {2, 3}}, verdicts(got)); diff != "" || calls != 2 {
		t.Errorf("%d calls: %s", calls, diff)
	}
}
