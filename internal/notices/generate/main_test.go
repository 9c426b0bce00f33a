package main

import (
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"onramp/internal/notices"
)

// Every module that is linked into onramp has its notices in the file, and in the
// version that is linked.
func TestComplete(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the go command is needed to list the modules: %v", err)
	}
	found, err := noticesOf(runtime.GOOS + "/" + runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 40 {
		t.Errorf("only %d notices found", len(found))
	}
	lines := slices.Collect(strings.Lines(notices.Text))
	for _, n := range found {
		if !slices.Contains(lines, n.of+"\n") || !strings.Contains(notices.Text, strings.TrimSpace(n.text)) {
			t.Errorf("%s is missing or has changed: run go generate ./internal/notices", n.of)
		}
	}
}

// A module without any notice can't be linked unnoticed.
func TestEachModule(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "onramp/cmd/onramp")
	modules, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(modules)) {
		if module := strings.TrimSpace(line); module != "" && module != "onramp" && !strings.Contains(notices.Text, "\n"+module+", ") {
			t.Errorf("%s has no notice", module)
		}
	}
}
