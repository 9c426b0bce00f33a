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

// decisions are what the code of a package decides by.
type decisions struct {
	codes  map[string]bool // errorcodes, names and statuses
	texts  map[string]bool // parts of messages
	others map[string]bool // statuses that this test does not know
}

// see notes what a part of the code decides by.
func (d *decisions) see(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "http" && strings.HasPrefix(n.Sel.Name, "Status") && n.Sel.Name != "StatusText" {
			d.status(n.Sel.Name)
		}
	case *ast.CompositeLit: // phrase{"text", …}
		if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "phrase" {
			d.texts[literal(n.Elts[0])] = true
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok {
			d.hint(key.Name, n.Value)
		}
	}
	return true
}

func (d *decisions) status(name string) {
	status, known := statuses[name]
	switch {
	case !known:
		d.others[name] = true
	case status != 0:
		d.codes[strconv.Itoa(status)] = true
	}
}

// hint notes a part of a row in the table of hints. Where it names a constant of sfmc,
// there is nothing to note.
func (d *decisions) hint(key string, value ast.Expr) {
	switch list, _ := value.(*ast.CompositeLit); {
	case key == "codes" && list != nil:
		for _, code := range list.Elts {
			if number := literal(code); number != "" {
				d.codes[number] = true
			}
		}
	case key == "text" && literal(value) != "":
		d.codes[literal(value)] = true
	case key == "says":
		d.texts[literal(value)] = true
	}
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
	found := decisions{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, code := range constants(t) {
		found.codes[code] = true
	}
	for _, folder := range []string{"../outbound", "../setup"} {
		for _, file := range parsed(t, folder) {
			ast.Inspect(file, found.see)
		}
	}
	if len(found.codes) < 35 || len(found.texts) < 20 {
		t.Errorf("only these codes and texts are found in the code: %v", found)
	}
	for code := range found.codes {
		if len(all.Find(code)) == 0 {
			t.Errorf("docs/answers.md has no entry for %s", code)
		}
	}
	for text := range found.texts {
		if !strings.Contains(strings.ToLower(string(document)), strings.ToLower(text)) {
			t.Errorf("docs/answers.md has no entry with the text %q", text)
		}
	}
	for name := range found.others {
		t.Errorf("the code decides by http.%s: add it to this test", name)
	}
}
