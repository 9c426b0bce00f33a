package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/alert"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/outbound"
	"onramp/internal/pump"
	"onramp/internal/sandbox"
	"onramp/internal/store"
)

// This file has whole gateways, but for their listeners, live through long
// troubles: in bubbles of synctest, where ten minutes take a moment.

// direct carries requests to the sandbox without a network, which would keep a
// bubble's time from passing.
type direct struct{ to http.Handler }

func (d direct) RoundTrip(r *http.Request) (response *http.Response, err error) {
	defer func() {
		if recover() != nil { // http.ErrAbortHandler: the sandbox has closed the connection
			response, err = nil, errors.New("connection closed")
		}
	}()
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.to.ServeHTTP(w, r)
	if r.Context().Err() != nil {
		return nil, context.Cause(r.Context())
	}
	return w.Result(), nil
}

type noKeeper struct{}

func (noKeeper) LoadToken(context.Context) ([]byte, error) { return nil, nil }
func (noKeeper) SaveToken(context.Context, []byte) error   { return nil }

// alerts are the log's lines about alerts: causes, with what they say of the beginning and the end.
type alerts struct {
	slog.Handler
	mu     sync.Mutex
	titles []string
}

func (a *alerts) Enabled(context.Context, slog.Level) bool { return true }
func (a *alerts) WithAttrs([]slog.Attr) slog.Handler       { return a }
func (a *alerts) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(attribute slog.Attr) bool {
		if r.Message == "alert" && attribute.Key == "title" {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.titles = append(a.titles, attribute.Value.String())
		}
		return true
	})
	return nil
}

func (a *alerts) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.titles)
}

// rig is store, pump, outbound, alerts and sandbox.
type rig struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	store   *store.Store
	form    *onramp.Form
	alerts  *alerts
	stop    func()
	ids     []string
}

var (
	rows   = onramp.Destination{Kind: onramp.DataExtension, Key: sandbox.RegistrationsKey, KeyColumns: []string{"SubscriberKey"}}
	events = onramp.Destination{Kind: onramp.Journey, Key: sandbox.WelcomeEventKey, KeyColumns: []string{"SubscriberKey"}}
	mails  = onramp.Destination{Kind: onramp.Message, Key: sandbox.WelcomeMessageKey, ToColumn: "EmailAddress"}
)

// newRig makes a gateway that does not deliver yet.
func newRig(t *testing.T, path string, route ...onramp.Destination) *rig {
	t.Helper()
	r := &rig{t: t, sandbox: sandbox.New(sandbox.Config{}), alerts: &alerts{Handler: slog.DiscardHandler}}
	var err error
	if r.store, err = store.Open(t.Context(), store.Config{URL: path}); err != nil {
		t.Fatal(err)
	}
	forms, err := r.store.RegisterForms(t.Context(), []onramp.Form{{Name: "registration", Route: route}})
	if err != nil {
		t.Fatal(err)
	}
	r.form = forms[0]
	return r
}

// deliver begins to deliver; end drains and closes.
func (r *rig) deliver() {
	sender, err := outbound.New(outbound.Config{
		AuthURL: "http://127.0.0.1:8090", ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret, AccountID: sandbox.AccountID,
		Transport: direct{r.sandbox},
	}, noKeeper{}, func(error) {})
	if err != nil {
		r.t.Fatal(err)
	}
	p := pump.New(pump.Config{}, r.store, r.store, sender, r.form.Route)
	watcher, err := alert.New(alert.Config{}, alert.Sources{
		Desk: &operator.Desk{Counts: r.store, Deliveries: r.store, Pump: p}, Trouble: r.store.Trouble,
	}, slog.New(r.alerts))
	if err != nil {
		r.t.Fatal(err)
	}
	claim, stop := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(claim, r.t.Context()) })
	running.Go(func() { watcher.Run(claim) })
	r.stop = func() {
		stop()
		running.Wait()
	}
}

func (r *rig) end() {
	r.stop()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// accept stores a registration of a person.
func (r *rig) accept(person, values string) {
	r.t.Helper()
	now := time.Now().UTC()
	registration := onramp.Registration{
		ID: onramp.NewID(now), Form: r.form.Name, SubscriberKey: person, ReceivedAt: now.Truncate(time.Microsecond), Route: r.form.Route,
		Values: fmt.Appendf(nil, `{"EmailAddress":"%s@example.org",%s"RegistrationTimestamp":"2026-06-23T14:52:45Z"}`, person, values),
	}
	if _, err := r.store.SaveRegistration(r.t.Context(), &registration, onramp.IdempotencyKey{}, false); err != nil {
		r.t.Fatal(err)
	}
	r.ids = append(r.ids, registration.ID)
}

func (r *rig) fault(f sandbox.Fault) {
	r.t.Helper()
	if err := r.sandbox.Fault(f); err != nil {
		r.t.Fatal(err)
	}
}

// count returns how many deliveries are in each state.
func (r *rig) count() map[string]int64 {
	n := map[string]int64{}
	for _, counts := range r.store.Count().Deliveries {
		for state, count := range counts {
			if count > 0 {
				n[state.String()] += count
			}
		}
	}
	return n
}

// calls counts the sandbox's calls, token requests left out.
func (r *rig) calls() (n int) {
	for route, count := range r.sandbox.State().Calls {
		if route != "POST /v2/token" {
			n += count
		}
	}
	return n
}

func inBubble(t *testing.T, test func(t *testing.T, path string)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "onramp.db") // outside: its clean-up is the outer test's
	synctest.Test(t, func(t *testing.T) { test(t, path) })
}

// Ten minutes of "temporarily blocked": one alert and one when it is over, no
// tries used up, everything delivered afterwards, and in order for each person.
func TestBlockedTenMinutes(t *testing.T) {
	for name, route := range map[string][]onramp.Destination{
		"rows": {rows}, "rows and events": {rows, events}, "messages": {mails},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, path string) {
				r := newRig(t, path, route...)
				r.deliver()
				defer r.end()
				r.fault(sandbox.Fault{Status: 429, Errorcode: 50200, For: "10m"})
				for i := range 200 {
					r.accept(fmt.Sprint("p", i%20), fmt.Sprintf(`"FirstName":"%d",`, i))
					<-time.After(2 * time.Second) // the last ones come while it is blocked
				}
				<-time.After(9 * time.Minute)
				synctest.Wait()
				if diff := cmp.Diff(map[string]int64{"delivered": int64(200 * len(route))}, r.count()); diff != "" {
					t.Fatal(diff)
				}
				<-time.After(10 * time.Minute)
				var begun, over int
				for _, title := range r.alerts.all() {
					switch {
					case strings.HasPrefix(title, "onramp: blocked: "):
						begun++
					case strings.HasPrefix(title, "onramp: cleared: blocked: "):
						over++
					default:
						t.Errorf("another alert: %s", title)
					}
				}
				if begun != 1 || over != 1 {
					t.Errorf("alerts: %q", r.alerts.all())
				}
				for _, id := range r.ids {
					registration, err := r.store.FindRegistration(t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
					for _, d := range registration.Deliveries {
						if d.Tries != 1 {
							t.Errorf("%s took %d tries", d.ID(), d.Tries)
						}
					}
				}
				r.wantInOrder()
			})
		})
	}
}

// wantInOrder checks that the last that arrived of each person is the last that
// was accepted, and with events and messages that all of them came in order.
func (r *rig) wantInOrder() {
	r.t.Helper()
	last := map[string]string{}
	for i := range r.ids {
		last[fmt.Sprint("p", i%20)] = fmt.Sprint(i)
	}
	state := r.sandbox.State()
	for _, row := range state.DataExtensions[sandbox.RegistrationsKey].Rows {
		if person := row["SubscriberKey"].(string); row["FirstName"] != last[person] {
			r.t.Errorf("%s ends with %v, want %s", person, row["FirstName"], last[person])
		}
	}
	arrived := map[string]int{}
	came := func(person string, data any) {
		var n int
		if _, err := fmt.Sscan(fmt.Sprint(data), &n); err != nil || n < arrived[person] {
			r.t.Errorf("%s: %v after %d", person, data, arrived[person])
		}
		arrived[person] = n
	}
	for _, c := range state.Journeys[sandbox.WelcomeEventKey].Contacts {
		came(c.ContactKey, c.Data["FirstName"])
	}
	for _, m := range state.Messages {
		came(m.ContactKey, m.Attributes["FirstName"])
	}
}

// One bad row among 5,000: the others are delivered, one dead letter names the
// column and the reason, and few calls are made for its sake.
func TestOneBadRow(t *testing.T) {
	const n, bad = 5000, 3217
	for _, row := range []struct {
		name  string
		to    onramp.Destination
		least int // calls that good rows would take
	}{
		{"sync", with(rows, onramp.Sync), n / 50},
		{"async", with(rows, onramp.Async), 2 + 2*2}, // two jobs, each a submission and a status, perhaps two
		{"events", events, n / 100},
		{"messages", mails, n / 500},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, path string) {
				r := newRig(t, path, row.to)
				r.fault(sandbox.Fault{DelayMS: 50})
				for i := range n {
					person := fmt.Sprint("p", i)
					if i == bad {
						person = "no address " // in front of the @
					}
					r.accept(person, "")
				}
				r.deliver()
				defer r.end()
				<-time.After(time.Minute)
				if diff := cmp.Diff(map[string]int64{"delivered": n - 1, "dead": 1}, r.count()); diff != "" {
					t.Fatal(diff)
				}
				if calls := r.calls(); calls < row.least || calls > row.least+20 {
					t.Errorf("%d calls, want at most 20 more than %d", calls, row.least)
				}
				d, err := r.store.FindDelivery(t.Context(), onramp.DeliveryID(r.ids[bad], 1))
				if err != nil {
					t.Fatal(err)
				}
				want := "EmailAddress"
				if row.to.Kind == onramp.Message {
					want = "Invalid subscriber" // the route's words
				}
				if d.State != onramp.DeliveryDead || !strings.Contains(d.Reason, want) || !strings.Contains(d.Attempts[0].Request, "no address ") {
					t.Errorf("the dead letter: %s, %s, %+v", d.State, d.Reason, d.Attempts)
				}
				if titles := r.alerts.all(); len(titles) != 1 || !strings.HasPrefix(titles[0], "onramp: dead letters: ") {
					t.Errorf("alerts: %q", titles)
				}
			})
		})
	}
}

// One person's 3,000 registrations and one of another, 300 ms a call: the other one
// goes at once, by whatever route.
func TestOnePersonsQueue(t *testing.T) {
	const n = 3000
	for _, row := range []struct {
		name   string
		to     onramp.Destination
		within time.Duration
	}{
		{"sync", with(rows, onramp.Sync), time.Second},
		{"auto", with(rows, onramp.Auto), time.Second},
		{"async", with(rows, onramp.Async), time.Minute}, // with its job
		{"events", events, time.Second},
		{"messages", mails, time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, path string) {
				r := newRig(t, path, row.to)
				r.fault(sandbox.Fault{DelayMS: 300})
				for range n {
					r.accept("hot", "")
				}
				r.accept("other", "")
				r.deliver()
				defer r.end()
				<-time.After(row.within)
				other, err := r.store.FindRegistration(t.Context(), r.ids[n])
				if err != nil || other.State != onramp.RegistrationDelivered {
					t.Errorf("the other one is %s after %v, %v", other.State, row.within, err)
				}
				if left := r.count()["pending"]; left < n/2 {
					t.Errorf("%d of the queue are left", left)
				}
			})
		})
	}
}

func with(d onramp.Destination, mode onramp.Mode) onramp.Destination {
	d.Mode = mode
	return d
}

// An old "opted in" that is being retried never arrives after a newer "opted
// out" of the same person.
func TestOptOutStays(t *testing.T) {
	for _, row := range []struct {
		name  string
		to    onramp.Destination
		fault sandbox.Fault
	}{
		{"sync", with(rows, onramp.Sync), sandbox.Fault{Match: "/hub/", Status: 500, Count: 1}},
		{"sync, bare 10006", with(rows, onramp.Sync), sandbox.Fault{Match: "/hub/", Name: sandbox.FaultBare10006, Count: 1}},
		{"sync, answer lost", with(rows, onramp.Sync), sandbox.Fault{Match: "/hub/", Name: sandbox.FaultDropAnswer, Count: 1}},
		{"async, deadlock", with(rows, onramp.Async), sandbox.Fault{Match: "/data/", Name: sandbox.FaultRowDeadlock, Count: 1}},
		{"async, slow", with(rows, onramp.Async), sandbox.Fault{Match: "/data/", Name: sandbox.FaultJobTime, DelayMS: 30_000, Count: 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, path string) {
				r := newRig(t, path, row.to)
				r.deliver()
				defer r.end()
				r.fault(row.fault)
				r.accept("ana", `"OptInStatus":true,`)
				<-time.After(100 * time.Millisecond)
				r.accept("ana", `"OptInStatus":false,`)
				<-time.After(10 * time.Minute)
				if diff := cmp.Diff(map[string]int64{"delivered": 2}, r.count()); diff != "" {
					t.Fatal(diff)
				}
				if row := r.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows[0]; row["OptInStatus"] != false {
					t.Errorf("the opt-out was overwritten: %v", row)
				}
			})
		})
	}
}

// Somebody opts in and, a moment later, out. Marketing Cloud carries the call with the
// opt-in out late, when the opt-out has long been stored: in the end the opt-out
// stands all the same.
func TestLastOneStands(t *testing.T) {
	const late = 60_000
	for _, row := range []struct {
		name  string
		route []onramp.Destination
		fault sandbox.Fault
	}{
		{"sync, refused", []onramp.Destination{with(rows, onramp.Sync)}, sandbox.Fault{Match: "/hub/", Status: 503, ApplyAfterMS: late}},
		{"sync, answer lost", []onramp.Destination{with(rows, onramp.Sync)}, sandbox.Fault{Match: "/hub/", Name: sandbox.FaultDropAnswer, ApplyAfterMS: late}},
		{"sync, no answer", []onramp.Destination{with(rows, onramp.Sync)}, sandbox.Fault{Match: "/hub/", Name: sandbox.FaultHang, ApplyAfterMS: late}},
		{"sync, another's answer", []onramp.Destination{with(rows, onramp.Sync)}, sandbox.Fault{Match: "/hub/", Name: sandbox.FaultHTML, Status: 200, ApplyAfterMS: late}},
		{"async, submission lost", []onramp.Destination{with(rows, onramp.Async)}, sandbox.Fault{Match: "/data/", Name: sandbox.FaultDropAnswer, ApplyAfterMS: late}},
		{"journey, no answer", []onramp.Destination{with(rows, onramp.Sync), events}, sandbox.Fault{Match: "/interaction/", ApplyAfterMS: late}},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, path string) {
				r := newRig(t, path, row.route...)
				r.deliver()
				defer r.end()
				row.fault.Count = 1
				r.fault(row.fault)
				r.accept("ana", `"OptInStatus":true,`)
				<-time.After(100 * time.Millisecond)
				r.accept("ana", `"OptInStatus":false,`)
				optIn := func() any { return r.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows[0]["OptInStatus"] }
				<-time.After(late*time.Millisecond + time.Second)
				if optIn() != true {
					t.Error("the call was not carried out late")
				}
				<-time.After(3 * time.Minute)
				if optIn() != false {
					t.Error("the opt-out was overwritten")
				}
			})
		})
	}
}

// Every route by which a registration can get into Marketing Cloud, with what
// stands there in the end.
func TestRoutes(t *testing.T) {
	insert := with(rows, onramp.Async)
	insert.InsertOnly, insert.OnExisting = true, onramp.Skip
	post := with(rows, onramp.Async)
	post.InsertOnly = true
	fresh := with(rows, onramp.Sync)
	fresh.OnExisting = onramp.CreateNew
	for _, row := range []struct {
		name  string
		to    onramp.Destination
		rows  []string // first names
		mails int
	}{
		{"sync", with(rows, onramp.Sync), []string{"2"}, 0},
		{"async", with(rows, onramp.Async), []string{"2"}, 0},
		{"auto", rows, []string{"2"}, 0},
		{"skip", insert, []string{"1"}, 0},
		{"insert, then update", post, []string{"2"}, 0},
		{"new", fresh, []string{"1", "2"}, 0},
		{"message", mails, nil, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, path string) {
				r := newRig(t, path, row.to)
				r.deliver()
				defer r.end()
				r.accept("ana", `"FirstName":"1",`)
				r.accept("ana", `"FirstName":"2",`)
				<-time.After(time.Minute)
				if diff := cmp.Diff(map[string]int64{"delivered": 2}, r.count()); diff != "" {
					t.Fatal(diff)
				}
				state := r.sandbox.State()
				var names []string
				for _, stored := range state.DataExtensions[sandbox.RegistrationsKey].Rows {
					names = append(names, stored["FirstName"].(string))
				}
				if diff := cmp.Diff(row.rows, names); diff != "" {
					t.Error(diff)
				}
				if len(state.Messages) != row.mails {
					t.Errorf("%d messages", len(state.Messages))
				}
			})
		})
	}
}

// A message whose answer is lost is sent again by the same key, and goes out once.
func TestMessageOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, path string) {
		r := newRig(t, path, mails)
		r.fault(sandbox.Fault{Match: "/messaging/", Name: sandbox.FaultDropAnswer, Count: 1})
		r.accept("ana", "")
		r.accept("bob", "")
		r.deliver()
		defer r.end()
		<-time.After(time.Minute)
		if diff := cmp.Diff(map[string]int64{"delivered": 2}, r.count()); diff != "" {
			t.Fatal(diff)
		}
		if n := len(r.sandbox.State().Messages); n != 2 {
			t.Errorf("%d messages were sent, want 2", n)
		}
	})
}

// An event whose answer is lost waits for a person's decision, unless the step
// says that a second one does no harm.
func TestUnknownOutcome(t *testing.T) {
	again := events
	again.OnUnknown = onramp.Again
	for name, row := range map[string]struct {
		to       onramp.Destination
		want     map[string]int64
		contacts int
	}{
		"hold":  {events, map[string]int64{"unknown": 1}, 1},
		"retry": {again, map[string]int64{"delivered": 1}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, path string) {
				r := newRig(t, path, row.to)
				r.fault(sandbox.Fault{Match: "/interaction/", Name: sandbox.FaultDropAnswer, Count: 1})
				r.deliver()
				defer r.end()
				r.accept("ana", "")
				<-time.After(time.Hour)
				if diff := cmp.Diff(row.want, r.count()); diff != "" {
					t.Error(diff)
				}
				if n := len(r.sandbox.State().Journeys[sandbox.WelcomeEventKey].Contacts); n != row.contacts {
					t.Errorf("%d contacts entered, want %d", n, row.contacts)
				}
				d, err := r.store.FindDelivery(t.Context(), onramp.DeliveryID(r.ids[0], 1))
				if err != nil {
					t.Fatal(err)
				}
				if d.State == onramp.DeliveryDelivered {
					return
				}
				if !strings.Contains(d.Reason, "it may have arrived") {
					t.Errorf("reason %q", d.Reason)
				}
				if titles := r.alerts.all(); !slices.Contains(titles, "onramp: answers lost: "+events.Name()) {
					t.Errorf("alerts: %q", titles)
				}
			})
		})
	}
}
