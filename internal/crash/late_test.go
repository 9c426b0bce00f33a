package crash_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"onramp/internal/sandbox"
)

// callLate has calls carried out long after the gateway has given them up, or has
// been killed, so that newer rows of the same people overtake them.
func callLate(t *testing.T) []tally {
	return []tally{breakCalls(t, rounds(8, 200), func() sandbox.Fault {
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
	})}
}

// loseAnswers has calls hang, and loses the answers of others, whether they were
// carried out or not.
func loseAnswers(t *testing.T) []tally {
	return []tally{breakCalls(t, rounds(8, 200), func() sandbox.Fault {
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

// breakCalls has a few calls for rows fail now and then. Of the gateways some are
// killed meanwhile, and some stopped.
func breakCalls(t *testing.T, n int, fault func() sandbox.Fault) tally {
	t.Helper()
	w := newCrowd(t)
	config := w.configure(t.TempDir())
	g := start(t, config)
	stop := w.stream(g, 8)
	for round := range n {
		goal := w.answered() + 30
		eventually(t, "more are accepted", patience, func() bool { return w.answered() >= goal })
		f := fault()
		f.Match, f.Count = "/hub/", 1+rand.IntN(3)
		w.fault(f)
		eventually(t, fmt.Sprintf("calls are struck by %+v", f), patience, func() bool { return len(w.sandbox.State().Faults) == 0 })
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
		stop = w.stream(g, 8)
	}
	stop()
	return w.tally(g, row, n)
}
