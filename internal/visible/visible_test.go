package visible_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/visible"
)

// What can't be seen is taken away at both ends, and nothing else is.
func TestTrim(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"":                    "",
		"Ana":                 "Ana",
		" Ana ":               "Ana",
		"\t\r\n\v\fAna\u0085": "Ana",
		"\ufeffAna\u200b":     "Ana",
		"\u2800\u3164\uffa0":  "",
		"\u115fAna\u1160":     "Ana",
		"\u00ad\u061c\u180e\u2060\u2065\u2068Ana\u206f": "Ana",
		"\u034f\u17b4\u17b5\u1680\u202e\u2028\u3000":    "",
		"\U000e0001\U000e0041Ana\U0001d173\U0001d159":   "Ana",
		"\U00013441\U00016fe4":                          "",
		"\ufff9\ufffb\u2062":                            "",
		"\u200d\u200c\ufe0f":                            "",
		"Ana\u200b María":                               "Ana\u200b María", // only at the ends
		// what shapes the character before it
		"❤\ufe0f":       "❤\ufe0f",
		"❤\ufe0f\ufe0f": "❤\ufe0f",
		"葛\U000e0100":   "葛\U000e0100",
		"ᠠ\u180b":       "ᠠ\u180b",
		"ന\u0d4d\u200d": "ന\u0d4d\u200d",
		"नमक्\u200c":    "नमक्\u200c",
		"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
		"👩\u200d💻\u200d":      "👩\u200d💻",
		"می\u200cخواهم\u200c": "می\u200cخواهم",
		// and what does not
		"12\ufe0f":                "12",
		"a@b.co\ufe0f":            "a@b.co",
		"é\ufe0f":                 "é",
		"e\u0301\ufe0f":           "e\u0301",
		"Ana\u200d":               "Ana",
		"Ana\U000e0067\U000e007f": "Ana",
		"\U000e0067\U000e007f":    "",
		"\x00":                    "\x00", // has to be refused, not overlooked
		"\xff\u200b":              "\xff",
		"؀١":                      "؀١", // a format character with ink
	}
	got := map[string]string{}
	for in := range want {
		got[in] = visible.Trim(in)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Is agrees with the properties of all characters.
func TestIs(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		space := unicode.IsSpace(r)
		if space != unicode.Is(unicode.White_Space, r) || space && visible.Is(r) {
			t.Errorf("%U is white space and visible", r)
		}
		if unicode.In(r, unicode.L, unicode.N, unicode.P) && !visible.Is(r) && !strings.ContainsRune("\u115f\u1160\u3164\uffa0\U00013441\U00013442", r) {
			t.Errorf("%U is not visible", r)
		}
		if unicode.IsControl(r) && !space && !visible.Is(r) {
			t.Errorf("%U is overlooked", r)
		}
	}
}

func FuzzTrim(f *testing.F) {
	for _, seed := range []string{"  Ana\u200b", "❤\ufe0f", "🏴\U000e0067\U000e007f", "ന\u0d4d\u200d\u200d", "\xff \xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		trimmed := visible.Trim(s)
		if again := visible.Trim(trimmed); again != trimmed || !strings.Contains(s, trimmed) {
			t.Errorf("%q became %q, and then %q", s, trimmed, again)
		}
		if first, _ := utf8.DecodeRuneInString(trimmed); trimmed != "" && !visible.Is(first) {
			t.Errorf("%q begins with what can't be seen", trimmed)
		}
		if trimmed == "" && strings.ContainsFunc(s, visible.Is) {
			t.Errorf("nothing is left of %q", s)
		}
	})
}
