package table

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Scanner reads JSON text from front to back, once, without an allocation for
// what needs none: rows come by the million. It accepts exactly what
// encoding/json accepts (a fuzz test compares them), and a text without escapes
// is a part of the text read. After a mistake every method returns at once and
// bad stays set, so that callers look at it at the end.
type Scanner struct {
	text  string
	at    int
	depth int
	bad   bool
}

// NewScanner is a Scanner at the beginning of a text.
func NewScanner(text string) *Scanner { return &Scanner{text: text} }

// Failed reports whether there was a mistake so far.
func (p *Scanner) Failed() bool { return p.bad }

// maxDepth is encoding/json's bound of nested values.
const maxDepth = 10000

// fail notes a mistake and moves to the end, where nothing is found any more.
func (p *Scanner) fail() {
	p.bad, p.at = true, len(p.text)
}

// Peek is the next byte that is no white space, or 0 at the end.
func (p *Scanner) Peek() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// Done reports whether all was read without a mistake.
func (p *Scanner) Done() bool {
	return p.Peek() == 0 && p.at == len(p.text) && !p.bad
}

// Enter goes into an object or a list, which begins with open, and reports
// whether there is something in it.
func (p *Scanner) Enter(open byte) bool {
	if p.Peek() != open || p.depth == maxDepth {
		p.fail()
		return false
	}
	p.at++
	p.depth++
	if p.Peek() == open+2 { // "{" and "}", "[" and "]" are two apart
		p.at++
		p.depth--
		return false
	}
	return true
}

// More goes to the next element of what begins with open, or out of it.
func (p *Scanner) More(open byte) bool {
	switch p.Peek() {
	case ',':
		p.at++
		return true
	case open + 2:
		p.at++
		p.depth--
	default:
		p.fail()
	}
	return false
}

// Name reads a member's name and its colon.
func (p *Scanner) Name() string {
	name := p.string()
	if p.Peek() != ':' {
		p.fail()
		return ""
	}
	p.at++
	return name
}

// word reads the word, which begins at the next byte.
func (p *Scanner) word(word string) {
	if !strings.HasPrefix(p.text[p.at:], word) {
		p.fail()
		return
	}
	p.at += len(word)
}

// null reads null if it comes next.
func (p *Scanner) null() bool {
	if p.Peek() != 'n' {
		return false
	}
	p.word("null")
	return !p.bad
}

// Value reads any value. Of an object or a list it keeps only that it was one.
func (p *Scanner) Value() Value {
	switch c := p.Peek(); c {
	case '"':
		return Value{KindText, p.string()}
	case 't':
		p.word("true")
		return Value{KindTrue, "true"}
	case 'f':
		p.word("false")
		return Value{KindFalse, "false"}
	case 'n':
		p.word("null")
		return Value{Kind: KindNull}
	case '{':
		for more := p.Enter('{'); more; more = p.More('{') {
			p.Name()
			p.Value()
		}
		return Value{Kind: KindDeep}
	case '[':
		for more := p.Enter('['); more; more = p.More('[') {
			p.Value()
		}
		return Value{Kind: KindDeep}
	default:
		return Value{KindNumber, p.number()}
	}
}

// Raw reads any value and returns it as it was written.
func (p *Scanner) Raw() string {
	p.Peek()
	from := p.at
	p.Value()
	if p.bad {
		return ""
	}
	return p.text[from:p.at]
}

// number reads a number and returns it as it was written.
func (p *Scanner) number() string {
	from := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	if p.at < len(p.text) && p.text[p.at] == '0' {
		p.at++
	} else {
		p.digits()
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		p.digits()
	}
	if p.at < len(p.text) && p.text[p.at]|0x20 == 'e' {
		p.at++
		if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
			p.at++
		}
		p.digits()
	}
	if p.bad {
		return ""
	}
	return p.text[from:p.at]
}

// digits reads at least one digit.
func (p *Scanner) digits() {
	from := p.at
	for p.at < len(p.text) && p.text[p.at]-'0' <= 9 {
		p.at++
	}
	if p.at == from {
		p.fail()
	}
}

// string reads a text. What is no UTF-8 in it becomes U+FFFD, as in
// encoding/json.
func (p *Scanner) string() string {
	if p.Peek() != '"' {
		p.fail()
		return ""
	}
	p.at++
	from := p.at
	plain := byte(0)
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		if c == '"' {
			s := p.text[from:p.at]
			if plain >= utf8.RuneSelf && !utf8.ValidString(s) {
				break
			}
			p.at++
			return s
		}
		if c < ' ' || c == '\\' {
			break
		}
		plain |= c
	}
	p.at = from
	return p.escaped()
}

// escaped reads the rest of a text that has escapes, or mistakes.
func (p *Scanner) escaped() string {
	var b strings.Builder
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return b.String()
		case c < ' ':
			p.fail()
		case c == '\\':
			p.at++
			b.WriteRune(p.escape())
		default:
			r, size := utf8.DecodeRuneInString(p.text[p.at:])
			p.at += size
			b.WriteRune(r) // U+FFFD for what is no UTF-8
		}
	}
	p.fail()
	return ""
}

// escape reads what follows a backslash.
func (p *Scanner) escape() rune {
	if p.at == len(p.text) {
		p.fail()
		return 0
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c)
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
	default:
		p.fail()
		return 0
	}
	r := p.hex()
	if utf16.IsSurrogate(r) {
		// Half of a pair: the other half must follow, else it is a mistake that
		// encoding/json lets pass as U+FFFD.
		before := p.at
		if strings.HasPrefix(p.text[p.at:], `\u`) {
			p.at += 2
			if pair := utf16.DecodeRune(r, p.hex()); pair != utf8.RuneError || p.bad {
				return pair
			}
		}
		p.at = before
		return utf8.RuneError
	}
	return r
}

// hex reads the four digits of an escape.
func (p *Scanner) hex() rune {
	if len(p.text)-p.at < 4 {
		p.fail()
		return 0
	}
	var r rune
	for _, c := range []byte(p.text[p.at : p.at+4]) {
		r <<= 4
		switch lower := c | 0x20; {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case lower >= 'a' && lower <= 'f':
			r |= rune(lower - 'a' + 10)
		default:
			p.fail()
			return 0
		}
	}
	p.at += 4
	return r
}
