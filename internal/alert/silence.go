package alert

import (
	"fmt"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

const silenceHint = "run onramp ens status: check that Marketing Cloud can reach the callbacks, that they are verified, that their subscriptions are active, and that no calls were refused"

// silence watches for messages that go out while no event reports what became of
// them.
type silence struct {
	looked     bool
	sent, came int64     // as they were at the last look
	since      time.Time // when the first one went out after the last event; zero: none has
	n          int64     // how many have gone out since
}

// look notes the counts as they are now. Those of the first look are where it
// begins: for what went out before a restart there may have been an alert already.
func (s *silence) look(now time.Time, all operator.Overview) {
	sent, came := messages(all.Destinations), events(all.Counts)
	before := *s
	s.looked, s.sent, s.came = true, sent, came
	switch {
	case !before.looked:
	case came != before.came:
		s.since, s.n = time.Time{}, 0
	case sent > before.sent:
		if s.n += sent - before.sent; s.since.IsZero() {
			s.since = now
		}
	}
}

// lasts says that it is quiet for longer than a limit, 0 for none.
func (s *silence) lasts(now time.Time, limit time.Duration) bool {
	return limit > 0 && !s.since.IsZero() && now.Sub(s.since) >= limit
}

// silent finds that no events arrive.
func (w *Watcher) silent(now time.Time, all operator.Overview) []Condition {
	w.silence.look(now, all)
	if len(w.cfg.Callbacks) == 0 || !w.silence.lasts(now, w.cfg.Events) {
		return nil
	}
	return []Condition{{
		Cause: "events", Title: "no events received", Hint: silenceHint, Since: w.silence.since,
		Detail: fmt.Sprintf("%s to journeys and messages since %s, but no event has reached %s",
			several(w.silence.n, "delivery", "deliveries"), stamp(w.silence.since), list(w.cfg.Callbacks, 3)),
	}}
}

// messages counts the deliveries that Marketing Cloud reports by events.
func messages(destinations []operator.Destination) int64 {
	var n int64
	for _, d := range destinations {
		if kind := d.Destination.Kind; kind == onramp.Journey || kind == onramp.Message {
			n += d.Deliveries[onramp.DeliveryDelivered]
		}
	}
	return n
}

// events counts the events that came, also those that came again.
func events(c onramp.Counts) int64 {
	var n int64
	for _, by := range []map[string]int64{c.Events, c.Repeated} {
		for _, came := range by {
			n += came
		}
	}
	return n
}
