// Package limits holds the list of what the sandbox does not emulate, for the help and
// the documentation. Use Text.
package limits

import _ "embed"

//go:embed limits.md
var text string

// Text is the list, in Markdown that is fit for a terminal, too.
func Text() string { return text }
