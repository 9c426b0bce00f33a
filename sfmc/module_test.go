package sfmc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Another module uses the package as the README says, with nothing downloaded.
func TestOtherModule(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	const where = "../onramp"
	_, recipe, ok := strings.Cut(string(readme), "\ngo mod edit ")
	recipe, _, _ = strings.Cut(recipe, "\n")
	if !ok || !strings.HasSuffix(recipe, where) {
		t.Fatalf("the README has no recipe that ends with %s: %q", where, recipe)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"main.go": `package main

import (
	"fmt"

	"onramp/sfmc"
)

func main() { fmt.Println(sfmc.AuthURL("mc1")) }
`,
		"main_test.go": `package main

import (
	"testing"

	"onramp/sfmc"
	"onramp/sfmc/sfmctest"
)

func TestRow(t *testing.T) {
	row := sfmc.Row{
		Keys:   map[string]any{"SubscriberKey": "ana@example.org"},
		Values: map[string]any{"EmailAddress": "ana@example.org", "RegistrationTimestamp": "2026-06-23T14:52:45Z"},
	}
	if _, err := sfmctest.NewServer(t).Client().UpsertRows(t.Context(), sfmctest.DataExtensionKey, []sfmc.Row{row}); err != nil {
		t.Fatal(err)
	}
}
`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit := append([]string{"mod", "edit"}, strings.Fields(strings.Replace(recipe, where, root, 1))...)
	for _, command := range [][]string{{"mod", "init", "example.com/site"}, edit, {"run", "."}, {"test", "."}} {
		cmd := exec.CommandContext(t.Context(), "go", command...)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off", "GOMODCACHE="+filepath.Join(folder, "empty"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
}
