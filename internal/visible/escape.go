package visible

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Escape makes visible what a terminal would obey, or not show, in a text that a stranger
// may have written: control characters other than newline and tab, the marks that change
// the direction of text, characters without width, and bytes that are no UTF-8. Each becomes
// what stands for it in JSON, such as \u202e, so that JSON stays the same JSON.
func Escape(s string) string {
	if strings.IndexFunc(s, isUnsafe) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s { // of what is no UTF-8, each byte is U+FFFD
		if !isUnsafe(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// isUnsafe says that a character must not reach a terminal as it is.
func isUnsafe(r rune) bool {
	switch {
	case r == '\n' || r == '\t' || ' ' <= r && r < 0x7f:
		return false
	case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
		return true
	case unicode.Is(unicode.Variation_Selector, r): // the colour of an emoji
		return false
	}
	return !Is(r) && !unicode.IsSpace(r)
}

// Writer writes texts escaped.
type Writer struct {
	out  io.Writer
	rest []byte // the beginning of a character whose end is still to come
}

// NewWriter makes a Writer before another one.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Write writes whole characters; of one that is cut off it waits for the rest.
func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	whole := len(text)
	for cut := 1; cut < utf8.UTFMax && cut <= len(text); cut++ {
		if end := text[len(text)-cut:]; utf8.RuneStart(end[0]) {
			if !utf8.FullRune(end) {
				whole = len(text) - cut
			}
			break
		}
	}
	w.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(w.out, Escape(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
