package answers_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// parsed are the files of a package, without its tests.
func parsed(t *testing.T, folder string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files, %v", folder, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// literal is the value of a string or a number.
func literal(e ast.Expr) string {
	basic, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	if text, err := strconv.Unquote(basic.Value); err == nil {
		return text
	}
	return basic.Value
}

// constants are the codes that sfmc exports, by name.
func constants(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range parsed(t, "../../sfmc") {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				name := spec.Names[0].Name
				if strings.HasPrefix(name, "Code") || strings.HasPrefix(name, "Status") {
					all[name] = literal(spec.Values[0])
				}
			}
			return true
		})
	}
	if all["CodeAggregate"] != "10006" || all["CodeTextNoDataExtension"] != "CustomObjectNotFound" {
		t.Fatalf("the codes of sfmc are not found: %v", all)
	}
	return all
}

// statuses are those that the code names, of http.Status….
var statuses = map[string]int{
	"StatusNotModified": http.StatusNotModified, "StatusBadRequest": http.StatusBadRequest, "StatusUnauthorized": http.StatusUnauthorized,
	"StatusForbidden": http.StatusForbidden, "StatusNotFound": http.StatusNotFound, "StatusMethodNotAllowed": http.StatusMethodNotAllowed,
	"StatusRequestTimeout": http.StatusRequestTimeout, "StatusConflict": http.StatusConflict, "StatusUnsupportedMediaType": http.StatusUnsupportedMediaType,
	"StatusTooManyRequests": http.StatusTooManyRequests, "StatusInternalServerError": http.StatusInternalServerError,
	"StatusNotImplemented": http.StatusNotImplemented, "StatusServiceUnavailable": http.StatusServiceUnavailable, "StatusGatewayTimeout": http.StatusGatewayTimeout,
	"StatusOK": 0, "StatusCreated": 0, "StatusAccepted": 0, // what was delivered
}

// Every code and status that the code decides by has an entry, and every text of an
// answer that it looks for stands in one.
func TestComplete(t *testing.T) {
	t.Parallel()
	all := load(t)
	document, err := os.ReadFile("../../docs/answers.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	wantCode := func(code, where string) {
		if codes++; len(all.Find(code)) == 0 {
			t.Errorf("docs/answers.md has no entry for %s (%s)", code, where)
		}
	}
	texts := 0
	wantText := func(text string) {
		if texts++; !strings.Contains(strings.ToLower(string(document)), strings.ToLower(text)) {
			t.Errorf("docs/answers.md has no entry with the text %q", text)
		}
	}
	exported := constants(t)
	for name, code := range exported {
		wantCode(code, "sfmc."+name)
	}
	for _, folder := range []string{"../outbound", "../setup"} {
		for _, file := range parsed(t, folder) {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "http" && strings.HasPrefix(n.Sel.Name, "Status") && n.Sel.Name != "StatusText" {
						status, known := statuses[n.Sel.Name]
						if !known {
							t.Errorf("%s decides by http.%s: add it to this test", folder, n.Sel.Name)
						} else if status != 0 {
							wantCode(strconv.Itoa(status), folder)
						}
					}
				case *ast.CompositeLit: // phrase{"text", …}
					if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "phrase" {
						wantText(literal(n.Elts[0]))
					}
				case *ast.KeyValueExpr: // of a hint
					key, _ := n.Key.(*ast.Ident)
					switch {
					case key == nil:
					case key.Name == "codes":
						for _, code := range n.Value.(*ast.CompositeLit).Elts {
							if number := literal(code); number != "" {
								wantCode(number, folder)
							}
						}
					case key.Name == "text" && literal(n.Value) != "":
						wantCode(literal(n.Value), folder)
					case key.Name == "says":
						wantText(literal(n.Value))
					}
				}
				return true
			})
		}
	}
	if codes < 40 || texts < 20 {
		t.Errorf("only %d codes and %d texts were found in the code", codes, texts)
	}
}
