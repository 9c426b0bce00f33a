package config

import (
	"errors"
	"net/mail"
	"slices"
	"strings"
	"time"

	"onramp/internal/mailing"
	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// The times of double opt-in, without settings and at most.
const (
	expireAfter, shortestExpiry, longestExpiry = 7 * 24 * time.Hour, time.Hour, 90 * 24 * time.Hour
	linkFor, shortestLink                      = 72 * time.Hour, 10 * time.Minute
	shortestReminder                           = time.Hour
)

// mostConfirmations keeps a limit far from what a number can hold.
const mostConfirmations = 1_000_000

// doubleOptIn reads how the registrations of a form are confirmed; nil: they need not be.
func (r *reader) doubleOptIn(v value, set fieldSet) *onramp.DoubleOptIn {
	if v.node == nil {
		r.checkConfirmedFields(set)
		return nil
	}
	keys, ok := r.mapping(v, setting.DoubleOptIn().Names()...)
	if !ok {
		return nil
	}
	r.checkAddress(v, set)
	o := &onramp.DoubleOptIn{Include: r.include(keys["include"], set), Limits: r.confirmationLimits(keys["limits"])}
	o.ExpireAfter = r.duration(keys["expire_after"], expireAfter, shortestExpiry, longestExpiry)
	o.LinkFor = r.duration(keys["link_expires_after"], min(linkFor, o.ExpireAfter), shortestLink, o.ExpireAfter)
	if r.text(keys["remind_after"]) != "off" {
		o.RemindAfter = r.duration(keys["remind_after"], 0, shortestReminder, o.ExpireAfter)
	}
	if s, ok := r.scalar(keys["success_url"]); ok {
		if o.SuccessURL = s.text; !isSuccessURL(s.text) {
			r.report(s.position, "must be an absolute http or https URL or a path that starts with /")
		}
	}
	o.Confirmation = r.confirmation(v, keys, set)
	return o
}

// checkConfirmedFields reports fields that nothing ever fills in.
func (r *reader) checkConfirmedFields(set fieldSet) {
	for i, f := range set.fields {
		if f.From == onramp.FromConfirmedAt || f.From == onramp.FromConfirmedIP {
			r.report(set.positions[i].key("from"), "%s has no value without double_opt_in: add it to the form, or remove this field", f.From)
		}
	}
}

// checkAddress reports a form that may have nobody to ask.
func (r *reader) checkAddress(v value, set fieldSet) {
	at := slices.IndexFunc(set.fields, func(f onramp.Field) bool { return f.From == onramp.Submitted && f.Type == onramp.Email })
	switch {
	case at < 0 && set.complete():
		r.report(v.position, "needs a field with type: email and required: true, for the address that is asked")
	case at >= 0 && set.clear[at] && !set.fields[at].Required:
		r.report(set.positions[at].key("required"), "this email address is asked to confirm: add required: true")
	}
}

// include reads the fields whose values may stand in a confirmation.
func (r *reader) include(v value, set fieldSet) []string {
	return r.unique(r.texts(v), func(s scalar) string {
		at := slices.IndexFunc(set.fields, func(f onramp.Field) bool { return f.Name == s.text && f.From == onramp.Submitted })
		switch {
		case at < 0 && set.complete():
			return s.quoted() + " is not the name of a field that visitors fill in"
		case at >= 0 && slices.Contains(letterNames, set.fields[at].Column):
			return s.quoted() + " has the column " + set.fields[at].Column + ", which is a name of the confirmation's own"
		}
		return ""
	})
}

// letterNames are what a confirmation has in its data, as package consent names it.
var letterNames = []string{"ConfirmURL", "Language", "FormTitle"}

func (r *reader) confirmationLimits(v value) onramp.ConfirmationLimits {
	l := onramp.DefaultLimits()
	keys, ok := r.mapping(v, setting.ConfirmationLimits().Names()...)
	if !ok {
		return l
	}
	all := []*int{&l.PersonForm, &l.Person, &l.Domain, &l.Form}
	for i, key := range []string{"per_person", "per_person_all_forms", "per_domain", "per_form"} {
		into := all[i]
		s, ok := r.scalar(keys[key])
		if !ok {
			continue
		}
		if n, ok := s.integer(); !ok || n < 1 || n > mostConfirmations {
			r.report(s.position, "must be a whole number from 1 to %d, without quotes", mostConfirmations)
		} else {
			*into = n
		}
	}
	return l
}

// duration reads a time between two others.
func (r *reader) duration(v value, otherwise, least, most time.Duration) time.Duration {
	s, ok := r.scalar(v)
	if !ok {
		return otherwise
	}
	d := otherwise
	if err := setDuration(&d, s); err != nil {
		r.report(s.position, "%v", err)
		return otherwise
	}
	if d < least || d > most {
		r.report(s.position, "must be from %s to %s", shortDuration(least), shortDuration(most))
		return otherwise
	}
	return d
}

// shortDuration leaves out what is 0: 72h.
func shortDuration(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// confirmation reads what takes the confirmations of a form.
func (r *reader) confirmation(v value, keys map[string]value, set fieldSet) (d onramp.Destination) {
	var kinds []string
	for _, kind := range []string{"message", "journey", "smtp"} {
		if keys[kind].node != nil {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 {
		r.report(v.position, "needs exactly one of message, journey and smtp, which carries the link")
		return d
	}
	at := keys[kinds[0]]
	switch kinds[0] {
	case "message":
		d = r.confirmationMessage(at)
	case "journey":
		d = r.confirmationJourney(at)
	case "smtp":
		if d = mailing.Destination(); !r.boolean(at, true) {
			r.report(at.position, "must be true, or left out")
		}
	}
	if d.Kind != onramp.SMTP {
		d.ToColumn = addressColumn(set)
	}
	if d.Key != "" {
		r.noteConfirmation(at.position, d)
	}
	return d
}

// addressColumn is the column of the field with the address that is asked.
func addressColumn(set fieldSet) string {
	for _, f := range set.fields {
		if f.From == onramp.Submitted && f.Type == onramp.Email {
			return f.Column
		}
	}
	return ""
}

func (r *reader) confirmationMessage(v value) (d onramp.Destination) {
	keys, ok := r.mapping(v, setting.ConfirmationMessage().Names()...)
	if !ok {
		return d
	}
	return onramp.Destination{Kind: onramp.Message, Key: r.needed(keys["definition_key"], "set it to the definition key of the transactional message")}
}

func (r *reader) confirmationJourney(v value) (d onramp.Destination) {
	keys, ok := r.mapping(v, setting.ConfirmationJourney().Names()...)
	if !ok {
		return d
	}
	d = onramp.Destination{
		Kind: onramp.Journey, Key: r.needed(keys["event_definition_key"], "copy it from the journey's API event"),
		KeyColumns: r.keyColumns(keys["key_column"], true), EstablishContactKey: r.boolean(keys["establish_contact_key"], true),
	}
	if strings.Contains(d.Key, ".") {
		r.report(keys["event_definition_key"].position, "must not contain a period: Marketing Cloud can't find such an event definition")
	}
	if word, ok := r.word(keys["on_unknown"], "hold", "retry"); ok {
		d.OnUnknown, _ = onramp.ParseOnUnknown(word)
	}
	return d
}

// placed is a destination with its place in the file.
type placed struct {
	destination onramp.Destination
	position
}

// noteConfirmation reports a destination whose settings differ between forms.
func (r *reader) noteConfirmation(at position, d onramp.Destination) {
	first, known := r.confirmations[d.Name()]
	if !known {
		r.confirmations[d.Name()] = placed{d, at}
		return
	}
	if keys := differences(d, first.destination); len(keys) > 0 {
		r.report(at, "%s has a different %s on line %d: use the same in both", d.Name(), strings.Join(keys, " and a different "), first.line)
	}
}

// checkOptIns checks what double opt-in needs outside the forms.
func (r *reader) checkOptIns(c *Config, sections map[string]map[string]value) {
	asks, bySMTP := false, false
	for _, f := range c.Forms {
		if f.DoubleOptIn != nil {
			asks, bySMTP = true, bySMTP || f.DoubleOptIn.Confirmation.Kind == onramp.SMTP
		}
	}
	if !asks {
		return
	}
	for name, confirmation := range r.confirmations {
		if step, also := r.steps[name]; also {
			r.report(confirmation.position, "%s takes the confirmations of double_opt_in, and is also a step of a route, on line %d: use another one for the confirmations", name, step.line)
		}
	}
	if _, given := r.given["public.url"]; !given {
		r.report(sections["public"]["url"].position, "is missing: the links of double_opt_in begin with it, such as https://signup.example.com")
	}
	if _, given := r.given["encryption_key"]; !given && isPostgres(c.Database) {
		r.report(sections[""]["encryption_key"].position, "is missing: with PostgreSQL, double_opt_in needs a key that all processes share; onramp keys new encryption creates one")
	}
	for _, key := range []string{"url", "from"} {
		if _, given := r.given["smtp."+key]; bySMTP && !given {
			r.report(sections["smtp"][key].position, "is missing: a form sends its confirmations by smtp")
		}
	}
}

func setMailServer(c *Config, s scalar) error {
	if _, err := mailing.ParseServer(onramp.Secret(s.text)); err != nil {
		return err
	}
	return setText(&c.SMTP.URL, s)
}

func setSender(c *Config, s scalar) error {
	if _, err := mail.ParseAddress(s.text); err != nil || strings.ContainsAny(s.text, "\r\n") {
		return errors.New("must be an email address, such as News <news@example.com>")
	}
	return setText(&c.SMTP.From, s)
}
