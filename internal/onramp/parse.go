package onramp

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"onramp/internal/email"
	"onramp/internal/literal"
	"onramp/internal/phone"
	"onramp/internal/visible"
)

// What a value must be.
var (
	errText      = problem("text", "must be text")
	errSurrogate = problem("surrogate", "must not contain half of a surrogate pair, such as an emoji that was cut in two")
	errUTF8      = problem("text", "must be valid UTF-8")
	errControl   = problem("text", "must not contain control characters")
	errEmail     = problem("email", "must be a valid email address")
	errPhone     = problem("phone", "must be a phone number of 5 to 15 digits, such as +49 30 123456")
	errNational  = problem("phone", "must be a complete phone number, with the area code")
	errBoolean   = problem("boolean", "must be true or false")
	errInteger   = problem("integer", "must be a whole number between -2147483648 and 2147483647")
	errDecimal   = problem("decimal", "must be a decimal number of at most 29 digits")
	errDate      = problem("date", "must be a date such as 2026-06-23 or 2026-06-23T14:52:45Z")
	errOffset    = problem("date", "must have an offset from -12:00 to +14:00")
	errNoZone    = problem("date_zone", "must end with its time zone, such as 2026-06-23T14:52:45Z or 2026-06-23T14:52:45+02:00")
	errYear      = problem("date", "must be between the years 1753 and 9999")
)

// Parse checks one submitted value against the field and returns it normalised.
// Text is NFC, and what can't be seen is removed at both ends. The error says what
// the value must be, and never what it was.
func (f *Field) Parse(v Scalar) (Scalar, error) {
	if v.Kind == Broken {
		return v, errSurrogate
	}
	switch f.Type {
	case Boolean:
		return parseBoolean(v)
	case Integer:
		return f.parseNumber(v, literal.Integer, errInteger)
	case Decimal:
		return f.parseNumber(v, literal.Decimal, errDecimal)
	}
	if v.Kind != String && v.Kind != Posted {
		return v, errText
	}
	came, limit := visible.Trim(v.Text), f.max()
	// far too long: not worth the work that follows, some of which grows faster than the text
	if utf16Len(came) > maxShrink*limit {
		return v, errTooLong(limit)
	}
	text, err := normalText(came, f.Multiline)
	if err != nil {
		return v, err
	}
	if text, err = f.parseText(text); err != nil {
		return v, err
	}
	// counted after normalisation: it is this text that the column must hold
	if utf16Len(text) > limit {
		if f.Type != Text || utf16Len(came) > limit {
			return v, errTooLong(limit)
		}
		text = came // of the few characters whose normal form is longer than they are
	}
	if f.Pattern != nil && !f.Pattern.Match(text) {
		return v, problem("pattern", "does not have the required format")
	}
	if f.NoURLs && hasURL(text) {
		return v, errURL
	}
	return Scalar{String, text}, nil
}

// maxShrink is how many times shorter normalisation can make a text: four code
// points that become one.
const maxShrink = 4

func errTooLong(limit int) error {
	return problem("too_long", fmt.Sprintf("must be at most %d characters", limit))
}

func (f *Field) parseText(text string) (string, error) {
	switch f.Type {
	case Email:
		address, ok := email.Parse(text)
		if !ok {
			return "", errEmail
		}
		return address, nil
	case Date:
		return f.parseDate(text)
	case Phone:
		return f.parsePhone(text)
	case Locale:
		return parseLocale(text)
	case Choice:
		if !slices.Contains(f.Choices, text) {
			return "", errChoice
		}
	case Choices:
		return f.parseChoices(text)
	}
	return text, nil
}

// parseBoolean takes a text, too: what forms post, and scripts that make JSON of forms.
func parseBoolean(v Scalar) (Scalar, error) {
	if v.Kind == Posted || v.Kind == String {
		switch strings.ToLower(visible.Trim(v.Text)) {
		case "true", "on", "1", "yes":
			return Scalar{Kind: True}, nil
		case "false", "off", "0", "no":
			return Scalar{Kind: False}, nil
		}
	}
	switch {
	case v.Kind == True || v.Kind == False:
		return v, nil
	case v.Kind == Number:
		switch n, _ := literal.Integer(v.Text, false); n {
		case "1":
			return Scalar{Kind: True}, nil
		case "0":
			return Scalar{Kind: False}, nil
		}
	}
	return v, errBoolean
}

// parseNumber takes a text as parseBoolean does. The decimal comma is for texts: a
// number of JSON has a point.
func (f *Field) parseNumber(v Scalar, read func(text string, comma bool) (string, bool), otherwise error) (Scalar, error) {
	if v.Kind == Number || v.Kind == Posted || v.Kind == String {
		if text, ok := read(v.Text, f.DecimalComma && v.Kind != Number); ok {
			return Scalar{Number, text}, nil
		}
	}
	return v, otherwise
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func (f *Field) parseDate(text string) (string, error) {
	text, err := literal.Time(text, f.TimeZone)
	switch err {
	case nil:
		return text, nil
	case literal.ErrNoZone:
		return "", errNoZone
	case literal.ErrOffset:
		return "", errOffset
	case literal.ErrYear:
		return "", errYear
	}
	return "", errDate
}

func (f *Field) parsePhone(text string) (string, error) {
	number, ok := phone.Parse(text, f.Country)
	switch {
	case ok:
		return number, nil
	case f.Country != "":
		return "", errNational
	}
	return "", errPhone
}

// parseLocale takes a culture code: a language, and perhaps a script and a
// region. What else a language tag may hold (BCP 47: variants, extensions,
// private use), a Locale column does not take.
func parseLocale(text string) (string, error) {
	tag, err := language.Parse(text)
	base, script, region := tag.Raw()
	plain, composeErr := language.Raw.Compose(base, script, region)
	if err != nil || composeErr != nil || plain != tag || base == undetermined {
		return "", problem("locale", "must be a locale such as en-US")
	}
	return tag.String(), nil
}

var undetermined, _, _ = language.Und.Raw()

// normalText refuses what no column should hold and returns the rest in NFC. A line
// break or tab that somebody typed into a single line becomes a blank.
func normalText(s string, multiline bool) (string, error) {
	if isPlain(s) {
		return s, nil
	}
	if !utf8.ValidString(s) {
		return "", errUTF8
	}
	if strings.ContainsFunc(s, isControl) { // rare, and a Replacer costs
		if multiline {
			s = lineFeeds.Replace(s)
		} else {
			s = blanks.Replace(s)
		}
		if strings.ContainsFunc(s, func(r rune) bool { return isControl(r) && !(multiline && (r == '\n' || r == '\t')) }) {
			return "", errControl
		}
	}
	return visible.Trim(norm.NFC.String(s)), nil // again: of é and a variation selector only the é is left
}

// isControl says whether a character controls the text's layout or a device.
func isControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// What ends a line (UAX #14), and what takes its place.
var (
	lineFeeds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	blanks    = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\v", " ", "\f", " ", "\u0085", " ", "\u2028", " ", "\u2029", " ", "\t", " ")
)

// cleanText is normalText for values that nobody typed: it drops what
// normalText refuses.
func cleanText(s string) string {
	if !isPlain(s) {
		s = norm.NFC.String(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == utf8.RuneError {
				return -1
			}
			return r
		}, s))
	}
	return visible.Trim(s)
}

// isPlain says whether a text, as most are, is all printable ASCII: that is valid
// UTF-8, has no control characters, and is its own NFC.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// utf16Len counts as SQL Server's nvarchar does.
func utf16Len(s string) int {
	n := len(s)
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] >= 0xf0: // four bytes: a surrogate pair
			n -= 2
		case s[i] >= 0xe0: // three bytes
			n -= 2
		case s[i] >= 0xc0: // two bytes
			n--
		}
	}
	return n
}

// cut returns the longest beginning of s that has at most limit UTF-16 code
// units.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i, r := range s {
		if n++; r > 0xffff {
			n++
		}
		if n > limit {
			return s[:i]
		}
	}
	return s
}
