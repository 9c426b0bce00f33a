package onramp

import (
	"bytes"
	"encoding/json"
	"time"
)

// DoubleOptIn is how the registrations of a form are confirmed by their persons.
type DoubleOptIn struct {
	Confirmation Destination   // takes the confirmations: a journey, a message or SMTP
	Include      []string      // names of the fields whose values may stand in one
	ExpireAfter  time.Duration // what is not confirmed by then is erased
	LinkFor      time.Duration // how long the link of one confirmation works
	RemindAfter  time.Duration // 0: nobody is reminded
	SuccessURL   string        // where who has confirmed goes; "": a page of ours
	Limits       ConfirmationLimits
}

// ConfirmationLimits are how many confirmations go out at most.
type ConfirmationLimits struct {
	PersonForm int // to one address for this form in 24 hours
	Person     int // to one address for all forms in 24 hours
	Domain     int // to the addresses of one domain in an hour; ten times as many to those of large providers
	Form       int // for this form in an hour
}

// DefaultLimits hold where a form has none of its own.
func DefaultLimits() ConfirmationLimits {
	return ConfirmationLimits{PersonForm: 1, Person: 3, Domain: 500, Form: 5000}
}

// Visitor is who has submitted a registration, as far as double opt-in needs it.
type Visitor struct {
	Address   string // email address; "": the form has no such field, or it is empty
	IP        string
	Languages string // as in Accept-Language (RFC 9110, 12.5.4)
}

// OptIn is what the store needs to decide whether a registration is held until its
// person confirms it, and whether a confirmation goes out. Who the person is, nothing in it
// tells: persons are keyed hashes.
type OptIn struct {
	Person       string // of form, subscriber key and address
	Subscriber   string // of the subscriber key
	Confirmation Destination
	Language     string    // BCP 47 tag, in which the person is asked
	Until        time.Time // when the registration expires
	LinkUntil    time.Time // when the link expires
	RemindAt     time.Time // zero: never
	Counters     []Counter
	// Decide says by what has been counted, in the order of Counters, which limit keeps the
	// confirmation back; the zero value: none.
	Decide func(counts []int64) Limit
	// Values are what the registration holds, with the time of an earlier confirmation where
	// the form has a field for it; zero: there was none.
	Values func(confirmedAt time.Time) json.RawMessage
}

// Counter counts confirmations.
type Counter struct {
	Key    int64         // keyed hash of what they have in common
	Within time.Duration // how far back it counts
	Step   time.Duration // how finely it tells times: it may count back this much further
}

// Limit is why a confirmation was kept back.
type Limit struct {
	Name   string // "": it was not
	Alarms bool   // operators should know
}

// Confirmation is what the delivery of a confirmation has of its own.
type Confirmation struct {
	Language  string    `json:"language"`
	LinkUntil time.Time `json:"link_until"`
}

// Consent is how a person stands to a form.
type Consent struct {
	ConfirmedAt time.Time // zero: never
	WithdrawnAt time.Time // zero: never
	Held        int64     // seq of the registration that waits to be confirmed; 0: none
}

// Stands says that the person has confirmed, and not withdrawn since.
func (c Consent) Stands() bool {
	return !c.ConfirmedAt.IsZero() && c.WithdrawnAt.Before(c.ConfirmedAt)
}

// ConfirmResult is what a link leads to.
type ConfirmResult uint8

// What a link can lead to.
const (
	LinkGone      ConfirmResult = iota // there is nothing to confirm any more, or never was
	LinkWaits                          // the registration waits to be confirmed
	LinkConfirmed                      // it is confirmed, now or before
)

// Destinations are those of the form's route, and behind them the one that takes its
// confirmations.
func (f *Form) Destinations() []Destination {
	all := append([]Destination(nil), f.Route...)
	if f.DoubleOptIn != nil {
		all = append(all, f.DoubleOptIn.Confirmation)
	}
	return all
}

// FindAddress gives the email address that a registration's values hold: that of the first
// such field; "" if there is none.
func (f *Form) FindAddress(values json.RawMessage) string {
	for i := range f.Fields {
		if f.Fields[i].From != Submitted || f.Fields[i].Type != Email {
			continue
		}
		var address string
		_ = json.Unmarshal(f.kept(i, values), &address) // what is no text is no address
		return address
	}
	return ""
}

// kept gives the value of a field as it is stored; nil: there is none.
func (f *Form) kept(field int, values json.RawMessage) (found json.RawMessage) {
	_ = eachMember(values, func(name, value []byte) { // what is no object has nothing
		if string(name) == f.keys[field] {
			found = value
		}
	})
	return found
}

// KeptText gives the value of a field by its name as text; "" if there is none.
func (f *Form) KeptText(name string, values json.RawMessage) (text string) {
	at, ok := f.byName[name]
	if !ok {
		return ""
	}
	value := f.kept(at, values)
	if json.Unmarshal(value, &text) != nil {
		text = string(value) // a number, or true or false
	}
	return text
}

// Confirmed gives what a registration holds once it is confirmed: its values, with the time and
// the IP address of the confirmation where the form has fields for them. Zero values leave
// such a field out.
func (f *Form) Confirmed(values json.RawMessage, at time.Time, ip string) json.RawMessage {
	own := map[string]json.RawMessage{}
	for i := range f.Fields {
		switch field := &f.Fields[i]; {
		case field.From == FromConfirmedAt && !at.IsZero():
			own[f.keys[i]] = appendText(nil, at.UTC().Format("2006-01-02T15:04:05Z"))
		case field.From == FromConfirmedIP && ip != "":
			own[f.keys[i]] = appendText(nil, ip)
		}
	}
	if len(own) == 0 {
		return values
	}
	b := append(make([]byte, 0, len(values)+128), '{')
	add := func(name string, value []byte) {
		b = append(append(append(append(b, name...), ':'), bytes.TrimSpace(value)...), ',')
	}
	_ = eachMember(values, func(name, value []byte) { // they are ours, an object for certain
		if _, replaced := own[string(name)]; !replaced {
			add(string(name), value)
		}
	})
	for _, name := range f.keys { // in the order of the form
		if value, ok := own[name]; ok {
			add(name, value)
		}
	}
	return closeObject(b)
}
