package onramp

import "errors"

// Field is one input of a form, or one value that Onramp fills in.
type Field struct {
	Name     string // empty for a filled-in value
	Label    string // for the hosted form
	Column   string // data extension column
	Type     FieldType
	From     Source // Submitted, or who fills it in
	Required bool
	Max      int      // longest text, counted in UTF-16 code units as the data extension does; 0: 4000
	Pattern  *Pattern // of the whole text; nil: any
	Choices  []string
	Default  *Scalar  // used when nothing was submitted; nil: the column is left out
	Constant *Scalar  // with FromConstant
	Query    []string // with FromPageURL: the parameters that stay, * at the end for any text; nil: those of campaigns
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

// defaultMax is the longest Text column of a data extension.
const defaultMax = 4000

func (f *Field) max() int {
	if f.Max > 0 {
		return f.Max
	}
	return defaultMax
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
		return f.filledIn(keepQuery(s.PageURL, f.Query))
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
