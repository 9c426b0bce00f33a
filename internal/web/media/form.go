package media

import (
	"strings"
)

// CharsetField is the field by which a form tells in which charset a browser has
// sent it (WHATWG HTML, 4.10.18.5).
const CharsetField = "_charset_"

// ParseForm reads application/x-www-form-urlencoded (WHATWG URL, 5.1) and calls take
// with each name and value. The charset is the declared one, unless the form has
// a field that names it.
func ParseForm(body string, charset Charset, take func(name, value string) error) error {
	if charset.IsUTF16() { // the whole body is in it, and what is escaped in UTF-8
		text, err := charset.Text([]byte(body))
		if err != nil {
			return err
		}
		body, charset = string(text), Charset{}
	}
	body = strings.Trim(strings.TrimPrefix(body, boms[0].mark), "\r\n")
	if strings.Contains(body, CharsetField+"=") {
		charset = formCharset(body, charset)
	}
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := charset.Value(unescape(name))
		if err != nil {
			return err
		}
		if value, err = charset.Value(unescape(value)); err != nil {
			return err
		}
		if err := take(name, value); err != nil {
			return err
		}
	}
	return nil
}

// formCharset is the charset that a form names itself.
func formCharset(body string, declared Charset) Charset {
	for pair := range strings.SplitSeq(body, "&") {
		if label, found := strings.CutPrefix(pair, CharsetField+"="); found {
			return NamedCharset(unescape(label), declared)
		}
	}
	return declared
}

// NamedCharset is the charset that the value of CharsetField names. One that a
// browser would not write there changes nothing.
func NamedCharset(label string, declared Charset) Charset {
	named, err := FindCharset(label)
	if err != nil || label == "" || named.IsUTF16() {
		return declared
	}
	return named
}

// unescape undoes percent-encoding. A % without two hexadecimal digits is a %.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			out = append(out, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, fromHex(s[i+1])<<4|fromHex(s[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func fromHex(digit byte) byte {
	if digit <= '9' {
		return digit - '0'
	}
	return digit&0x0f + 9
}
