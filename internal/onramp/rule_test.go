package onramp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// A change is left out for what is newer than its event, and says so.
func TestInTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	const both = `{"A":1,"B":"x"}`
	for name, row := range map[string]struct {
		registered time.Time
		set        map[string]time.Time
		values     string
		late       string
	}{
		"nothing before":        {time.Time{}, nil, both, ""},
		"registered before":     {at.Add(-time.Hour), nil, both, ""},
		"within the grace":      {at.Add(5 * time.Second), nil, both, ""},
		"registered since":      {at.Add(5*time.Second + 1), nil, "", "the event happened at 2026-11-24T10:00:00Z, before the registration of 2026-11-24T10:00:05Z"},
		"an older event":        {time.Time{}, map[string]time.Time{"A": at.Add(-1)}, both, ""},
		"at the same time":      {time.Time{}, map[string]time.Time{"A": at, "C": at.Add(1)}, both, ""},
		"a newer one of one":    {time.Time{}, map[string]time.Time{"A": at.Add(time.Hour)}, `{"B":"x"}`, "A was set by an event of 2026-11-24T11:00:00Z, and this one happened at 2026-11-24T10:00:00Z"},
		"and of the other, too": {time.Time{}, map[string]time.Time{"A": at.Add(time.Hour), "B": at.Add(1)}, "", "A was set by an event of 2026-11-24T11:00:00Z, and this one happened at 2026-11-24T10:00:00Z; B was set by an event of 2026-11-24T10:00:00Z, and this one happened at 2026-11-24T10:00:00Z"},
	} {
		change := onramp.RowChange{Values: []byte(both), At: at}
		values, late := change.InTime(row.registered, row.set)
		if diff := cmp.Diff([]string{row.values, row.late}, []string{string(values), late}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"a": true, "0f3c-9d": true, "!~": true, "V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M=": true, string(make([]byte, 3)): false, "": false,
		"a b": false, "a\x00": false, "é": false, "\xff": false, "a\n": false, "\x7f": false, strings.Repeat("x", 255): true, strings.Repeat("x", 256): false,
	} {
		if got := onramp.ValidID(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
