package answers

import (
	"fmt"
	"slices"
	"strings"
)

// labels are what an entry of the document has, in this order. Only Check may be missing.
var labels = []string{"Codes", "Answer", "Meaning", "Whose turn", "What to do", "Onramp", "Check", "Source"}

// outcomes are the words that an entry's Onramp may begin with: those of an attempt.
var outcomes = []string{"delivered", "retry", "throttled", "blocked", "rejected", "unknown"}

// Parse reads a document of the shape of docs/answers.md: an entry is a heading of the third
// level, and a list with a line for each label. An entry without all of them is an error.
func Parse(markdown string) (List, error) {
	var all List
	section := ""
	for part := range strings.SplitSeq("\n"+markdown, "\n#") {
		heading, body, _ := strings.Cut(part, "\n")
		level, title, _ := strings.Cut(heading, " ")
		switch level {
		case "#":
			section = title
		case "##":
			a, err := parseEntry(title, body)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", title, err)
			}
			a.Section = section
			all = append(all, a)
		}
	}
	return all, nil
}

func parseEntry(title, body string) (Answer, error) {
	lines := map[string]string{}
	var found []string
	for _, line := range strings.Split(body, "\n") {
		label, text, ok := strings.Cut(strings.TrimPrefix(line, "- **"), ":** ")
		if !ok || !strings.HasPrefix(line, "- **") {
			continue
		}
		found = append(found, label)
		lines[label] = strings.ReplaceAll(text, "`", "")
	}
	required := slices.DeleteFunc(slices.Clone(labels), func(l string) bool { return l == "Check" && lines[l] == "" })
	if !slices.Equal(found, required) {
		return Answer{}, fmt.Errorf("has %q, want %q", found, required)
	}
	a := Answer{
		Title: title, Codes: split(lines["Codes"]), Answer: lines["Answer"], Meaning: lines["Meaning"], WhoseTurn: split(lines["Whose turn"]),
		WhatToDo: lines["What to do"], Onramp: lines["Onramp"], Check: lines["Check"], Source: lines["Source"],
	}
	if outcome, _, _ := strings.Cut(a.Onramp, ":"); slices.Contains(outcomes, outcome) {
		a.Outcome = outcome
	}
	return a, nil
}

func split(list string) []string { return strings.Split(list, ", ") }
