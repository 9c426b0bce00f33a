package literal_test

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"onramp/internal/literal"
)

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`) // that big.Rat can take
	rfc3339    = regexp.MustCompile(`^....-..-..T[0-9]{2}:`)                                // package time takes one digit, too
	integer    = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,9})$`)
	decimal    = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,28})(\.[0-9]{1,28})?$`)
)

// What is read is the number that math/big reads, up to the digits that a column holds;
// what JSON allows in its range is read.
func FuzzNumber(f *testing.F) {
	for _, seed := range []string{
		"42", "42.0", "1e2", "-0", "1e-7", ".5", "5.", "+5", "007", "1e999999999", "1e-999999999", "0e99999999999999999999", "12,50", "1.234,50", "1 234,5", "１２．５",
		"99999999999999999999999999999.9", "9999999999999999999.99999999999", "0.99999999999999999999999999999", "1.5e28", "-2147483648", "2147483648", "1e", "e1", "--1", "1.2.3",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	limit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(29), nil))
	f.Fuzz(func(t *testing.T, text string, comma bool) {
		whole, isInteger := literal.Integer(text, comma)
		if isInteger && !integer.MatchString(whole) {
			t.Errorf("%q is read as the integer %q", text, whole)
		}
		normal, isDecimal := literal.Decimal(text, comma)
		if isDecimal && !decimal.MatchString(normal) {
			t.Errorf("%q is read as the decimal %q", text, normal)
		}
		if again, ok := literal.Decimal(normal, comma); isDecimal && !comma && (!ok || again != normal) {
			t.Errorf("%q is read as %q, and that as %q", text, normal, again)
		}
		if comma || !jsonNumber.MatchString(text) {
			return
		}
		want, _ := new(big.Rat).SetString(text)
		magnitude := new(big.Rat).Abs(want)
		if inRange := magnitude.Cmp(limit) < 0; inRange != isDecimal {
			t.Fatalf("%q is a decimal: %v", text, isDecimal)
		}
		if isDecimal {
			got, _ := new(big.Rat).SetString(normal)
			digits := int64(len(strings.TrimLeft(strings.Split(strings.TrimPrefix(normal, "-"), ".")[0], "0")))
			allowed, _ := new(big.Rat).SetString("1e-" + big.NewInt(28-max(digits-1, 0)).String())
			if difference := new(big.Rat).Sub(want, got); difference.Abs(difference).Cmp(allowed) > 0 {
				t.Errorf("%q is read as %q", text, normal)
			}
		}
		isWhole := want.IsInt() && want.Num().IsInt64() && int64(int32(want.Num().Int64())) == want.Num().Int64()
		if isWhole != isInteger || isWhole && want.Num().String() != whole {
			t.Errorf("%q is read as the integer %q, %v", text, whole, isInteger)
		}
	})
}

// What package time reads is read alike; whatever is read is a moment in UTC, or a day.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{
		"2026-06-23", "2026-06-23T14:52:45Z", "2026-06-23T14:52:45.9+02:00", "2026-06-23 14:52 +0200", "2026-06-23t14:52:45z", "2016-12-31T23:59:60Z",
		"2026-06-23T14:52", "2026-03-29T02:30", "2026-10-25T02:30", "1753-01-01T00:30+01:00", "9999-12-31T23:30-01:00", "2026-06-23T14:52:45+25:00", "２０２６-０６-２３", "2026-06-23T",
	} {
		f.Add(seed)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := literal.Time(text, berlin)
		day, dayErr := time.Parse(time.DateOnly, got)
		moment, momentErr := time.Parse(literal.Stored, got)
		if err == nil && (dayErr != nil || day.Year() < 1753) && (momentErr != nil || moment.Year() < 1753) {
			t.Errorf("%q is read as %q", text, got)
		}
		if without, e := literal.Time(text, nil); e == nil && without != got {
			t.Errorf("%q has its zone, and is read as %q in another", text, got)
		}
		at, parseErr := time.Parse(time.RFC3339, text)
		_, offset := at.Zone()
		if parseErr != nil || !rfc3339.MatchString(text) || at.UTC().Year() < 1753 || at.UTC().Year() > 9999 || offset > 14*3600 || offset < -12*3600 {
			return
		}
		if want := at.UTC().Format(literal.Stored); err != nil || got != want {
			t.Errorf("%q is read as %q, %v; want %q", text, got, err, want)
		}
	})
}

// However long a number is, it is read at once.
func TestLongNumbers(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 200_000)
	for text, want := range map[string]string{
		"1" + zeros + "e-200000": "1.0000000000000000000000000000", "0." + zeros + "1e200001": "1", "1e" + zeros + "2": "100", "-" + zeros + "7": "-7", "0." + zeros: "0.0000000000000000000000000000",
		"1e-" + zeros + "9999999999999": "0", "0e" + zeros + "9999999999999": "0",
	} {
		if got, ok := literal.Decimal(text, false); !ok || got != want {
			t.Errorf("%.20s… is read as %q, %v; want %q", text, got, ok, want)
		}
	}
}
