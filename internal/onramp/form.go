package onramp

import (
	"encoding/json"
	"slices"
	"time"

	"onramp/internal/email"
)

// Form is what a site may submit and the route its registrations take. It
// comes from the configuration; build it with NewForm.
type Form struct {
	Name          string
	Title         string   // heading of the hosted form
	Titles        Wording  // the same by language, if it is given so
	SuccessURL    string   // where a browser goes after a plain form post; empty: the hosted thank-you page
	Origins       []string // whose pages may submit it, beside the hosted form, see package origin; nil: nobody is refused
	SubscriberKey KeyStrategy
	Fields        []Field
	Route         []Destination
	When          []Condition // by step, for whom it is; nil: every step is for everybody
	OnEvent       []EventRule
	Consent       *ConsentTerms // what it asks to agree to; nil: nothing
	// IdempotencyField is the name of the input that holds a submission's key; empty: none.
	IdempotencyField string
	OncePer          time.Duration // equal submissions of a person within it are one; 0: any number
	IgnoreUnknown    *bool         // inputs that are no field are left out, not refused; nil: those of a form post are
	AllowedHeaders   []string      // that their scripts may send beside those that every form allows; "*": all
	Page             Page          // how the hosted form looks
	DoubleOptIn      *DoubleOptIn  // how its registrations are confirmed; nil: they need not be

	byName      map[string]int
	byKey       map[string]int            // fields by the name that their value is kept under, as JSON
	keys        []string                  // of all fields, the same
	columnNames []string                  // as JSON
	uuidOf      func(email string) string // see KeyUUID; a function, since fmt would print a secret that stands here
}

// KeyStrategy says where the subscriber key of a registration comes from.
type KeyStrategy struct {
	From  KeySource
	Field int // with KeyField and KeyEmail: index into Form.Fields
}

// KeySource is the first half of a KeyStrategy.
type KeySource uint8

// The sources of a subscriber key.
const (
	KeyEmail KeySource = iota // the form's email field
	KeyUUID                   // a UUID, the same for a returning email address
	KeyField                  // another field
)

// Input is one submitted name and value.
type Input struct {
	Name  string
	Value Scalar
}

// Submission is all that is known about one submit of a form.
type Submission struct {
	Inputs     []Input
	ReceivedAt time.Time
	IP         string
	UserAgent  string
	Languages  string // that the visitor prefers, as in Accept-Language
	// PageURL is the page that the form stood on, as the Referer has it; inputs may know
	// better, and they alone know the page before it and the first one of the visit. Only
	// http and https URLs are believed.
	PageURL, Referrer, LandingPage string

	parameters  map[Source]string // of the page, when inputs name them
	consent     *ConsentEntry     // that was given; nil: none was
	consentText string
}

// NewForm makes a form ready to accept. The secret makes subscriber keys of
// the strategy uuid; it must stay the same for the life of the database.
func NewForm(f Form, secret Secret) *Form {
	if f.Consent != nil && !slices.ContainsFunc(f.OnEvent, func(r EventRule) bool { return f.Withdraws(&r) && MatchesType(r.Type, unsubscribed) }) {
		f.OnEvent = append(slices.Clip(f.OnEvent), EventRule{Type: unsubscribed, Column: f.ConsentColumn(), Value: json.RawMessage("false")})
	}
	f.uuidOf = func(address string) string { return keyedUUID(secret, email.Fold(address)) }
	f.byName, f.byKey = make(map[string]int, len(f.Fields)), make(map[string]int, len(f.Fields))
	f.keys, f.columnNames = make([]string, len(f.Fields)), make([]string, len(f.Fields))
	for i, field := range f.Fields {
		if field.Name != "" {
			f.byName[field.Name] = i
		}
		f.keys[i], f.columnNames[i] = string(appendText(nil, field.key())), string(appendText(nil, field.Column))
		f.byKey[f.keys[i]] = i
	}
	return &f
}

// maxFieldErrors bounds the list of an answer: a thousand unknown fields are
// one mistake.
const maxFieldErrors = 50

// maxErrorName bounds a field name that an error repeats.
const maxErrorName = 100

// Accept checks and normalises a submission and returns the registration that
// is to be stored. Whatever is wrong comes back at once, as an *Error of kind
// Invalid with every field's message; no message repeats a value.
func (f *Form) Accept(s Submission) (Registration, error) {
	submitted, problems := f.assign(s.Inputs, &s)
	r := Registration{ID: NewID(s.ReceivedAt), Form: f.Name, ReceivedAt: s.ReceivedAt, Route: f.Route}
	values := append(make([]byte, 0, 512), '{')
	consent := f.consentOf(submitted, &s)
	var key, email string
	for i := range f.Fields {
		field := &f.Fields[i]
		value, present, err := field.value(submitted[i], &s, f.Name)
		if err != nil {
			problems = append(problems, newFieldError(field.Name, err))
			continue
		}
		if !present {
			continue
		}
		if field.Type == Email && email == "" {
			email = value.Text
		}
		if f.SubscriberKey.From == KeyField && f.SubscriberKey.Field == i {
			key = value.Text
		}
		if field.isKept() {
			values = append(append(values, f.keys[i]...), ':')
			values = append(appendScalar(values, value), ',')
		}
	}
	if len(problems) > 0 {
		return Registration{}, invalid(problems)
	}
	r.Values = closeObject(values)
	r.SubscriberKey = f.subscriberKey(key, email)
	if consent != nil {
		consent.Registration, consent.SubscriberKey = r.ID, r.SubscriberKey
		r.Consent = consent
	}
	if f.DoubleOptIn != nil {
		r.Visitor = Visitor{Address: email, IP: s.IP, Languages: s.Languages}
	}
	return r, nil
}

func invalid(problems []FieldError) error {
	return &Error{
		Kind: Invalid, Message: "some fields are not valid",
		Fields: problems[:min(len(problems), maxFieldErrors)],
	}
}

var (
	errUnknown = problem("unknown", "is not a field of this form")
	errDoubled = problem("doubled", "is given more than once")
)

// assign gives every submitted value to its field, or says why it can't. What tells of
// the page goes to the submission; nil: there is none, as when an operator edits.
func (f *Form) assign(inputs []Input, s *Submission) ([]*Scalar, []FieldError) {
	submitted := make([]*Scalar, len(f.Fields))
	var problems []FieldError
	var several map[int][]Scalar // by field
	for i := range inputs {
		in := &inputs[i]
		at, known := f.find(in.Name)
		switch {
		case !known && s != nil && f.takePage(in, s):
		case !known:
			problems = append(problems, newFieldError(cut(in.Name, maxErrorName), errUnknown))
		case submitted[at] == nil:
			submitted[at] = &in.Value
		case f.Fields[at].takesSeveral(in.Value.Kind):
			if several == nil {
				several = map[int][]Scalar{}
			}
			if several[at] == nil {
				several[at] = []Scalar{*submitted[at]}
			}
			several[at] = append(several[at], in.Value)
		default:
			problems = append(problems, newFieldError(in.Name, errDoubled))
		}
	}
	for at, values := range several {
		submitted[at] = arrayOf(values)
	}
	return submitted, problems
}

// SubscriberKeyOf is the subscriber key that a registration with an email address gets; ""
// when the address does not tell.
func (f *Form) SubscriberKeyOf(address string) string {
	switch f.SubscriberKey.From {
	case KeyEmail:
		return address
	case KeyUUID:
		return f.uuidOf(address)
	}
	return ""
}

func (f *Form) subscriberKey(field, email string) string {
	switch f.SubscriberKey.From {
	case KeyEmail:
		return email
	case KeyField:
		return field
	}
	if email == "" {
		return newRandomUUID()
	}
	return f.uuidOf(email)
}
