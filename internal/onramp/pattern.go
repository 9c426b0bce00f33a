package onramp

import "regexp"

// Pattern is a regular expression that a whole text must match.
type Pattern struct {
	source string
	whole  *regexp.Regexp
}

// NewPattern compiles a regular expression in Go's syntax, written without
// anchors. The error is that of package regexp and quotes the expression.
func NewPattern(source string) (*Pattern, error) {
	// alone first: a)(b would be valid between the brackets
	if _, err := regexp.Compile(source); err != nil {
		return nil, err
	}
	whole, err := regexp.Compile("^(?:" + source + ")$")
	if err != nil {
		return nil, err
	}
	return &Pattern{source, whole}, nil
}

// Match says whether all of a text matches.
func (p *Pattern) Match(text string) bool { return p.whole.MatchString(text) }

// String gives the expression as it was written: for HTML, which anchors it by
// itself.
func (p *Pattern) String() string { return p.source }

// Anchored gives the expression with its anchors: for JSON Schema, which would
// otherwise find it anywhere in a text.
func (p *Pattern) Anchored() string { return p.whole.String() }
