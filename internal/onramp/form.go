package onramp

import "time"

// Form is what a site may submit and the route its registrations take. It
// comes from the configuration; build it with NewForm.
type Form struct {
	Name          string
	Title         string   // heading of the hosted form
	SuccessURL    string   // where a browser goes after a plain form post; empty: the hosted thank-you page
	Origins       []string // whose pages may submit it, beside the hosted form; "*": all. nil: nobody is refused
	SubscriberKey KeyStrategy
	Fields        []Field
	Route         []Destination
	OnEvent       []EventRule

	byName map[string]int
	uuidOf func(email string) string // see KeyUUID; a function, since fmt would print a secret that stands here
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
	PageURL    string
}

// NewForm makes a form ready to accept. The secret makes subscriber keys of
// the strategy uuid; it must stay the same for the life of the database.
func NewForm(f Form, secret Secret) *Form {
	f.uuidOf = func(email string) string { return keyedUUID(secret, foldEmail(email)) }
	f.byName = make(map[string]int, len(f.Fields))
	for i, field := range f.Fields {
		if field.Name != "" {
			f.byName[field.Name] = i
		}
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
	submitted, problems := f.assign(s.Inputs)
	r := Registration{ID: NewID(s.ReceivedAt), Form: f.Name, ReceivedAt: s.ReceivedAt, Route: f.Route}
	values := append(make([]byte, 0, 512), '{')
	var key, email string
	for i := range f.Fields {
		field := &f.Fields[i]
		value, present, err := field.value(submitted[i], &s, f.Name)
		if err != nil {
			problems = append(problems, FieldError{field.Name, err.Error()})
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
		if field.Column != "" {
			values = append(appendText(values, field.Column), ':')
			values = append(appendScalar(values, value), ',')
		}
	}
	if len(problems) > 0 {
		return Registration{}, invalid(problems)
	}
	r.Values = closeObject(values)
	r.SubscriberKey = f.subscriberKey(key, email)
	return r, nil
}

func invalid(problems []FieldError) error {
	return &Error{
		Kind: Invalid, Message: "some fields are not valid",
		Fields: problems[:min(len(problems), maxFieldErrors)],
	}
}

// assign gives every submitted value to its field, or says why it can't.
func (f *Form) assign(inputs []Input) ([]*Scalar, []FieldError) {
	submitted := make([]*Scalar, len(f.Fields))
	var problems []FieldError
	for i := range inputs {
		in := &inputs[i]
		at, known := f.byName[in.Name]
		switch {
		case !known:
			problems = append(problems, FieldError{cut(in.Name, maxErrorName), "is not a field of this form"})
		case submitted[at] != nil:
			problems = append(problems, FieldError{in.Name, "is given more than once"})
		default:
			submitted[at] = &in.Value
		}
	}
	return submitted, problems
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
