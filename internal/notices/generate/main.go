// Command generate writes the notices of all modules that are linked into onramp.
package main

import (
	"bytes"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// platforms differ in the modules that they need.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64"}

func main() {
	log.SetFlags(0)
	text, err := generate(platforms)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
}

// notice is a text, and whose it is.
type notice struct{ text, of string }

func generate(platforms []string) (string, error) {
	all := map[notice]bool{}
	for _, platform := range platforms {
		found, err := noticesOf(platform)
		if err != nil {
			return "", err
		}
		for _, n := range found {
			all[n] = true
		}
	}
	return write(slices.Collect(maps.Keys(all))), nil
}

// write groups those that have the same text.
func write(all []notice) string {
	of := map[string][]string{}
	for _, n := range all {
		of[n.text] = append(of[n.text], n.of)
	}
	for _, names := range of {
		slices.Sort(names)
	}
	texts := slices.SortedFunc(maps.Keys(of), func(a, b string) int { return strings.Compare(of[a][0], of[b][0]) })
	line := strings.Repeat("=", 80)
	var b strings.Builder
	b.WriteString("Onramp contains the software listed here, under these terms.\n")
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%[1]s\n%[2]s\n%[1]s\n\n%[3]s\n", line, strings.Join(of[text], "\n"), strings.TrimSpace(text))
	}
	return b.String()
}

// isNotice says whether a file is one that has to go with the software.
var isNotice = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents|unlicense)([-._].*)?$`)

// noticesOf finds the notices of all packages that are linked on a platform, in
// their folders and those above, up to their module's.
func noticesOf(platform string) ([]notice, error) {
	system, processor, _ := strings.Cut(platform, "/")
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{else}}Go\t{{$.Root}}\t{{$.Root}}{{end}}", "onramp/cmd/onramp")
	list.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	packages, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w\n%s", platform, err, &stderr)
	}
	seen := map[string]bool{}
	var all []notice
	for line := range strings.Lines(string(packages)) {
		part := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		module, root := strings.TrimSpace(part[0]), part[1]
		for folder := part[2]; strings.HasPrefix(folder, root) && !seen[module+folder]; folder = filepath.Dir(folder) {
			if module == "onramp" && folder == root {
				break // our own license; below it is what packages have from others
			}
			seen[module+folder] = true
			found, err := noticesIn(folder, module, root)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

func noticesIn(folder, module, root string) ([]notice, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []notice
	for _, e := range entries {
		if e.IsDir() || !isNotice.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		file := filepath.Join(folder, e.Name())
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return nil, err
		}
		all = append(all, notice{strings.ReplaceAll(string(text), "\r\n", "\n"), module + ", " + filepath.ToSlash(name)})
	}
	return all, nil
}
