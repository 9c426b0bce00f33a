package answers

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	width  = 100 // of a line on a terminal
	margin = 14  // in front of an entry's texts
	column = 58  // in which the list has its codes
)

// Write prints entries in full, for people.
func (l List) Write(w io.Writer) error {
	var b strings.Builder
	for i, a := range l {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s (%s)\n\n", a.Title, a.Section)
		for _, line := range []struct{ label, text string }{
			{"codes", strings.Join(a.Codes, ", ")},
			{"answer", a.Answer},
			{"meaning", a.Meaning},
			{"whose turn", strings.Join(a.WhoseTurn, ", ")},
			{"what to do", a.WhatToDo},
			{"Onramp", a.Onramp},
			{"check", a.Check},
			{"source", a.Source},
		} {
			if line.text != "" {
				fmt.Fprintf(&b, "  %-*s%s\n", margin-2, line.label, wrapped(line.text, margin))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteTitles prints a line for each entry, with its codes.
func (l List) WriteTitles(w io.Writer) error {
	var b strings.Builder
	section := ""
	for _, a := range l {
		if a.Section != section {
			section = a.Section
			fmt.Fprintf(&b, "%s%s\n", map[bool]string{true: "\n"}[b.Len() > 0], section)
		}
		fmt.Fprintf(&b, "  %-*s%s\n", column-2, a.Title, wrapped(strings.Join(a.Codes, ", "), column))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wrapped breaks a text that begins in a column so that its lines fit, and go on there.
func wrapped(text string, column int) string {
	var b strings.Builder
	at := column
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", column))
			at = column
		case i > 0:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
