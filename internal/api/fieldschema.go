package api

import (
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/language"

	"onramp/internal/onramp"
)

// What the schema allows is accepted. What is accepted beyond it is what people and forms
// write in its place, such as "42" for 42: it is stored as the schema says. The
// expressions are such that the engines of ECMAScript, Go and Python read them alike.

// fieldSchema describes the values of one field.
func fieldSchema(f *onramp.Field) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Title: f.Label}
	switch f.Type {
	case onramp.Boolean:
		s.Type = huma.TypeBoolean
		if f.MustBeTrue() {
			s.Enum = []any{true}
		}
	case onramp.Integer:
		s.Type, s.Format = huma.TypeInteger, "int32"
		s.Minimum, s.Maximum = new(float64(math.MinInt32)), new(float64(math.MaxInt32))
	case onramp.Decimal:
		s.Type = huma.TypeNumber
		s.ExclusiveMinimum, s.ExclusiveMaximum = new(-1e29), new(1e29)
	case onramp.Email:
		s.Format, s.Pattern = "email", emailPattern
	case onramp.Date:
		describeDate(s, f)
	case onramp.Phone:
		describePhone(s, f)
	case onramp.Locale:
		s.Description, s.Pattern = "a locale such as en-US", localePattern()
	case onramp.Choice:
		s.Enum = enum(f)
	case onramp.Choices:
		s.Type, s.Items = huma.TypeArray, &huma.Schema{Type: huma.TypeString, Enum: enum(f)}
		s.UniqueItems = true
		if f.Required {
			s.MinItems = new(1)
		}
	default:
		describeText(s, f)
	}
	describeLength(s, f)
	if f.Pattern != nil {
		s.Pattern = f.Pattern.Anchored()
	}
	if f.Default != nil {
		s.Default = plain(*f.Default)
		if f.Type == onramp.Choices {
			s.Default = strings.Split(f.Default.Text, f.Separator)
		}
	}
	return s
}

// describePhone has no pattern for what the metadata of a country decides.
func describePhone(s *huma.Schema, f *onramp.Field) {
	if f.Country != "" {
		s.Description = "a phone number of " + f.Country + ", or one with a leading + and its country code; stored as E.164, such as +4930123456"
		return
	}
	s.Description = "5 to 15 digits, with or without a leading +; blanks, dashes, brackets, points and slashes are removed"
	s.Pattern = `^\+?[0-9]{5,15}$`
}

func enum(f *onramp.Field) (choices []any) {
	for _, choice := range f.Choices {
		choices = append(choices, choice)
	}
	return choices
}

// maxEmail is the longest address.
const maxEmail = 254

// describeLength counts in code points, as JSON Schema does. Values of these types have
// no characters that are two units in a column, but for texts: see describeText.
func describeLength(s *huma.Schema, f *onramp.Field) {
	if s.Type != huma.TypeString || s.Enum != nil || f.Type == onramp.Date {
		return
	}
	switch {
	case f.Type == onramp.Email && (f.Max == 0 || f.Max > maxEmail):
		s.MaxLength = new(maxEmail)
	case f.Max > 0:
		s.MaxLength = new(f.Max)
	case f.Type == onramp.Text:
		s.MaxLength = new(maxText)
	}
}

const (
	// emailPattern is narrower than what is accepted: no domain in Unicode or punycode.
	emailPattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,100}" + `@(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,30}\.){1,8}[A-Za-z]{2,24}$`

	day = `(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])`
	// leapYears is for 02-29: those after 1752 that can be divided by four, and by 400 at the turn of a century.
	leapYears = `(?:17(?:5[6]|[68][048]|[79][26])|(?:1[89]|[2-9][0-9])(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[3579][26])00)`
	clock     = `(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?`
	offset    = `(?:[Zz]|\+(?:(?:0[0-9]|1[0-3]):?[0-5][0-9]|14:?00)|-(?:(?:0[0-9]|1[01]):?[0-5][0-9]|12:?00))`
)

// describeDate leaves out moments on the edge of the years that a column holds, whose
// UTC may be beyond it.
func describeDate(s *huma.Schema, f *onramp.Field) {
	s.Description = "a date such as 2026-06-23, or a date and time such as 2026-06-23T14:52:45Z"
	zone := offset
	if f.TimeZone != nil {
		s.Description += "; a time without a zone is in " + f.TimeZone.String()
		zone += "?"
	}
	s.Pattern = fmt.Sprintf(`^(?:(?:%s-(?:%s)|%s-02-29)|(?:%s-(?:%s)|%s-02-29)[Tt ]%s%s)$`,
		`(?:175[3-9]|17[6-9][0-9]|1[89][0-9]{2}|[2-9][0-9]{3})`, day, leapYears,
		`(?:175[4-9]|17[6-9][0-9]|1[89][0-9]{2}|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])`, day, leapYears, clock, zone)
}

const (
	maxText     = 4000 // of a field without a limit of its own
	allControls = `\x00-\x1f\x7f-\x9f`
	inLine      = `\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f` // those that a text of several lines has not
	wide        = "\U00010000-\U0010ffff"               // characters that are two units in UTF-16
	// unseen are the characters that may leave a text blank, and a few that do not
	unseen = "\\x20\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f" +
		"\u205f-\u206f\u2800\u3000\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff" +
		"\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)

// describeText says what a text may hold, and how long it may be. A column counts UTF-16
// units, JSON Schema code points: with wide characters, a text may have as many code
// points less as it has of them. That is exact for one, and all of them; in between it is
// rounded so that what the schema allows always fits.
func describeText(s *huma.Schema, f *onramp.Field) {
	if f.NoURLs {
		s.Description = "without links" // no pattern can say so
	}
	limit := f.Max
	if limit == 0 {
		limit = maxText
	}
	controls := allControls
	if f.Multiline {
		controls = inLine
	}
	narrow := `[^` + controls + wide + `]*`
	s.AnyOf = []*huma.Schema{{Pattern: `^` + narrow + `$`}}
	for n := 1; n < limit/2 && n <= 256; n *= 4 {
		s.AnyOf = append(s.AnyOf, &huma.Schema{
			Pattern:   fmt.Sprintf(`^%s(?:[%s]%s){0,%d}$`, narrow, wide, narrow, n),
			MaxLength: new(limit - n),
		})
	}
	if limit > 1 {
		s.AnyOf = append(s.AnyOf, &huma.Schema{Pattern: `^[^` + controls + `]*$`, MaxLength: new(limit / 2)})
	}
	if f.Required {
		s.Pattern = `[^` + allControls + unseen + `]`
	}
}

// localePattern lists the languages of two letters and the regions that are registered.
var localePattern = sync.OnceValue(func() string {
	languages := registered("abcdefghijklmnopqrstuvwxyz", func(code string) bool {
		tag, err := language.Parse(code)
		return err == nil && tag.String() != "und"
	})
	regions := registered("ABCDEFGHIJKLMNOPQRSTUVWXYZ", func(code string) bool {
		_, err := language.Parse("en-" + code)
		return err == nil
	})
	return `^(?:` + languages + `)(?:-(?:` + regions + `))?$`
})

// registered makes an expression for the pairs of letters that are known.
func registered(letters string, known func(code string) bool) string {
	var alternatives []string
	for _, first := range letters {
		var seconds strings.Builder
		for _, second := range letters {
			if known(string(first) + string(second)) {
				seconds.WriteRune(second)
			}
		}
		if seconds.Len() > 0 {
			alternatives = append(alternatives, string(first)+"["+seconds.String()+"]")
		}
	}
	return strings.Join(alternatives, "|")
}
