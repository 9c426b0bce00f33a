package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// CheckImports compares the diagram with the code, and gives what is wrong, one
// line each; none when they agree.
func (t *Tree) CheckImports(d *Diagram) []string {
	c := checker{tree: t, diagram: d, code: graph{}, tests: graph{}}
	for _, p := range t.sorted() {
		for _, f := range p.code {
			for _, to := range f.ours {
				c.code.add(p.name, to)
			}
		}
		for _, f := range p.tests {
			for _, to := range f.ours {
				c.tests.add(p.name, to)
			}
		}
	}
	for _, p := range t.sorted() {
		c.named(p)
		c.imports(p)
		c.testImports(p)
	}
	c.dead()
	c.cycle()
	c.apart()
	c.libraries()
	return c.problems
}

type checker struct {
	tree        *Tree
	diagram     *Diagram
	code, tests graph // what is imported
	problems    []string
}

func (c *checker) report(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *checker) named(p *pkg) {
	if !c.diagram.named[p.name] {
		c.report("%s is not in the diagram of ARCHITECTURE.md", p.name)
	}
}

// imports finds imports that are not in the diagram.
func (c *checker) imports(p *pkg) {
	for _, f := range p.code {
		for _, to := range f.ours {
			if !c.diagram.imports[p.name][to] {
				c.report("%s: %s may not import %s", f.name, p.name, to)
			}
		}
	}
}

// testImports finds imports of tests that are neither below their package nor
// allowed to tests.
func (c *checker) testImports(p *pkg) {
	may := c.below(p.name)
	for _, f := range p.tests {
		for _, to := range f.ours {
			if to != p.name && !may[to] {
				c.report("%s: tests of %s may not import %s", f.name, p.name, to)
			}
		}
	}
}

// below is what the tests of a package may import.
func (c *checker) below(name string) map[string]bool {
	may := reach(c.diagram.imports, name)
	for _, to := range c.diagram.inTests.targets(name) {
		may[to] = true
		for further := range reach(c.diagram.imports, to) {
			may[further] = true
		}
	}
	return may
}

// reach is all that a package imports, directly or through others.
func reach(g graph, from string) map[string]bool {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(from string) {
		for to := range g[from] {
			if !seen[to] {
				seen[to] = true
				visit(to)
			}
		}
	}
	visit(from)
	return seen
}

// dead finds arrows that no import needs.
func (c *checker) dead() {
	for _, from := range c.diagram.imports.sources() {
		for _, to := range c.diagram.imports.targets(from) {
			if !c.code[from][to] {
				c.report("%s → %s is in the diagram, and the code has no such import", from, to)
			}
		}
	}
	for _, from := range c.diagram.inTests.sources() {
		for _, to := range c.diagram.inTests.targets(from) {
			if !c.tests[from][to] {
				c.report("in tests: %s → %s is in the diagram, and no test has such an import", from, to)
			}
			if reach(c.diagram.imports, from)[to] {
				c.report("in tests: %s → %s is not needed: %[2]s is below %[1]s", from, to)
			}
		}
	}
}

// cycle finds arrows that lead back to where they come from, those of tests
// included: all must point down.
func (c *checker) cycle() {
	all := graph{}
	for _, g := range []graph{c.diagram.imports, c.diagram.inTests} {
		for _, from := range g.sources() {
			for _, to := range g.targets(from) {
				all.add(from, to)
			}
		}
	}
	for _, from := range all.sources() {
		for _, to := range all.targets(from) {
			if way := route(all, to, from); way != nil {
				c.report("the diagram has a cycle: %s", strings.Join(append([]string{from}, way...), " → "))
				return // the others are mostly the same one
			}
		}
	}
}

// route is a shortest way along arrows, both ends included; nil when there is none.
func route(g graph, from, to string) []string {
	ways := [][]string{{from}}
	seen := map[string]bool{from: true}
	for len(ways) > 0 {
		way := ways[0]
		ways = ways[1:]
		last := way[len(way)-1]
		if last == to {
			return way
		}
		for _, next := range g.targets(last) {
			if !seen[next] {
				seen[next] = true
				ways = append(ways, append(slices.Clone(way), next))
			}
		}
	}
	return nil
}

// apart finds packages that reach, by code or by their tests, what they never
// should.
func (c *checker) apart() {
	for _, from := range c.diagram.never.sources() {
		starts := graph{}
		for _, g := range []graph{c.code, c.tests} {
			for _, to := range g.targets(from) {
				starts.add(from, to)
			}
		}
		for _, to := range c.diagram.never.targets(from) {
			for _, start := range starts.targets(from) {
				if way := route(c.code, start, to); way != nil {
					c.report("%s must never import %s, and does: %s", from, to, strings.Join(append([]string{from}, way...), " → "))
					break
				}
			}
		}
	}
}

// libraries finds packages that need more from outside the module than the
// diagram says, themselves or through what they import, and extra paths that
// nobody needs.
func (c *checker) libraries() {
	for _, l := range c.diagram.libraries {
		used := map[string]bool{}
		for _, name := range l.packages {
			c.needs(l, name, used)
		}
		for _, allowed := range l.extra {
			if !used[allowed] {
				c.report("the diagram allows %s, and none of %s needs it", allowed, strings.Join(l.packages, ", "))
			}
		}
	}
}

func (c *checker) needs(l library, name string, used map[string]bool) {
	reached := reach(c.code, name)
	reached[name] = true
	for _, p := range c.tree.sorted() {
		if !reached[p.name] {
			continue
		}
		for _, f := range p.code {
			for _, foreign := range f.foreign {
				if allowed, ok := l.allows(foreign); ok {
					used[allowed] = true
					continue
				}
				c.report("%s: %s needs %s (%s)", f.name, name, foreign, strings.Join(route(c.code, name, p.name), " → "))
			}
		}
	}
}

// allows finds the path that takes in an import.
func (l library) allows(foreign string) (string, bool) {
	for _, allowed := range l.extra {
		if foreign == allowed || strings.HasPrefix(foreign, allowed+"/") {
			return allowed, true
		}
	}
	return "", false
}
