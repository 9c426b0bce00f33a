package archtest_test

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/archtest"
)

// sized has one package of two files; its figures stand in TestCheckSizes.
var sized = fstest.MapFS{
	"go.mod": {Data: []byte("module example\n")},
	"a/one.go": {Data: []byte(`package a

import "errors"

type Reader interface {
	Read()
	Writer
}

type Writer interface {
	Write(p []byte, n int)
	Close()
	error
}

var First, second, Third = 1, 2, 3

const Fourth = 4

func (w *writer) Write(p []byte, n int) {}

type writer struct{}

var ErrLost = errors.New("lost")
`)},
	"a/two_windows.go": {Data: []byte(`package a

func Branch(a, b bool, n int) {
	switch {
	case a && b:
		for range n {
		}
	default:
		if a || b {
			return
		}
	}
}
`)},
	"a/one_test.go": {Data: []byte("package a\n\nfunc Long(a, b, c, d, e, f, g int) {\n" + strings.Repeat("\n", 100) + "}\n")},
}

func TestCheckSizes(t *testing.T) {
	t.Parallel()
	tree, err := archtest.Load(sized)
	if err != nil {
		t.Fatal(err)
	}
	const exact = "lines 37\nexported 8\nfile 24\nfunction 11\nbranches 6\nparameters 3\ninterface 4\n"
	for _, row := range []struct {
		name, old, new string
		want           []string
	}{
		{"as large as allowed", "", "", nil},
		{"lines", "lines 37", "lines 36", []string{"a: lines 37, the limit is 36"}},
		{"exported names", "exported 8", "exported 7", []string{"a: exported 8, the limit is 7"}},
		{"file", "file 24", "file 23", []string{"a/one.go: file 24, the limit is 23"}},
		{"function", "function 11", "function 10", []string{"a/two_windows.go:3 Branch: function 11, the limit is 10"}},
		{"branches", "branches 6", "branches 5", []string{"a/two_windows.go:3 Branch: branches 6, the limit is 5"}},
		{"parameters", "parameters 3", "parameters 2", []string{"a/two_windows.go:3 Branch: parameters 3, the limit is 2"}},
		{"interface", "interface 4", "interface 3", []string{"a/one.go:5 Reader: interface 4, the limit is 3"}},
		{"known", "function 11", "function 10\na function 11 # today", nil},
		{"known lines, rounded up", "lines 37", "lines 36\na lines 100", nil},
		{"grown", "function 11", "function 5\na function 10", []string{"a/two_windows.go:3 Branch: function 11, the limit is 10"}},
		{"shrunk", "function 11", "function 5\na function 12", []string{"a function: better than its limit: write 11 instead of 12 in ratchet.txt"}},
		{"shrunk lines", "lines 37", "lines 36\na lines 200", []string{"a lines: better than its limit: write 100 instead of 200 in ratchet.txt"}},
		{"no longer needed", "function 11", "function 11\na function 12", []string{"a function: 11 is below the limit for all packages: take the line out of ratchet.txt"}},
		{"package that is gone", "function 11", "function 11\nb function 12", []string{"b function: 0 is below the limit for all packages: take the line out of ratchet.txt"}},
		{"figure without a limit", "function 11", "", []string{"there is no limit for function"}},
	} {
		limits, err := archtest.ReadLimits(strings.Replace(exact, row.old, row.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, tree.CheckSizes(limits)); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
	}
}

// What go test -v prints.
func TestFigures(t *testing.T) {
	t.Parallel()
	tree, err := archtest.Load(sized)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"lines in a package                             1: median 37, p95 37, most 37 (a)",
		"exported names of a package, with methods      1: median 8, p95 8, most 8 (a)",
		"lines in a file                                2: median 24, p95 24, most 24 (a/one.go)",
		"lines in a function                            2: median 11, p95 11, most 11 (a/two_windows.go:3 Branch)",
		"branches in a function                         2: median 6, p95 6, most 6 (a/two_windows.go:3 Branch)",
		"parameters of a function                       2: median 3, p95 3, most 3 (a/two_windows.go:3 Branch)",
		"methods of an interface                        2: median 4, p95 4, most 4 (a/one.go:5 Reader)",
		"packages in the longest chain of imports       1",
	}
	if diff := cmp.Diff(want, tree.Figures()); diff != "" {
		t.Error(diff)
	}
	// a cycle that only Windows sees
	files := maps.Clone(agreed)
	files["internal/web/web_windows.go"] = "example/internal/app"
	if tree, err = archtest.Load(source(files)); err != nil {
		t.Fatal(err)
	}
	figures := tree.Figures()
	if got := figures[len(figures)-1]; !strings.HasPrefix(got, "packages in the longest chain") {
		t.Errorf("got %q", got)
	}
}

func TestReadLimitsWrong(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"lines", "lines many", "a b lines 3", "3"} {
		if _, err := archtest.ReadLimits("file 3\n" + text + " # why"); err == nil || err.Error() != `"`+text+`" is no limit` {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
