package alert

import (
	"onramp/internal/operator"
)

const surgeHint = "see whether a campaign explains it; if not, onramp status shows what is held and why, and docs/abuse.md what to turn on; watch.usual: false turns this off where no limit is set"

// surging are the forms that get far more submissions than usual. That it is over is known
// for sure: ten minutes without.
func surging(o *operator.Overview) []Condition {
	var found []Condition
	for i := range o.Surges {
		s := &o.Surges[i]
		found = append(found, Condition{
			Cause: "surge:" + s.Form, Title: "form " + s.Form + " gets far more submissions than usual", Detail: s.Explain(), Hint: surgeHint,
			Since: s.Since, Every: never, Sure: true, Runbook: RunbookSurge,
		})
	}
	return found
}
