package crash_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/pgtest"
	"onramp/internal/sandbox"
)

// leaseLife is how long a gateway on PostgreSQL has its lease without renewing it.
// It is also the promise when accepting and delivering go on.
const leaseLife = 15 * time.Second

// freezeProcess stops a gateway for longer than its lease, with much in its hands.
// Another one takes over and serves the same people; then the first one wakes up.
func freezeProcess(t *testing.T) []tally {
	if freeze == nil {
		t.Skip("no signal stops a process here")
	}
	w := newCrowd(t)
	config := w.configureDatabase(pgtest.URL(t))
	g := start(t, config)
	n := rounds(1, 15)
	for range n {
		w.fault(sandbox.Fault{Match: "/hub/", DelayMS: 300})
		stop := w.stream(g, 16)
		eventually(t, "much is on its way", patience, func() bool { return g.status().underway() > 40 })
		moment(0, 300*time.Millisecond)
		g.signal(freeze)
		stop()
		w.fault()
		next := start(t, config)
		stop = w.stream(next, 8)
		goal := w.answered() + 2*len(w.people.all)
		eventually(t, "the other one accepts", patience, func() bool { return w.answered() >= goal })
		if either() { // all that is newer has been delivered, or is on its way
			stop()
			next.settled()
		}
		g.signal(wake)
		if exit := g.await(); exit != 1 || !strings.Contains(g.said(), "another onramp has taken over") {
			t.Errorf("the one that was frozen ended with %d: %s", exit, g.said())
		}
		stop()
		g = next
	}
	return []tally{w.tally(g, row, n)}
}

func (g *gateway) signal(s os.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		g.t.Fatal(err)
	}
}

// cutNetwork cuts the network to the database in the middle of a statement. When it
// is back, both sides keep connections that carry nothing any more.
func cutNetwork(t *testing.T) []tally {
	w, p := newRemote(t)
	g := start(t, w.configureDatabase(p.URL()))
	stop := w.stream(g, 8)
	n := rounds(2, 40)
	for range n {
		goal := w.answered() + 20
		eventually(t, "registrations are accepted", patience, func() bool { return w.answered() >= goal })
		<-strikeStatement(p, []pgtest.Fault{pgtest.HoldBefore, pgtest.HoldInside, pgtest.HoldAnswer}[rand.IntN(3)])
		moment(0, time.Second)
		p.Lose()
		accepted, delivered := w.answered()+20, len(w.recorder.order())+20
		eventually(t, "it goes on", leaseLife+5*time.Second, func() bool {
			return w.answered() >= accepted && len(w.recorder.order()) >= delivered
		})
	}
	stop()
	return []tally{w.tally(g, row, n)}
}

// newRemote is a crowd whose database is behind a network.
func newRemote(t *testing.T) (*world, *pgtest.Proxy) {
	w, direct := newCrowd(t), pgtest.URL(t)
	w.lookInto = direct
	return w, pgtest.NewProxy(t, direct)
}

// strikeStatement has a fault happen at one of the next statements, whichever that
// is.
func strikeStatement(p *pgtest.Proxy, fault pgtest.Fault) (happened <-chan struct{}) {
	var left atomic.Int64
	left.Store(1 + rand.Int64N(50))
	struck := make(chan struct{})
	p.OnStatement(func(string) pgtest.Fault {
		if left.Add(-1) != 0 {
			return pgtest.None
		}
		close(struck)
		return fault
	})
	return struck
}

// loseCommits breaks connections to the database at COMMIT, mostly when it is on
// disk already, while calls for rows fail, so that much is parked and woken.
func loseCommits(t *testing.T) []tally {
	w, p := newRemote(t)
	g := start(t, w.configureDatabase(p.URL()))
	stop := w.stream(g, 8)
	n := rounds(60, 2000)
	var lost atomic.Int64
	p.OnStatement(func(statement string) pgtest.Fault {
		if !strings.HasPrefix(statement, "COMMIT") || rand.IntN(4) > 0 {
			return pgtest.None
		}
		lost.Add(1)
		if rand.IntN(4) == 0 {
			return pgtest.CutBefore
		}
		return pgtest.CutAnswer
	})
	for lost.Load() < int64(n) {
		w.fault(sandbox.Fault{Match: "/hub/", Status: http.StatusInternalServerError, Count: 1 + rand.IntN(4)},
			sandbox.Fault{Match: "/hub/", Name: sandbox.FaultDropAnswer, Count: 1 + rand.IntN(4)})
		goal := min(lost.Load()+10, int64(n))
		eventually(t, "connections are lost at COMMIT", patience, func() bool { return lost.Load() >= goal })
	}
	stop()
	p.OnStatement(nil)
	w.fault()
	return []tally{w.tally(g, row, int(lost.Load()))}
}
