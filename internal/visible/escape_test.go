package visible_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"

	"onramp/internal/visible"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Ana María Núñez, 東京, שלום, مرحبا 😀 ❤️": "Ana María Núñez, 東京, שלום, مرحبا 😀 ❤️",
		"two\nlines\tand a tab":                         "two\nlines\tand a tab",
		"no\u00a0break":                                 "no\u00a0break",
		"\x1b]0;title\aHi\x1b[31m":                      `\u001b]0;title\u0007Hi\u001b[31m`,
		"over\rwritten\x00\x7f\u0085\u009b31m":          `over\u000dwritten\u0000\u007f\u0085\u009b31m`,
		"\u202egro.elpmaxe@ana\u202c":                   `\u202egro.elpmaxe@ana\u202c`,
		"\u2066a\u2067b\u2068c\u2069\u200e\u200f\u061c": `\u2066a\u2067b\u2068c\u2069\u200e\u200f\u061c`,
		"a\u200bb\u200cc\u200dd\ufeffe\u00adf\u2060g":   `a\u200bb\u200cc\u200dd\ufeffe\u00adf\u2060g`,
		"a\u2028b\u2029c\u3164\u115f":                   `a\u2028b\u2029c\u3164\u115f`,
		"tag \U000e0041 and \U0001d173":                 `tag \udb40\udc41 and \ud834\udd73`,
		"broken \xff\xc3":                               "broken \ufffd\ufffd",
		"":                                              "",
	} {
		if got := visible.Escape(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// A writer escapes the same however a text is cut into writes, and JSON stays the same JSON.
func TestWriter(t *testing.T) {
	t.Parallel()
	const text = "a\u202eb 😀 \U000e0041 é\x1b[31m \u2028"
	value, err := json.Marshal(map[string]string{text: text})
	if err != nil {
		t.Fatal(err)
	}
	raw := strings.ReplaceAll(string(value), `\u2028`, "\u2028")
	var out strings.Builder
	w := visible.NewWriter(&out)
	reader := iotest.OneByteReader(strings.NewReader(raw))
	for b := make([]byte, 1); ; {
		n, err := reader.Read(b)
		if n > 0 {
			if _, err := w.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			break
		}
	}
	if out.String() != visible.Escape(raw) || strings.ContainsAny(out.String(), "\u202e\U000e0041\x1b\u2028") {
		t.Errorf("wrote %q", out.String())
	}
	var back map[string]string
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil || back[text] != text {
		t.Errorf("read back %q, %v", back, err)
	}
}

// What a stranger sends never reaches a terminal as a command, and what is harmless stays.
func FuzzEscape(f *testing.F) {
	f.Add("Ana\u202e\x1b[31m")
	f.Fuzz(func(t *testing.T, text string) {
		escaped := visible.Escape(text)
		for _, r := range escaped {
			if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069) {
				t.Errorf("%q has %q", escaped, r)
			}
		}
		if visible.Escape(escaped) != escaped {
			t.Errorf("%q changes again", escaped)
		}
	})
}
