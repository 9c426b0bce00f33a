package onramp_test

import (
	"regexp/syntax"
	"testing"

	"onramp/internal/onramp"
)

// A pattern is about the whole text, whatever it is made of, and shows what was
// written.
func TestPattern(t *testing.T) {
	t.Parallel()
	p := pattern("a|b+")
	for text, want := range map[string]bool{"a": true, "bb": true, "": false, "ab": false, "xa": false, "bbx": false, "a\n": false} {
		if p.Match(text) != want {
			t.Errorf("%q matches: %v, want %v", text, !want, want)
		}
	}
	if p.String() != "a|b+" || p.Anchored() != "^(?:a|b+)$" {
		t.Errorf("got %q and %q", p.String(), p.Anchored())
	}
}

// What is no expression by itself is none between brackets either.
func TestPatternWrong(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]syntax.ErrorCode{"a)(b": syntax.ErrUnexpectedParen, "[": syntax.ErrMissingBracket, "x**": syntax.ErrInvalidRepeatOp} {
		p, err := onramp.NewPattern(source)
		if wrong, ok := err.(*syntax.Error); p != nil || !ok || wrong.Code != want {
			t.Errorf("%q: got %v, %v; want %v", source, p, err, want)
		}
	}
}
