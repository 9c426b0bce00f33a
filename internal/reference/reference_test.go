package reference_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/reference"
)

// The bodies that the reference shows are some that the routes take.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, r := range admin.Routes() {
		if r.Body == nil {
			continue
		}
		decoder := json.NewDecoder(strings.NewReader(r.Example))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(reflect.New(r.Body).Interface()); err != nil {
			t.Errorf("%s: %s: %v", r.Pattern, r.Example, err)
		}
	}
}

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
