package archtest_test

import (
	_ "embed"
	"os"
	"strings"
	"sync"
	"testing"

	"onramp/internal/archtest"
)

//go:embed ratchet.txt
var ratchet string

// module is the code of this module.
var module = sync.OnceValues(func() (*archtest.Tree, error) { return archtest.Load(os.DirFS("../..")) })

func load(t *testing.T) *archtest.Tree {
	t.Helper()
	tree, err := module()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// The imports are those of ARCHITECTURE.md.
func TestImports(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	tree := load(t)
	diagram, err := archtest.ReadDiagram(string(text), tree)
	if err != nil {
		t.Fatal(err)
	}
	report(t, tree.CheckImports(diagram))
}

// Nothing is larger than ratchet.txt allows, and what has become smaller stays so.
func TestSizes(t *testing.T) {
	t.Parallel()
	tree := load(t)
	limits, err := archtest.ReadLimits(ratchet)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range tree.Figures() {
		t.Log(line)
	}
	report(t, tree.CheckSizes(limits))
}

// accepted are the places that may break a rule, by file, with the reason.
var accepted = map[archtest.Finding]string{
	{Rule: archtest.ErrorText, Place: "internal/sink/natsanswer.go"}: "which subject a server denies stands only in the text of its answer",
}

func TestStyle(t *testing.T) {
	t.Parallel()
	count, needed := map[archtest.Rule]int{}, map[archtest.Finding]bool{}
	for _, found := range load(t).CheckStyle() {
		count[found.Rule]++
		file, _, _ := strings.Cut(found.Place, ":")
		exception := archtest.Finding{Rule: found.Rule, Place: file}
		if _, ok := accepted[exception]; !ok {
			t.Errorf("%s: %s", found.Place, found.Rule)
		}
		needed[exception] = true
	}
	for exception := range accepted {
		if !needed[exception] {
			t.Errorf("%s: no longer breaks the rule: %s", exception.Place, exception.Rule)
		}
	}
	for _, rule := range archtest.Rules() {
		t.Logf("%-50s %d", rule, count[rule])
	}
}
