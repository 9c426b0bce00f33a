package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each test that the threat model names is in the package that it names.
func TestThreatModel(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, named := regexp.MustCompile("((?:`(?:Test|Fuzz)[A-Za-z0-9]+`,? ?)+)in `([a-z/]+)`"), 0
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(columns) != 3 || columns[0] == "threat" || strings.HasPrefix(columns[0], "---") {
			continue
		}
		found := entries.FindAllStringSubmatch(columns[2], -1)
		if len(found) == 0 {
			t.Errorf("no test: %s", columns[0])
		}
		for _, entry := range found {
			code := testsOf(t, entry[2])
			for _, name := range regexp.MustCompile("[A-Z][A-Za-z0-9]+").FindAllString(entry[1], -1) {
				if named++; !strings.Contains(code, "\nfunc "+name+"(") {
					t.Errorf("%s: %s has no test %s", columns[0], entry[2], name)
				}
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}

// testsOf is the code of a package's tests.
func testsOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", folder, err)
	}
	var all strings.Builder
	for _, name := range files {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(code)
	}
	return all.String()
}

// The table for a firewall has the routes that the program has. reference/api.md is made
// of the routes themselves.
func TestFirewall(t *testing.T) {
	t.Parallel()
	reference, err := os.ReadFile("reference/api.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("firewall.md")
	if err != nil {
		t.Fatal(err)
	}
	public, operators, _ := strings.Cut(string(reference), "## Admin API")
	var want []string
	for _, m := range regexp.MustCompile("(?m)^### `([A-Z]+ /[^`]*)`").FindAllStringSubmatch(public, -1) {
		want = append(want, "public "+m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]*)` \\| (.*)$").FindAllStringSubmatch(public, -1) {
		for _, listener := range []string{"public", "admin"} {
			if strings.Contains(m[2], listener+":") {
				want = append(want, listener+" "+m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile("(?m)^### `[A-Z]+ (/[^`]*)`").FindAllStringSubmatch(operators, -1) {
		if !strings.HasPrefix(m[1], "/api/") {
			t.Errorf("the row /api/… doesn't cover %s", m[1])
		}
	}
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| (public|admin) \\| `([A-Z]+ /[^`]*)` \\|").FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the table has\n%s\nand the program\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
