package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// lease tells who owns the partitions.
func (w *world) lease() string {
	w.t.Helper()
	rows, err := w.db.Query(`SELECT DISTINCT owner, epoch, expires_at FROM lease`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var owner string
		var epoch, expires int64
		if err := rows.Scan(&owner, &epoch, &expires); err != nil {
			w.t.Fatal(err)
		}
		texts = append(texts, fmt.Sprintf("%s epoch %d for %s", owner, epoch, time.UnixMicro(expires).Sub(w.clock.now())))
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(texts, ", ")
}

// another opens the same database as another node.
func (w *world) another(owner string, now func() time.Time) (*store.Store, error) {
	return store.Open(w.t.Context(), store.Config{URL: w.url, Owner: owner, Now: now})
}

// While a node renews its lease another one gives up waiting for it.
func TestLeaseRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgEngine)
	// as if it were renewed again and again
	if _, err := w.db.Exec(`UPDATE lease SET expires_at = $1`, begin.AddDate(1, 0, 0).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	now := begin
	s, err := w.another("b", func() time.Time {
		now = now.Add(20 * time.Second)
		return now
	})
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "another onramp is running with this database") {
		t.Errorf("got %v", err)
	}
}

// A node that takes over after the lease has run out reads what the other has
// written until then, and the other can write no more.
func TestTakeover(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgEngine)
	w.save("both", "ana", "bob")
	stale := w.find("ana.1")
	cutOff := w.s
	later := func() time.Time { return w.clock.now().Add(16 * time.Second) }
	other, err := w.another("b", later)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.lease(), "b epoch 2 for 31s"; got != want {
		t.Errorf("lease %q, want %q", got, want)
	}
	_, err = cutOff.Settle(t.Context(), []onramp.Settlement{w.settlement(stale, dead, 0)})
	wantKind(t, "settling after the takeover", err, onramp.Unavailable)
	r := w.registration("both", "cem")
	_, err = cutOff.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false)
	wantKind(t, "saving after the takeover", err, onramp.Unavailable)
	rows := []string{"ana.1 pending", "ana.2 waiting", "bob.1 pending", "bob.2 waiting"}
	w.wantRows(rows...)
	select {
	case <-cutOff.Lost(): // by its next renewal
	case <-time.After(30 * time.Second):
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
	if got, want := w.lease(), "b epoch 2 for 31s"; got != want {
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
		s, err := w.another("b", func() time.Time { asked <- struct{}{}; return begin })
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
