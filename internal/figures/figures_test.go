package figures_test

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/cli"
	"onramp/internal/figures"
)

const root = "../.."

// TestMain lets the test binary be the program that is measured.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "bench" || os.Args[1] == "serve") {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(cli.Main(ctx, os.Args[1:], cli.OS()))
	}
	os.Exit(m.Run())
}

// pages reads the pages that are made.
func pages(t *testing.T, root string) (made, there map[string]string) {
	t.Helper()
	f, err := figures.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	all, err := f.Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	made, there = map[string]string{}, map[string]string{}
	for name, page := range all {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		made[name], there[name] = string(page), string(text)
	}
	return made, there
}

// The pages are as they were made out of docs/figures.json: nobody has edited one by hand, and the
// benchmarks print the same names today.
func TestPagesAreMade(t *testing.T) {
	t.Parallel()
	made, there := pages(t, root)
	if diff := cmp.Diff(made, there); diff != "" {
		t.Errorf("run make figures; edited by hand, or out of date (-made +there):\n%s", diff)
	}
	for _, name := range []string{"docs/figures.md", "docs/crash-matrix.md"} {
		if !strings.HasPrefix(there[name], "<!-- Made by make figures") {
			t.Errorf("%s does not say that it is made", name)
		}
	}
}

var figure = regexp.MustCompile(`[0-9][0-9,.]*\s?(/s|ms|µs|[kKMG]B)\b`)

// What other pages say of the speed stands in their blocks, and nowhere else.
func TestNoFigureByHand(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"docs/performance.md", "README.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range figure.FindAllString(string(figures.WithoutBlocks(text)), -1) {
			t.Errorf("%s has the figure %q outside of a block of make figures", name, found)
		}
	}
	if !figure.MatchString("delivers 13,263/s within 54 ms") {
		t.Error("a figure is not recognised")
	}
}

// A run measures everything, its pages can be made again out of what it kept, and an edit of
// any of them is seen.
func TestCollect(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &figures.Run{Root: root, Program: self, Folder: t.TempDir(), Short: true, NoCrash: true, Log: t.Output()}
	f, err := r.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Accept) != 2 || len(f.Deliver.Cases) != 1 || len(f.Events.Rounds) != 1 || len(f.Token.Rounds) != 1 || len(f.Commit) != 40 || f.Machine.Cores == 0 {
		t.Errorf("figures: %+v", f)
	}
	if b := f.Footprint; !b.Binary.Measured || !b.Ready.Measured || b.Ready.Value <= 0 {
		t.Errorf("footprint: %+v", b)
	}
	f.Crash = []figures.CrashRow{
		{Fault: "kill", Rounds: 1200, Accepted: 34567, Once: 34560, More: 7, People: 40},
		{Fault: "power", Skipped: true},
		{Fault: "disk", Failed: true, Rounds: 1, Accepted: 2, Once: 1, Lost: 1},
	}
	if misses := f.Misses(); !strings.Contains(strings.Join(misses, "\n"), "crash matrix: disk: 1 lost") {
		t.Errorf("misses: %q", misses)
	}
	copied := t.TempDir()
	if err := os.Mkdir(filepath.Join(copied, "docs"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docs/performance.md", "README.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Write(copied); err != nil {
		t.Fatal(err)
	}
	made, there := pages(t, copied)
	if diff := cmp.Diff(made, there); diff != "" {
		t.Errorf("made again (-made +there):\n%s", diff)
	}
	for page, text := range map[string]string{
		"docs/figures.md":      "stripped binary ",
		"docs/performance.md":  "| without idempotency keys | ",
		"docs/crash-matrix.md": "| kill | 1,200 | 34,567 | 34,560 | 7 | 0 | 0 | 0 | 0 |\n| power | not run on this machine | | | | | | | |\n| disk, **FAILED** | 1 | 2 | 1 | 0 | 0 | 1 | 0 | – |\n",
	} {
		if !strings.Contains(there[page], text) {
			t.Errorf("%s has no %q:\n%s", page, text, there[page])
		}
	}
	if !strings.Contains(there["docs/figures.md"], "**A short run") {
		t.Error("a short run does not say so")
	}
	checkEdits(t, copied, there)
}

// checkEdits changes a digit of each page by hand, and then a name of the figures.
func checkEdits(t *testing.T, copied string, there map[string]string) {
	t.Helper()
	edited := map[string]string{"docs/figures.md": "at most 0", "docs/crash-matrix.md": "34,567", "docs/performance.md": "/s | "}
	for name, text := range edited {
		page := strings.Replace(there[name], text, "9"+text, 1)
		if page == there[name] {
			t.Fatalf("%s has no %q", name, text)
		}
		if err := os.WriteFile(filepath.Join(copied, name), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, now := pages(t, copied)
	for name := range edited {
		if made[name] == now[name] {
			t.Errorf("an edit of %s by hand is not seen", name)
		}
	}
	path := filepath.Join(copied, figures.File)
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(kept, []byte(`"median_ratio"`), []byte(`"middle_ratio"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := figures.Load(copied); err == nil || !strings.Contains(err.Error(), "today's benchmarks") {
		t.Errorf("a figure that no benchmark has: %v", err)
	}
}
