package limits_test

import (
	"os"
	"strings"
	"testing"

	"onramp/internal/sandbox/limits"
)

// The documentation has the list as the help shows it.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\n\n"+limits.Text()+"\n") {
		t.Error("docs/sandbox.md does not have the text of limits.md")
	}
}
