package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/pgtest"
)

// throughProxy has the store reach its database by a network that can fail.
func (w *world) throughProxy(t *testing.T) *pgtest.Proxy {
	t.Helper()
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	p := pgtest.NewProxy(t, w.url)
	direct := w.url
	w.url = p.URL()
	w.open()
	t.Cleanup(func() { // while there is a network
		if err := w.s.Close(); err != nil {
			t.Error(err)
		}
		w.url = direct
		w.open()
	})
	return p
}

// work is what is done with a store all the time, each of it so that it can be
// repeated.
func (w *world) work(t *testing.T) map[string]func(context.Context) error {
	t.Helper()
	w.save("both", "ana", "bob1", "bob2")
	w.settle("bob1.1", onramp.DeliveryPending, time.Hour)
	x := w.destination("x")
	ana, bob := w.find("ana.1"), w.find("bob2.1")
	settlement := w.settlement(ana, delivered, 0)
	return map[string]func(context.Context) error{
		"accept": func(ctx context.Context) error {
			r := w.registration("both", "new")
			_, err := w.s.SaveRegistration(ctx, &r, onramp.IdempotencyKey{}, false)
			return err
		},
		"settle": func(ctx context.Context) error {
			_, err := w.s.Settle(ctx, []onramp.Settlement{settlement})
			return err
		},
		"park": func(ctx context.Context) error {
			_, err := w.s.Park(ctx, []int64{bob.Seq})
			return err
		},
		"list": func(ctx context.Context) error {
			_, _, _, err := w.s.ListFresh(ctx, x, 0, 10)
			return err
		},
		"list due": func(ctx context.Context) error {
			_, _, err := w.s.ListDue(ctx, x, bob.Seq, w.clock.now(), 10)
			return err
		},
		"read mark": func(ctx context.Context) error {
			_, _, err := w.s.Resume(ctx, onramp.Destination{ID: x})
			return err
		},
		"renew": func(context.Context) error { return w.s.Fence()() },
	}
}

// Wherever in a statement the network fails, and both sides keep a connection that
// carries nothing any more: all work goes on within one life of the lease after the
// network is back.
func TestNetworkCut(t *testing.T) {
	t.Parallel()
	var cases sync.WaitGroup
	room := make(chan struct{}, 10) // they do little but wait, and a server has a limit of connections
	for _, at := range []struct{ work, statement string }{
		{"accept", "BEGIN"},
		{"accept", "SELECT set_config"},
		{"accept", "INSERT INTO registration"},
		{"accept", "INSERT INTO delivery"},
		{"accept", "COMMIT"},
		{"settle", "UPDATE delivery"},
		{"settle", "COMMIT"},
		{"park", "UPDATE delivery"},
		{"park", "COMMIT"},
		{"list", "SELECT d.seq"},
		{"list due", "SELECT d.seq"},
		{"read mark", "SELECT read_to"},
		{"renew", "UPDATE lease"},
	} {
		for fault, moment := range map[pgtest.Fault]string{
			pgtest.HoldBefore: "before", pgtest.HoldInside: "inside", pgtest.HoldAnswer: "after",
		} {
			cases.Go(func() {
				room <- struct{}{}
				defer func() { <-room }()
				t.Run(fmt.Sprintf("%s, %s %s", at.work, moment, at.statement), func(t *testing.T) {
					networkCut(t, at.work, at.statement, fault)
				})
			})
		}
	}
	cases.Wait()
}

func networkCut(t *testing.T, struck, statement string, fault pgtest.Fault) {
	const life = 5 * time.Second
	w := newLeaseWorld(t, life)
	p := w.throughProxy(t)
	work := w.work(t)
	happened := p.Once(statement, fault)
	var going sync.WaitGroup
	going.Go(func() { _ = work[struck](context.Background()) })
	<-happened
	p.Lose()
	back := time.Now()
	for name, do := range work {
		going.Go(func() {
			if err := untilDone(t, back.Add(life), do); err != nil {
				t.Errorf("%s does not go on: %v", name, err)
			}
		})
	}
	going.Wait()
}

// untilDone repeats something until it succeeds or its time is over.
func untilDone(t *testing.T, limit time.Time, do func(context.Context) error) error {
	t.Helper()
	for {
		err := do(context.Background())
		switch {
		case time.Now().After(limit):
			return errors.Join(errors.New("too late"), err)
		case err == nil:
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			return t.Context().Err()
		}
	}
}
