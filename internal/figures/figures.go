// Package figures makes the pages with measured figures from one run: docs/figures.md,
// docs/crash-matrix.md, and the marked blocks of other pages. What was measured is kept in
// docs/figures.json; the pages are made of that alone, so that a test sees every edit by hand.
//
// Collect measures, Write makes the pages. make figures runs both.
package figures

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"onramp/internal/bench"
	"onramp/internal/machine"
)

// File is where the figures are kept, by the root of the repository.
const File = "docs/figures.json"

// quoting are the pages that quote figures in blocks.
var quoting = []string{"docs/performance.md", "README.md"}

// Figures are those of one run.
type Figures struct {
	Short   bool            `json:"short"`   // measured for a moment, to try the program that makes the pages
	Date    string          `json:"date"`    // of the run, by UTC
	Commit  string          `json:"commit"`  // what was measured
	Changed bool            `json:"changed"` // the working tree differed from it
	Machine machine.Machine `json:"machine"`

	Footprint *bench.FootprintReport `json:"footprint"`
	Accept    []bench.Report         `json:"accept"`
	Deliver   *bench.DeliverReport   `json:"deliver"`
	Events    *bench.EventReport     `json:"events"`
	Token     *bench.TokenReport     `json:"token"`
	Crash     []CrashRow             `json:"crash"`
}

// CrashRow is a row of the crash matrix, as internal/crash reports it.
type CrashRow struct {
	Fault    string `json:"fault"`
	Skipped  bool   `json:"skipped"`
	Failed   bool   `json:"failed"`
	Rounds   int    `json:"rounds"`
	Accepted int    `json:"accepted"`
	Once     int    `json:"once"` // delivered
	More     int    `json:"more"` // delivered more than once
	Dead     int    `json:"dead"`
	Lost     int    `json:"lost"`
	Stranded int    `json:"stranded"`
	People   int    `json:"people"` // who register again and again; 0: everybody registers once
	Old      int    `json:"old"`    // of whom an older registration stands
}

// Load reads the figures of a repository. It refuses those that are not the ones that the
// benchmarks print today: one that was renamed, or is missing.
func Load(root string) (*Figures, error) {
	text, err := os.ReadFile(filepath.Join(root, File))
	if err != nil {
		return nil, err
	}
	f := new(Figures)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(f); err != nil {
		return nil, fmt.Errorf("%s has not the figures of today's benchmarks (run make figures): %w", File, err)
	}
	again, err := f.encode()
	if err == nil && !bytes.Equal(again, text) {
		err = fmt.Errorf("%s has not the figures of today's benchmarks: run make figures", File)
	}
	return f, err
}

func (f *Figures) encode() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", " ")
	return append(text, '\n'), err
}

// Misses are the bars that were not reached, and what was lost.
func (f *Figures) Misses() []string {
	var all []string
	for i := range f.Accept {
		all = append(all, f.Accept[i].Misses()...)
	}
	for _, r := range f.Crash {
		if r.Failed || r.Lost > 0 {
			all = append(all, fmt.Sprintf("crash matrix: %s: %d lost", r.Fault, r.Lost))
		}
	}
	for _, r := range []interface{ Misses() []string }{f.Footprint, f.Deliver, f.Events, f.Token} {
		all = append(all, r.Misses()...)
	}
	return all
}

// Pages makes all pages, by their names. Of those that quote figures it reads the text between the
// blocks.
func (f *Figures) Pages(root string) (map[string][]byte, error) {
	whole, err := f.page()
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{"docs/figures.md": whole, "docs/crash-matrix.md": f.crashPage()}
	for _, name := range quoting {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		if pages[name], err = f.fill(name, text); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// Write keeps the figures and makes all pages.
func (f *Figures) Write(root string) error {
	text, err := f.encode()
	if err != nil {
		return err
	}
	pages, err := f.Pages(root)
	if err != nil {
		return err
	}
	pages[File] = text
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(root, name), page, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var block = regexp.MustCompile(`(?s)<!-- figures: ([a-z]+) -->\n.*?<!-- end of figures -->`)

// fill makes the blocks of a page.
func (f *Figures) fill(name string, text []byte) ([]byte, error) {
	blocks := f.blocks()
	var unknown error
	filled := block.ReplaceAllFunc(text, func(found []byte) []byte {
		wanted := string(block.FindSubmatch(found)[1])
		content, ok := blocks[wanted]
		if !ok {
			unknown = fmt.Errorf("%s has a block %q, which nobody makes", name, wanted)
		}
		return fmt.Appendf(nil, "<!-- figures: %s -->\n%s<!-- end of figures -->", wanted, content)
	})
	return filled, unknown
}

// WithoutBlocks is a page without what the generator makes of it, and without examples.
func WithoutBlocks(text []byte) []byte {
	return example.ReplaceAll(block.ReplaceAll(text, nil), nil)
}

var example = regexp.MustCompile("(?s)```.*?```|`[^`]*`")
