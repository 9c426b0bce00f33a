package onramp

import (
	"slices"
	"strings"
)

// Where a form was filled in comes from inputs that the hosted form, the embedded one
// or a script adds to what the visitor typed; else from the Referer.

// pageInputs are the inputs that tell of the page. A field of the same name comes first.
var pageInputs = map[string]Source{"_page": FromPageURL, "_referrer": fromReferrer, "_landing_page": fromLandingPage}

// isOfPage says whether a source is a page, or a parameter of one.
func (s Source) isOfPage() bool { return s == FromPageURL || s >= fromReferrer }

// takePage takes an input that no field of the form has, and that tells of the page:
// one that is reserved for it, or one with the name of a source that the form uses, such
// as utm_source. It says whether the input was such a one.
func (f *Form) takePage(in *Input, s *Submission) bool {
	from, tells := f.tellsOfPage(in.Name)
	if !tells {
		return false
	}
	text := in.Value.Text // of what is no text or number, empty
	switch {
	case from == FromPageURL && webAddress(text) != "":
		s.PageURL = text
	case from == fromReferrer:
		s.Referrer = text
	case from == fromLandingPage:
		s.LandingPage = text
	case from >= firstParameter && text != "":
		if s.parameters == nil {
			s.parameters = map[Source]string{}
		}
		s.parameters[from] = text
	}
	return true
}

// tellsOfPage says whether an input that no field has tells of the page, and what.
func (f *Form) tellsOfPage(name string) (from Source, tells bool) {
	if from, tells = pageInputs[name]; tells {
		return from, true
	}
	from, _ = ParseSource(name)
	return from, from.isOfPage() && slices.ContainsFunc(f.Fields, func(field Field) bool { return field.From == from })
}

// ofPage is what a field holds whose source is a page, or a parameter of one: as the
// request names it, else of the page, else of the landing page.
func (f *Field) ofPage(s *Submission) string {
	switch f.From {
	case FromConfirmedAt, FromConfirmedIP: // it is not known yet
		return ""
	case FromPageURL:
		return keepQuery(webAddress(s.PageURL), f.Query)
	case fromReferrer:
		return keepQuery(webAddress(s.Referrer), f.Query)
	case fromLandingPage:
		return keepQuery(webAddress(s.LandingPage), f.Query)
	}
	if text := s.parameters[f.From]; text != "" {
		return text
	}
	if text := parameter(webAddress(s.PageURL), f.From.String()); text != "" {
		return text
	}
	return parameter(webAddress(s.LandingPage), f.From.String())
}

// webAddress returns the URL of a page without any user name and password; "" unless it
// is an absolute http or https one. What follows the host stays as it is: browsers leave
// more in an address than RFC 3986 allows, such as a lone %.
func webAddress(s string) string {
	s = strings.TrimSpace(s)
	scheme, rest, _ := strings.Cut(s, "://")
	end := strings.IndexAny(rest, `/\?#`)
	if end < 0 {
		end = len(rest)
	}
	if _, ok := ParseWebURL(scheme + "://" + rest[:end]); !ok {
		return ""
	}
	host := rest[strings.LastIndex(rest[:end], "@")+1:]
	return strings.ToLower(scheme) + "://" + host
}

// parameter is the first value, in the query of a page's URL, of the parameter with this
// name; "" if there is none.
func parameter(page, name string) string {
	page, _, _ = strings.Cut(page, "#")
	_, query, _ := strings.Cut(page, "?")
	for pair := range parameters(query) {
		encoded, value, _ := strings.Cut(pair, "=")
		if value != "" && strings.EqualFold(unescapeQuery(encoded), name) {
			return unescapeQuery(value)
		}
	}
	return ""
}

// unescapeQuery decodes a name or a value as browsers do (WHATWG URL, 5.1): a % that
// begins no escape is one.
func unescapeQuery(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | ' ') - 'a' + 10
}
