package web

import (
	"net/http"
	"strconv"
	"strings"

	"onramp/internal/web/media"
)

// WantsPage says whether a request is to be answered with a page and not with JSON.
// A browser's form, or its address line, gets one when it names HTML and likes it no
// less than JSON. Any other body is a program's: it gets a page only when it would
// not take JSON, or expressly likes that less.
func WantsPage(r *http.Request) bool {
	a := parseAccept(r.Header["Accept"])
	if !a.html.named() && !a.text.named() {
		return false
	}
	if hasBody := r.Method != http.MethodGet && r.Method != http.MethodHead; hasBody && !media.ParseType(r.Header.Get("Content-Type")).IsForm() {
		if !a.json.named() {
			return a.html.quality > 0 && a.anyJSON().quality == 0
		}
		return a.html.quality > a.json.quality
	}
	html, json := a.html, a.anyJSON()
	if !html.named() {
		html = a.text
	}
	if html.quality != json.quality || html.quality == 0 {
		return html.quality > json.quality
	}
	return !a.json.named() || html.place < json.place
}

// accepted is what an Accept header (RFC 9110, 12.5.1) says of HTML and JSON.
type accepted struct {
	html, text             preference // text/html, text/*
	json, application, any preference // JSON of any kind, application/*, */*
}

// anyJSON is how JSON is liked: the range that says it most precisely counts.
func (a *accepted) anyJSON() preference {
	for _, p := range []preference{a.json, a.application} {
		if p.named() {
			return p
		}
	}
	return a.any
}

// preference is how much a range is liked.
type preference struct {
	quality float64
	place   int // in the header, from 1; 0: it is not there
}

func (p preference) named() bool { return p.place > 0 }

func parseAccept(lines []string) (a accepted) {
	place := 0
	for _, line := range lines {
		for line != "" {
			var element string
			element, line = cutUnquoted(line, ',')
			name, parameters := cutUnquoted(element, ';')
			liked, ok := quality(parameters)
			p := a.of(strings.ToLower(strings.TrimSpace(name)))
			if place++; ok && p != nil && (!p.named() || liked > p.quality) {
				*p = preference{liked, place}
			}
		}
	}
	return a
}

// of gives what a range of this name is about, nil for what we never answer with.
func (a *accepted) of(name string) *preference {
	switch name {
	case "text/html":
		return &a.html
	case "text/*":
		return &a.text
	case "application/*":
		return &a.application
	case "*/*", "*":
		return &a.any
	}
	if (media.Type{Media: name}).IsJSON() {
		return &a.json
	}
	return nil
}

// quality reads q, 1 when there is none. A range with another one than from 0 to 1
// does not count.
func quality(parameters string) (q float64, ok bool) {
	for parameters != "" {
		var parameter string
		parameter, parameters = cutUnquoted(parameters, ';')
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return q, err == nil && q >= 0 && q <= 1
		}
	}
	return 1, true
}

// cutUnquoted cuts at a separator that does not stand between quotes.
func cutUnquoted(s string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == separator:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
