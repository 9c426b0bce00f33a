// Package answers tells what an answer of Marketing Cloud means: whose turn it is, what
// to do, and what Onramp does by itself. The document docs/answers.md is its only source.
//
// Use Explain first; Runbook gives the page for an alert. What Onramp does is decided elsewhere, in outbound and setup; the tests
// compare.
package answers

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"onramp/docs"
	"onramp/internal/spelling"
)

// Answer is one meaning of one or several codes. A code can have several.
type Answer struct {
	Title     string   `json:"title"`
	Section   string   `json:"section"`    // heading of the document above it
	Codes     []string `json:"codes"`      // as Marketing Cloud writes them: "10006", "invalid_client"; statuses, where there is no code
	Answer    string   `json:"answer"`     // status and route, and the words that tell it from others
	Meaning   string   `json:"meaning"`    //
	WhoseTurn []string `json:"whose_turn"` // of admin, developer, operator, nobody
	WhatToDo  string   `json:"what_to_do"`
	Outcome   string   `json:"outcome,omitempty"` // of the attempt, as deliveries show prints it; "": it is not about a delivery
	Onramp    string   `json:"onramp"`            // what Onramp does by itself
	Check     string   `json:"check,omitempty"`   // the command that looks for the cause; "": there is none
	Source    string   `json:"source"`            // how the answer is known: documented, seen in code, reported, inferred
}

// List is the answers in the order of the document.
type List []Answer

// Load reads the document that is built in.
func Load() (List, error) { return Parse(docs.Answers()) }

// Explain gives the answers with a code, all for an empty one, or an error that names
// the codes that resemble an unknown one.
func Explain(code string) (List, error) {
	all, err := Load()
	if err != nil || code == "" {
		return all, err
	}
	if found := all.Find(code); found != nil {
		return found, nil
	}
	similar := ""
	if codes := all.Near(code); codes != nil {
		similar = "; similar ones are " + strings.Join(codes, ", ")
	}
	return nil, fmt.Errorf("no answer of Marketing Cloud with the code %.80q is known%s; onramp explain lists them all", code, similar)
}

// CodeOf gives the code to look up for an attempt with an HTTP status and an errorcode,
// 0 for none of them; "" when there is nothing to say.
func CodeOf(status, code int) string {
	if code == 0 && status >= http.StatusMultipleChoices {
		code = status
	}
	all, err := Load()
	if name := strconv.Itoa(code); err == nil && code != 0 && all.Find(name) != nil {
		return name
	}
	return ""
}

// Find gives the answers with a code. Letter case, blanks and punctuation don't count.
func (l List) Find(code string) List {
	wanted := plain(code)
	var found List
	for _, a := range l {
		if slices.ContainsFunc(a.Codes, func(c string) bool { return plain(c) == wanted }) {
			found = append(found, a)
		}
	}
	return found
}

const (
	mostNear = 5 // codes that are proposed
	farthest = 3 // letters that they may differ in
)

// Near gives codes that resemble an unknown one, the nearest first, five at most.
func (l List) Near(code string) []string {
	type candidate struct {
		code     string
		distance int
	}
	wanted := plain(code)
	if wanted == "" {
		return nil
	}
	var all []candidate
	for _, known := range l.codes() {
		distance := spelling.Distance(wanted, plain(known))
		if len(wanted) > farthest && strings.Contains(plain(known), wanted) {
			distance = 1
		}
		if distance <= min(max(len(wanted)/2, 1), farthest) {
			all = append(all, candidate{known, distance})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return a.distance - b.distance })
	var near []string
	for _, c := range all[:min(len(all), mostNear)] {
		near = append(near, c.code)
	}
	return near
}

// codes are all codes, each once.
func (l List) codes() (all []string) {
	for _, a := range l {
		for _, code := range a.Codes {
			if !slices.Contains(all, code) {
				all = append(all, code)
			}
		}
	}
	return all
}

// plain is a code without what doesn't count in it.
func plain(code string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, code)
}
