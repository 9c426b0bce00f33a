package crash_test

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"onramp/internal/sandbox"
)

// callLate has calls carried out long after the gateway has given them up, or has
// been killed, so that newer rows of the same people overtake them. The events of
// the journey write the same rows.
func callLate(t *testing.T) []tally {
	ways := []struct{ fault, calls, mode, route string }{
		{"", "/hub/", "sync", ""},
		{", asynchronous", "/data/v1/async/dataextensions/", "async", ""},
		{", journey", "/interaction/", "sync", journeyStep},
	}
	results := make([]tally, len(ways))
	together(t, len(ways), func(t *testing.T, i int) {
		w := newCrowd(t)
		w.mode, w.route = ways[i].mode, ways[i].route
		results[i] = w.breakCalls(rounds(6, 100), ways[i].calls, func() sandbox.Fault {
			fault := []sandbox.Fault{
				{}, // slow: the true answer, for those who still wait
				{Name: sandbox.FaultDropAnswer},
				{Name: sandbox.FaultHang},
				{Name: sandbox.FaultReset},
				{Status: http.StatusServiceUnavailable},
				{Name: sandbox.FaultCutBody, Status: http.StatusOK},
				{Name: sandbox.FaultHTML, Status: http.StatusOK},
			}[rand.IntN(7)]
			fault.ApplyAfterMS = 100 + rand.IntN(int(longestCall.Milliseconds())/2)
			return fault
		})
		results[i].fault = ways[i].fault
	})
	return results
}

// together runs the parts of a row at the same time.
func together(t *testing.T, n int, run func(t *testing.T, i int)) {
	t.Run("parts", func(t *testing.T) {
		for i := range n {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				run(t, i)
			})
		}
	})
}

// loseAnswers has calls hang, and loses the answers of others, whether they were
// carried out or not.
func loseAnswers(t *testing.T) []tally {
	return []tally{newCrowd(t).breakCalls(rounds(8, 200), "/hub/", func() sandbox.Fault {
		return []sandbox.Fault{
			{Name: sandbox.FaultDropAnswer},
			{Name: sandbox.FaultCutBody},
			{Name: sandbox.FaultHang},
			{Name: sandbox.FaultHang, Apply: true},
			{Name: sandbox.FaultReset},
			{Name: sandbox.FaultReset, Apply: true},
			{Status: http.StatusInternalServerError},
			{Status: http.StatusInternalServerError, Apply: true},
		}[rand.IntN(8)]
	})}
}

// breakCalls has a few calls of a kind fail now and then. Of the gateways some are
// killed meanwhile, and some stopped.
func (w *world) breakCalls(n int, calls string, fault func() sandbox.Fault) tally {
	t := w.t
	t.Helper()
	config, senders := w.configure(t.TempDir()), 8
	if w.mode == "async" {
		senders = 1 // a job takes half a second, and nobody's next row goes before it ends
	}
	g := start(t, config)
	stop := w.stream(g, senders)
	for round := range n {
		goal := w.answered() + 30
		eventually(t, "more are accepted", patience, func() bool { return w.answered() >= goal })
		f := fault()
		f.Match, f.Count = calls, 1+rand.IntN(3)
		w.fault(f)
		if !within(patience, func() bool { return len(w.sandbox.State().Faults) == 0 }) {
			t.Fatalf("%+v strikes no calls, with %+v; it said: %s", f, g.status(), g.said())
		}
		if round%3 == 0 {
			continue
		}
		moment(0, 200*time.Millisecond)
		if round%3 == 1 {
			g.kill()
		} else {
			g.stop()
		}
		stop()
		g = start(t, config)
		stop = w.stream(g, senders)
	}
	stop()
	return w.tally(g, row, n)
}
