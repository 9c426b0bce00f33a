package outbound_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	all []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, b...)
	return len(b), nil
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.all)
}

// readsBack is a sender at an account that stores every row and answers a read with
// the reply that is given.
func readsBack(t *testing.T, read func() reply, log *lines) (s *outbound.Sender, reads func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	a := &account{answer: func(r *http.Request, body string) reply {
		if r.Method == http.MethodGet {
			mu.Lock()
			defer mu.Unlock()
			n++
			return read()
		}
		return reply{status: 200, body: body}
	}}
	s, err := outbound.New(outbound.Config{
		AuthURL: "http://cloud.test", ClientID: "id", ClientSecret: "secret", AccountID: "1", Transport: a,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}, noKeeper{}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// A row is compared with what is stored of it, with the vendor's formats in mind.
func TestReadBack(t *testing.T) {
	t.Parallel()
	const (
		missing = "column City is not in the data extension: Marketing Cloud drops its values without a word; add it there, or correct the form's column; see onramp check --only data-extension"
		empty   = "column City was sent with a value and is empty: see that nothing else writes to it, and compare its type with the field's"
		other   = "column City holds something else than what was sent: see that nothing else writes to it, and compare its type with the field's"
		cut     = "column City holds only the first 3 characters of what was sent: make it longer, or set the field's max"
	)
	for _, row := range []struct {
		name, sent, stored string // JSON of the values
		want               []string
	}{
		{"as it was sent", `{"City":"Rome"}`, `{"city":"Rome"}`, nil},
		{"blanks and line ends", `{"City":"Rome\r\nItaly "}`, `{"city":"Rome\nItaly"}`, nil},
		{"no column", `{"City":"Rome"}`, `{"ctiy":"Rome"}`, []string{missing}},
		{"no column, for no value", `{"City":""}`, `{}`, []string{missing}},
		{"empty", `{"City":"Rome"}`, `{"city":""}`, []string{empty}},
		{"cut", `{"City":"Łódź"}`, `{"city":"Łód"}`, []string{cut}},
		{"another text", `{"City":"Rome"}`, `{"city":"Bonn"}`, []string{other}},
		{"Boolean", `{"City":true}`, `{"city":"True"}`, nil},
		{"Boolean as a number", `{"City":false}`, `{"city":"0"}`, nil},
		{"another Boolean", `{"City":true}`, `{"city":"False"}`, []string{other}},
		{"decimal", `{"City":1.5}`, `{"city":"1.50"}`, nil},
		{"rounded decimal", `{"City":1.55}`, `{"city":"1.60"}`, []string{other}},
		{"server time", `{"City":"2026-06-23T14:52:45.731Z"}`, `{"city":"6/23/2026 8:52:46 AM"}`, nil},
		{"ISO server time", `{"City":"2026-06-23T14:52:45Z"}`, `{"city":"2026-06-23T08:52:45"}`, nil},
		{"date only", `{"City":"2026-06-23"}`, `{"city":"6/23/2026 12:00:00 AM"}`, nil},
		{"another time", `{"City":"2026-06-23T14:52:45Z"}`, `{"city":"6/23/2026 8:59:45 AM"}`, []string{other}},
		{"a time cut to its day", `{"City":"2026-06-23T14:52:45Z"}`, `{"city":"6/23/2026 12:00:00 AM"}`, []string{other}},
		{"null", `{"City":null}`, `{"city":""}`, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, reads := readsBack(t, func() reply {
					return reply{status: 200, body: `{"count":1,"items":[{"keys":{"subscriberkey":"p0"},"values":` + row.stored + `}]}`}
				}, new(lines))
				go s.ReadBack(t.Context())
				for range 3 { // the first one decides
					s.Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: ofForms("form:" + row.sent)})
					synctest.Wait()
				}
				if diff := cmp.Diff(row.want, s.Warnings(dataExtension.Name())); diff != "" {
					t.Error(diff)
				}
				if n := reads(); n != 1 {
					t.Errorf("%d reads", n)
				}
			})
		})
	}
}

// What is mended is noticed with a later row; a column is looked at when a row has it
// for the first time.
func TestReadBackAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stored := `{"name":"x"}`
		s, reads := readsBack(t, func() reply {
			return reply{status: 200, body: `{"count":1,"items":[{"keys":{},"values":` + stored + `}]}`}
		}, new(lines))
		go s.ReadBack(t.Context())
		for _, step := range []struct {
			sent, stored    string
			warnings, reads int
		}{
			{`{"Name":"x"}`, `{"name":"x"}`, 0, 1},
			{`{"Name":"y"}`, `{"name":"x"}`, 0, 1}, // it was looked at
			{`{"Name":"x","City":"x"}`, `{"name":"x"}`, 1, 2},
			{`{"Name":"x","City":"x"}`, `{"name":"x"}`, 1, 3},
			{`{"Name":"x","City":"x"}`, `{"name":"x","city":"x"}`, 0, 4},
			{`{"Name":"x","City":"x"}`, `{"name":"x"}`, 0, 4},
		} {
			stored = step.stored
			s.Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: ofForms("form:" + step.sent)})
			synctest.Wait()
			if n := len(s.Warnings(dataExtension.Name())); n != step.warnings || reads() != step.reads {
				t.Errorf("%+v: %d warnings, %d reads", step, n, reads())
			}
			<-time.After(11 * time.Second)
		}
	})
}

// A row that may have been written over before it was read says nothing about its
// values; the next one does.
func TestReadBackOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := make(chan bool, 1)
		s, reads := readsBack(t, func() reply {
			began <- true
			<-time.After(time.Second)
			return reply{status: 200, body: `{"count":1,"items":[{"keys":{},"values":{"name":"y"}}]}`}
		}, new(lines))
		go s.ReadBack(t.Context())
		send := func(row string) {
			s.Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: ofForms("form:" + row)})
		}
		send(`{"Name":"x"}`)
		<-began
		send(`{"Name":"y"}`) // of the same person
		<-time.After(time.Minute)
		if found := s.Warnings(dataExtension.Name()); found != nil || reads() != 1 {
			t.Errorf("%q after %d reads", found, reads())
		}
		send(`{"Name":"z"}`)
		<-time.After(time.Minute)
		if found := s.Warnings(dataExtension.Name()); len(found) != 1 || reads() != 2 {
			t.Errorf("%q after %d reads", found, reads())
		}
	})
}

// The event of a journey may write the row of a newer registration of the person: such a
// row says nothing about its values, but which columns there are.
func TestReadBackAfterEvent(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		before, meanwhile int64 // the age of the event's registration; 0: there is no event
		passed            time.Duration
		stored            string
		warnings          int
	}{
		"no event":                         {0, 0, 0, `{"name":"older"}`, 1},
		"an older one":                     {1, 0, 0, `{"name":"older"}`, 0},
		"an older one, and no such column": {1, 0, 0, `{"nmae":"older"}`, 1},
		"an older one, long ago":           {1, 0, time.Hour, `{"name":"older"}`, 1},
		"an older one, a little while ago": {1, 0, time.Minute, `{"name":"older"}`, 0},
		"its own":                          {2, 0, 0, `{"name":"older"}`, 1},
		"an older one while it is read":    {0, 1, 0, `{"name":"older"}`, 0},
		"its own while it is read":         {0, 2, 0, `{"name":"older"}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, reads := readsBack(t, func() reply {
					<-time.After(time.Second)
					return reply{status: 200, body: `{"count":1,"items":[{"keys":{},"values":` + row.stored + `}]}`}
				}, new(lines))
				go s.ReadBack(t.Context())
				send := func(to onramp.Destination, age int64) {
					if age == 0 {
						return
					}
					d := ofForms(`form:{"Name":"newer"}`)
					d[0].Age = age
					s.Send(t.Context(), onramp.Call{Destination: to, Deliveries: d})
				}
				send(journey, row.before)
				<-time.After(row.passed)
				send(dataExtension, 2)
				synctest.Wait()
				send(journey, row.meanwhile)
				<-time.After(time.Minute)
				if found := s.Warnings(dataExtension.Name()); len(found) != row.warnings || reads() != 1 {
					t.Errorf("%q after %d reads", found, reads())
				}
			})
		})
	}
}

// Without the scope it is said once that nothing can be checked; deliveries go on, as
// they do while a read hangs.
func TestReadBackThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		s, reads := readsBack(t, func() reply {
			<-time.After(time.Hour)
			return reply{status: 403, body: `{"message":"Insufficient privileges to complete this action."}`}
		}, log)
		go s.ReadBack(t.Context())
		for range 50 {
			begun := time.Now()
			got := s.Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: ofForms(`form:{"City":"secret"}`)})
			if got[0].Verdict != onramp.Delivered || time.Since(begun) > 0 {
				t.Fatalf("%+v after %v", got, time.Since(begun))
			}
		}
		<-time.After(2 * time.Hour)
		if n := reads(); n == 0 {
			t.Error("nothing was read")
		}
		if text := log.text(); strings.Contains(text, "secret") || strings.Count(text, "level=INFO") > 1 {
			t.Errorf("logged:\n%s", text)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		s, reads := readsBack(t, func() reply { return reply{status: 403, body: `{"message":"no"}`} }, log)
		go s.ReadBack(t.Context())
		for range 3 {
			s.Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: ofForms(`form:{"City":"secret"}`)})
			synctest.Wait()
		}
		if n := strings.Count(log.text(), "columns can't be checked"); n != 1 || reads() != 1 || s.Warnings(dataExtension.Name()) != nil {
			t.Errorf("said %d times after %d reads: %s", n, reads(), log.text())
		}
	})
}

// While a scope is missing the token is dropped now and then: a new one has the scopes
// that were granted since.
func TestTokenOfAMissingScope(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := 0
		a := &account{answer: func(r *http.Request, _ string) reply {
			return reply{status: 403, body: `{"message":"Insufficient Privileges","errorcode":20002}`}
		}, token: func() { tokens++ }}
		s := a.sends(t)
		for range 10 {
			s.Send(t.Context(), onramp.Call{Destination: journey, Deliveries: []onramp.Delivery{{SubscriberKey: "p0", Values: json.RawMessage(`{}`)}}})
			<-time.After(time.Minute)
		}
		if tokens != 6 {
			t.Errorf("%d tokens in ten minutes, want 6", tokens)
		}
	})
}
