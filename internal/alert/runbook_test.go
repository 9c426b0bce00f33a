package alert_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/docs"
)

// source is what this package's code says about runbook pages.
type source struct {
	pages    map[string]string // name of the page by that of the constant
	used     map[string]bool   // constants that stand outside of their declaration
	pageless []string          // places of conditions without a page
}

func read(t *testing.T) source {
	t.Helper()
	s := source{pages: map[string]string{}, used: map[string]bool{}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool { return s.visit(set, n) })
	}
	return s
}

func (s *source) visit(set *token.FileSet, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ValueSpec:
		if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "Runbook" && n.Names[0].IsExported() {
			s.pages[n.Names[0].Name], _ = strconv.Unquote(n.Values[0].(*ast.BasicLit).Value)
			return false
		}
	case *ast.Ident:
		if strings.HasPrefix(n.Name, "Runbook") && n.Name != "Runbook" {
			s.used[n.Name] = true
		}
	case *ast.CompositeLit:
		s.literal(set, n)
	}
	return true
}

// literal notes a condition that has no page; those in a list leave out their type.
func (s *source) literal(set *token.FileSet, n *ast.CompositeLit) {
	all := []*ast.CompositeLit{n}
	if list, ok := n.Type.(*ast.ArrayType); ok {
		if of, ok := list.Elt.(*ast.Ident); !ok || of.Name != "Condition" {
			return
		}
		all = nil
		for _, e := range n.Elts {
			if one, ok := e.(*ast.CompositeLit); ok {
				all = append(all, one)
			}
		}
	} else if of, ok := n.Type.(*ast.Ident); !ok || of.Name != "Condition" {
		return
	}
	for _, one := range all {
		has := slices.ContainsFunc(one.Elts, func(e ast.Expr) bool {
			pair, ok := e.(*ast.KeyValueExpr)
			return ok && pair.Key.(*ast.Ident).Name == "Runbook"
		})
		if !has {
			s.pageless = append(s.pageless, set.Position(one.Pos()).String())
		}
	}
}

// Each condition names a page of docs/runbook, each page belongs to a condition, and the
// index lists them all.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	code := read(t)
	if code.pageless != nil {
		t.Errorf("conditions without a runbook page: %s", strings.Join(code.pageless, ", "))
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(code.pages)), slices.Sorted(maps.Keys(code.used))); diff != "" {
		t.Errorf("pages that no condition names (-) or that are not declared (+):\n%s", diff)
	}
	named := slices.Sorted(maps.Values(code.pages))
	if diff := cmp.Diff(named, docs.Runbooks()); diff != "" {
		t.Errorf("docs/runbook lacks pages (-), or has some that no alert names (+):\n%s", diff)
	}
	index, err := os.ReadFile("../../docs/runbook/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range named {
		if n := strings.Count(string(index), "("+page+".md)"); n != 1 {
			t.Errorf("docs/runbook/README.md links to %s.md %d times, not once", page, n)
		}
	}
}

// Each page has what somebody needs who was woken by its alert, in this order.
func TestRunbookPages(t *testing.T) {
	t.Parallel()
	want := []string{"What it means", "Who is affected", "Look first", "What to do", "When it clears"}
	for _, page := range docs.Runbooks() {
		text, _ := docs.Runbook(page)
		var headings []string
		for line := range strings.Lines(text) {
			if heading, ok := strings.CutPrefix(line, "## "); ok {
				headings = append(headings, strings.TrimSpace(heading))
			}
		}
		if diff := cmp.Diff(want, headings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", page, diff)
		}
		if !strings.Contains(text, "```sh\n") && !strings.Contains(text, "```console\n") {
			t.Errorf("%s has no command to look with", page)
		}
	}
}
