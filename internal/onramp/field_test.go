package onramp_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

func text(s string) onramp.Scalar   { return onramp.Scalar{Kind: onramp.String, Text: s} }
func number(s string) onramp.Scalar { return onramp.Scalar{Kind: onramp.Number, Text: s} }
func posted(s string) onramp.Scalar { return onramp.Scalar{Kind: onramp.Posted, Text: s} }

// pattern compiles a pattern that is known to be right.
func pattern(source string) *onramp.Pattern {
	p, err := onramp.NewPattern(source)
	if err != nil {
		panic(err)
	}
	return p
}

var (
	yes    = onramp.Scalar{Kind: onramp.True}
	no     = onramp.Scalar{Kind: onramp.False}
	null   = onramp.Scalar{Kind: onramp.Null}
	nested = onramp.Scalar{Kind: onramp.Nested}
	broken = onramp.Scalar{Kind: onramp.Broken}
)

const (
	notText    = "must be text"
	notEmail   = "must be a valid email address"
	notBoolean = "must be true or false"
	notInteger = "must be a whole number between -2147483648 and 2147483647"
	notDecimal = "must be a decimal number of at most 29 digits"
	notDate    = "must be a date such as 2026-06-23 or 2026-06-23T14:52:45Z"
	notOffset  = "must have an offset from -12:00 to +14:00"
	noZone     = "must end with its time zone, such as 2026-06-23T14:52:45Z or 2026-06-23T14:52:45+02:00"
	notDoubled = "is given more than once"
	notYear    = "must be between the years 1753 and 9999"
	notPhone   = "must be a phone number of 5 to 15 digits, such as +49 30 123456"
	notLocale  = "must be a locale such as en-US"
	notChoice  = "must be one of the choices"
	notPattern = "does not have the required format"
	noControls = "must not contain control characters"
	noHalves   = "must not contain half of a surrogate pair, such as an emoji that was cut in two"
	notWhole   = "must be a complete phone number, with the area code"
)

// parsed is what came of a value: its normal form, or what is wrong with it.
type parsed struct {
	Value onramp.Scalar
	Err   string
}

func parse(f onramp.Field, v onramp.Scalar) parsed {
	value, err := f.Parse(v)
	if err != nil {
		return parsed{Err: err.Error()}
	}
	return parsed{Value: value}
}

func is(v onramp.Scalar) parsed   { return parsed{Value: v} }
func wrong(message string) parsed { return parsed{Err: message} }

type parseCase struct {
	value onramp.Scalar
	want  parsed
}

func runParse(t *testing.T, f onramp.Field, cases []parseCase) {
	t.Helper()
	var got, want []parsed
	for _, c := range cases {
		got = append(got, parse(f, c.value))
		want = append(want, c.want)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s field, in the order of the table (-want +got):\n%s", f.Type, diff)
	}
}

// typeCases are the values that a field of one type meets: of every kind.
type typeCases struct {
	field onramp.Field
	cases []parseCase
}

func runTypes(t *testing.T, rows []typeCases) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.field.Type.String(), func(t *testing.T) {
			t.Parallel()
			runParse(t, row.field, row.cases)
		})
	}
}

func TestFieldParse(t *testing.T) {
	t.Parallel()
	runTypes(t, []typeCases{
		{onramp.Field{Type: onramp.Text}, []parseCase{
			{text("Jane"), is(text("Jane"))},
			{posted("Jane"), is(text("Jane"))},
			{number("12"), wrong(notText)},
			{yes, wrong(notText)},
			{no, wrong(notText)},
			{null, wrong(notText)},
			{nested, wrong(notText)},
			{broken, wrong(noHalves)},
		}},
		{onramp.Field{Type: onramp.Email}, []parseCase{
			{text("Jane@Example.ORG"), is(text("Jane@example.org"))},
			{posted(" jane@example.org "), is(text("jane@example.org"))},
			{number("12"), wrong(notText)},
			{yes, wrong(notText)},
			{no, wrong(notText)},
			{null, wrong(notText)},
			{nested, wrong(notText)},
			{broken, wrong(noHalves)},
		}},
		{onramp.Field{Type: onramp.Boolean}, []parseCase{
			{yes, is(yes)},
			{no, is(no)},
			{posted("on"), is(yes)},
			{posted("TRUE"), is(yes)},
			{posted(" yes "), is(yes)},
			{posted("1"), is(yes)},
			{posted("off"), is(no)},
			{posted("False"), is(no)},
			{posted("No"), is(no)},
			{posted("0"), is(no)},
			{posted("perhaps"), wrong(notBoolean)},
			{text("true"), is(yes)},
			{text("on"), is(yes)},
			{text(" No "), is(no)},
			{text("maybe"), wrong(notBoolean)},
			{text("\u200btrue\u00a0"), is(yes)},
			{number("1"), is(yes)},
			{number("0"), is(no)},
			{number("1.0"), is(yes)},
			{number("2"), wrong(notBoolean)},
			{number("-1"), wrong(notBoolean)},
			{number("1e999"), wrong(notBoolean)},
			{null, wrong(notBoolean)},
			{nested, wrong(notBoolean)},
			{broken, wrong(noHalves)},
		}},
		{onramp.Field{Type: onramp.Integer}, []parseCase{
			{number("42"), is(number("42"))},
			{number("-0"), is(number("0"))},
			{number("2147483647"), is(number("2147483647"))},
			{number("-2147483648"), is(number("-2147483648"))},
			{number("2147483648"), wrong(notInteger)},
			{number("-2147483649"), wrong(notInteger)},
			{number("1.0"), is(number("1"))},
			{number("1e3"), is(number("1000"))},
			{number("42.0"), is(number("42"))},
			{number("4200e-2"), is(number("42"))},
			{number("-0.0e5"), is(number("0"))},
			{number("0e999999999999999999999"), is(number("0"))},
			{number("2147483647.000"), is(number("2147483647"))},
			{number("2.147483647e9"), is(number("2147483647"))},
			{number("1.5"), wrong(notInteger)},
			{number("1e-1"), wrong(notInteger)},
			{number("1e10"), wrong(notInteger)},
			{number("1e999999999"), wrong(notInteger)},
			{number("1e-999999999999999999999"), wrong(notInteger)},
			{posted(" 042 "), is(number("42"))},
			{posted("４２"), is(number("42"))},
			{posted("−7"), is(number("-7"))},
			{posted("42."), is(number("42"))},
			{posted("."), wrong(notInteger)},
			{posted("e5"), wrong(notInteger)},
			{posted("4e"), wrong(notInteger)},
			{posted("42,0"), wrong(notInteger)},
			{posted("+7"), is(number("7"))},
			{posted("1_000"), wrong(notInteger)},
			{posted("0x10"), wrong(notInteger)},
			{posted("٤٢"), is(number("42"))},
			{posted("४२"), is(number("42"))},
			{posted("\u200e۴۲\u200f"), is(number("42"))},
			{posted("四二"), wrong(notInteger)},
			{posted("4²"), wrong(notInteger)},
			{text("42"), is(number("42"))},
			{text("4.2e1"), is(number("42"))},
			{yes, wrong(notInteger)},
			{no, wrong(notInteger)},
			{null, wrong(notInteger)},
			{nested, wrong(notInteger)},
			{broken, wrong(noHalves)},
		}},
		{onramp.Field{Type: onramp.Decimal}, []parseCase{
			{number("19.90"), is(number("19.90"))},
			{number("-0.5"), is(number("-0.5"))},
			{number("0"), is(number("0"))},
			{number("12345678901234567890123456789"), is(number("12345678901234567890123456789"))},
			{number("1234567890123456789.0123456789"), is(number("1234567890123456789.0123456789"))},
			{number("123456789012345678901234567890"), wrong(notDecimal)},
			{number("1e5"), is(number("100000"))},
			{number("1e-7"), is(number("0.0000001"))},
			{number("-1.50E+2"), is(number("-150"))},
			{number("12.50e1"), is(number("125.0"))},
			{number("9.99e28"), is(number("99900000000000000000000000000"))},
			{number("1e29"), wrong(notDecimal)},
			{number("1e999999999"), wrong(notDecimal)},
			{number("1e-999999999"), is(number("0"))},
			{number("0e999999999999999999999"), is(number("0"))},
			{number("-0"), is(number("0"))},
			{number("-0.00"), is(number("0.00"))},
			{number("0.00000000000000000000000000015"), is(number("0.0000000000000000000000000002"))},
			{number("1234567890123456789.01234567894"), is(number("1234567890123456789.0123456789"))},
			{number("1234567890123456789.01234567895"), is(number("1234567890123456789.0123456790"))},
			{number("9999999999999999999.99999999999"), is(number("10000000000000000000.000000000"))},
			{number("99999999999999999999999999999.9"), is(number("99999999999999999999999999999"))},
			{posted(" 19.90 "), is(number("19.90"))},
			{posted("007"), is(number("7"))},
			{posted("00"), is(number("0"))},
			{posted(".5"), is(number("0.5"))},
			{posted("-.5"), is(number("-0.5"))},
			{posted("5."), is(number("5"))},
			{posted("."), wrong(notDecimal)},
			{posted("１２．５０"), is(number("12.50"))},
			{posted("1e"), wrong(notDecimal)},
			{posted("1e+"), wrong(notDecimal)},
			{posted("1e1.5"), wrong(notDecimal)},
			{posted("1.2.3"), wrong(notDecimal)},
			{posted("+5"), is(number("5"))},
			{posted("+-5"), wrong(notDecimal)},
			{posted("1,000"), wrong(notDecimal)},
			{posted("NaN"), wrong(notDecimal)},
			{posted("--5"), wrong(notDecimal)},
			{posted("-"), wrong(notDecimal)},
			{posted("1,5"), wrong(notDecimal)},
			{posted("٤٢٫٥"), is(number("42.5"))},
			{posted("½"), wrong(notDecimal)},
			{text("19.90"), is(number("19.90"))},
			{text("1e-7"), is(number("0.0000001"))},
			{yes, wrong(notDecimal)},
			{no, wrong(notDecimal)},
			{null, wrong(notDecimal)},
			{nested, wrong(notDecimal)},
			{broken, wrong(noHalves)},
		}},
	})
}

func TestFieldParseForm(t *testing.T) {
	t.Parallel()
	runTypes(t, []typeCases{
		{onramp.Field{Type: onramp.Date}, []parseCase{
			{text("2026-06-23"), is(text("2026-06-23"))},
			{text("2026-06-23T14:52:45Z"), is(text("2026-06-23T14:52:45Z"))},
			{text("2026-06-23T14:52:45+02:00"), is(text("2026-06-23T12:52:45Z"))},
			{text("2026-06-23T23:30:00.999-05:00"), is(text("2026-06-24T04:30:00Z"))},
			{posted("2028-02-29"), is(text("2028-02-29"))},
			{text("2026-02-29"), wrong(notDate)},
			{text("2026-06-23T14:52:45+0200"), is(text("2026-06-23T12:52:45Z"))},
			{text("2026-06-23T14:52:45+02:00[Europe/Berlin]"), is(text("2026-06-23T12:52:45Z"))},
			{text("2026-06-23T14:52:45.5Z[UTC][u-ca=gregory]"), is(text("2026-06-23T14:52:45Z"))},
			{text("2026-06-23T14:52:45+02:00[Europe"), wrong(notDate)},
			{text("2026-06-23T14:52:45[Europe/Berlin]"), wrong(notDate)},
			{text("٢٠٢٦-٠٦-٢٣"), is(text("2026-06-23"))},
			{text("2026-06-23T14:52:45+02"), is(text("2026-06-23T12:52:45Z"))},
			{text("2026-06-23 14:52:45Z"), is(text("2026-06-23T14:52:45Z"))},
			{text("2026-06-23 14:52:45 +0200"), is(text("2026-06-23T12:52:45Z"))},
			{text("2026-06-23 14:52:45 UTC"), is(text("2026-06-23T14:52:45Z"))},
			{text("2026-06-23t14:52:45z"), is(text("2026-06-23T14:52:45Z"))},
			{text("2026-06-23T14:52Z"), is(text("2026-06-23T14:52:00Z"))},
			{text("2026-06-23T14:52+02:00"), is(text("2026-06-23T12:52:00Z"))},
			{text("2026-06-23T14:52:45,5Z"), is(text("2026-06-23T14:52:45Z"))},
			{text("2026-06-23T14:52:45−02:00"), is(text("2026-06-23T16:52:45Z"))},
			{text("2016-12-31T23:59:60Z"), is(text("2016-12-31T23:59:59Z"))},
			{text("2017-01-01T00:59:60.5+01:00"), is(text("2016-12-31T23:59:59Z"))},
			{text("2026-06-23T14:52:60Z"), wrong(notDate)},
			{text("2026-06-23T14:52:61Z"), wrong(notDate)},
			{text("2026-06-23T24:00:00Z"), wrong(notDate)},
			{text("2026-06-23T14:60:00Z"), wrong(notDate)},
			{text("2026-06-23T14:52:45.Z"), wrong(notDate)},
			{text("2026-06-23T14:52:45+14:00"), is(text("2026-06-23T00:52:45Z"))},
			{text("2026-06-23T14:52:45+14:01"), wrong(notOffset)},
			{text("2026-06-23T14:52:45+25:00"), wrong(notOffset)},
			{text("2026-06-23T14:52:45-12:30"), wrong(notOffset)},
			{text("2026-06-23T14:52:45+02:60"), wrong(notOffset)},
			{text("2026-06-23T14:52:45+2"), wrong(notDate)},
			{text("2026-06-23T14:52:45 CEST"), wrong(notDate)},
			{text("2026-06-23T14"), wrong(notDate)},
			{text("2026-06-23T"), wrong(notDate)},
			{text("2026-06-23X14:52:45Z"), wrong(notDate)},
			{text("2026-06-23T14:52"), wrong(noZone)},
			{text("2026-06-23T14:52:45"), wrong(noZone)},
			{text("2026-06-23 14:52:45.123"), wrong(noZone)},
			{text("23.06.2026"), wrong(notDate)},
			{text("6/23/2026"), wrong(notDate)},
			{text("1753-01-01"), is(text("1753-01-01"))},
			{text("1752-12-31"), wrong(notYear)},
			{text("1753-01-01T00:30:00+01:00"), wrong(notYear)},
			{text("9999-12-31"), is(text("9999-12-31"))},
			{text("9999-12-31T23:30:00-01:00"), wrong(notYear)},
			{text("10000-01-01"), wrong(notDate)},
			{number("20260623"), wrong(notText)},
			{yes, wrong(notText)},
			{no, wrong(notText)},
			{null, wrong(notText)},
			{nested, wrong(notText)},
			{broken, wrong(noHalves)},
		}},
		{onramp.Field{Type: onramp.Phone}, []parseCase{
			{text("+49 (30) 123-456"), is(text("+4930123456"))},
			{posted("030/12 34.56"), is(text("030123456"))},
			{text("12\u00a0345"), is(text("12345"))},
			{text("+123456789012345"), is(text("+123456789012345"))},
			{text("1234"), wrong(notPhone)},
			{text("1234567890123456"), wrong(notPhone)},
			{text("+49+30123456"), wrong(notPhone)},
			{text("0049 CALL ME"), wrong(notPhone)},
			{text("+49 (0)30 123456"), is(text("+4930123456"))},
			{text("+39 (0)6 12345678"), is(text("+390612345678"))},
			{text("\u202a+49 30‑123456\u202c"), is(text("+4930123456"))},
			{text("０３ー１２３４ー５６７８"), is(text("0312345678"))},
			{text("٠٣٠ ١٢٣٤٥٦"), is(text("030123456"))},
			{text("12345;ext=6"), wrong(notPhone)},
			{number("12345678"), wrong(notText)},
			{yes, wrong(notText)},
			{no, wrong(notText)},
			{null, wrong(notText)},
			{nested, wrong(notText)},
			{broken, wrong(noHalves)},
		}},
		{onramp.Field{Type: onramp.Phone, Country: "DE"}, []parseCase{
			{text("030 123456"), is(text("+4930123456"))},
			{posted("0049 (0)30/123456"), is(text("+4930123456"))},
			{text("+39 06 12345678"), is(text("+390612345678"))},
			{text("+4930123456"), is(text("+4930123456"))},
			{text("030 1"), wrong(notWhole)},
			{text("+999 1234567"), wrong(notWhole)},
			{text("call me"), wrong(notWhole)},
			{number("030123456"), wrong(notText)},
		}},
		{onramp.Field{Type: onramp.Locale}, []parseCase{
			{text("en-US"), is(text("en-US"))},
			{posted("de"), is(text("de"))},
			{text("EN-us"), is(text("en-US"))},
			{text("pt_BR"), is(text("pt-BR"))},
			{text("zh-hans-cn"), is(text("zh-Hans-CN"))},
			{text("es-419"), is(text("es-419"))},
			{text("iw"), is(text("he"))},
			{text("english"), wrong(notLocale)},
			{text("zz"), wrong(notLocale)},
			{text("und"), wrong(notLocale)},
			{text("und-US"), wrong(notLocale)},
			{text("root"), wrong(notLocale)},
			{text("x-private"), wrong(notLocale)},
			{text("en-US-x-private"), wrong(notLocale)},
			{text("en-u-co-phonebk"), wrong(notLocale)},
			{text("de-CH-1901"), wrong(notLocale)},
			{text("en-"), wrong(notLocale)},
			{number("12"), wrong(notText)},
			{yes, wrong(notText)},
			{no, wrong(notText)},
			{null, wrong(notText)},
			{nested, wrong(notText)},
			{broken, wrong(noHalves)},
		}},
		{onramp.Field{Type: onramp.Choice, Choices: []string{"Red", "Café"}}, []parseCase{
			{text("Red"), is(text("Red"))},
			{posted(" Red\r\n"), is(text("Red"))},
			{text("Cafe\u0301"), is(text("Café"))},
			{text("red"), wrong(notChoice)},
			{text("Blue"), wrong(notChoice)},
			{number("1"), wrong(notText)},
			{yes, wrong(notText)},
			{no, wrong(notText)},
			{null, wrong(notText)},
			{nested, wrong(notText)},
			{broken, wrong(noHalves)},
		}},
	})
}

// What a text may hold, and how it is counted: as SQL Server counts nvarchar.
func TestFieldParseText(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		field onramp.Field
		cases []parseCase
	}{
		"white space and normal form": {onramp.Field{}, []parseCase{
			{text("  Ana  María\t"), is(text("Ana  María"))},
			{text("\u00a0Ana\u3000"), is(text("Ana"))},
			{text("A\u030angstro\u0308m"), is(text("Ångström"))},
			{text("\u1112\u1161\u11ab"), is(text("한"))},
			{text("<b>&\"'\\/"), is(text("<b>&\"'\\/"))},
			{text("😀\u200d👩\ufe0f"), is(text("😀\u200d👩\ufe0f"))},
		}},
		"what can't be seen": {onramp.Field{}, []parseCase{
			{text("\ufeffAna\u200b"), is(text("Ana"))},
			{text("\u2800\u3164Ana María\uffa0\u034f"), is(text("Ana María"))},
			{text("❤\ufe0f"), is(text("❤\ufe0f"))},
			{text("می\u200cخواهم\u200c"), is(text("می\u200cخواهم"))},
			{text("👩\u200d💻\u200d"), is(text("👩\u200d💻"))},
			{text("e\u0301\ufe0f"), is(text("é"))},
			{text("Ana\u00ad\u2066\x00"), wrong(noControls)},
		}},
		"line breaks in a single line": {onramp.Field{}, []parseCase{
			{text("a\nb"), is(text("a b"))},
			{text("a\rb"), is(text("a b"))},
			{text("a\r\nb"), is(text("a b"))},
			{text("a\r\n\r\nb"), is(text("a  b"))},
			{text("a\tb"), is(text("a b"))},
			{text("a\u2028b\u2029c\u0085d\ve\ff"), is(text("a b c d e f"))},
			{posted("\r\na\n"), is(text("a"))},
		}},
		"several lines": {onramp.Field{Multiline: true}, []parseCase{
			{text("a\nb"), is(text("a\nb"))},
			{text("a\rb"), is(text("a\nb"))},
			{text("a\r\nb"), is(text("a\nb"))},
			{text("a\r\n\r\nb\n\rc"), is(text("a\n\nb\n\nc"))},
			{text("a\u2028b\u2029c\u0085d\ve\ff"), is(text("a\nb\nc\nd\ne\nf"))},
			{text("a\tb"), is(text("a\tb"))},
			{posted("\r\n\t a\r\n\u200b\r\n"), is(text("a"))},
			{text("a\x00b"), wrong(noControls)},
		}},
		"length of several lines": {onramp.Field{Multiline: true, Max: 3}, []parseCase{
			{text("a\r\nb"), is(text("a\nb"))},
			{text("a\r\n\r\nb"), wrong("must be at most 3 characters")},
		}},
		"control characters": {onramp.Field{}, []parseCase{
			{text("a\x00b"), wrong(noControls)},
			{text("\x00"), wrong(noControls)},
			{text("a\u0090b"), wrong(noControls)},
			{text("a\x1bb"), wrong(noControls)},
			{text("a\x7fb"), wrong(noControls)},
			{text("a\xffb"), wrong("must be valid UTF-8")},
		}},
		"length": {onramp.Field{Max: 4}, []parseCase{
			{text("abcd"), is(text("abcd"))},
			{text("  abcd  "), is(text("abcd"))},
			{text("abcde"), wrong("must be at most 4 characters")},
			{text("äöü€"), is(text("äöü€"))},
			{text("äöü€x"), wrong("must be at most 4 characters")},
			{text("e\u0301e\u0301e\u0301e\u0301"), is(text("éééé"))},
			{text("\u1112\u1161\u11ab\u1112\u1161\u11ab\u1112\u1161\u11ab\u1112\u1161\u11ab"), is(text("한한한한"))},
			{text("😀😀"), is(text("😀😀"))},
			{text("😀😀a"), wrong("must be at most 4 characters")},
			{text(strings.Repeat("a", 100000)), wrong("must be at most 4 characters")},
			{text(strings.Repeat(" ", 100000) + "abcd"), is(text("abcd"))},
		}},
		"length without a limit of its own": {onramp.Field{}, []parseCase{
			{text(strings.Repeat("é", 4000)), is(text(strings.Repeat("é", 4000)))},
			{text(strings.Repeat("é", 4001)), wrong("must be at most 4000 characters")},
		}},
		// not worth parsing: the work would grow faster than the text
		"length of a locale": {onramp.Field{Type: onramp.Locale}, []parseCase{
			{text("en" + strings.Repeat("-abcde", 2500)), wrong(notLocale)},
			{text("en" + strings.Repeat("-abcde", 40000)), wrong("must be at most 4000 characters")},
		}},
		"length of an address": {onramp.Field{Type: onramp.Email, Max: 254}, []parseCase{
			{text("a@" + strings.Repeat("ü", 255) + ".de"), wrong(notEmail)},
			{text("a@" + strings.Repeat("ü", 60000) + ".de"), wrong("must be at most 254 characters")},
		}},
		"pattern": {onramp.Field{Pattern: pattern(`[A-Z]{2}[0-9]+`), Max: 5}, []parseCase{
			{text("AB1"), is(text("AB1"))},
			{posted(" AB1 "), is(text("AB1"))},
			{text("AB1x"), wrong(notPattern)},
			{text("AB12345"), wrong("must be at most 5 characters")},
		}},
		"pattern of an e-mail address": {onramp.Field{Type: onramp.Email, Pattern: pattern(`.*@example\.org`)}, []parseCase{
			{text("jane@EXAMPLE.org"), is(text("jane@example.org"))},
			{text("jane@example.com"), wrong(notPattern)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runParse(t, row.field, row.cases)
		})
	}
}

func TestFieldTypeNames(t *testing.T) {
	t.Parallel()
	got := map[string]onramp.FieldType{}
	for _, name := range onramp.FieldTypes() {
		kind, known := onramp.ParseFieldType(name)
		if !known || kind.String() != name {
			t.Errorf("%q is parsed as %v, %v", name, kind, known)
		}
		got[name] = kind
	}
	want := map[string]onramp.FieldType{
		"text": onramp.Text, "email": onramp.Email, "boolean": onramp.Boolean, "integer": onramp.Integer, "decimal": onramp.Decimal,
		"date": onramp.Date, "phone": onramp.Phone, "locale": onramp.Locale, "choice": onramp.Choice,
		"choices": onramp.Choices,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if _, known := onramp.ParseFieldType("Text"); known {
		t.Error("Text is known; names are lower-case")
	}
}

func TestSourceNames(t *testing.T) {
	t.Parallel()
	constants := map[string]onramp.Source{
		"received_at": onramp.FromReceivedAt, "constant": onramp.FromConstant, "ip": onramp.FromIP, "user_agent": onramp.FromUserAgent,
		"page_url": onramp.FromPageURL, "uuid": onramp.FromUUID, "form": onramp.FromForm,
	}
	for _, name := range onramp.Sources() {
		source, known := onramp.ParseSource(name)
		if want, ok := constants[name]; !known || source.String() != name || ok && source != want {
			t.Errorf("%q is parsed as %v, %v", name, source, known)
		}
		delete(constants, name)
	}
	if len(constants) > 0 {
		t.Errorf("not among the names: %v", constants)
	}
	for _, name := range []string{"", "submitted", "IP"} {
		if _, known := onramp.ParseSource(name); known {
			t.Errorf("%q is known", name)
		}
	}
}
