package archtest_test

import (
	"fmt"
	"maps"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/archtest"
)

// A small module that agrees with its diagram: files and what they import.
var (
	agreed = map[string]string{
		"cmd/run/main.go":             "example/internal/app",
		"internal/app/app.go":         "example/internal/api example/internal/store",
		"internal/api/api.go":         "example/internal/web net/http",
		"internal/api/api_test.go":    "example/internal/api example/internal/store example/internal/words testing",
		"internal/web/web.go":         "example/internal/words",
		"internal/web/web_windows.go": "example/internal/words syscall",
		"internal/store/store.go":     "example/internal/words database/sql",
		"internal/words/words.go":     "golang.org/x/text/language",
		"internal/fake/fake.go":       "",
		"client/client.go":            "",
		"client/client_test.go":       "example/client",
	}
	agreedDiagram = `
cmd/run → app → { api → web } · store
          { web store } → words
          fake client
in tests: api → store
never:    client → fake; fake → client
standard library only: client fake
standard library + golang.org/x/text: words store
`
)

// source makes the files of a module.
func source(files map[string]string) fstest.MapFS {
	module := fstest.MapFS{"go.mod": {Data: []byte("module example\n\ngo 1.26\n")}}
	for name, imports := range files {
		var text strings.Builder
		fmt.Fprintf(&text, "// Package %[1]s is there.\npackage %[1]s\n", path.Base(path.Dir(name)))
		for _, imported := range strings.Fields(imports) {
			fmt.Fprintf(&text, "import _ %q\n", imported)
		}
		module[name] = &fstest.MapFile{Data: []byte(text.String())}
	}
	return module
}

// wrongIn checks a module against a diagram.
func wrongIn(t *testing.T, files map[string]string, diagram string) []string {
	t.Helper()
	tree, err := archtest.Load(source(files))
	if err != nil {
		t.Fatal(err)
	}
	d, err := archtest.ReadDiagram("# A text\n\n```imports"+diagram+"```\n", tree)
	if err != nil {
		return []string{err.Error()}
	}
	return tree.CheckImports(d)
}

func TestCheckImports(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		file     string // is added, or replaced
		imports  string
		old, new string // what the diagram says instead
		want     []string
	}{
		{name: "agreed"},
		{
			"import that is not in the diagram", "internal/store/more.go", "example/internal/web", "", "",
			[]string{"internal/store/more.go: internal/store may not import internal/web"},
		},
		{
			"below, and not in the diagram", "internal/api/more.go", "example/internal/words", "", "",
			[]string{"internal/api/more.go: internal/api may not import internal/words"},
		},
		{
			"upward in a file for Windows", "internal/web/more_windows.go", "example/internal/api", "", "",
			[]string{"internal/web/more_windows.go: internal/web may not import internal/api"},
		},
		{
			"upward in a test", "internal/store/store_test.go", "example/internal/api", "", "",
			[]string{"internal/store/store_test.go: tests of internal/store may not import internal/api"},
		},
		{
			"upward in a test for Windows", "internal/web/web_windows_test.go", "example/internal/web example/internal/app", "", "",
			[]string{"internal/web/web_windows_test.go: tests of internal/web may not import internal/app"},
		},
		{
			"new package", "internal/new/new.go", "", "", "",
			[]string{"internal/new is not in the diagram of ARCHITECTURE.md"},
		},
		{
			"package that is gone", "", "", "fake client\n", "fake client console\n",
			[]string{`"fake client console": there is no package console`},
		},
		{
			"arrow without an import", "", "", "fake client\n", "fake client; app → web\n",
			[]string{"internal/app → internal/web is in the diagram, and the code has no such import"},
		},
		{
			"arrow the wrong way", "", "", "{ api → web } · store", "{ web → api } · store",
			[]string{
				"internal/api/api.go: internal/api may not import internal/web",
				"internal/app/app.go: internal/app may not import internal/api",
				"internal/app → internal/web is in the diagram, and the code has no such import",
				"internal/web → internal/api is in the diagram, and the code has no such import",
			},
		},
		{
			"tests' arrow without an import", "", "", "api → store\n", "api → store; web → store\n",
			[]string{"in tests: internal/web → internal/store is in the diagram, and no test has such an import"},
		},
		{
			"tests' arrow to what is below", "", "", "api → store\n", "api → store words\n",
			[]string{"in tests: internal/api → internal/words is not needed: internal/words is below internal/api"},
		},
		{
			"tests' arrow up", "internal/store/store_test.go", "example/internal/app", "api → store\n", "api → store; store → app\n",
			[]string{"the diagram has a cycle: internal/api → internal/store → internal/app → internal/api"},
		},
		{
			"never, in a test", "client/more_test.go", "example/internal/fake", "api → store\n", "api → store; client → fake\n",
			[]string{"client must never import internal/fake, and does: client → internal/fake"},
		},
		{
			"never, through another", "internal/fake/fake.go", "example/internal/web",
			"fake → client\nstandard library only: client fake", "fake → words\nstandard library only: client",
			[]string{
				"internal/fake/fake.go: internal/fake may not import internal/web",
				"internal/fake must never import internal/words, and does: internal/fake → internal/web → internal/words",
			},
		},
		{
			"foreign import", "client/more.go", "golang.org/x/text/language", "", "",
			[]string{"client/more.go: client needs golang.org/x/text/language (client)"},
		},
		{
			"foreign import through another", "client/more.go", "example/internal/store", "fake client\n", "fake; client → store\n",
			[]string{"internal/words/words.go: client needs golang.org/x/text/language (client → internal/store → internal/words)"},
		},
		{
			"another foreign import", "internal/words/more.go", "golang.org/x/textual", "", "",
			[]string{
				"internal/words/more.go: internal/words needs golang.org/x/textual (internal/words)",
				"internal/words/more.go: internal/store needs golang.org/x/textual (internal/store → internal/words)",
			},
		},
		{
			"allowance that nobody needs", "internal/words/words.go", "", "", "",
			[]string{"the diagram allows golang.org/x/text, and none of internal/words, internal/store needs it"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(agreed)
			if row.file != "" {
				files[row.file] = row.imports
			}
			if row.old != "" && strings.Count(agreedDiagram, row.old) != 1 {
				t.Fatalf("%q is not once in the diagram", row.old)
			}
			if diff := cmp.Diff(row.want, wrongIn(t, files, strings.Replace(agreedDiagram, row.old, row.new, 1))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The one block marked imports is read, and a mistake in it is named.
func TestReadDiagram(t *testing.T) {
	t.Parallel()
	tree, err := archtest.Load(source(agreed))
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "```imports\n", "```\n"
	for name, row := range map[string]struct{ markdown, want string }{
		"none":            {"# A text\n\n```\napp → api\n```\n", "there must be one block that begins with ```imports"},
		"two":             {begin + end + begin + end, "there must be one block that begins with ```imports"},
		"not closed":      {begin + "app → api\n", "there must be one block that begins with ```imports"},
		"no target":       {begin + "app →\n" + end, `"app →": a package is missing`},
		"two arrows":      {begin + "app → → api\n" + end, `"app → → api": a package is missing`},
		"open brace":      {begin + "app → { api → web\n" + end, `"app → { api → web": a brace is not closed`},
		"closing brace":   {begin + "app → api }\n" + end, `"app → api }": not expected here: "}"`},
		"unknown label":   {begin + "sometimes: app → api\n" + end, `"sometimes: app → api": unknown label "sometimes"`},
		"arrow in a list": {begin + "standard library only: app → api\n" + end, `"standard library only: app → api": not expected here: "→"`},
		"all but nobody":  {begin + "all but → words\n" + end, `"all but → words": a package is missing`},
		"unknown package": {begin + "app → api · consol\n" + end, `"app → api · consol": there is no package consol`},
		"right":           {begin + "app→{api→web}·\n· store; all but words → words\n" + end, ""},
	} {
		got := ""
		if _, err := archtest.ReadDiagram(row.markdown, tree); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

// "all but" stands for every package that it does not except.
func TestAllBut(t *testing.T) {
	t.Parallel()
	all := strings.Replace(agreedDiagram, "{ web store } → words", "all but cmd/run app api fake client → words", 1)
	if got := wrongIn(t, agreed, all); got != nil {
		t.Errorf("got %q", got)
	}
	want := []string{"internal/api → internal/words is in the diagram, and the code has no such import"}
	if diff := cmp.Diff(want, wrongIn(t, agreed, strings.Replace(all, "app api", "app", 1))); diff != "" {
		t.Error(diff)
	}
}
