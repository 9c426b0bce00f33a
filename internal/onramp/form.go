package onramp

import (
	"encoding/json"
	"errors"
	"regexp"
	"time"
)

// Form is what a site may submit and the route its registrations take. It
// comes from the configuration; build it with NewForm.
type Form struct {
	Name          string
	Title         string // heading of the hosted form
	SuccessURL    string // where a browser goes after a plain form post; empty: the hosted thank-you page
	Origins       []string
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
	KeyEmail KeySource = iota // the form's e-mail field
	KeyUUID                   // a UUID, the same for a returning e-mail address
	KeyField                  // another field
)

// Field is one input of a form, or one value that Onramp fills in.
type Field struct {
	Name     string // empty for a filled-in value
	Label    string // for the hosted form
	Column   string // data extension column
	Type     FieldType
	From     Source // Submitted, or who fills it in
	Required bool
	Max      int            // longest text, counted in UTF-16 code units as the data extension does; 0: 4000
	Pattern  *regexp.Regexp // whole text must match; nil: any
	Choices  []string
	Default  *Scalar // used when nothing was submitted; nil: the column is left out
	Constant *Scalar // with FromConstant
}

// FieldType is what a field's value must be.
type FieldType uint8

// The field types.
const (
	Text FieldType = iota
	Email
	Boolean
	Integer
	Decimal
	Date
	Phone
	Locale
	Choice
)

// FieldTypes are the types by their names in the configuration.
var fieldTypes = []string{"text", "email", "boolean", "integer", "decimal", "date", "phone", "locale", "choice"}

// String gives the name that the configuration uses.
func (t FieldType) String() string { return fieldTypes[t] }

// ParseFieldType finds a type by its name in the configuration.
func ParseFieldType(name string) (FieldType, bool) {
	i := index(fieldTypes, name)
	return FieldType(max(i, 0)), i >= 0
}

// FieldTypes lists the names that ParseFieldType knows.
func FieldTypes() []string { return append([]string(nil), fieldTypes...) }

// Source says who gives a field its value.
type Source uint8

// The sources of a field's value: the visitor, or Onramp.
const (
	Submitted Source = iota
	FromReceivedAt
	FromConstant
	FromIP
	FromUserAgent
	FromPageURL
	FromUUID
	FromForm
)

var sources = []string{"", "received_at", "constant", "ip", "user_agent", "page_url", "uuid", "form"}

// String gives the name that the configuration uses.
func (s Source) String() string { return sources[s] }

// ParseSource finds a source by its name in the configuration.
func ParseSource(name string) (Source, bool) {
	i := index(sources, name)
	return Source(max(i, 0)), i > 0
}

// Sources lists the names that ParseSource knows.
func Sources() []string { return append([]string(nil), sources[1:]...) }

func index(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

// ScalarKind is the JSON type of a submitted value.
type ScalarKind uint8

// The kinds of a Scalar. Posted is a value of a form post: text that may mean
// a number or a boolean.
const (
	Null ScalarKind = iota
	String
	Number
	True
	False
	Nested // an object or an array: no field takes one
	Posted
)

// Scalar is one submitted value. Text is the decoded text of a String or
// Posted, and the literal of a Number.
type Scalar struct {
	Kind ScalarKind
	Text string
}

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

// value is what the field holds after a submit: normalised, or filled in.
func (f *Field) value(submitted *Scalar, s *Submission, form string) (v Scalar, present bool, err error) {
	switch f.From {
	case FromReceivedAt:
		return Scalar{String, s.ReceivedAt.UTC().Format("2006-01-02T15:04:05Z")}, true, nil
	case FromConstant:
		return *f.Constant, true, nil
	case FromIP:
		return f.filledIn(s.IP)
	case FromUserAgent:
		return f.filledIn(s.UserAgent)
	case FromPageURL:
		return f.filledIn(s.PageURL)
	case FromUUID:
		return Scalar{String, newRandomUUID()}, true, nil
	case FromForm:
		return f.filledIn(form)
	}
	if submitted == nil || isBlank(*submitted) {
		switch {
		case f.Default != nil:
			return *f.Default, true, nil
		case f.Required:
			return v, false, errRequired
		}
		return v, false, nil
	}
	v, err = f.Parse(*submitted)
	return v, err == nil, err
}

// filledIn cuts what the visitor did not type and can't correct.
func (f *Field) filledIn(text string) (v Scalar, present bool, err error) {
	text = cut(cleanText(text), f.max())
	return Scalar{String, text}, text != "", nil
}

var errRequired = errors.New("is required")

// appendScalar appends v as JSON.
func appendScalar(b []byte, v Scalar) []byte {
	switch v.Kind {
	case True:
		return append(b, "true"...)
	case False:
		return append(b, "false"...)
	case Number:
		return append(b, v.Text...)
	}
	return appendText(b, v.Text)
}

func closeObject(b []byte) json.RawMessage {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// appendText appends a JSON string. Unlike encoding/json it leaves <, > and &
// alone: what is stored is what is sent, and nobody puts it into a page unescaped.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			b = append(b, '\\', c)
		}
		from = i + 1
	}
	return append(append(b, s[from:]...), '"')
}
