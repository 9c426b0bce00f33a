package attempt_test

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

var (
	taken   = onramp.Outcome{Verdict: onramp.Delivered}
	refused = onramp.Outcome{Verdict: onramp.Rejected, Request: "of this try"}
	blocked = onramp.Outcome{Verdict: onramp.Blocked, Request: "of this try", Answer: "why"}
)

// endpoint refuses whatever holds a bad item: all of it, or what comes after the
// first bad one and may be good.
type endpoint struct {
	bad   uint // a bit for each bad item
	after bool
	tries [][]int
}

func (e *endpoint) try(items []int) ([]onramp.Outcome, []int) {
	e.tries = append(e.tries, slices.Clone(items))
	first := slices.IndexFunc(items, func(i int) bool { return e.bad>>i&1 == 1 })
	if first < 0 {
		return attempt.Alike(len(items), taken), nil
	}
	if !e.after {
		return attempt.Alike(len(items), refused), attempt.All(len(items))
	}
	outcomes := attempt.Alike(len(items), taken)
	var suspects []int
	for i := first; i < len(items); i++ {
		outcomes[i], suspects = refused, append(suspects, i)
	}
	return outcomes, suspects
}

// Every bad item is refused alone, and every other one is taken, in not many more
// tries than it takes to halve what is left for each bad one.
func TestIsolate(t *testing.T) {
	t.Parallel()
	const n = 9
	for bad := range uint(1) << n {
		for _, after := range []bool{false, true} {
			e := &endpoint{bad: bad, after: after}
			got := attempt.Isolate(attempt.All(n), e.try)
			name := fmt.Sprintf("bad %09b, after %v", bad, after)
			for i := range n {
				alone := slices.ContainsFunc(e.tries, func(items []int) bool { return len(items) == 1 && items[0] == i })
				switch isBad := bad>>i&1 == 1; {
				case isBad && (got[i] != refused || !alone):
					t.Fatalf("%s: bad item %d: %+v, tries %v", name, i, got[i], e.tries)
				case !isBad && got[i] != taken:
					t.Fatalf("%s: good item %d: %+v, tries %v", name, i, got[i], e.tries)
				}
			}
			if most := 1 + 8*bits.OnesCount(bad); len(e.tries) > min(most, 2*n-1) {
				t.Fatalf("%s: %d tries: %v", name, len(e.tries), e.tries)
			}
		}
	}
}

// What can be inferred is not tried: when one half is good, the other is not sent
// again as a whole.
func TestIsolateInfers(t *testing.T) {
	t.Parallel()
	e := &endpoint{bad: 1 << 3}
	attempt.Isolate(attempt.All(4), e.try)
	if got, want := fmt.Sprint(e.tries), "[[0 1 2 3] [0 1] [2] [3]]"; got != want {
		t.Errorf("tries: got %s, want %s", got, want)
	}
}

// Trouble of the destination ends the search: the rest shares the outcome, without a
// request of its own.
func TestIsolateInTrouble(t *testing.T) {
	t.Parallel()
	tries := 0
	got := attempt.Isolate(attempt.All(4), func(items []int) ([]onramp.Outcome, []int) {
		if tries++; tries == 2 {
			return attempt.Alike(len(items), blocked), nil
		}
		return attempt.Alike(len(items), refused), attempt.All(len(items))
	})
	unsent := blocked
	unsent.Request = ""
	if want := []onramp.Outcome{blocked, blocked, unsent, unsent}; !slices.Equal(got, want) || tries != 2 {
		t.Errorf("after %d tries: got %+v, want %+v", tries, got, want)
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome onramp.Outcome
		want    bool
	}{
		{onramp.Outcome{Verdict: onramp.Delivered}, false},
		{onramp.Outcome{Verdict: onramp.Rejected, Status: 500}, false},
		{onramp.Outcome{Verdict: onramp.Unknown}, true},
		{onramp.Outcome{Verdict: onramp.Throttled, Status: 400}, true},
		{onramp.Outcome{Verdict: onramp.Blocked, Status: 200}, true},
		{onramp.Outcome{Verdict: onramp.Blocked, Status: 400, Columns: true}, false},
		{onramp.Outcome{Verdict: onramp.Retry}, true},
		{onramp.Outcome{Verdict: onramp.Retry, Status: 200}, false},
		{onramp.Outcome{Verdict: onramp.Retry, Status: 200, MayHaveArrived: true}, true}, // somebody else's answer
		{onramp.Outcome{Verdict: onramp.Retry, Status: 400}, false},
		{onramp.Outcome{Verdict: onramp.Retry, Status: 408}, true},
		{onramp.Outcome{Verdict: onramp.Retry, Status: 503}, true},
	} {
		if got := attempt.Trouble([]onramp.Outcome{taken, c.outcome}) != nil; got != c.want {
			t.Errorf("%+v: got %v, want %v", c.outcome, got, c.want)
		}
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := attempt.WithTimeout(t.Context(), time.Minute)
		defer end()
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, attempt.ErrTimeout) || !attempt.IsLate(cause) || !attempt.IsLate(ctx.Err()) {
			t.Errorf("cause: %v, error: %v", cause, ctx.Err())
		}
	})
	if !attempt.IsLate(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)) || attempt.IsLate(context.Canceled) {
		t.Error("late is what ran out of time, and nothing else")
	}
}
