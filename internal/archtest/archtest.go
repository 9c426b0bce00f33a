// Package archtest checks the code against ARCHITECTURE.md: its imports against
// the import graph that is drawn there, its sizes against ratchet.txt, and a few
// rules of style that a program can see. Its own tests run it over this module.
//
// It reads source text only, and every file of it: what is built for another
// system, or with another tag, counts like the rest.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Tree is the source code of a module.
type Tree struct {
	packages map[string]*pkg // by folder, such as "internal/store"
	set      *token.FileSet
}

// pkg is one folder with Go files: a package and its tests.
type pkg struct {
	name  string // the folder
	code  []*file
	tests []*file
}

type file struct {
	name    string
	lines   int
	syntax  *ast.File
	ours    []string // packages of the module that it imports, by folder
	foreign []string // import paths from outside the module and the standard library
}

// Load reads a module: go.mod and all Go files, but for folders named testdata
// and those that begin with a dot or an underscore.
func Load(module fs.FS) (*Tree, error) {
	mod, err := fs.ReadFile(module, "go.mod")
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	prefix := strings.TrimSpace(strings.TrimPrefix(first, "module ")) + "/"
	t := &Tree{packages: map[string]*pkg{}, set: token.NewFileSet()}
	err = fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (base == "testdata" || strings.ContainsAny(base[:1], "._")):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		return t.add(name, text, prefix)
	})
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	return t, nil
}

func (t *Tree) add(name string, text []byte, prefix string) error {
	syntax, err := parser.ParseFile(t.set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	f := &file{name: name, lines: bytes.Count(text, []byte("\n")), syntax: syntax}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if ours, ok := strings.CutPrefix(imported, prefix); ok {
			f.ours = append(f.ours, ours)
		} else if host, _, _ := strings.Cut(imported, "/"); strings.Contains(host, ".") {
			f.foreign = append(f.foreign, imported)
		}
	}
	folder := path.Dir(name)
	p := t.packages[folder]
	if p == nil {
		p = &pkg{name: folder}
		t.packages[folder] = p
	}
	if strings.HasSuffix(name, "_test.go") {
		p.tests = append(p.tests, f)
	} else {
		p.code = append(p.code, f)
	}
	return nil
}

// sorted gives the packages in the order of their names.
func (t *Tree) sorted() []*pkg {
	var all []*pkg
	for _, p := range t.packages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pkg) int { return strings.Compare(a.name, b.name) })
	return all
}

// line gives a place in the source as file:line.
func (t *Tree) line(n ast.Node) string {
	at := t.set.Position(n.Pos())
	return at.Filename + ":" + strconv.Itoa(at.Line)
}
