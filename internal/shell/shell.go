// Package shell writes commands for people to paste. Use Word for each part of one.
package shell

import (
	"regexp"
	"strings"
)

var plain = regexp.MustCompile(`^[\pL\pN_./:@%+=-]+$`)

// Word writes a word so that a POSIX shell reads it as one.
func Word(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
