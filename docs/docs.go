// Package docs holds the documents that the program itself reads. It is no API: use
// Answers for onramp explain, and Runbook for onramp explain runbook.
package docs

import (
	"embed"
	"strings"
)

//go:embed answers.md
var answers string

//go:embed reliability.md
var reliability string

//go:embed running.md
var running string

// Answers is the list of Marketing Cloud's answers, in Markdown: onramp/internal/answers reads it.
func Answers() string { return answers }

//go:embed runbook/*.md
var runbooks embed.FS

const index = "README"

// Runbooks lists the pages that say what to do about an alert, by name.
func Runbooks() []string {
	entries, _ := runbooks.ReadDir("runbook") // it is built in
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".md"); name != index {
			names = append(names, name)
		}
	}
	return names
}

// Runbook is a page of Runbooks, in Markdown; with "" it is their index. ok is false when
// there is no such page.
func Runbook(name string) (text string, ok bool) {
	if name == "" {
		name = index
	}
	page, err := runbooks.ReadFile("runbook/" + name + ".md")
	return string(page), err == nil
}

// Operation is what operators read, in Markdown: its words may stand in a debug bundle.
func Operation() string { return reliability + running }
