package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a configuration.
type Problem struct {
	Line    int    // 1-based; 0 when the value came from the environment
	Path    string // such as forms.registration.fields[3].column, or the variable's name; "" for the file as a whole
	Message string // what is wrong and what to write instead; never a secret
}

// Error is every mistake in a configuration, sorted by line.
type Error struct {
	File     string
	Problems []Problem // at least one
}

// Error gives one line per problem, in the form file:line: path: message.
func (e *Error) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines are the problems, each in one line.
func (e *Error) Lines() []string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		if p.Line > 0 {
			lines[i] = fmt.Sprintf("%s:%d: ", e.File, p.Line)
		}
		if p.Path != "" {
			lines[i] += p.Path + ": "
		}
		lines[i] += p.Message
	}
	return lines
}

func newError(file string, problems []Problem) *Error {
	// stable: of two problems in one line the one that was found first stays first
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return &Error{File: file, Problems: problems}
}
