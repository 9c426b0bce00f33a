package literal

import (
	"strconv"
	"strings"
)

// maxDigits is how many digits a Decimal column holds.
const maxDigits = 29

// Integer reads a whole number of 32 bits: whatever JSON Schema calls an integer, such
// as 42.0 and 1e2, and what people write beyond JSON, see Decimal.
func Integer(text string, comma bool) (normal string, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil { // the usual case
		return strconv.FormatInt(n, 10), true
	}
	d, ok := readDecimal(fold(text), comma)
	digits := strings.TrimRight(d.digits, "0")
	if ok && digits == "" {
		return "0", true
	}
	if !ok || len(digits) > d.point || d.point > len("2147483648") {
		return "", false
	}
	n, err := strconv.ParseInt(d.sign()+digits+strings.Repeat("0", d.point-len(digits)), 10, 32)
	return strconv.FormatInt(n, 10), err == nil
}

// Decimal reads a number and writes it without an exponent, its digits as they came,
// never through a float. It takes JSON's numbers, and beyond them what people write: a
// plus, a missing zero on either side of the point, zeros before the number. With comma a
// comma is the decimal separator, too; digits in groups of three are then understood if
// there is a comma behind them, and refused otherwise, since 1.234 may mean two things.
//
// A number has at most 29 digits before the point. Those behind it that go beyond 29 in
// all are rounded.
func Decimal(text string, comma bool) (normal string, ok bool) {
	d, ok := readDecimal(fold(text), comma)
	if !ok || d.point > maxDigits {
		return "", false
	}
	return d.write(), true
}

// decimal is 0.DIGITS times ten to the power of point, without zeros in front.
type decimal struct {
	negative bool
	digits   string
	point    int
}

func readDecimal(text string, comma bool) (d decimal, ok bool) {
	if comma {
		if text, ok = decimalPoint(text); !ok {
			return d, false
		}
	}
	if text != "" && (text[0] == '-' || text[0] == '+') {
		d.negative, text = text[0] == '-', text[1:]
	}
	mantissa, exponent := text, 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa = text[:at]
		if exponent, ok = readExponent(text[at+1:]); !ok {
			return d, false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if digits := whole + fraction; isDigits(digits) {
		d.digits = strings.TrimLeft(digits, "0")
		d.point = len(whole) - (len(digits) - len(d.digits)) + exponent
		if d.digits == "" { // zero, with the digits behind the point that it came with
			d.digits, d.point = strings.Repeat("0", min(len(fraction), maxDigits-1)), 0
		}
		return d, true
	}
	return d, false
}

// readExponent reads what stands behind the e. What is too large for any number to come
// of it is cut: no text is long enough to make up for it.
func readExponent(text string) (n int, ok bool) {
	const most = 1 << 30
	sign := 1
	if text != "" && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	for i := range len(text) {
		n = min(n*10+int(text[i]-'0'), most)
	}
	return sign * n, isDigits(text)
}

func (d *decimal) sign() string {
	if d.negative {
		return "-"
	}
	return ""
}

// write is for a point of at most maxDigits.
func (d *decimal) write() string {
	whole, fraction := "0", ""
	switch {
	case d.point <= -maxDigits: // nothing of it is left
		return "0"
	case d.point <= 0:
		fraction = strings.Repeat("0", -d.point) + d.digits
	case d.point >= len(d.digits):
		whole = d.digits + strings.Repeat("0", d.point-len(d.digits))
	default:
		whole, fraction = d.digits[:d.point], d.digits[d.point:]
	}
	if most := maxDigits - len(whole); len(fraction) > most {
		whole, fraction = round(whole, fraction, most)
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	if strings.Trim(whole+fraction, "0.") == "" {
		return whole + fraction // no negative zero
	}
	return d.sign() + whole + fraction
}

// round keeps most digits of a fraction. The half goes away from zero, but for what
// would then have more digits before the point than there may be.
func round(whole, fraction string, most int) (string, string) {
	digits := []byte(whole + fraction[:most])
	if fraction[most] >= '5' {
		at := len(digits) - 1
		for ; at >= 0 && digits[at] == '9'; at-- {
			digits[at] = '0'
		}
		switch {
		case at >= 0:
			digits[at]++
		case most == 0:
			return whole, ""
		default:
			digits = append([]byte{'1'}, digits[:len(digits)-1]...)
			return string(digits[:len(whole)+1]), string(digits[len(whole)+1:])
		}
	}
	return string(digits[:len(whole)]), string(digits[len(whole):])
}

// decimalPoint turns a number with a decimal comma into one with a point.
func decimalPoint(text string) (string, bool) {
	whole, fraction, found := strings.Cut(text, ",")
	number := strings.TrimLeft(whole, "+-")
	if !found {
		return text, !isGrouped(number, '.')
	}
	for _, separator := range []byte(". '") {
		if isGrouped(number, separator) {
			whole = strings.ReplaceAll(whole, string(separator), "")
			break
		}
	}
	if strings.ContainsAny(whole+fraction, ".,") {
		return "", false
	}
	return whole + "." + fraction, true
}

// isGrouped says whether digits stand in groups of three, as in 1.234.567.
func isGrouped(text string, separator byte) bool {
	first, rest, found := strings.Cut(text, string(separator))
	if !found || len(first) > 3 || !isDigits(first) {
		return false
	}
	for group := range strings.SplitSeq(rest, string(separator)) {
		if len(group) != 3 || !isDigits(group) {
			return false
		}
	}
	return true
}
