package reference_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/reference"
)

// The pages are what the code gives today, and there are no others.
func TestPages(t *testing.T) {
	t.Parallel()
	want, err := reference.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("../../docs/reference")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile("../../docs/reference/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/reference differs from the code; run go generate ./internal/reference (-code +page):\n%s", diff)
	}
}
