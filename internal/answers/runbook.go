package answers

import (
	"fmt"

	"onramp/docs"
	"onramp/internal/spelling"
)

// Runbook gives the page that says what to do about an alert, in Markdown, by the name that
// the alert's last line has; with "" the list of all alerts. The error proposes a name that is known.
func Runbook(name string) (string, error) {
	text, ok := docs.Runbook(name)
	if !ok {
		return "", fmt.Errorf("there is no runbook page %.80q; %s", name, spelling.DidYouMean(name, docs.Runbooks()))
	}
	return text, nil
}
