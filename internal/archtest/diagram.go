package archtest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Diagram is the import graph as it is drawn in ARCHITECTURE.md, in a fenced
// block marked imports:
//
//	cmd → cli → app → { api hosted → web } · { ens → web sfmc } · store
//	cli → api; sfmc/sfmctest → sandbox
//	all but cmd sfmc → onramp
//	in tests: pump → store
//	never: sandbox → sfmc
//	standard library only: sfmc
//	standard library + golang.org/x/text: onramp
//
// An arrow is an import: each package before it imports each one after it. Braces
// stand for the packages before the first arrow in them. A semicolon or the end of
// the line ends a statement, unless the next line begins with a dot. Packages are
// named without internal/.
//
// After "in tests:" an arrow shows what tests may import in addition to everything
// that their package imports, directly or through others. After "never:" it shows
// what a package must not reach, neither by its code nor by its tests.
type Diagram struct {
	imports, inTests, never graph
	libraries               []library
	named                   map[string]bool // every package that it mentions
}

// library says which packages need nothing but the standard library and a few
// extra import paths, themselves and in all that they import.
type library struct {
	packages []string
	extra    []string // import paths, and those below them
}

// graph holds the targets of each package's arrows.
type graph map[string]map[string]bool

func (g graph) add(from, to string) {
	if g[from] == nil {
		g[from] = map[string]bool{}
	}
	g[from][to] = true
}

// targets gives where the arrows of a package lead, sorted.
func (g graph) targets(from string) []string { return slices.Sorted(maps.Keys(g[from])) }

// sources gives the packages that have arrows, sorted.
func (g graph) sources() []string { return slices.Sorted(maps.Keys(g)) }

// ReadDiagram parses the diagram of a Markdown text, for the packages of a tree.
func ReadDiagram(markdown string, t *Tree) (*Diagram, error) {
	block, err := fenced(markdown)
	if err != nil {
		return nil, err
	}
	d := &Diagram{imports: graph{}, inTests: graph{}, never: graph{}, named: map[string]bool{}}
	r := reader{diagram: d, tree: t, into: d.imports}
	for _, statement := range statements(block) {
		if err := r.statement(statement); err != nil {
			return nil, fmt.Errorf("%q: %w", statement, err)
		}
	}
	return d, nil
}

// fenced finds the one block marked imports.
func fenced(markdown string) (string, error) {
	const fence = "```"
	before, rest, found := strings.Cut("\n"+markdown, "\n"+fence+"imports\n")
	block, after, closed := strings.Cut("\n"+rest, "\n"+fence+"\n")
	if !found || !closed || strings.Contains(before+after, fence+"imports\n") {
		return "", errors.New("there must be one block that begins with " + fence + "imports")
	}
	return block, nil
}

// statements splits a block where one ends.
func statements(block string) []string {
	var all []string
	for line := range strings.Lines(dotted.ReplaceAllString(block, " ·")) {
		for statement := range strings.SplitSeq(line, ";") {
			if statement = strings.TrimSpace(statement); statement != "" {
				all = append(all, statement)
			}
		}
	}
	return all
}

// dotted is the beginning of a line that goes on with the one before.
var dotted = regexp.MustCompile(`\s*\n\s*·`)

// reader parses the statements of a diagram.
type reader struct {
	diagram *Diagram
	tree    *Tree
	into    graph    // takes the arrows; nil: a list of packages is read
	words   []string // of the statement, that are still to be read
}

func (r *reader) statement(text string) error {
	if label, rest, labelled := strings.Cut(text, ":"); labelled {
		if err := r.section(strings.TrimSpace(label)); err != nil {
			return err
		}
		if text = strings.TrimSpace(rest); text == "" {
			return nil
		}
	}
	r.words = strings.Fields(strings.NewReplacer("→", " → ", "{", " { ", "}", " } ", "·", " ", ",", " ").Replace(text))
	if r.into == nil {
		packages, err := r.list()
		if err != nil {
			return err
		}
		last := &r.diagram.libraries[len(r.diagram.libraries)-1]
		last.packages = append(last.packages, packages...)
		return r.end()
	}
	if _, err := r.chain(); err != nil {
		return err
	}
	return r.end()
}

// section says what the statements after a label mean.
func (r *reader) section(label string) error {
	switch label {
	case "in tests":
		r.into = r.diagram.inTests
		return nil
	case "never":
		r.into = r.diagram.never
		return nil
	}
	extra, ok := strings.CutPrefix(label, "standard library")
	if !ok {
		return fmt.Errorf("unknown label %q", label)
	}
	l := library{}
	for _, word := range strings.Fields(extra) {
		if word != "only" && word != "+" {
			l.extra = append(l.extra, word)
		}
	}
	r.into = nil
	r.diagram.libraries = append(r.diagram.libraries, l)
	return nil
}

func (r *reader) end() error {
	if len(r.words) > 0 {
		return fmt.Errorf("not expected here: %q", r.words[0])
	}
	return nil
}

// chain reads lists with arrows between them and gives the first list.
func (r *reader) chain() ([]string, error) {
	first, err := r.list()
	for from := first; err == nil && r.take("→"); {
		var to []string
		to, err = r.list()
		for _, importer := range from {
			for _, imported := range to {
				if importer != imported {
					r.into.add(importer, imported)
				}
			}
		}
		from = to
	}
	return first, err
}

// list reads packages and braces side by side.
func (r *reader) list() ([]string, error) {
	if r.take("all") {
		return r.allBut()
	}
	var packages []string
	for len(r.words) > 0 && r.words[0] != "→" && r.words[0] != "}" {
		if r.take("{") {
			inner, err := r.chain()
			if err == nil && !r.take("}") {
				err = errors.New("a brace is not closed")
			}
			if err != nil {
				return nil, err
			}
			packages = append(packages, inner...)
			continue
		}
		name, err := r.name()
		if err != nil {
			return nil, err
		}
		packages = append(packages, name)
	}
	if len(packages) == 0 {
		return nil, errors.New("a package is missing")
	}
	return packages, nil
}

// allBut reads what is excepted from all packages.
func (r *reader) allBut() ([]string, error) {
	var except []string
	if r.take("but") {
		var err error
		if except, err = r.list(); err != nil {
			return nil, err
		}
	}
	var packages []string
	for name := range r.tree.packages {
		if !slices.Contains(except, name) {
			packages = append(packages, name)
		}
	}
	slices.Sort(packages)
	return packages, nil
}

// name reads a package and gives its folder.
func (r *reader) name() (string, error) {
	word := r.words[0]
	r.words = r.words[1:]
	for _, folder := range []string{"internal/" + word, word} {
		if r.tree.packages[folder] != nil {
			r.diagram.named[folder] = true
			return folder, nil
		}
	}
	return "", fmt.Errorf("there is no package %s", word)
}

func (r *reader) take(word string) bool {
	if len(r.words) == 0 || r.words[0] != word {
		return false
	}
	r.words = r.words[1:]
	return true
}
