package onramp

import (
	"time"

	"onramp/internal/visible"
)

// Field is one input of a form, or one value that Onramp fills in.
type Field struct {
	Name         string  // empty for a filled-in value
	Label        string  // for the hosted form, in Markdown
	Labels       Wording // the same by language, if it is given so
	Column       string  // data extension column
	Type         FieldType
	From         Source // Submitted, or who fills it in
	Required     bool
	Max          int      // longest text, counted in UTF-16 code units as the data extension does; 0: 4000
	Pattern      *Pattern // of the whole text; nil: any
	Choices      []string
	ChoiceLabels map[string]Wording // what the visitor reads in place of a choice
	Input        string             // how the hosted form asks: hidden, radio, select or checkbox; "": as the type does
	Prefill      string             // the parameter of the hosted form's URL that fills it in; "": none
	NoURLs       bool               // with Text: a link in it is refused
	Multiline    bool               // with Text: line breaks stay
	Default      *Scalar            // used when nothing was submitted; nil: the column is left out
	Constant     *Scalar            // with FromConstant
	Country      string             // with Phone: whose numbers come without a country code, such as DE; empty: they stay as they are
	Query        []string           // with a page's URL: the parameters that stay, * at the end for any text; nil: those of campaigns

	Separator    string         // with Choices: what stands between them in the column
	DecimalComma bool           // with Integer and Decimal: a text may have a comma for the point
	TimeZone     *time.Location // with Date: of a moment without an offset; nil: it is refused
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
	Choices // several of them
)

var fieldTypes = []string{"text", "email", "boolean", "integer", "decimal", "date", "phone", "locale", "choice", "choices"}

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
	FromConfirmedAt    // when the person has confirmed the registration
	FromConfirmedIP    // from where
	FromConsentVersion // of the text that was agreed to
	FromConsentText    // the text itself
	FromConsentAt      // when
	fromReferrer
	fromLandingPage
	firstParameter // and the others, as in sources
)

var sources = []string{
	"", "received_at", "constant", "ip", "user_agent", "page_url", "uuid", "form", "confirmed_at", "confirmed_ip", "consent_version", "consent_text", "consent_at", "referrer", "landing_page",
	"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
	"gclid", "gbraid", "wbraid", "dclid", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id", "yclid", "rdt_cid", "epik", "sccid",
}

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

// MaxText is the longest Text column of a data extension, in UTF-16 code units.
const MaxText = 4000

func (f *Field) max() int {
	if f.Max > 0 {
		return f.Max
	}
	return MaxText
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
	case FromUUID:
		return Scalar{String, newRandomUUID()}, true, nil
	case FromForm:
		return f.filledIn(form)
	case Submitted:
	default:
		return f.filledIn(f.ofConsentOrPage(s))
	}
	if submitted != nil && submitted.Kind == Nested && (f.Type == Choices || f.Type == Boolean) {
		one, err := f.oneOfSeveral(*submitted)
		if err != nil {
			return v, false, err
		}
		submitted = &one
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
	if err == nil && v.Kind == False && f.MustBeTrue() {
		err = errRequired
	}
	return v, err == nil, err
}

// MustBeTrue says whether only true will do: a required check box must be ticked, as in
// HTML (section 4.10.5.1.15), however it is sent. A question with two answers, which
// is asked as radio buttons or a list, must only be answered.
func (f *Field) MustBeTrue() bool {
	return f.Type == Boolean && f.Required && f.Input != "radio" && f.Input != "select"
}

// filledIn cuts what the visitor did not type and can't correct.
func (f *Field) filledIn(text string) (v Scalar, present bool, err error) {
	text = visible.Trim(cut(cleanText(text), f.max()))
	return Scalar{String, text}, text != "", nil
}

var errRequired = problem("required", "is required")
