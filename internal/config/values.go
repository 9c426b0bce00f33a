package config

import (
	"strings"
	"time"
	_ "time/tzdata" // for machines that have no time zones

	"onramp/internal/onramp"
)

// locale is how a form's visitors write numbers and times.
type locale struct {
	country      string // whose phone numbers come without a country code
	decimalComma bool
	timeZone     *time.Location
}

// apply gives a field what concerns its type.
func (l locale) apply(f *onramp.Field) {
	f.DecimalComma = l.decimalComma && isNumber(f.Type)
	if f.Type == onramp.Date {
		f.TimeZone = l.timeZone
	}
}

func (r *reader) locale(keys map[string]value) (l locale) {
	l.country = r.country(keys["country"])
	l.decimalComma = r.boolean(keys["decimal_comma"], false)
	s, ok := r.scalar(keys["time_zone"])
	if !ok {
		return l
	}
	zone, err := time.LoadLocation(s.text)
	if err != nil || s.text == "" || zone == time.Local { // the machine's own zone is no setting
		r.report(s.position, "%s is not a time zone of the IANA database, such as Europe/Berlin or UTC", s.quoted())
		return l
	}
	l.timeZone = zone
	return l
}

// unknownFields says what becomes of inputs that are no field; nil: it depends on how
// they come.
func (r *reader) unknownFields(v value) *bool {
	word, ok := r.word(v, "refuse", "ignore")
	if !ok {
		return nil
	}
	return new(word == "ignore")
}

// separator reads what stands between the choices of a field with several.
func (r *reader) separator(t onramp.FieldType, v value) string {
	if t != onramp.Choices {
		if v.isSet() {
			r.report(v.position, "applies only to fields with type: choices")
		}
		return ""
	}
	s, ok := r.scalar(v)
	if !ok {
		return ", "
	}
	as := onramp.Field{Max: 10}
	between := "a" + s.text + "b"
	if parsed, err := as.Parse(onramp.Scalar{Kind: onramp.String, Text: between}); err != nil || s.text == "" || parsed.Text != between {
		r.report(s.position, "must be 1 to 8 characters that stand between two choices, such as \"; \"")
		return ", "
	}
	return s.text
}

// checkAllChoices sees to it that a field has room for all of its choices at once.
func (r *reader) checkAllChoices(f *onramp.Field, v value) {
	if f.Type != onramp.Choices || len(f.Choices) == 0 {
		return
	}
	if _, err := f.Parse(onramp.Scalar{Kind: onramp.String, Text: strings.Join(f.Choices, f.Separator)}); err != nil {
		r.report(v.position, "together, the choices are longer than the field can hold: shorten them, or raise max to the length of the column")
	}
}
