package onramp_test

import (
	"testing"

	"onramp/internal/onramp"
)

// What mail programs make a link of is refused, with a code for programs, and what people
// are called is not.
func TestNoURLs(t *testing.T) {
	t.Parallel()
	field := onramp.Field{Name: "first_name", NoURLs: true}
	for text, want := range map[string]bool{
		"Ana": false, "J.R. Smith": false, "St.John": false, "Anna v.d.Berg": false, "O'Neil, Jr.": false, "Dr.med. Ana": false,
		"A.com": false, "3.5": false, "a/b": false, "Müller-Lüdenscheidt": false, "Ana (Team A)": false, "...": false, "Acme Inc.": false,
		"https://spam.example": true, "HTTP://x": true, "www.spam.example": true, "WWW.x": true, "win at spam.com": true, "spam.ru!": true,
		"(best-casino.top)": true, "Ana bit.ly/3xyz": true, "t.example/win now": false, "spam.example/win now": true, "Hello spam.com.": true,
		"spam.xyz:8080": true,
	} {
		_, err := field.Parse(onramp.Scalar{Kind: onramp.String, Text: text})
		if got := err != nil; got != want || got && err.Error() != "must not contain a link" {
			t.Errorf("%q: %v", text, err)
		}
	}
	free := onramp.Field{Name: "first_name"}
	if _, err := free.Parse(onramp.Scalar{Kind: onramp.String, Text: "spam.com"}); err != nil {
		t.Error(err)
	}
}
