// Command generate writes what the packages have beside the program, into a folder: manual
// pages, completions of shells, the configuration that is installed, and nfpm.yaml, from which
// nfpm makes a package without goreleaser.
package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"go.yaml.in/yaml/v4"

	"onramp/internal/cli"
	"onramp/internal/config"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: generate FOLDER")
	}
	if err := generate(".", os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// generate writes everything into a folder, from the repository at root.
func generate(root, folder string) error {
	if err := os.RemoveAll(folder); err != nil { // a page of a command that is no more
		return err
	}
	commands := cli.Root(cli.System{})
	commands.InitDefaultCompletionCmd()
	if err := writeManual(commands, filepath.Join(folder, "man")); err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	if err := writeCompletions(commands, filepath.Join(folder, "completions")); err != nil {
		return fmt.Errorf("completions: %w", err)
	}
	if err := writeConfig(filepath.Join(folder, "onramp.yaml")); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := writeNfpm(filepath.Join(root, ".goreleaser.yaml"), filepath.Join(folder, "nfpm.yaml")); err != nil {
		return fmt.Errorf("nfpm.yaml: %w", err)
	}
	return nil
}

// writeManual writes a page for each command that is not hidden, compressed as
// distributions do it.
func writeManual(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, &doc.GenManHeader{Source: "Onramp", Manual: "Onramp"}, folder); err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := compress(page); err != nil {
			return err
		}
	}
	return nil
}

// compress replaces a file by a compressed one, which has no time in it: the same content
// gives the same file.
func compress(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	compressed, err := os.Create(file + ".gz")
	if err != nil {
		return err
	}
	w := gzip.NewWriter(compressed)
	_, err = w.Write(text)
	return errors.Join(err, w.Close(), compressed.Close(), os.Remove(file))
}

func writeCompletions(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		root.GenBashCompletionFileV2(filepath.Join(folder, "onramp.bash"), true),
		root.GenZshCompletionFile(filepath.Join(folder, "_onramp")),
		root.GenFishCompletionFile(filepath.Join(folder, "onramp.fish"), true),
		root.GenPowerShellCompletionFileWithDesc(filepath.Join(folder, "onramp.ps1")),
	)
}

// installed is what differs in the configuration of a package from what onramp init writes:
// commands are run in any folder, and have other variables than the service.
var installed = [][2]string{
	{"\ndatabase: onramp.db\n", "\ndatabase: /var/lib/onramp/onramp.db\n"},
	{`  client_id: "${env:SFMC_CLIENT_ID}"`, `  client_id: "${file:/etc/onramp/client-id}"`},
	{`  client_secret: "${env:SFMC_CLIENT_SECRET}"`, `  client_secret: "${file:/etc/onramp/client-secret}"`},
}

func writeConfig(file string) error {
	text := string(config.Template("/etc/onramp/onramp.admin-token"))
	for _, change := range installed {
		if strings.Count(text, change[0]) != 1 {
			return fmt.Errorf("%q is not once in what onramp init writes", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// writeNfpm makes a configuration of nfpm from that of goreleaser, which has nfpm in it:
// most settings have the same names, and goreleaser fills in others.
func writeNfpm(goreleaser, file string) error {
	text, err := os.ReadFile(goreleaser)
	if err != nil {
		return err
	}
	var release struct{ Nfpms []map[string]any }
	if err := yaml.Unmarshal(text, &release); err != nil {
		return err
	}
	if len(release.Nfpms) != 1 {
		return fmt.Errorf("%s has %d packages under nfpms, not one", goreleaser, len(release.Nfpms))
	}
	p := release.Nfpms[0]
	contents, ok := p["contents"].([]any)
	if !ok {
		return fmt.Errorf("%s has no contents", goreleaser)
	}
	program := map[string]any{"src": "${PROGRAM}", "dst": fmt.Sprint(p["bindir"], "/onramp"), "expand": true, "file_info": map[string]any{"mode": 0o755}}
	p["arch"], p["version"], p["contents"] = "${ARCH}", "${VERSION}", append(contents, program)
	rename(p, "package_name", "name")
	delete(p, "formats")
	delete(p, "bindir")
	overrides, _ := p["overrides"].(map[string]any)
	for _, override := range overrides {
		if override, ok := override.(map[string]any); ok {
			rename(override, "dependencies", "depends")
		}
	}
	result, err := yaml.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(file, result, 0o644)
}

func rename(settings map[string]any, from, to string) {
	if value, ok := settings[from]; ok {
		settings[to] = value
		delete(settings, from)
	}
}
