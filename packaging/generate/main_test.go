package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"onramp/internal/cli"
	"onramp/internal/config"
	"onramp/internal/tooltest"
)

// generated is a folder with what generate writes.
func generated(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "package")
	if err := generate("../..", folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

// commandsOf are those that people see, and those that are hidden.
func commandsOf(c *cobra.Command) (seen, hidden []*cobra.Command) {
	if c.Hidden {
		return nil, []*cobra.Command{c}
	}
	seen = []*cobra.Command{c}
	for _, under := range c.Commands() {
		s, h := commandsOf(under)
		seen, hidden = append(seen, s...), append(hidden, h...)
	}
	return seen, hidden
}

func page(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1.gz" }

// Each command has a page with all of its help in it, and a hidden command has none.
func TestManual(t *testing.T) {
	t.Parallel()
	mandoc := tooltest.Program(t, "mandoc")
	folder := filepath.Join(generated(t), "man")
	root := cli.Root(cli.System{})
	root.InitDefaultCompletionCmd()
	seen, hidden := commandsOf(root)
	if len(hidden) == 0 {
		t.Error("no command is hidden: the test proves nothing")
	}
	var wanted, got []string
	for _, c := range seen {
		wanted = append(wanted, page(c))
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(wanted)
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("the pages, -wanted +got:\n%s", diff)
	}
	for _, c := range seen {
		t.Run(page(c), func(t *testing.T) {
			t.Parallel()
			read(t, mandoc, filepath.Join(folder, page(c)), c)
		})
	}
}

// read has mandoc check a page and print it.
func read(t *testing.T, mandoc, file string, c *cobra.Command) {
	t.Helper()
	compressed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer compressed.Close()
	r, err := gzip.NewReader(compressed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	lint := exec.Command(mandoc, "-Tlint", "-W", "error")
	lint.Stdin = bytes.NewReader(text)
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
	reader := exec.Command(mandoc, "-Tutf8")
	reader.Stdin = bytes.NewReader(text)
	out, err := reader.Output()
	if err != nil {
		t.Fatal(err)
	}
	printed := plain(string(out))
	for paragraph := range strings.SplitSeq(c.Short+"\n\n"+c.Long+"\n\n"+c.Example, "\n\n") {
		if !strings.Contains(printed, plain(paragraph)) {
			t.Errorf("the page lacks this text, or has it in another form:\n%s", paragraph)
		}
	}
}

// plain is a text without spaces, line ends, the marks of Markdown and of lists, and what is
// printed twice to have it bold.
func plain(text string) string {
	var b []rune
	for _, r := range text {
		if r == '\b' && len(b) > 0 {
			b = b[:len(b)-1]
		} else if !strings.ContainsRune(" \t\n`#-•", r) {
			b = append(b, r)
		}
	}
	return string(b)
}

// The shells find completions for each command.
func TestCompletions(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(generated(t), "completions")
	for _, file := range []string{"onramp.bash", "_onramp", "onramp.fish", "onramp.ps1"} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "__complete") {
			t.Errorf("%s does not ask onramp", file)
		}
	}
}

// The installed configuration is complete as soon as subdomain, client-id and client-secret
// are filled in, and keeps the database where the unit allows to write.
func TestConfig(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(generated(t), "onramp.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	etc := t.TempDir()
	for name, content := range map[string]string{
		"client-id": "the-id", "client-secret": "the-secret\n", "onramp.admin-token": "0123456789abcdef",
		"onramp.yaml": strings.NewReplacer("/etc/onramp/", etc+"/", "mc0123456789abcdefghijklmnop", "mc0123456789abcdefghijklmnoq").Replace(string(text)),
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(etc, "onramp.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.Database, cfg.MarketingCloud.ClientID, cfg.MarketingCloud.ClientSecret.Reveal(), cfg.Admin.Token.Reveal()}
	if diff := cmp.Diff([]string{"/var/lib/onramp/onramp.db", "the-id", "the-secret", "0123456789abcdef"}, got); diff != "" {
		t.Errorf("-wanted +got:\n%s", diff)
	}
}

// What nfpm reads is what goreleaser would have made it of, and what it names is there.
func TestNfpm(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(generated(t), "nfpm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name, Arch, Version string
		Formats             any
		Overrides           map[string]struct{ Depends []string }
		Scripts             map[string]string
		Contents            []struct {
			Src, Dst string
			Expand   bool
		}
	}
	if err := yaml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "onramp" || got.Arch != "${ARCH}" || got.Version != "${VERSION}" || got.Formats != nil {
		t.Errorf("name, arch, version or formats are wrong in %+v", got)
	}
	for _, kind := range []string{"deb", "rpm"} {
		if !slices.Contains(got.Overrides[kind].Depends, "ca-certificates") {
			t.Errorf("%s depends on %q only", kind, got.Overrides[kind].Depends)
		}
	}
	sources := []string{got.Scripts["postinstall"], got.Scripts["preremove"], got.Scripts["postremove"]}
	hasProgram := false
	for _, c := range got.Contents {
		switch {
		case c.Expand:
			hasProgram = c.Dst == "/usr/bin/onramp"
		case !strings.HasPrefix(c.Src, "build/package/"): // what the other tests look at
			sources = append(sources, c.Src)
		}
	}
	if !hasProgram {
		t.Errorf("no program in %s", text)
	}
	for _, source := range sources {
		if found, err := filepath.Glob(filepath.Join("../..", source)); err != nil || len(found) == 0 {
			t.Errorf("%q is not there", source)
		}
	}
}
