package phone_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"

	"onramp/internal/phone"
)

// read is what Parse makes of a number; "" when it refuses.
func read(text, country string) string {
	number, ok := phone.Parse(text, country)
	if !ok {
		return ""
	}
	return number
}

// The example numbers of every country, as they are written there and abroad, are read
// as libphonenumber reads them.
func TestEveryCountry(t *testing.T) {
	t.Parallel()
	kinds := []phonenumbers.PhoneNumberType{
		phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST,
		phonenumbers.VOIP, phonenumbers.PERSONAL_NUMBER, phonenumbers.PAGER, phonenumbers.UAN, phonenumbers.VOICEMAIL,
	}
	tried := 0
	for country := range phonenumbers.GetSupportedRegions() {
		if !phone.IsCountry(country) {
			t.Errorf("%s is not known", country)
			continue
		}
		for _, kind := range kinds {
			example := phonenumbers.GetExampleNumberForType(country, kind)
			if example == nil {
				continue
			}
			want := phonenumbers.Format(example, phonenumbers.E164)
			if len(want) > 16 || phonenumbers.IsPossibleNumberWithReason(example) != phonenumbers.IS_POSSIBLE {
				continue // longer than E.164 allows, or only within a part of the country
			}
			for _, from := range []string{country, "US", "DE", "JP"} {
				dialled := phonenumbers.FormatOutOfCountryCallingNumber(example, from)
				if parsed, err := phonenumbers.Parse(dialled, from); err != nil || phonenumbers.Format(parsed, phonenumbers.E164) != want {
					continue // libphonenumber doesn't read what it has written
				}
				tried++
				if got := read(dialled, from); got != want {
					t.Errorf("%q from %s: got %q, want %q", dialled, from, got, want)
				}
			}
			for text, from := range map[string]string{want: "", want + "\u200f": country, phonenumbers.Format(example, phonenumbers.INTERNATIONAL): ""} {
				if got := read(text, from); got != want {
					t.Errorf("%q from %q: got %q, want %q", text, from, got, want)
				}
			}
		}
	}
	if tried < 3000 {
		t.Errorf("only %d numbers were tried", tried)
	}
}

// How people write numbers, and what becomes of it.
func TestParse(t *testing.T) {
	t.Parallel()
	type row struct{ Text, Country, Want string }
	rows := []row{
		// without a country: what was dialled, without separators
		{"030/12 34.56", "", "030123456"},
		{"0049 30 123456", "", "004930123456"},
		{"+49 30 123456", "", "+4930123456"},
		{"+030 12345", "", "+03012345"},
		{"+999 0123456", "", "+9990123456"},
		{"(0)30 123456", "", "030123456"},
		// the 0 that is not dialled after a country code
		{"+49 (0)30 123456", "", "+4930123456"},
		{"+49(0) 30 123456", "", "+4930123456"},
		{"+49 [0] 30 123456", "", "+4930123456"},
		{"＋４９（０）３０　１２３４５６", "", "+4930123456"},
		{"+49 (030) 123456", "", "+4930123456"},
		{"+49 030 123456", "", "+4930123456"},
		{"0049 (0)30 123456", "", "004930123456"},
		{"+44 (0)20 7946 0958", "", "+442079460958"},
		{"(+44) (0) 20 7946 0958", "", "+442079460958"},
		{"+420 (0) 222 123 456", "", "+420222123456"},
		{"+1 (0) 212 555 0100", "", "+12125550100"},
		{"+36 (06) 30 123 4567", "", "+36301234567"},
		{"+47 (0) 22 12 34 56", "", "+4722123456"},
		{"+999 (0)123456", "", "+9990123456"},
		// where it belongs to the number
		{"+39 06 1234 5678", "", "+390612345678"},
		{"+39 (0)6 1234 5678", "", "+390612345678"},
		{"+39 (06) 1234 5678", "", "+390612345678"},
		{"+378 (0)549 123456", "", "+3780549123456"},
		{"+225 (0)1 23 45 67 89", "", "+2250123456789"},
		{"+242 (0)6 123 4567", "", "+242061234567"},
		// separators
		{"\u200e+49\u200f 30\u00a012\u202f34\u200956\u3000", "", "+4930123456"},
		{"030‐12‑34‒56–7—8―9−0", "", "0301234567890"},
		{"０３ー１２３４ー５６７８", "", "0312345678"},
		{"03・1234・5678", "", "0312345678"},
		{"03－1234﹣5678", "", "0312345678"},
		{"tel:+49-30-123456", "", "+4930123456"},
		{"٠٣٠ ١٢٣٤٥٦", "", "030123456"},
		{"०३० १२३४५६", "", "030123456"},
		{"𝟎𝟑𝟎𝟏𝟐𝟑𝟒𝟓𝟔", "", "030123456"},
		// with a country
		{"030 123456", "DE", "+4930123456"},
		{"(030) 12 34 56", "DE", "+4930123456"},
		{"(0)30 123456", "DE", "+4930123456"},
		{"0049 30 123456", "DE", "+4930123456"},
		{"0049 (0)30 123456", "DE", "+4930123456"},
		{"4930123456789", "DE", "+4930123456789"},
		{"+43 1 2345678", "DE", "+4312345678"},
		{"0043 1 2345678", "DE", "+4312345678"},
		{"06 12 34 56 78", "FR", "+33612345678"},
		{"06 1234 5678", "IT", "+390612345678"},
		{"347 123 4567", "IT", "+393471234567"},
		{"(415) 555-2671", "US", "+14155552671"},
		{"1-415-555-2671", "US", "+14155552671"},
		{"011 49 30 123456", "US", "+4930123456"},
		{"011 15-2345-6789", "AR", "+5491123456789"},
		{"0 15 11 98765-4321", "BR", "+5511987654321"},
		{"8 (495) 123-45-67", "RU", "+74951234567"},
		{"8 (701) 123-45-67", "KZ", "+77011234567"},
		{"06 30 123 4567", "HU", "+36301234567"},
		{"090-1234-5678", "JP", "+819012345678"},
		{"0412 345 678", "AU", "+61412345678"},
		{"98765 43210", "IN", "+919876543210"},
		{"+800 1234 5678", "DE", "+80012345678"},
		// refused
		{"", "", ""},
		{"+", "", ""},
		{"1234", "", ""},
		{"1234567890123456", "", ""},
		{"+49" + strings.Repeat("0", 5000) + "30123456", "DE", ""},
		{"+49+30123456", "", ""},
		{"++49 30 123456", "", ""},
		{"0049 CALL ME", "", ""},
		{"030 12345 x 6", "", ""},
		{"①②③④⑤⑥", "", ""},
		{"030 1", "DE", ""},
		{"555 2671", "US", ""},
		{"+999 123456", "DE", ""},
		{"+030 123456", "DE", ""},
		{"+1 23456", "DE", ""},
	}
	var got []row
	for _, r := range rows {
		got = append(got, row{r.Text, r.Country, read(r.Text, r.Country)})
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCountries(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{"DE": true, "US": true, "VA": true, "de": false, "UK": false, "": false, "001": false, "ZZ": false} {
		if got := phone.IsCountry(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

// What came out goes in unchanged, whatever was typed.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"+49 (0)30 123456", "0049 (0)30", "+39 (0)6 1234 5678", "8 (701) 123-45-67", "011 15-2345-6789", "+4900301234", "03ー12", "(0)", "+(0)", "tel:1"} {
		for _, country := range []string{"", "DE", "KZ", "AR", "JP", "BR", "GG"} {
			f.Add(text, country)
		}
	}
	f.Fuzz(func(t *testing.T, text, country string) {
		if country != "" && !phone.IsCountry(country) {
			return
		}
		number, ok := phone.Parse(text, country)
		if !ok {
			return
		}
		if again, ok := phone.Parse(number, country); !ok || again != number {
			t.Errorf("%q from %q became %q, which becomes %q, %v", text, country, number, again, ok)
		}
	})
}
