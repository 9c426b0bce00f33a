package app_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"onramp/internal/sandbox"
	"onramp/internal/tooltest"
)

// The tests in other languages that docs/sandbox.md shows pass, and have run: the sandbox
// has seen their calls.
func TestSandboxDocument(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, run := range map[string][]string{
		"js": {"node", "--test", "sandbox.test.mjs"}, "python": {"python3", "test_sandbox.py"}, "java": {"java", "SandboxTest.java"}, "php": {"php", "sandbox_test.php"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(run[0]); err != nil {
				tooltest.Missing(t, run[0], err)
			}
			_, rest, found := strings.Cut(string(document), "\n```"+language+"\n")
			block, _, closed := strings.Cut(rest, "\n```")
			if !found || !closed {
				t.Fatal("there is no such block")
			}
			s := sandbox.New(sandbox.Config{})
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, run[len(run)-1]), []byte(block), 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), run[0], run[1:]...)
			command.Dir, command.Env = folder, append(os.Environ(), "MC_URL="+server.URL)
			if said, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			// the one test stores a row, and the last one was refused by its fault
			if state := s.State(); state.Calls["POST /hub/v1/dataevents/{id}/rowset"] != 1 || len(state.DataExtensions["Members"].Columns) != 2 {
				t.Errorf("calls %v", state.Calls)
			}
		})
	}
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		_, rest, _ := strings.Cut(string(document), "\n```go\n")
		block, _, _ := strings.Cut(rest, "\n```")
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		folder, err := os.MkdirTemp("testdata", "sandbox-") // within the module
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(folder) })
		if err := os.WriteFile(filepath.Join(folder, "sandbox_test.go"), []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := exec.CommandContext(t.Context(), "go", "test", "-v", "./"+folder).CombinedOutput()
		if err != nil || strings.Count(string(said), "--- PASS") != 2 {
			t.Fatalf("%v: %s", err, said)
		}
	})
}
