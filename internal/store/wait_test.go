package store_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
)

const (
	uncertain = "it is not certain that the registration was stored"
	notStored = "the registration could not be stored; please try again"
)

// impatient is a world in which a registration waits only for a moment.
func impatient(t *testing.T, within time.Duration) *world {
	t.Helper()
	w := newWorld(t, sqliteEngine)
	w.within = within
	w.reopen()
	return w
}

// accept stores a registration and returns what its sender is told when it fails.
func (w *world) accept(r onramp.Registration, key onramp.IdempotencyKey) (onramp.Accepted, string) {
	accepted, err := w.s.SaveRegistration(context.WithoutCancel(w.t.Context()), &r, key, false)
	e, _ := errors.AsType[*onramp.Error](err)
	switch {
	case err == nil:
		return accepted, ""
	case e == nil || e.Kind != onramp.Unavailable || e.RetryAfter == 0:
		return accepted, "not an error that asks for another try: " + err.Error()
	}
	return accepted, e.Message
}

// While the database hangs everyone is answered in time, however many wait, and
// what was answered "not stored" is not stored later.
func TestAcceptInTime(t *testing.T) {
	t.Parallel()
	w := impatient(t, 100*time.Millisecond)
	release := w.s.HoldUp(t.Context())
	begin := time.Now()
	var waiting sync.WaitGroup
	for range 1500 { // more than the queue holds
		waiting.Go(func() {
			if _, told := w.accept(w.registration("one", "ana"), onramp.IdempotencyKey{}); told != notStored {
				t.Errorf("told %q", told)
			}
		})
	}
	waiting.Wait()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	release()
	w.saveAtLast("one", "bob")
	w.wantRows("bob.1 pending")
}

// saveAtLast has somebody try until a registration is stored: a database that has just
// come back may still have others before it.
func (w *world) saveAtLast(form, name string) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		r := w.registration(form, name)
		_, told := w.accept(r, onramp.IdempotencyKey{})
		if told == "" {
			w.ids[name], w.names[r.ID] = r.ID, name
			return
		}
		if time.Now().After(end) {
			w.t.Fatal(told)
		}
	}
}

// When it is clear that a registration would wait too long, it need not wait at all.
func TestAcceptOverloaded(t *testing.T) {
	t.Parallel()
	w := impatient(t, time.Second)
	if err := w.s.RegisterCallbacks(t.Context(), []string{"events"}); err != nil {
		t.Fatal(err)
	}
	release := w.s.HoldUp(t.Context())
	defer release()
	if _, told := w.accept(w.registration("one", "ana"), onramp.IdempotencyKey{}); told != notStored {
		t.Errorf("the first is told %q", told)
	}
	begin := time.Now()
	if _, told := w.accept(w.registration("one", "bob"), onramp.IdempotencyKey{}); told != notStored {
		t.Errorf("the next is told %q", told)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
	defer cancel()
	_, err := w.s.SaveEvents(ctx, "events", []onramp.Event{{Type: "a", Body: []byte("{}")}})
	wantKind(t, "events", err, onramp.Unavailable)
	if took := time.Since(begin); took > 500*time.Millisecond {
		t.Errorf("the next were told after %v", took)
	}
}

// When the commit has begun, nobody knows yet: the sender is told so, and a repeat
// with the key is safe.
func TestAcceptUncertain(t *testing.T) {
	t.Parallel()
	w := impatient(t, 2*time.Second)
	first := w.s.HoldUp(t.Context())
	keyed, plain := w.registration("one", "ana"), w.registration("one", "bob")
	key := onramp.NewIdempotencyKey("one", "key", nil)
	told := make(chan string, 3)
	go func() {
		_, text := w.accept(keyed, key)
		told <- text
	}()
	w.s.Queued(t.Context(), 1)
	equal := w.registration("one", "cid")
	go func() {
		_, text := w.accept(equal, once(0, "cid"))
		told <- text
	}()
	w.s.Queued(t.Context(), 2)
	go func() {
		_, text := w.accept(plain, onramp.IdempotencyKey{})
		told <- text
	}()
	begun, release := w.s.HoldUpNext(t.Context(), 3)
	first()
	<-begun
	texts := <-told + <-told + <-told
	if strings.Count(texts, uncertain) != 3 || strings.Count(texts, "send it again unchanged") != 1 || strings.Count(texts, "the same Idempotency-Key") != 1 || strings.Count(texts, "twice") != 1 {
		t.Errorf("told %s", texts)
	}
	release()
	if err := w.s.SavePosition(t.Context(), 1, 0, 0); err != nil { // it is written after the held commit
		t.Fatal(err)
	}
	accepted, again := w.accept(w.registration("one", "ana"), key)
	if again != "" || !accepted.Repeated || accepted.Registration.ID != keyed.ID {
		t.Errorf("the repeat is told %q, repeated %v", again, accepted.Repeated)
	}
	if again, told := w.accept(w.registration("one", "cid"), once(0, "cid")); told != "" || again.Registration.ID != equal.ID {
		t.Errorf("the equal one is told %q", told)
	}
	w.names[keyed.ID], w.names[plain.ID], w.names[equal.ID] = "ana", "bob", "cid"
	w.wantRows("ana.1 pending", "cid.1 pending", "bob.1 pending")
}
