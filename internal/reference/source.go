package reference

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"onramp/internal/onramp"
)

// comments reads what the source says of the fields of types.
type comments struct {
	root  string
	files map[string][]*ast.File // by package path
}

// of gives the comments of a struct's fields by their names; none when it is of another module.
func (c *comments) of(t reflect.Type) (map[string]string, error) {
	folder, ours := strings.CutPrefix(t.PkgPath(), "onramp/")
	if !ours {
		return nil, nil
	}
	files, err := c.parse(folder)
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(t.Name(), "[")
	said := map[string]string{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				note(said, s)
			}
			return false
		})
	}
	return said, nil
}

func note(said map[string]string, s *ast.StructType) {
	for _, f := range s.Fields.List {
		text := f.Comment.Text()
		if text == "" {
			text = f.Doc.Text()
		}
		for _, name := range f.Names {
			said[name.Name] = strings.TrimSuffix(strings.TrimSpace(text), ".")
		}
	}
}

// parse reads the files of a package, but for its tests.
func (c *comments) parse(folder string) ([]*ast.File, error) {
	if files, known := c.files[folder]; known {
		return files, nil
	}
	files, err := parseFolder(filepath.Join(c.root, filepath.FromSlash(folder)))
	if c.files == nil {
		c.files = map[string][]*ast.File{}
	}
	c.files[folder] = files
	return files, err
}

func parseFolder(folder string) (files []*ast.File, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(folder, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// patterns are the routes that the code gives to a mux, but for those of admin's list.
func patterns(root string) (all []string, err error) {
	for _, folder := range []string{"admin", "api", "app", "ens", "hosted", "oauth"} {
		files, err := parseFolder(filepath.Join(root, "internal", folder))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				if method, ok := call.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "Handle" {
					all = append(all, text(call.Args[0]))
				}
				return true
			})
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(p string) bool { return !strings.Contains(p, " /") }), nil
}

// text is what an expression of literals and of onramp's paths stands for.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		return text(e.X) + text(e.Y)
	case *ast.SelectorExpr:
		return map[string]string{"TokenPath": onramp.TokenPath, "CallbackPath": onramp.CallbackPath}[e.Sel.Name]
	}
	return ""
}
