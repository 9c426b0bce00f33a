package alert

import (
	"fmt"
	"time"

	"onramp/internal/watch"
)

const (
	sampleHint = "onramp status shows the columns; see what else writes to the data extension or removes rows from it, and that its columns fit the form's"
	quietHint  = "open the page with the form and submit it: it may no longer be there, or no longer reach the public listener; watch.usual: false turns this off"
)

// never is a distance at which nothing is repeated.
const never = 100 * 365 * 24 * time.Hour

// drifted are the data extensions that get nothing, since they have lost columns: also those
// for which nothing waits yet, so that they are not blocked. It has the cause of a check, with which a
// destination that is blocked is one trouble.
func drifted(s watch.Status) []Condition {
	var found []Condition
	for i := range s.Schemas {
		if d := &s.Schemas[i]; d.State == watch.SchemaDrifted {
			found = append(found, Condition{
				Cause: checkCause + d.Destination, Title: "columns changed, nothing is sent: " + d.Destination, Detail: remote(d.Reason), Hint: d.Hint,
				Since: d.Since, Severe: true, Runbook: RunbookDrifted,
			})
		}
	}
	return found
}

// unarrived is what the watch over arrival has found. That it is over is known for sure, so
// it is told at once.
func unarrived(s watch.Status) []Condition {
	var found []Condition
	for i := range s.Canaries {
		c := &s.Canaries[i]
		if c.State != watch.CanaryFailed {
			continue
		}
		since := c.ArrivedAt
		if since.IsZero() {
			since = c.Failed.Since
		}
		found = append(found, Condition{
			Cause: "canary:" + c.Form, Title: "canary did not arrive: form " + c.Form, Detail: remote(c.Explain()) + "; " + c.Last(),
			Hint: c.Failed.Hint, Since: since, Sure: true, Runbook: RunbookCanary,
		})
	}
	for i := range s.Samples {
		if one := &s.Samples[i]; one.State() == "differs" {
			found = append(found, Condition{
				Cause: "sample:" + one.Destination, Title: "rows are not as they were sent: " + one.Destination, Detail: oneLine(one.Explain()),
				Hint: sampleHint, Since: one.At, Every: never, Sure: true, Runbook: RunbookSample,
			})
		}
	}
	for i := range s.Quiet {
		q := &s.Quiet[i]
		found = append(found, Condition{
			Cause: "quiet:" + q.Form, Title: fmt.Sprintf("form %s has had no registration for %s", q.Form, span(q.Since.Sub(q.Last))),
			Detail: q.Explain(), Hint: quietHint, Since: q.Last, Every: never, Sure: true, Runbook: RunbookQuiet,
		})
	}
	return found
}
