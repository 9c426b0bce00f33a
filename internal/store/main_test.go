package store_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain keeps the model test short: each of its steps is a commit. More are
// had by -rapid.checks.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		checks := "25"
		if raceDetector {
			checks = "6"
		}
		if err := flag.Set("rapid.checks", checks); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
