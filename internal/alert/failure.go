package alert

import (
	"context"
	"fmt"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

// failures are what has become of deliveries that an operator must see to. There is
// no alert before it can say why, or the store has failed to tell.
func (w *Watcher) failures(ctx context.Context, d *operator.Destination, now time.Time) []Condition {
	var found []Condition
	for _, f := range []struct {
		growth
		cause, title, hint, detail string
		page                       Runbook
		why                        onramp.DeliveryState // 0: the detail says it
	}{
		{
			growth: w.grown("given up:"+d.Name, d.GivenUp, now), cause: "given up:", title: "retries exhausted: ", hint: deadHint, page: RunbookGivenUp,
			detail: " reached delivery.give_up_after",
		},
		{
			growth: w.grown("unknown:"+d.Name, d.Unknown, now), cause: "unknown:", title: "answers lost: ", hint: unknownHint, page: RunbookUnknown,
			detail: " may have arrived, but the answers were lost", why: onramp.DeliveryUnknown,
		},
		{
			growth: w.stands("dead:"+d.Name, d.Deliveries[onramp.DeliveryDead], now), cause: "dead:", title: "dead letters: ", hint: deadHint, page: RunbookDead,
			why: onramp.DeliveryDead,
		},
	} {
		if !f.lasts(now) {
			continue
		}
		reason := why{known: true}
		if f.why != 0 {
			reason = w.why(ctx, f.cause+d.Name, d.Name, f.why, f.Seen)
		}
		if !reason.known {
			continue
		}
		since, last := reason.noLaterThan(f.First), reason.noLaterThan(f.Last)
		detail := several(f.Spell, "delivery", "deliveries") + f.detail
		if f.why == onramp.DeliveryDead {
			detail = several(f.Seen, "dead letter", "dead letters")
		}
		found = append(found, Condition{
			Cause: f.cause + d.Name, Title: f.title + d.Name, Hint: f.hint, Waiting: d.Waiting(), Since: since, Runbook: f.page,
			Detail: detail + ", the last at " + stamp(last) + reason.text,
		})
	}
	return found
}

// growth watches a number that shows trouble by growing. It is kept over a restart.
type growth struct {
	Seen        int64     // the number, as it was last
	Spell       int64     // by how much it grew in this spell
	First, Last time.Time // when it grew in this spell; zero: it is quiet
}

// grown notes a number as it is now, which counts since the start of this process.
func (w *Watcher) grown(cause string, n int64, now time.Time) growth {
	g := w.growths[cause]
	if g == nil {
		g = &growth{}
		w.growths[cause] = g
	}
	if n > g.Seen {
		if !g.lasts(now) {
			g.First, g.Spell = now, 0
		}
		g.Last = now
		g.Spell += n - g.Seen
	}
	g.Seen = n
	return *g
}

// stands notes a number that outlasts a restart, and can get less. The first one
// ever counts as grown.
func (w *Watcher) stands(cause string, n int64, now time.Time) growth {
	g := w.grown(cause, n, now)
	if n == 0 {
		g.Last = time.Time{} // nothing of it is left
	}
	return g
}

func (g growth) lasts(now time.Time) bool { return !g.Last.IsZero() && now.Sub(g.Last) < quietAfter }

// why is what the deliveries that failed have in common.
type why struct {
	cause  string
	known  bool      // the store was asked, with whatever result
	asking bool      // it is
	at     time.Time // when it was asked
	n      int64     // for how many deliveries
	last   time.Time // when the newest of them failed; zero: not known
	text   string
}

const (
	whyEvery = time.Minute // how often the store is asked for one cause
	mostWhys = 3           // groups in an alert
)

// why gives what is known of a cause, and has the store asked when there are others
// by now.
func (w *Watcher) why(ctx context.Context, cause, destination string, state onramp.DeliveryState, n int64) why {
	is := w.whys[cause]
	if is.asking || is.known && (is.n == n || time.Since(is.at) < whyEvery) {
		return is
	}
	is.asking = true
	w.whys[cause] = is
	go func() {
		limited, stop := context.WithTimeout(ctx, slowFor)
		defer stop()
		answer := why{cause: cause, known: true, at: time.Now(), n: n}
		if groups, last, err := w.from.Desk.Failures(limited, destination, state); err == nil {
			answer.text, answer.last = causes(groups), last
		}
		select {
		case w.told <- answer:
		case <-ctx.Done():
		}
	}()
	return is
}

// noLaterThan gives the time at which something was seen, or when it happened if
// that was before: this process may not have been there.
func (y *why) noLaterThan(seen time.Time) time.Time {
	if !y.last.IsZero() && y.last.Before(seen) {
		return y.last
	}
	return seen
}

// causes are the lines of onramp deliveries list --by-cause.
func causes(groups []onramp.CauseGroup) string {
	var b strings.Builder
	for i, g := range groups {
		if i == mostWhys {
			fmt.Fprintf(&b, "; and %s", several(int64(len(groups)-i), "other cause", "other causes"))
			break
		}
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&b, "%s%d with the cause %s: %s", separator, g.Count, g.Cause, strings.TrimRight(remote(g.Reason), ".; "))
	}
	return b.String()
}
