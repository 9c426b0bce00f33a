package onramp_test

import (
	"testing"
	"time"

	"onramp/internal/onramp"
)

func TestFieldParseDecimalComma(t *testing.T) {
	t.Parallel()
	runTypes(t, []typeCases{
		{onramp.Field{Type: onramp.Decimal, DecimalComma: true}, []parseCase{
			{posted("12,50"), is(number("12.50"))},
			{text("12,50"), is(number("12.50"))},
			{posted("12.50"), is(number("12.50"))}, // as <input type=number> posts it
			{posted("-,5"), is(number("-0.5"))},
			{posted("5,"), is(number("5"))},
			{posted("1.234,50"), is(number("1234.50"))},
			{posted("-1.234.567,8"), is(number("-1234567.8"))},
			{posted("1 234,50"), is(number("1234.50"))},
			{posted("1\u202f234,50"), is(number("1234.50"))},
			{posted("1’234,50"), is(number("1234.50"))},
			{posted("1,5e3"), is(number("1500"))},
			{number("1.234"), is(number("1.234"))},
			{posted("1.234"), wrong(notDecimal)}, // may be 1234
			{posted("1.234.567"), wrong(notDecimal)},
			{posted("12.34,50"), wrong(notDecimal)},
			{posted("1,234,567"), wrong(notDecimal)},
			{posted("1,234.50"), wrong(notDecimal)},
			{posted(","), wrong(notDecimal)},
		}},
		{onramp.Field{Type: onramp.Integer, DecimalComma: true}, []parseCase{
			{posted("42"), is(number("42"))},
			{posted("42,0"), is(number("42"))},
			{posted("1.000,0"), is(number("1000"))},
			{posted("1.000"), wrong(notInteger)},
			{posted("42,5"), wrong(notInteger)},
		}},
	})
}

// What a clock shows twice is the first of the two; what it skips, as much later.
func TestFieldParseDateInZone(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	york, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	runTypes(t, []typeCases{
		{onramp.Field{Type: onramp.Date, TimeZone: berlin}, []parseCase{
			{posted("2026-06-23T14:52"), is(text("2026-06-23T12:52:00Z"))}, // as <input type=datetime-local> posts it
			{text("2026-01-23 14:52:45"), is(text("2026-01-23T13:52:45Z"))},
			{text("2026-06-23T14:52:45Z"), is(text("2026-06-23T14:52:45Z"))},
			{text("2026-06-23"), is(text("2026-06-23"))},
			{text("2026-03-29T01:59:59"), is(text("2026-03-29T00:59:59Z"))},
			{text("2026-03-29T02:30:00"), is(text("2026-03-29T01:30:00Z"))},
			{text("2026-03-29T03:00:00"), is(text("2026-03-29T01:00:00Z"))},
			{text("2026-10-25T02:30:00"), is(text("2026-10-25T00:30:00Z"))},
			{text("2026-10-25T03:00:00"), is(text("2026-10-25T02:00:00Z"))},
			{text("2017-01-01T00:59:60"), is(text("2016-12-31T23:59:59Z"))},
			{text("2026-06-23T14:52:45+25:00"), wrong(notOffset)},
		}},
		{onramp.Field{Type: onramp.Date, TimeZone: york}, []parseCase{
			{text("2026-03-08T02:30:00"), is(text("2026-03-08T07:30:00Z"))},
			{text("2026-11-01T01:30:00"), is(text("2026-11-01T05:30:00Z"))},
		}},
	})
}

func TestFieldParseChoices(t *testing.T) {
	t.Parallel()
	runTypes(t, []typeCases{
		{onramp.Field{Type: onramp.Choices, Choices: []string{"Red", "Café", "Dark blue"}, Separator: "; "}, []parseCase{
			{text("Red"), is(text("Red"))},
			{posted(" Cafe\u0301 ;Red; "), is(text("Café; Red"))},
			{posted("Red; Red"), is(text("Red"))},
			{posted("Dark blue;Red"), is(text("Dark blue; Red"))},
			{posted("Red, Café"), wrong(notChoice)},
			{posted(" ; "), wrong(notChoice)},
			{number("1"), wrong(notText)},
			{nested, wrong(notText)},
		}},
		{onramp.Field{Type: onramp.Choices, Choices: []string{"Red", "Blue"}, Separator: " "}, []parseCase{
			{posted("Red  Blue"), is(text("Red Blue"))},
		}},
	})
}
