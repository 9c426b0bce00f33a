package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// Rule is one of the rules of style that a program can see.
type Rule string

// The rules. All are about code, and about tests too where that makes sense.
const (
	NoComment      Rule = "a package or exported name without a comment"
	InitFunction   Rule = "an init function"
	LoggedTwice    Rule = "an error that is both logged and returned"
	ErrorText      Rule = "a decision by the text of an error"
	SleepingTest   Rule = "a test that sleeps"
	ComparedSecret Rule = "secrets compared so that it takes longer the more is right: use crypto/subtle or hmac.Equal"
	BareDuration   Rule = "a duration in the log that is a number in JSON: log its String()"
)

// Rules gives all rules.
func Rules() []Rule {
	return []Rule{NoComment, InitFunction, LoggedTwice, ErrorText, SleepingTest, BareDuration, ComparedSecret}
}

// Finding is a place that breaks a rule.
type Finding struct {
	Rule  Rule
	Place string // file:line and perhaps a name, or a package
}

// CheckStyle finds what breaks the rules.
func (t *Tree) CheckStyle() []Finding {
	s := style{tree: t}
	for _, p := range t.sorted() {
		if !slices.ContainsFunc(p.code, func(f *file) bool { return f.syntax.Doc != nil }) {
			s.found = append(s.found, Finding{NoComment, p.name})
		}
		for _, f := range p.code {
			s.documented(f)
		}
		for _, f := range slices.Concat(p.code, p.tests) {
			ast.Inspect(f.syntax, s.look)
		}
		for _, f := range p.code {
			ast.Inspect(f.syntax, s.lookForText)
			if slices.Contains(doors(), p.name) {
				ast.Inspect(f.syntax, s.lookForSecrets)
			}
		}
		for _, f := range p.tests {
			ast.Inspect(f.syntax, s.lookForSleep)
		}
	}
	return s.found
}

type style struct {
	tree  *Tree
	found []Finding
}

func (s *style) report(r Rule, at ast.Node, name string) {
	s.found = append(s.found, Finding{r, strings.TrimSpace(s.tree.line(at) + " " + name)})
}

// documented finds exported names without a comment. A comment over a group counts
// for all of it, and so does one at the end of the line; methods of an unexported
// type need none.
func (s *style) documented(f *file) {
	commented := map[*ast.Ident]bool{}
	for _, declared := range f.syntax.Decls {
		switch d := declared.(type) {
		case *ast.FuncDecl:
			commented[d.Name] = d.Doc != nil || d.Recv != nil && !ast.IsExported(receiver(d))
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				names, comments := specNames(spec)
				for _, name := range names {
					commented[name] = d.Doc != nil || comments
				}
			}
		}
	}
	for _, name := range exportedNames(f.syntax) {
		if !commented[name] {
			s.report(NoComment, name, name.Name)
		}
	}
}

// specNames gives the names that a declaration declares, and whether it has a
// comment of its own.
func specNames(spec ast.Spec) (names []*ast.Ident, commented bool) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return []*ast.Ident{s.Name}, s.Doc != nil || s.Comment != nil
	case *ast.ValueSpec:
		return s.Names, s.Doc != nil || s.Comment != nil
	}
	return nil, false
}

// receiver is the name of a method's type.
func receiver(f *ast.FuncDecl) string {
	of := f.Recv.List[0].Type
	for {
		switch inner := of.(type) {
		case *ast.StarExpr:
			of = inner.X
		case *ast.IndexExpr:
			of = inner.X
		case *ast.IndexListExpr:
			of = inner.X
		case *ast.Ident:
			return inner.Name
		default:
			return ""
		}
	}
}

func (s *style) look(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			s.report(InitFunction, n, "")
		}
	case *ast.BlockStmt:
		s.logAndReturn(n.List)
	case *ast.CaseClause:
		s.logAndReturn(n.Body)
	case *ast.CommClause:
		s.logAndReturn(n.Body)
	case *ast.CallExpr:
		if isFunction(n.Fun, "slog", "Duration") {
			s.report(BareDuration, n, "")
		}
	}
	return true
}

// logAndReturn finds an error that a log line takes and that the same block then
// returns.
func (s *style) logAndReturn(block []ast.Stmt) {
	var logged []string
	for _, statement := range block {
		switch n := statement.(type) {
		case *ast.ExprStmt:
			if call, ok := n.X.(*ast.CallExpr); ok && isLog(call.Fun) {
				logged = append(logged, errorsIn(call.Args)...)
			}
		case *ast.ReturnStmt:
			for _, name := range errorsIn(n.Results) {
				if slices.Contains(logged, name) {
					s.report(LoggedTwice, n, name)
				}
			}
		}
	}
}

// isLog says whether a function writes to a log: a function or method of what is
// called log, slog, logger, or something like requestLog.
func isLog(f ast.Expr) bool {
	method, ok := f.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	name := ""
	switch of := method.X.(type) {
	case *ast.Ident:
		name = of.Name
	case *ast.SelectorExpr:
		name = of.Sel.Name
	case *ast.CallExpr: // log.With(…).Error(…)
		return isLog(of.Fun)
	}
	switch name {
	case "log", "slog", "logger":
		return true
	}
	return strings.HasSuffix(name, "Log") || strings.HasSuffix(name, "Logger")
}

// errorsIn gives the variables in expressions that hold an error, by their names.
func errorsIn(expressions []ast.Expr) []string {
	var names []string
	for _, e := range expressions {
		ast.Inspect(e, func(node ast.Node) bool {
			if name, ok := node.(*ast.Ident); ok && (name.Name == "err" || strings.HasSuffix(name.Name, "Err")) {
				names = append(names, name.Name)
			}
			return true
		})
	}
	return names
}

// lookForText finds the text of an error where a decision is made: compared, or
// searched.
func (s *style) lookForText(node ast.Node) bool {
	searches := []string{"Contains", "Cut", "CutPrefix", "CutSuffix", "EqualFold", "HasPrefix", "HasSuffix", "Index"}
	switch n := node.(type) {
	case *ast.CallExpr:
		for _, name := range searches {
			if isFunction(n.Fun, "strings", name) && slices.ContainsFunc(n.Args, isErrorText) {
				s.report(ErrorText, n, "")
			}
		}
	case *ast.BinaryExpr:
		if (n.Op == token.EQL || n.Op == token.NEQ) && (isErrorText(n.X) || isErrorText(n.Y)) {
			s.report(ErrorText, n, "")
		}
	case *ast.SwitchStmt:
		if n.Tag != nil && isErrorText(n.Tag) {
			s.report(ErrorText, n, "")
		}
	}
	return true
}

// isErrorText says whether an expression is the text of an error.
func isErrorText(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) > 0 {
		return false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	return ok && method.Sel.Name == "Error" && len(errorsIn([]ast.Expr{method.X})) > 0
}

func (s *style) lookForSleep(node ast.Node) bool {
	if call, ok := node.(*ast.CallExpr); ok && isFunction(call.Fun, "time", "Sleep") {
		s.report(SleepingTest, call, "")
	}
	return true
}

// isFunction says whether an expression names a function of a package.
func isFunction(f ast.Expr, pkg, name string) bool {
	selector, ok := f.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	of, ok := selector.X.(*ast.Ident)
	return ok && of.Name == pkg
}
