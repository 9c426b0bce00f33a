package alert

import (
	"strings"
	"time"

	"onramp/internal/health"
)

const (
	expiringHint = "operator: renew the certificate; onramp status shows until when it holds, and whether a newer one could not be used"
	daily        = 24 * time.Hour
)

// certified is what is wrong with the certificates of our listeners, or soon will be: one
// alert two weeks before the end, and one a day from three days before it.
func certified(all []health.Certificate) []Condition {
	var found []Condition
	for _, c := range all {
		of := strings.TrimSpace(c.Listener + " " + strings.Join(c.Hosts[:min(len(c.Hosts), 1)], ""))
		cause, until := "certificate:"+of, "it expires at "+stamp(c.ExpiresAt)
		switch {
		case c.ExpiresAt.IsZero() && c.Hint != "":
			found = append(found, Condition{Cause: cause + ":none", Title: "no certificate: " + of, Detail: remote(c.Reason), Hint: c.Hint, Severe: true, Runbook: RunbookCertificate})
			continue
		case c.ExpiresAt.IsZero():
			continue // it is being asked for
		case c.Failed() && c.Reason == "":
			until = "it expired at " + stamp(c.ExpiresAt)
		}
		if c.Reason != "" {
			found = append(found, Condition{Cause: cause + ":newer", Title: "certificate not renewed: " + of, Detail: remote(c.Reason), Hint: c.Hint, Every: daily, Runbook: RunbookCertificate})
		}
		if c.Expiring() || c.Failed() {
			found = append(found, Condition{Cause: cause + ":soon", Title: "certificate expires soon: " + of, Detail: until, Hint: expiringHint, Every: onceAYear, Runbook: RunbookCertificate})
		}
		if c.Urgent {
			found = append(found, Condition{Cause: cause + ":days", Title: "certificate expired or about to: " + of, Detail: until, Hint: expiringHint, Severe: true, Every: daily, Runbook: RunbookCertificate})
		}
	}
	return found
}
