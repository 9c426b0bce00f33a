package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/pgtest"
	"onramp/internal/store"
)

// newLeaseWorld is a world on PostgreSQL whose leases live so long.
func newLeaseWorld(t *testing.T, life time.Duration) *world {
	t.Helper()
	w := newWorld(t, pgEngine)
	w.life = life
	w.reopen()
	return w
}

// lease tells who owns the partitions, and whether for no longer than a life.
func (w *world) lease() string {
	w.t.Helper()
	rows, err := w.db.Query(`SELECT DISTINCT owner, epoch, expires_at - EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 <= $1 FROM lease`, w.life.Microseconds())
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var owner string
		var epoch int64
		var bounded bool
		if err := rows.Scan(&owner, &epoch, &bounded); err != nil {
			w.t.Fatal(err)
		}
		if texts = append(texts, fmt.Sprintf("%s epoch %d", owner, epoch)); !bounded {
			w.t.Errorf("the lease of %s lasts longer than its life", owner)
		}
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(texts, ", ")
}

// another opens the same database as another node.
func (w *world) another(owner string, now func() time.Time) (*store.Store, error) {
	return store.Open(w.t.Context(), store.WithLease(store.Config{URL: w.url, Owner: owner, Now: now}, w.life))
}

// takeOver has another node take the lease, as if the one that has it had not renewed it in
// time. That one goes on renewing: on a slow machine it may come first.
func (w *world) takeOver(owner string) *store.Store {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		w.exec(`UPDATE lease SET expires_at = 1`)
		other, err := w.another(owner, w.clock.now)
		if err == nil {
			return other
		}
		if time.Now().After(end) {
			w.t.Fatal(err)
		}
	}
}

// ahead is a node's clock that is wrong.
func (w *world) ahead(by time.Duration) func() time.Time {
	return func() time.Time { return w.clock.now().Add(by) }
}

// While a node renews its lease another one gives up waiting for it, whatever its
// clock says.
func TestLeaseRefused(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{0, time.Minute, -time.Minute, 365 * 24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			w := newLeaseWorld(t, 1500*time.Millisecond)
			before := w.lease()
			s, err := w.another("b", w.ahead(by))
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "is running with this database") {
				t.Errorf("got %v", err)
			}
			if got := w.lease(); got != before {
				t.Errorf("the lease is %q, want %q", got, before)
			}
			w.save("one", "ana") // nobody has taken it away
		})
	}
}

// A lease that its owner no longer renews can be taken over after a life at most,
// whatever the clocks of the nodes say, and whoever has set its end.
func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	hour := time.Hour.Microseconds()
	for _, c := range []struct {
		name   string
		by     time.Duration // the owner's clock is ahead
		expire func(now int64) int64
		older  bool // an older onramp has set it, by its own clock
	}{
		{name: "right clock"},
		{name: "clock ahead", by: time.Hour},
		{name: "clock behind", by: -time.Hour},
		{name: "end far away", expire: func(now int64) int64 { return now + hour }},
		{name: "older onramp, clock ahead", expire: func(now int64) int64 { return now + hour }, older: true},
		{name: "older onramp, clock behind", expire: func(now int64) int64 { return now - hour }, older: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newLeaseWorld(t, 1500*time.Millisecond)
			if err := w.s.Close(); err != nil {
				t.Fatal(err)
			}
			owner, err := w.another("a", w.ahead(c.by))
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.CutOff(); err != nil {
				t.Fatal(err)
			}
			if c.expire != nil {
				w.exec(`UPDATE lease SET expires_at = $1`, c.expire(time.Now().UnixMicro()))
			}
			if c.older {
				w.exec(`DELETE FROM meta WHERE name = 'lease_clock'`)
			}
			begun := time.Now()
			if w.s, err = w.another("b", w.clock.now); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > 2*w.life {
				t.Errorf("it took %v to take over", took)
			}
			if got, want := w.lease(), "b epoch 4"; got != want {
				t.Errorf("lease %q, want %q", got, want)
			}
			if err := owner.Close(); err != nil {
				t.Error(err)
			}
			if got, want := w.lease(), "b epoch 4"; got != want {
				t.Errorf("after the other's end the lease is %q, want %q", got, want)
			}
		})
	}
}

// An older onramp whose clock is behind leaves ends that have passed, and lives: it
// keeps the lease.
func TestOlderOwnerLives(t *testing.T) {
	t.Parallel()
	w := newLeaseWorld(t, 1500*time.Millisecond)
	if err := w.s.CutOff(); err != nil {
		t.Fatal(err)
	}
	w.exec(`DELETE FROM meta WHERE name = 'lease_clock'`)
	ctx, stop := context.WithCancel(t.Context())
	var renewing sync.WaitGroup
	renewing.Go(func() {
		for tick := time.NewTicker(w.life / 3); ctx.Err() == nil; <-tick.C {
			w.exec(`UPDATE lease SET expires_at = expires_at + 1 - $1`, time.Hour.Microseconds())
		}
	})
	s, err := w.another("b", w.clock.now)
	stop()
	renewing.Wait()
	if err == nil {
		s.Close()
		t.Error("the lease was taken over")
	}
}

// A process may send as long as its lease is sure, and no longer when that was taken
// over or can't be renewed.
func TestFence(t *testing.T) {
	t.Parallel()
	w := newLeaseWorld(t, 1500*time.Millisecond)
	p := pgtest.NewProxy(t, w.url)
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.s, err = store.Open(t.Context(), store.WithLease(store.Config{URL: p.URL()}, w.life)); err != nil {
		t.Fatal(err)
	}
	fence := w.s.Fence()
	may := func(want bool) {
		t.Helper()
		await(t, func() bool { return (fence() == nil) == want })
	}
	renewed := p.Once("UPDATE lease", pgtest.HoldAnswer) // carried out, but not known to be
	may(true)
	<-renewed
	asked := time.Now()
	may(false)
	if waited := time.Since(asked); waited > w.life {
		t.Errorf("it could send for %v more", waited)
	}
	p.Lose()
	may(true)
	w.exec(`UPDATE lease SET epoch = epoch + 1, owner = 'b'`)
	<-w.s.Lost()
	if fence() == nil {
		t.Error("it may send after the lease was lost")
	}
}

// On SQLite the process's life is the lease's.
func TestNoFence(t *testing.T) {
	t.Parallel()
	if newWorld(t, sqliteEngine).s.Fence() != nil {
		t.Error("there is a fence")
	}
}

// await waits until something is true.
func await(t *testing.T, is func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-limit:
			t.Fatal("it did not come about")
		}
	}
}

// A node that takes over after the lease has run out reads what the other has
// written until then, and the other can write no more.
func TestTakeover(t *testing.T) {
	t.Parallel()
	w := newLeaseWorld(t, 1500*time.Millisecond)
	w.save("both", "ana", "bob")
	stale := w.find("ana.1")
	cutOff := w.s
	other := w.takeOver("b")
	_, err := cutOff.Settle(t.Context(), []onramp.Settlement{w.settlement(stale, dead, 0)})
	wantKind(t, "settling after the takeover", err, onramp.Unavailable)
	r := w.registration("both", "cem")
	_, err = cutOff.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false)
	wantKind(t, "saving after the takeover", err, onramp.Unavailable)
	rows := []string{"ana.1 pending", "ana.2 waiting", "bob.1 pending", "bob.2 waiting"}
	w.wantRows(rows...)
	select {
	case <-cutOff.Lost():
	case <-time.After(w.life):
		t.Error("the node that was cut off was not told")
	}
	w.s = other
	if _, err := w.s.RegisterForms(t.Context(), forms()); err != nil {
		t.Fatal(err)
	}
	w.save("one", "dan")
	w.wantRows(append(rows, "dan.1 pending")...)
	if err := cutOff.Close(); err != nil {
		t.Error(err)
	}
	if got, want := w.lease(), "b epoch 3"; got != want {
		t.Errorf("after the other's end the lease is %q, want %q", got, want)
	}
}

// A node that waits for the lease sees what its predecessor wrote meanwhile.
func TestHandover(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgEngine)
	w.save("both", "ana")
	type opened struct {
		s   *store.Store
		err error
	}
	waiting := make(chan opened)
	asked := make(chan struct{}, 1000)
	go func() {
		s, err := w.another("b", func() time.Time { asked <- struct{}{}; return begin }) // asked for each transaction
		waiting <- opened{s, err}
	}()
	for range 3 { // it has found the lease taken
		<-asked
	}
	w.save("both", "bob")
	w.settle("ana.1", delivered, 0)
	key := onramp.NewIdempotencyKey("one", "key", nil)
	r := w.registration("one", "cem")
	w.names[r.ID] = "cem"
	if _, err := w.s.SaveRegistration(t.Context(), &r, key, false); err != nil {
		t.Fatal(err)
	}
	if err := w.s.Close(); err != nil { // gives the lease back
		t.Fatal(err)
	}
	o := <-waiting
	if o.err != nil {
		t.Fatal(o.err)
	}
	w.s = o.s
	again := w.registration("one", "cem")
	if accepted, err := w.s.SaveRegistration(t.Context(), &again, key, false); err != nil || !accepted.Repeated {
		t.Errorf("the key: %v, repeated %v", err, accepted.Repeated)
	}
	w.save("one", "dan")
	w.wantRows("ana.1 delivered tries 1 settled 0s", "ana.2 pending", "bob.1 pending", "bob.2 waiting", "cem.1 pending", "dan.1 pending")
}

// Of nodes that claim at the same moment one gets the lease.
func TestLeaseRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgEngine)
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	const nodes = 4
	stores := make([]*store.Store, nodes)
	var opening sync.WaitGroup
	for i := range nodes {
		opening.Go(func() {
			// the losers wait for the lease until the test has seen enough
			stores[i], _ = store.Open(ctx, store.Config{URL: w.url, Owner: fmt.Sprint("node", i), Now: w.clock.now})
		})
	}
	opening.Wait()
	winners := 0
	for _, s := range stores {
		if s != nil {
			w.s = s
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d winners: %s", winners, w.lease())
	}
}
