package alert

import "onramp/internal/retention"

const retentionHint = "operator: onramp status shows under RETENTION why; nothing is lost, but personal data are kept longer than you have said"

// overdue is that nothing was removed for more than a day that is kept no longer.
func overdue(p retention.Progress) []Condition {
	if p.State != retention.Behind {
		return nil
	}
	detail := "what is kept too long is still being removed"
	if p.Reason != "" {
		detail = remote(p.Reason)
	}
	return []Condition{{
		Cause: "retention", Title: "retention is behind", Detail: detail, Hint: retentionHint, Since: p.LastRun, Every: pausedFor, Runbook: RunbookRetention,
	}}
}
