package api_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/store/storetest"
	"onramp/internal/web/webtest"
)

// registrar is a store that fails, or whose registrations settle when a test
// says so.
type registrar struct {
	err       error
	outcome   chan onramp.RegistrationState
	repeated  bool
	state     onramp.RegistrationState // that FindRegistration tells
	findErr   error
	mu        sync.Mutex
	watched   []bool
	forgotten int
}

func (s *registrar) SaveRegistration(_ context.Context, r *onramp.Registration, _ onramp.IdempotencyKey, watch bool) (onramp.Accepted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = append(s.watched, watch)
	return onramp.Accepted{Registration: *r, Repeated: s.repeated, Outcome: s.outcome}, s.err
}

func (s *registrar) Forget(string, <-chan onramp.RegistrationState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten++
}

func (s *registrar) FindRegistration(ctx context.Context, id string) (onramp.Registration, error) {
	if ctx.Err() != nil {
		return onramp.Registration{}, ctx.Err()
	}
	return onramp.Registration{ID: id, State: s.state}, s.findErr
}

// accepted is the answer to a registration, whatever its id.
func accepted(status int, state string, lines ...string) answer {
	return answer{
		Status: status,
		Header: webtest.Headers(append([]string{"Content-Type: application/json", "Cache-Control: no-store", "Location: /v1/registrations/ID", vary}, lines...)...),
		Body:   `{"id":"ID","status":"` + state + `","form":"registration","received_at":"2026-06-23T14:52:45.123456Z"}` + "\n",
	}
}

// How long a client waits, by its Prefer header, for what never settles.
func TestPreferWait(t *testing.T) {
	t.Parallel()
	const never = ""
	for prefer, want := range map[string]struct {
		took    time.Duration
		applied string
	}{
		"wait=5":                           {5 * time.Second, "wait=5"},
		`Wait = "7"`:                       {7 * time.Second, "wait=7"},
		"respond-async, wait=10; foo=bar":  {10 * time.Second, "wait=10"},
		"wait=30":                          {30 * time.Second, "wait=30"},
		"wait=31":                          {30 * time.Second, "wait=30"},
		"wait=9999999999":                  {30 * time.Second, "wait=30"},
		"wait=2, wait=4":                   {2 * time.Second, "wait=2"},
		"respond-async":                    {0, never},
		"wait":                             {0, never},
		"wait=":                            {0, never},
		"wait=0":                           {0, never},
		"wait=-5":                          {0, never},
		"wait=1.5":                         {0, never},
		"wait=soon":                        {0, never},
		"waiting=5":                        {0, never},
		",;=,":                             {0, never},
		"wait=99999999999999999999999999":  {0, never},
		"foo; wait=5":                      {0, never},
		"respond-async;x, handling=strict": {0, never},
	} {
		t.Run(prefer, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &registrar{outcome: make(chan onramp.RegistrationState), state: onramp.RegistrationDelivering}
				h := publicHandler(t, &api.Public{Forms: unregisteredForms(), Store: s})
				begin := time.Now()
				got := masked(do(h, "POST", registrations, `{"email":"a@b.co"}`, "Content-Type: application/json", "Prefer: "+prefer))
				if took := time.Since(begin); took != want.took {
					t.Errorf("took %s, want %s", took, want.took)
				}
				if want.applied == never {
					webtest.Check(t, accepted(202, "queued"), got)
				} else {
					webtest.Check(t, accepted(202, "delivering", "Preference-Applied: "+want.applied), got)
				}
				if waits := want.applied != never; s.watched[0] != waits || waits && s.forgotten != 1 {
					t.Errorf("watched %v, forgotten %d times", s.watched, s.forgotten)
				}
			})
		})
	}
}

// masked takes the random id out of an answer.
func masked(a answer) answer {
	if id := idOf(a); id != "" {
		a.Body = strings.Replace(a.Body, id, "ID", 1)
		a.Header = a.Header.Clone()
		a.Header.Set("Location", strings.Replace(a.Header.Get("Location"), id, "ID", 1))
	}
	return a
}

// How a wait ends.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	applied := "Preference-Applied: wait=20"
	for name, row := range map[string]struct {
		store *registrar
		event func(s *registrar, ending chan struct{}, leave context.CancelFunc)
		took  time.Duration
		want  answer
	}{
		"delivered": {
			&registrar{}, func(s *registrar, _ chan struct{}, _ context.CancelFunc) { s.outcome <- onramp.RegistrationDelivered },
			3 * time.Second, accepted(201, "delivered", applied),
		},
		"failed": {
			&registrar{}, func(s *registrar, _ chan struct{}, _ context.CancelFunc) { s.outcome <- onramp.RegistrationFailed },
			3 * time.Second, accepted(202, "failed", applied),
		},
		"the process ends": {
			&registrar{state: onramp.RegistrationDelivering}, func(_ *registrar, ending chan struct{}, _ context.CancelFunc) { close(ending) },
			3 * time.Second, accepted(202, "delivering", applied),
		},
		"the client leaves": {
			&registrar{state: onramp.RegistrationDelivering}, func(_ *registrar, _ chan struct{}, leave context.CancelFunc) { leave() },
			3 * time.Second, accepted(202, "delivering", applied),
		},
		"it settled unseen": {
			&registrar{state: onramp.RegistrationDelivered}, func(*registrar, chan struct{}, context.CancelFunc) {},
			20 * time.Second, accepted(201, "delivered", applied),
		},
		"its state can't be read": {
			&registrar{findErr: fmt.Errorf("disk")}, func(*registrar, chan struct{}, context.CancelFunc) {},
			20 * time.Second, accepted(202, "queued", applied),
		},
		"a repeat that had settled": {
			&registrar{repeated: true, state: onramp.RegistrationDelivered}, func(*registrar, chan struct{}, context.CancelFunc) {},
			0, accepted(201, "delivered", applied),
		},
		"a repeat that settles": {
			&registrar{repeated: true, state: onramp.RegistrationDelivering},
			func(s *registrar, _ chan struct{}, _ context.CancelFunc) { s.outcome <- onramp.RegistrationDelivered },
			3 * time.Second, accepted(201, "delivered", applied),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := row.store
				s.outcome = make(chan onramp.RegistrationState, 1)
				ending := make(chan struct{})
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				h := publicHandler(t, &api.Public{Forms: unregisteredForms(), Store: s, Ending: ending})
				begin := time.Now()
				timer := time.AfterFunc(3*time.Second, func() { row.event(s, ending, leave) })
				defer timer.Stop()
				got := webtest.Do(ctx, h, "POST "+registrations, `{"email":"a@b.co"}`, "Content-Type: application/json", "Prefer: wait=20")
				if took := time.Since(begin); took != row.took {
					t.Errorf("took %s, want %s", took, row.took)
				}
				webtest.Check(t, row.want, masked(got))
				if s.forgotten != 1 {
					t.Errorf("forgotten %d times", s.forgotten)
				}
			})
		})
	}
}

// A browser's form post is sent on at once: it does not wait, and nothing is
// watched for it.
func TestPageDoesNotWait(t *testing.T) {
	t.Parallel()
	s := &registrar{}
	h := publicHandler(t, &api.Public{Forms: unregisteredForms(), Store: s})
	got := do(h, "POST", registrations, "email=a%40b.co", "Content-Type: application/x-www-form-urlencoded", "Accept: text/html", "Prefer: wait=30")
	webtest.Check(t, webtest.Good(303, webtest.Headers(vary, "Location: /f/registration?thanks"), ""), got)
	if diff := cmp.Diff([]bool{false}, s.watched); diff != "" {
		t.Errorf("watched (-want +got):\n%s", diff)
	}
}

// Through the real store: the answer comes when the last step is settled.
func TestWaitForStore(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		steps []onramp.DeliveryState
		want  answer
	}{
		"delivered": {[]onramp.DeliveryState{onramp.DeliveryDelivered, onramp.DeliveryDelivered}, accepted(201, "delivered", "Preference-Applied: wait=30")},
		"rejected in the second step": {
			[]onramp.DeliveryState{onramp.DeliveryDelivered, onramp.DeliveryDead}, accepted(202, "failed", "Preference-Applied: wait=30"),
		},
		"rejected": {[]onramp.DeliveryState{onramp.DeliveryDead}, accepted(202, "failed", "Preference-Applied: wait=30")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			first := g.forms["registration"].Route[0].ID
			answered := make(chan answer)
			go func() {
				answered <- do(g, "POST", registrations, `{"email":"a@b.co"}`, "Content-Type: application/json", "Prefer: wait=30")
			}()
			fresh, _ := g.store.Wake(first)
			<-fresh
			storetest.SettleSteps(t, g.store, g.registrations(t)[0].ID, row.steps...)
			webtest.Check(t, row.want, masked(<-answered))
		})
	}
}
