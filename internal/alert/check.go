package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"onramp/internal/health"
	"onramp/internal/operator"
)

// awayFor is how long Marketing Cloud may be out of reach before there is an alert,
// also when nothing is to be sent.
const awayFor = 5 * time.Minute

// blockedOrUnfit are the destinations that are blocked, and what a check has found. What
// both tell is one trouble.
func (w *Watcher) blockedOrUnfit(blocked []standing, unfit []Condition) []Condition {
	var found []Condition
	for _, g := range blocked {
		c := g.blocked()
		c.Blocked = c.Cause
		c.Cause = w.named(c.Cause, slices.DeleteFunc(slices.Clone(unfit), func(u Condition) bool { return !g.isOf(u) }))
		unfit = slices.DeleteFunc(unfit, g.isOf)
		found = append(found, c)
	}
	return append(found, unfit...)
}

// named is the cause under which blocked destinations were alerted first, which they keep
// while checks come and go; or else that of a check that has found the same, and then
// one that was alerted before the destinations were blocked.
func (w *Watcher) named(blocked string, same []Condition) string {
	if w.ledger[blocked] != nil {
		return blocked
	}
	for cause, s := range w.ledger {
		if s.Blocked == blocked && s.Open {
			return cause
		}
	}
	for _, u := range same {
		if w.ledger[u.Cause] != nil {
			return u.Cause
		}
	}
	if len(same) > 0 {
		return same[0].Cause
	}
	return blocked
}

// isOf says whether a check's finding is why destinations are blocked.
func (s standing) isOf(unfit Condition) bool {
	name, isCheck := strings.CutPrefix(unfit.Cause, checkCause)
	stops := func(destination string) bool { return slices.Contains(s.names, destination) }
	return isCheck && (stops(name) || slices.ContainsFunc(unfit.concerns, stops) || s.Refused && name == health.CheckAccount)
}

const checkCause = "check:"

// unfit is what the configuration names and is not so in Marketing Cloud, and a
// clock that is wrong.
func unfit(all operator.Overview, now time.Time) []Condition {
	var found []Condition
	for _, c := range all.Health.Checks {
		condition := Condition{Cause: checkCause + c.Name, Detail: remote(c.Detail), Hint: c.Hint, Since: c.Since, Runbook: RunbookObject, concerns: c.Concerns}
		switch {
		case c.State == health.CheckAway && now.Sub(c.Since) >= awayFor:
			condition.Title, condition.Runbook = "Marketing Cloud can't be reached", RunbookAway
		case c.State != health.CheckFailed:
			continue
		case c.Name == health.CheckAccount:
			condition.Title, condition.Severe, condition.Runbook = "credentials or business unit wrong", true, RunbookAccount
		case c.Name == health.CheckScopes:
			condition.Title, condition.Severe, condition.Runbook = "scopes missing", true, RunbookScopes
		default:
			condition.Title = "not as configured in Marketing Cloud: " + c.Name
		}
		found = append(found, condition)
	}
	if c := all.Health.Clock; c != nil && c.Failed() {
		found = append(found, Condition{
			Cause: "clock", Title: "clocks differ", Hint: clockHint, Runbook: RunbookClock,
			Detail: fmt.Sprintf("Marketing Cloud's clock is %s this machine's", c.Describe()),
		})
	}
	return found
}
