// Package tooltest looks for the tools that a test needs and that a machine may lack:
// programs, servers, a file system. Only tests import it.
//
// A test without its tool is skipped, unless ONRAMP_TEST_REQUIRE, a comma-separated list,
// names the tool: then it fails.
package tooltest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Required says whether a tool must be there.
func Required(tool string) bool {
	return slices.Contains(strings.Split(os.Getenv("ONRAMP_TEST_REQUIRE"), ","), tool)
}

// Missing ends a test that needs a tool which is not there; err says why it is not.
func Missing(t testing.TB, tool string, err error) {
	t.Helper()
	if Required(tool) {
		t.Fatalf("%s is required and missing: %v", tool, err)
	}
	t.Skipf("%s is missing: %v", tool, err)
}

// Program returns the path of a program, or ends the test.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name, err)
	}
	return path
}
