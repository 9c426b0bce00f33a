package alert

import (
	"fmt"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

const silenceHint = "run onramp ens status: check that Marketing Cloud can reach the callbacks, that they are verified, that their subscriptions are active, and that no calls were refused; see onramp check --only ens,public-url,quiet"

// silence watches for messages that go out while no event reports what became of
// them.
type silence struct {
	Looked     bool
	Sent, Came int64     // as they were at the last look
	Since      time.Time // when the first one went out after the last event; zero: none has
	N          int64     // how many have gone out since
}

// look notes the counts as they are now. Those of the very first look are where
// it begins; after a restart it goes on.
func (s *silence) look(now time.Time, all operator.Overview) {
	sent, came := messages(all.Destinations), events(all.Counts)
	before := *s
	s.Looked, s.Sent, s.Came = true, sent, came
	switch {
	case !before.Looked:
	case came != before.Came:
		s.Since, s.N = time.Time{}, 0
	case sent > before.Sent:
		if s.N += sent - before.Sent; s.Since.IsZero() {
			s.Since = now
		}
	}
}

// lasts says that it is quiet for longer than a limit, 0 for none.
func (s *silence) lasts(now time.Time, limit time.Duration) bool {
	return limit > 0 && !s.Since.IsZero() && now.Sub(s.Since) >= limit
}

// silent finds that no events arrive.
func (w *Watcher) silent(now time.Time, all operator.Overview) []Condition {
	w.silence.look(now, all)
	if len(w.cfg.Callbacks) == 0 || !w.silence.lasts(now, w.cfg.Events) {
		return nil
	}
	return []Condition{{
		Cause: "events", Title: "no events received", Hint: silenceHint, Since: w.silence.Since, Runbook: RunbookEvents,
		Detail: fmt.Sprintf("%s to journeys and messages since %s, but no event has reached %s",
			several(w.silence.N, "delivery", "deliveries"), stamp(w.silence.Since), list(w.cfg.Callbacks, 3)),
	}}
}

// messages counts the deliveries that Marketing Cloud reports by events.
func messages(destinations []operator.Destination) int64 {
	var n int64
	for _, d := range destinations {
		// by its name, which it keeps when it leaves the configuration
		if kind, _, _ := strings.Cut(d.Name, ":"); kind == onramp.Journey.String() || kind == onramp.Message.String() {
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
