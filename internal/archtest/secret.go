package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// doors are the packages that compare what strangers bring with what they should know.
func doors() []string {
	return []string{
		"internal/admin", "internal/api", "internal/app", "internal/console", "internal/consent", "internal/ens", "internal/hosted", "internal/oauth",
		"internal/operator", "internal/watch", "internal/web",
	}
}

// secretName is how values are called of which a caller must not learn by trying how much
// is right already.
var secretName = regexp.MustCompile(`(?i)(secret|password|token|signature|mac|digest)$`)

// lookForSecrets finds comparisons of secrets that end at the first difference: == and !=,
// and functions that do the same.
func (s *style) lookForSecrets(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if (n.Op == token.EQL || n.Op == token.NEQ) && isSecret(n.X, n.Y) {
			s.report(ComparedSecret, n, "")
		}
	case *ast.CallExpr:
		if len(n.Args) == 2 && isQuickComparison(n.Fun) && isSecret(n.Args[0], n.Args[1]) {
			s.report(ComparedSecret, n, "")
		}
	}
	return true
}

// isQuickComparison says that a function compares two texts, and takes longer the more of
// them is the same.
func isQuickComparison(f ast.Expr) bool {
	selector, ok := f.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := selector.X.(*ast.Ident)
	return ok && (of.Name == "bytes" || of.Name == "strings") && slices.Contains([]string{"Equal", "EqualFold", "Compare", "HasPrefix"}, selector.Sel.Name)
}

// isSecret says that two things are compared of which one is a secret, and neither is
// known to everybody, such as "" or nil.
func isSecret(a, b ast.Expr) bool {
	return (namesSecret(a) || namesSecret(b)) && !isKnown(a) && !isKnown(b)
}

func namesSecret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return secretName.MatchString(e.Name)
	case *ast.SelectorExpr:
		return secretName.MatchString(e.Sel.Name)
	case *ast.CallExpr:
		if of, ok := e.Fun.(*ast.SelectorExpr); ok && of.Sel.Name == "Reveal" {
			return true
		}
		return len(e.Args) == 1 && namesSecret(e.Args[0]) // a conversion
	case *ast.SliceExpr:
		return namesSecret(e.X)
	case *ast.IndexExpr:
		return namesSecret(e.X)
	}
	return false
}

// isKnown says that something is a constant or nil: whether it is there is no secret.
func isKnown(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.CompositeLit:
		return true
	case *ast.Ident:
		// such as byToken: the word for how something was proved
		return e.Name == "nil" || strings.HasPrefix(e.Name, "by")
	}
	return false
}
