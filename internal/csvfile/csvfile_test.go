package csvfile_test

import (
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"

	"onramp/internal/csvfile"
)

// No cell can begin a formula, and all are read back as they were.
func TestWriter(t *testing.T) {
	t.Parallel()
	cells := []string{
		"Ana", "", "O'Brien", "'quoted'", `=HYPERLINK("https://evil.example","x")`, "+49 30 123456", "-5", "@SUM(1)", "\t=1", "\r=1", "\n=1",
		"'=1", "''=1", " =1", "\u00a0=1", "＝1", "＋1", "－1", "＠1", "|calc", "%1", "a=1", "two\nlines", `with "quotes", and commas`, "\u202e=1",
	}
	var out strings.Builder
	w := csvfile.NewWriter(&out)
	if err := errors.Join(w.Write([]string{"a"}), w.Write(cells), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); first != "a" {
		t.Errorf("the first row is %q", first)
	}
	r := csv.NewReader(strings.NewReader(out.String()))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var back []string
	for _, cell := range rows[1] {
		if begin := strings.TrimLeft(cell, " \u00a0"); begin != "" && strings.ContainsAny(begin[:1], "=+-@\t\r\n|%") {
			t.Errorf("%q begins a formula", cell)
		}
		back = append(back, csvfile.Unquote(cell))
	}
	if !slices.Equal(back, cells) {
		t.Errorf("read back %q, want %q", back, cells)
	}
}

// Whatever a cell holds, it is no formula once it is quoted, and comes back.
func FuzzQuote(f *testing.F) {
	f.Add("=1")
	f.Add("''-1")
	f.Fuzz(func(t *testing.T, cell string) {
		quoted := csvfile.Quote(cell)
		if csvfile.Unquote(quoted) != cell {
			t.Errorf("%q became %q and %q", cell, quoted, csvfile.Unquote(quoted))
		}
		if quoted != "" && strings.ContainsAny(quoted[:1], "=+-@\t\r\n") {
			t.Errorf("%q begins a formula", quoted)
		}
	})
}
