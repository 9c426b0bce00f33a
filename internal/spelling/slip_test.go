package spelling_test

import (
	"testing"

	"onramp/internal/spelling"
)

func TestIsSlip(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"gmail", "gmail", false},
		{"gmial", "gmail", true},
		{"mgail", "gmail", true},
		{"gmali", "gmail", true},
		{"gmai", "gmail", true},
		{"mail", "gmail", true},
		{"gmmail", "gmail", true},
		{"gmaily", "gmail", true},
		{"gmaul", "gmail", true},
		{"gmaiy", "gmail", true},
		{"hmail", "gmail", true},
		{"gmia", "gmail", false},
		{"gmauk", "gmail", false},
		{"lmaig", "gmail", false},
		{"gmailyy", "gmail", false},
		{"", "", false},
		{"a", "", true},
		{"a", "b", true},
		{"ab", "ba", true},
	} {
		if got := spelling.IsSlip(row.a, row.b); got != row.want {
			t.Errorf("%q, %q: %v", row.a, row.b, got)
		}
		if got := spelling.IsSlip(row.b, row.a); got != row.want {
			t.Errorf("%q, %q: %v", row.b, row.a, got)
		}
	}
}
