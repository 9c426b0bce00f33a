// Package media reads what a request's body is: its content type, its charset, and
// the names and values of a form post. It is the same for all listeners.
package media

import (
	"mime"
	"strings"
)

// The content types of a body that a program or a browser sends.
const (
	JSON      = "application/json"
	Form      = "application/x-www-form-urlencoded"
	Multipart = "multipart/form-data"
)

// Type is what a Content-Type header says.
type Type struct {
	Media    string // in lower case; empty: it says nothing
	Charset  string // a label, empty when none is given
	Boundary string // of multipart/form-data
}

// ParseType reads a Content-Type header. What is carelessly written is read as
// it is meant: parameters that are empty, doubled or not quoted, and a list of types,
// of which the first counts.
func ParseType(header string) Type {
	switch header {
	case "", JSON, Form:
		return Type{Media: header}
	}
	if media, parameters, err := mime.ParseMediaType(header); err == nil {
		return Type{media, label(parameters["charset"]), parameters["boundary"]}
	}
	media, rest, _ := strings.Cut(header, ";")
	media, _, _ = strings.Cut(media, ",")
	c := Type{Media: strings.ToLower(strings.TrimSpace(media))}
	for parameter := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case name == "charset" && c.Charset == "":
			value, _, _ = strings.Cut(value, ",")
			c.Charset = label(value)
		case name == "boundary" && c.Boundary == "":
			c.Boundary = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return c
}

func label(charset string) string { return strings.Trim(charset, " \t\"'") }

// IsJSON says whether it is JSON, under whatever name.
func (c Type) IsJSON() bool {
	subtype := c.Media[strings.IndexByte(c.Media, '/')+1:]
	return subtype == "json" || subtype == "x-json" || strings.HasSuffix(subtype, "+json")
}

// IsForm says whether it is what a browser's form sends.
func (c Type) IsForm() bool { return c.Media == Form || c.Media == Multipart }
