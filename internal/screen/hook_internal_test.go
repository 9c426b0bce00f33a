package screen

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Whatever a hook answers, it is a verdict that is known and one short line, or an error.
func FuzzHookAnswer(f *testing.F) {
	for _, seed := range []string{`{"verdict":"accept"}`, `{"verdict":"hold","reason":"a\nb"}`, `{"verdict":"refuse","reason":"é\ud800"}`, `[]`, ``, `{"verdict":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := readHookAnswer(body)
		if err != nil {
			if a != (hookAnswer{}) {
				t.Errorf("%+v beside an error", a)
			}
			return
		}
		if a.Verdict != hookAccept && a.Verdict != hookHold && a.Verdict != hookRefuse {
			t.Errorf("verdict %q", a.Verdict)
		}
		if len(a.Reason) > maxReason || !utf8.ValidString(a.Reason) || strings.ContainsFunc(a.Reason, unicode.IsControl) {
			t.Errorf("reason %q", a.Reason)
		}
	})
}

// The built-in list can be read, and has no entry twice.
func TestBuiltInList(t *testing.T) {
	t.Parallel()
	l, err := readList(strings.NewReader(disposable))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(disposable) {
		if !strings.HasPrefix(line, "#") {
			lines++
		}
	}
	if len(l.domains) != lines || len(l.prefixes) != 0 || lines < 50 {
		t.Errorf("%d domains and %d prefixes on %d lines", len(l.domains), len(l.prefixes), lines)
	}
}
