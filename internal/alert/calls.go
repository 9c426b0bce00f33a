package alert

import (
	"fmt"
	"time"

	"onramp/internal/budget"
)

const callsHint = "operator: onramp status shows the calls by kind; when the year's calls run short, deliveries wait to share calls, and none is lost. " +
	"Ask whoever has the contract with Salesforce for more calls, and then raise marketing_cloud.calls_per_year"

// onceAYear is longer than any contract's year, after which the alert is another one.
const onceAYear = 400 * 24 * time.Hour

// used is how much of the contract's calls of the year are used: one alert for each
// threshold.
func used(u *budget.Usage) []Condition {
	if u == nil || u.PerYear == 0 {
		return nil
	}
	year := u.From.Format(time.DateOnly)
	var found []Condition
	for _, threshold := range budget.Thresholds() {
		if u.Percent < threshold {
			break
		}
		found = append(found, Condition{
			Cause: fmt.Sprintf("calls:%s:%d", year, threshold), Title: fmt.Sprintf("%d%% of the calls to Marketing Cloud used", threshold),
			Detail: fmt.Sprintf("%d%% of %d calls are used in the contract's year that began on %s; %s", u.Percent, u.PerYear, year, u.Forecast()),
			Hint:   callsHint, Every: onceAYear, Runbook: RunbookCalls,
		})
	}
	return found
}
