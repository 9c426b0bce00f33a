package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// size is one measured figure of one thing.
type size struct {
	pkg   string // folder
	what  string // which figure: one of those in ratchet.txt
	value int
	place string // of what was measured: a package, a file, or file:line and a name
}

// sizes measures the code without its tests.
func (t *Tree) sizes() []size {
	var all []size
	for _, p := range t.sorted() {
		lines, exported := 0, 0
		for _, f := range p.code {
			lines += f.lines
			exported += len(exportedNames(f.syntax))
			all = append(all, size{p.name, "file", f.lines, f.name})
			all = append(all, t.fileSizes(p, f)...)
		}
		if len(p.code) > 0 {
			all = append(all, size{p.name, "lines", lines, p.name}, size{p.name, "exported", exported, p.name})
		}
	}
	return all
}

// fileSizes measures the functions and interfaces of a file.
func (t *Tree) fileSizes(p *pkg, f *file) []size {
	var all []size
	add := func(what string, value int, at ast.Node, name string) {
		all = append(all, size{p.name, what, value, t.line(at) + " " + name})
	}
	for _, declared := range f.syntax.Decls {
		switch d := declared.(type) {
		case *ast.FuncDecl:
			if d.Body == nil {
				continue
			}
			add("function", t.set.Position(d.End()).Line-t.set.Position(d.Pos()).Line+1, d, d.Name.Name)
			add("parameters", d.Type.Params.NumFields(), d, d.Name.Name)
			add("branches", branches(d), d, d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok {
					if i, ok := named.Type.(*ast.InterfaceType); ok {
						add("interface", methods(p, i), named, named.Name.Name)
					}
				}
			}
		}
	}
	return all
}

// exportedNames gives the exported names of a file: what it declares at the top,
// and methods.
func exportedNames(f *ast.File) []*ast.Ident {
	var names []*ast.Ident
	add := func(name *ast.Ident) {
		if name.IsExported() {
			names = append(names, name)
		}
	}
	for _, declared := range f.Decls {
		switch d := declared.(type) {
		case *ast.FuncDecl:
			add(d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				declares, _ := specNames(spec)
				for _, name := range declares {
					add(name)
				}
			}
		}
	}
	return names
}

// methods counts what an interface asks for, with the interfaces of the same
// package that it is made of; one of another package counts as one.
func methods(p *pkg, i *ast.InterfaceType) int {
	n := 0
	for _, field := range i.Methods.List {
		n += max(len(field.Names), 1)
		if name, ok := field.Type.(*ast.Ident); ok && len(field.Names) == 0 {
			if embedded := p.findInterface(name.Name); embedded != nil {
				n += methods(p, embedded) - 1
			}
		}
	}
	return n
}

func (p *pkg) findInterface(name string) *ast.InterfaceType {
	for _, f := range p.code {
		for _, declared := range f.syntax.Decls {
			d, ok := declared.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range d.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok && named.Name.Name == name {
					found, _ := named.Type.(*ast.InterfaceType)
					return found
				}
			}
		}
	}
	return nil
}

// branches is the cyclomatic complexity of a function: one, and one for each
// place where it may go another way.
func branches(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f.Body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if node.List != nil {
				n++
			}
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

// Limits are the largest figures that are allowed: for every package, and where
// that is not kept yet, for single ones what they have today.
type Limits struct {
	general map[string]int    // by figure
	single  map[[2]string]int // by package and figure
}

// ReadLimits parses lines such as "function 70" and "internal/store lines 4500".
// What follows a # is a comment.
func ReadLimits(text string) (Limits, error) {
	l := Limits{map[string]int{}, map[[2]string]int{}}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		n, err := strconv.Atoi(words[len(words)-1])
		switch {
		case err != nil || len(words) < 2 || len(words) > 3:
			return l, fmt.Errorf("%q is no limit", strings.TrimSpace(line))
		case len(words) == 2:
			l.general[words[0]] = n
		default:
			l.single[[2]string{words[0], words[1]}] = n
		}
	}
	return l, nil
}

// step is how finely a figure is kept: a line more or less in a package of
// thousands says nothing.
func step(what string) int {
	if what == "lines" {
		return 100
	}
	return 1
}

// CheckSizes compares the code with the limits, and gives what is larger, and
// which limits are no longer needed or can be lower.
func (t *Tree) CheckSizes(l Limits) []string {
	var problems []string
	worst := map[[2]string]size{}
	for _, s := range t.sizes() {
		if _, known := l.general[s.what]; !known {
			return []string{"there is no limit for " + s.what}
		}
		key := [2]string{s.pkg, s.what}
		worst[key] = slices.MaxFunc([]size{worst[key], s}, func(a, b size) int { return cmp.Compare(a.value, b.value) })
		if _, single := l.single[key]; !single && s.value > l.general[s.what] {
			problems = append(problems, fmt.Sprintf("%s: %s %d, the limit is %d", s.place, s.what, s.value, l.general[s.what]))
		}
	}
	for key, limit := range l.single {
		w, step := worst[key], step(key[1])
		now := (w.value + step - 1) / step * step
		switch {
		case w.value > limit:
			problems = append(problems, fmt.Sprintf("%s: %s %d, the limit is %d", w.place, w.what, w.value, limit))
		case w.value <= l.general[key[1]]:
			problems = append(problems, fmt.Sprintf("%s %s: %d is below the limit for all packages: take the line out of ratchet.txt", key[0], key[1], w.value))
		case now < limit:
			problems = append(problems, fmt.Sprintf("%s %s: better than its limit: write %d instead of %d in ratchet.txt", key[0], key[1], now, limit))
		}
	}
	slices.Sort(problems)
	return problems
}

// Figures describes the sizes in a few lines for people.
func (t *Tree) Figures() []string {
	by := map[string][]size{}
	for _, s := range t.sizes() {
		by[s.what] = append(by[s.what], s)
	}
	var lines []string
	for _, of := range []struct{ what, title string }{
		{"lines", "lines in a package"},
		{"exported", "exported names of a package, with methods"},
		{"file", "lines in a file"},
		{"function", "lines in a function"},
		{"branches", "branches in a function"},
		{"parameters", "parameters of a function"},
		{"interface", "methods of an interface"},
	} {
		sizes := by[of.what]
		if len(sizes) == 0 {
			continue
		}
		slices.SortFunc(sizes, func(a, b size) int { return cmp.Compare(a.value, b.value) })
		most := sizes[len(sizes)-1]
		lines = append(lines, fmt.Sprintf("%-42s %5d: median %d, p95 %d, most %d (%s)", of.title, len(sizes),
			sizes[len(sizes)/2].value, sizes[len(sizes)*95/100].value, most.value, most.place))
	}
	return append(lines, fmt.Sprintf("%-42s %5d", "packages in the longest chain of imports", t.depth()))
}

// depth counts the packages of the longest chain of imports.
func (t *Tree) depth() int {
	known := map[string]int{}
	var below func(name string) int
	below = func(name string) int {
		if n, ok := known[name]; ok || t.packages[name] == nil {
			return n
		}
		known[name] = 0 // should it lead back here, as only imports for another system can
		most := 0
		for _, f := range t.packages[name].code {
			for _, to := range f.ours {
				most = max(most, below(to))
			}
		}
		known[name] = most + 1
		return most + 1
	}
	most := 0
	for name := range t.packages {
		most = max(most, below(name))
	}
	return most
}
