// Package markdown makes HTML of the small part of Markdown that a label may use: links,
// *emphasis* and **strong emphasis**. All else is text, HTML tags too.
package markdown

import (
	"html"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// HTML gives a text as HTML. A link that CheckLinks would refuse stays text.
func HTML(source string) template.HTML {
	p := parser{source: source}
	p.text(len(source))
	return template.HTML(p.html.String()) //nolint:gosec // all that is not from here is escaped
}

// Plain gives what a reader sees of a text.
func Plain(source string) string {
	p := parser{source: source}
	p.text(len(source))
	return p.plain.String()
}

// Part is a text, or a link if it has an address.
type Part struct{ Text, Address string }

// Parts gives what a reader sees of a text, with the links apart.
func Parts(source string) []Part {
	p := parser{source: source}
	p.text(len(source))
	plain, at := p.plain.String(), 0
	var parts []Part
	for _, l := range p.links {
		if l.from > at {
			parts = append(parts, Part{Text: plain[at:l.from]})
		}
		parts = append(parts, Part{plain[l.from:l.to], l.address})
		at = l.to
	}
	if at < len(plain) {
		parts = append(parts, Part{Text: plain[at:]})
	}
	return parts
}

// link is where a link stands in the plain text.
type link struct {
	from, to int
	address  string
}

// CheckLinks gives the address of the first link that is neither an http, https or
// mailto URL nor a relative one; "" if there is none.
func CheckLinks(source string) string {
	p := parser{source: source}
	p.text(len(source))
	return p.refused
}

type parser struct {
	source      string
	at          int
	html, plain strings.Builder
	refused     string
	links       []link
}

// text reads to an end, which is not part of it.
func (p *parser) text(end int) {
	for p.at < end {
		switch c := p.source[p.at]; {
		case c == '\\' && p.at+1 < end && isPunctuation(p.source[p.at+1]):
			p.write(p.source[p.at+1 : p.at+2])
			p.at += 2
		case c == '[' && p.link(end):
		case (c == '*' || c == '_') && p.emphasis(end):
		default:
			_, size := utf8.DecodeRuneInString(p.source[p.at:])
			p.write(p.source[p.at : p.at+size])
			p.at += size
		}
	}
}

func (p *parser) write(text string) {
	p.html.WriteString(html.EscapeString(text))
	p.plain.WriteString(text)
}

// link reads [text](address). It is false, and nothing is read, when there is none.
func (p *parser) link(end int) bool {
	closed := p.find("](", p.at+1, end)
	if closed < 0 || strings.Contains(p.source[p.at+1:closed], "[") {
		return false
	}
	last := closingBracket(p.source[:end], closed+2)
	if last < 0 {
		return false
	}
	address := p.source[closed+2 : last]
	if !IsLink(address) {
		if p.refused == "" {
			p.refused = address
		}
		return false
	}
	p.html.WriteString(`<a href="` + html.EscapeString(address) + `"`)
	if !strings.HasPrefix(address, "mailto:") {
		p.html.WriteString(` target="_blank" rel="noopener"`) // what was typed stays
	}
	p.html.WriteByte('>')
	p.at++
	from := p.plain.Len()
	p.text(closed)
	p.links = append(p.links, link{from, p.plain.Len(), address})
	p.html.WriteString("</a>")
	p.at = last + 1
	return true
}

// closingBracket finds the ) of an address, which may have brackets in pairs.
func closingBracket(s string, from int) int {
	depth := 0
	for i := from; i < len(s); i++ {
		switch s[i] {
		case ' ', '\n', '\t':
			return -1
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

// emphasis reads *text*, **text**, _text_ or __text__. A mark inside a word, or beside a
// blank on its inner side, is text.
func (p *parser) emphasis(end int) bool {
	mark, element := p.source[p.at:p.at+1], "em"
	if strings.HasPrefix(p.source[p.at:end], mark+mark) {
		mark, element = mark+mark, "strong"
	}
	from := p.at + len(mark)
	if from >= end || isBlank(p.source[from:]) || mark[0] == '_' && endsInWord(p.source[:p.at]) {
		return false
	}
	to := p.find(mark, from+1, end)
	for to >= 0 && (isBlank(p.source[to-1:]) || mark[0] == '_' && beginsWithWord(p.source[to+len(mark):end])) {
		to = p.find(mark, to+1, end)
	}
	if to < 0 {
		return false
	}
	if len(mark) == 2 && to+2 < end && p.source[to+2] == mark[0] {
		to++ // **a *b***: the last two marks close
	}
	p.html.WriteString("<" + element + ">")
	p.at = from
	p.text(to)
	p.html.WriteString("</" + element + ">")
	p.at = to + len(mark)
	return true
}

// find looks for a mark that no backslash stands before.
func (p *parser) find(mark string, from, end int) int {
	for i := from; i+len(mark) <= end; i++ {
		if p.source[i] == '\\' {
			i++
		} else if strings.HasPrefix(p.source[i:end], mark) {
			return i
		}
	}
	return -1
}

func isPunctuation(c byte) bool { return c > ' ' && c < 0x7f && !isWord(rune(c)) }

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

func isBlank(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

func endsInWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return isWord(r)
}

func beginsWithWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return isWord(r)
}

// IsLink says whether a page may link to an address.
func IsLink(address string) bool {
	if address == "" || strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == '\\' }) {
		return false
	}
	u, err := url.Parse(address)
	return err == nil && slices.Contains([]string{"http", "https", "mailto", ""}, u.Scheme) && (u.Host != "" || u.Scheme == "" || u.Scheme == "mailto")
}
