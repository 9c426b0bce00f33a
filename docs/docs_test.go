package docs_test

import (
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// awaited are pages that others link to and that are still to be written.
var awaited []string

// page is a Markdown file of the repository.
type page struct {
	text    string // without what stands in blocks of code
	anchors map[string]bool
}

var (
	fenced  = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	inline  = regexp.MustCompile("`[^`\n]*`")
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *$`)
	link    = regexp.MustCompile(`\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// pages reads all Markdown files, by their paths.
func pages(t *testing.T) map[string]page {
	t.Helper()
	all := map[string]page{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".md"):
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		p := page{text: fenced.ReplaceAllString(string(data), ""), anchors: map[string]bool{}}
		for _, h := range heading.FindAllStringSubmatch(p.text, -1) {
			p.anchors[anchorOf(h[1])] = true
		}
		all[filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator)))] = p
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// anchorOf is what GitHub makes of a heading.
func anchorOf(heading string) string {
	text := linked.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

// Each link leads to a file, and to a heading of it, that exist. Links to the world are only
// looked at: a test must not depend on it.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for _, name := range awaited {
		if _, exists := all[name]; exists {
			t.Errorf("%s exists: remove it from the list of pages to be written", name)
		}
	}
	n := 0
	for name, p := range all {
		for _, found := range link.FindAllStringSubmatch(inline.ReplaceAllString(p.text, ""), -1) {
			n++
			if wrong := check(all, name, found[1]); wrong != "" {
				t.Errorf("%s links to %s: %s", name, found[1], wrong)
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d links were found", n)
	}
}

// check says what is wrong with a link of a page; "": nothing.
func check(all map[string]page, from, target string) string {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme == "http" || u.Scheme == "https":
		if u.Host == "" || !strings.Contains(u.Host, ".") {
			return "this is no address"
		}
		return ""
	case u.Scheme != "":
		return "its scheme is " + u.Scheme
	}
	to := path.Join(path.Dir(from), u.Path)
	if u.Path == "" {
		to = from
	}
	for _, name := range awaited {
		if to == name {
			return ""
		}
	}
	p, isPage := all[to]
	if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(to))); err != nil {
		return "there is no such file"
	}
	if u.Fragment != "" && (!isPage || !p.anchors[u.Fragment]) {
		return "it has no such heading"
	}
	return ""
}
