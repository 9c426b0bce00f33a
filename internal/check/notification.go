package check

import (
	"context"
	"fmt"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/setup"
)

// ens compares the Event Notification Service with the configuration: by the gateway that
// runs, or else by what Marketing Cloud lists.
func (c *Checks) ens(ctx context.Context) ([]Finding, bool) {
	var status setup.Status
	switch {
	case c.running != nil && c.running.ENS != nil:
		status = *c.running.ENS
	case c.cfg.ENS != nil:
		var err error
		if status, err = c.cfg.ENS(ctx); err != nil {
			return []Finding{c.unanswered("", err, onramp.Destination{})}, false
		}
	default:
		return nil, true
	}
	if status.Unreachable != "" {
		return []Finding{failure("", "Marketing Cloud could not be asked: "+oneLine(status.Unreachable)).mend(Operator, "try again later; onramp ens status has the details")}, false
	}
	return ensFindings(&status), false
}

// ensFindings are those of set-up, each about its callback or scheme.
func ensFindings(status *setup.Status) []Finding {
	var found []Finding
	add := func(object string, level Level, wrong []setup.Finding) {
		for _, w := range wrong {
			found = append(found, Finding{Object: object, Level: level, Message: oneLine(w.What)}.mend(Operator, oneLine(w.Hint)))
		}
	}
	add("", Warning, status.Wrong)
	missing := map[string]bool{} // schemes that a missing callback's set-up makes
	for i := range status.Callbacks {
		one := &status.Callbacks[i]
		object, level := "callback "+one.Name, Failure
		switch one.State {
		case setup.StateMissing: // so are its subscriptions and its scheme
			missing[one.Scheme] = true
			found = append(found, failure(object, "it is not in Marketing Cloud: no events arrive").mend(Operator, "start onramp serve, then run onramp ens setup"))
			continue
		case setup.StateUnverified: // it can have no subscriptions
			found = append(found, failure(object, "it is not verified: no events arrive").mend(Operator, "start onramp serve, then run onramp ens setup"))
			continue
		case setup.StateExtra:
			level = Warning
		}
		add(object, level, one.Wrong)
		if len(one.Wrong) == 0 {
			found = append(found, ok(object, fmt.Sprintf("it is verified, with %s as configured", several(len(one.Subscriptions), "subscription"))))
		}
	}
	for i := range status.Schemes {
		one := &status.Schemes[i]
		if one.State == setup.StateMissing && missing[one.Name] {
			continue
		}
		level := Failure
		if one.State == setup.StateExtra {
			level = Warning
		}
		add("authentication scheme "+one.Name, level, one.Wrong)
	}
	return found
}

// quiet tells for how long events have stayed away while messages went out.
func (c *Checks) quiet(context.Context) (found []Finding, skipped bool) {
	if c.running == nil && (!c.stored.exists || c.stored.Server) {
		return nil, false
	}
	last, newest := c.stored.LastEvent, c.stored.Newest
	if c.running != nil {
		newest = c.running.Newest
		if c.running.ENS != nil {
			last = lastEvent(c.running.ENS)
		}
	}
	message := "no event has come yet"
	if !last.IsZero() {
		message = "the last event came " + since(last)
	}
	// a registration that is older than the limit had its message, and that its events
	due := c.cfg.QuietAfter > 0 && !newest.IsZero() && time.Since(newest) > c.cfg.QuietAfter
	if !due || !newest.After(last) || !c.sendsMessages() {
		return []Finding{ok("", message)}, false
	}
	return []Finding{warning("", message+", although a registration was accepted "+since(newest)).
		mend(Operator, "run onramp check --only ens,public-url: the callback must be verified, its subscriptions active, and the address reachable from outside")}, false
}

func lastEvent(status *setup.Status) (last time.Time) {
	for i := range status.Callbacks {
		if at := status.Callbacks[i].LastEvent; at != nil && at.After(last) {
			last = *at
		}
	}
	return last
}

// sendsMessages says whether registrations lead to messages that events report.
func (c *Checks) sendsMessages() bool {
	return len(c.destinations(onramp.Journey))+len(c.destinations(onramp.Message)) > 0
}
