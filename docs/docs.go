// Package docs holds the documents that the program itself prints. It is no API: use
// Answers for onramp explain.
package docs

import _ "embed"

//go:embed answers.md
var answers string

// Answers is the list of Marketing Cloud's answers, in Markdown: onramp/internal/answers reads it.
func Answers() string { return answers }
