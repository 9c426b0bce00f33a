package alert

import (
	"fmt"
	"strings"

	"onramp/internal/onramp"
)

const (
	keptBackHint = "look whether the registrations are real with onramp registrations list --state held --form NAME: if they are, raise double_opt_in.limits; " +
		"if they are not, nothing more goes out for them, and they expire by themselves"
	returnedHint = "somebody may be registering addresses of others: look at the registrations with onramp registrations list --state held --form NAME, and protect the form; " +
		"bounces and complaints harm the reputation of your sender"

	// fewer confirmations say nothing about a share of them
	fewestAsked = 20
)

// confirmations is what is unusual about those of each form.
func (w *Watcher) confirmations(all []onramp.ConfirmationStatus) (found []Condition) {
	share := w.cfg.Returned
	for i := range all {
		s := &all[i]
		if len(s.Limits) > 0 {
			found = append(found, keptBack(s))
		}
		returned := s.Bounced + s.Complained
		if share <= 0 || s.Asked < fewestAsked || float64(returned)*100 < share*float64(s.Asked) {
			continue
		}
		found = append(found, Condition{
			Cause: "confirmations-returned:" + s.Form, Title: "confirmations come back: form " + s.Form,
			Detail: fmt.Sprintf("of %d confirmations in 24 hours %d bounced for good, and from %d somebody has unsubscribed", s.Asked, s.Bounced, s.Complained),
			Hint:   strings.ReplaceAll(returnedHint, "NAME", s.Form), Runbook: RunbookReturned,
		})
	}
	return found
}

// keptBack is that limits keep confirmations of a form back.
func keptBack(s *onramp.ConfirmationStatus) Condition {
	c := Condition{
		Cause: "confirmations-kept-back:" + s.Form, Title: "confirmations kept back: form " + s.Form,
		Hint: strings.ReplaceAll(keptBackHint, "NAME", s.Form), Since: s.Limits[0].Since, Runbook: RunbookKeptBack,
	}
	var parts []string
	for _, l := range s.Limits {
		parts = append(parts, fmt.Sprintf("%d by the limit %s", l.KeptBack, l.Name))
		if l.Since.Before(c.Since) {
			c.Since = l.Since
		}
	}
	c.Detail = strings.Join(parts, ", ")
	return c
}
