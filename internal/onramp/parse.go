package onramp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Parse checks one submitted value against the field and returns it normalised.
// Text has its outer white space removed and is NFC. The error says what the
// value must be, and never what it was.
func (f *Field) Parse(v Scalar) (Scalar, error) {
	switch f.Type {
	case Boolean:
		return parseBoolean(v)
	case Integer:
		return parseInteger(v)
	case Decimal:
		return parseDecimal(v)
	}
	if v.Kind != String && v.Kind != Posted {
		return v, errors.New("must be text")
	}
	text, limit := strings.TrimSpace(v.Text), f.max()
	// far too long: not worth the work that follows, some of which grows faster than the text
	if utf16Len(text) > maxShrink*limit {
		return v, errTooLong(limit)
	}
	text, err := normalText(text)
	if err != nil {
		return v, err
	}
	if text, err = f.parseText(text); err != nil {
		return v, err
	}
	// counted after normalisation: it is this text that the column must hold
	if utf16Len(text) > limit {
		return v, errTooLong(limit)
	}
	if f.Pattern != nil && !f.Pattern.Match(text) {
		return v, errors.New("does not have the required format")
	}
	return Scalar{String, text}, nil
}

// maxShrink is how many times shorter normalisation can make a text: four code
// points that become one.
const maxShrink = 4

func errTooLong(limit int) error { return fmt.Errorf("must be at most %d characters", limit) }

func (f *Field) parseText(text string) (string, error) {
	switch f.Type {
	case Email:
		return parseEmail(text)
	case Date:
		return parseDate(text)
	case Phone:
		return parsePhone(text)
	case Locale:
		return parseLocale(text)
	case Choice:
		if !slices.Contains(f.Choices, text) {
			return "", errors.New("must be one of the choices")
		}
	}
	return text, nil
}

func parseBoolean(v Scalar) (Scalar, error) {
	if v.Kind == Posted {
		switch strings.ToLower(strings.TrimSpace(v.Text)) {
		case "true", "on", "1", "yes":
			return Scalar{Kind: True}, nil
		case "false", "off", "0", "no":
			return Scalar{Kind: False}, nil
		}
	}
	if v.Kind != True && v.Kind != False {
		return v, errors.New("must be true or false")
	}
	return v, nil
}

// parseInteger takes what a Number column holds: 32 bits.
func parseInteger(v Scalar) (Scalar, error) {
	if v.Kind == Number || v.Kind == Posted {
		if n, err := strconv.ParseInt(strings.TrimSpace(v.Text), 10, 32); err == nil {
			return Scalar{Number, strconv.FormatInt(n, 10)}, nil
		}
	}
	return v, errors.New("must be a whole number between -2147483648 and 2147483647")
}

// parseDecimal takes what a Decimal column can hold: at most 29 digits, without
// an exponent. The digits are kept as they came, never through a float.
func parseDecimal(v Scalar) (Scalar, error) {
	const message = "must be a decimal number of at most 29 digits"
	if v.Kind != Number && v.Kind != Posted {
		return v, errors.New(message)
	}
	text := strings.TrimSpace(v.Text)
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if !isDigits(whole) || point && !isDigits(fraction) || len(whole)+len(fraction) > 29 {
		return v, errors.New(message)
	}
	if len(whole) > 1 && whole[0] == '0' {
		return v, errors.New(message) // 007 is no JSON number
	}
	return Scalar{Number, text}, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// parseDate takes a day (2026-06-23) or a moment with its offset
// (2026-06-23T14:52:45+02:00), which it turns into UTC. A moment without an
// offset is refused, since Marketing Cloud would read it as its own server time.
func parseDate(text string) (string, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return text, checkYear(day)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", errors.New("must be a date such as 2026-06-23 or 2026-06-23T14:52:45Z")
	}
	at = at.UTC()
	return at.Format("2006-01-02T15:04:05Z"), checkYear(at)
}

// checkYear keeps to the range of a Date column, SQL Server's datetime.
func checkYear(at time.Time) error {
	if at.Year() < 1753 || at.Year() > 9999 {
		return errors.New("must be between the years 1753 and 9999")
	}
	return nil
}

// parsePhone takes 5 to 15 digits (ITU-T E.164) with an optional leading +,
// and removes the usual separators.
func parsePhone(text string) (string, error) {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()\u00a0", r) {
			return -1
		}
		return r
	}, text)
	if n := strings.TrimPrefix(digits, "+"); !isDigits(n) || len(n) < 5 || len(n) > 15 {
		return "", errors.New("must be a phone number of 5 to 15 digits, such as +49 30 123456")
	}
	return digits, nil
}

// parseLocale takes a culture code: a language, and perhaps a script and a
// region. What else a language tag may hold (BCP 47: variants, extensions,
// private use), a Locale column does not take.
func parseLocale(text string) (string, error) {
	tag, err := language.Parse(text)
	base, script, region := tag.Raw()
	plain, composeErr := language.Raw.Compose(base, script, region)
	if err != nil || composeErr != nil || plain != tag || base == undetermined {
		return "", errors.New("must be a locale such as en-US")
	}
	return tag.String(), nil
}

var undetermined, _, _ = language.Und.Raw()

// normalText refuses what no column should hold and returns the rest in NFC.
func normalText(s string) (string, error) {
	if isPlain(s) {
		return s, nil
	}
	if !utf8.ValidString(s) {
		return "", errors.New("must be valid UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "", errors.New("must not contain control characters")
		}
	}
	return norm.NFC.String(s), nil
}

// cleanText is normalText for values that nobody typed: it drops what
// normalText refuses.
func cleanText(s string) string {
	if isPlain(s) {
		return strings.TrimSpace(s)
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	return norm.NFC.String(strings.TrimSpace(s))
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
