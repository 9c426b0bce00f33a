package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/csvfile"
	"onramp/internal/importer"
	"onramp/internal/importer/file"
	"onramp/internal/visible"
)

// importFlags are those of registrations import.
type importFlags struct {
	importer.Spec
	format, refused    string
	mapped             []string
	dryRun, yes, again bool
}

func (c *command) registrationsImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE --form FORM",
		Short: "Take registrations over that were made elsewhere, with their past",
		Long: `Reads a CSV file (as spreadsheets write it: commas, semicolons or tabs, UTF-8 or UTF-16, with
a header) or JSON lines, and has the gateway take each row as if a site had submitted it: the
same fields, rules and order. First shows how many it would take and why not the others; with
--yes, imports them. Without --with-journeys, journeys and messages are not triggered.

A column is what its name says: a field of the form, its column in the data extension, or
received_at (when the person registered), ip, user_agent and page_url, which stand in the data
extension as if they were of then. --map COLUMN=FIELD says it for another name, and --map COLUMN=
leaves a column out.

Nobody is brought back: a row is refused that is older than what is stored of the person, or
than an unsubscribe. The gateway remembers how far it is: the same command again goes on there.
It takes the rows in portions, behind what visitors submit meanwhile.`,
		Example: `  onramp registrations import people.csv --form registration
  onramp registrations import people.csv --form registration --map "E-mail=email" --map "Signed up=received_at" --refused refused.csv
  onramp registrations import people.jsonl --form registration --yes`,
		Args: cobra.ExactArgs(1),
		RunE: frame.Run(func(ctx context.Context, args []string) error { return c.runImport(ctx, args[0], &f) }),
	}
	cmd.Flags().StringVar(&f.Form, "form", "", "the form whose registrations they become")
	cmd.Flags().StringVar(&f.format, "format", "", "csv or jsonl (default by the name of the file)")
	cmd.Flags().StringArrayVar(&f.mapped, "map", nil, "what a column is: COLUMN=FIELD; may be repeated")
	cmd.Flags().StringVar(&f.refused, "refused", "", "write the rows that are refused to this CSV file: line, field and reason, without their values")
	cmd.Flags().BoolVar(&f.WithJourneys, "with-journeys", false, "trigger journeys and messages, too")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be imported")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "import it")
	cmd.Flags().BoolVar(&f.again, "again", false, "also if this file was imported before")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "yes")
	if err := cmd.MarkFlagRequired("form"); err != nil {
		panic(err) // there is no such flag: a mistake above
	}
	c.outputFlag(cmd)
	return cmd
}

func (c *command) runImport(ctx context.Context, name string, f *importFlags) error {
	format, err := f.read(name)
	if err != nil {
		return err
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	rows, err := file.New(in, format)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	refused, err := newRefusedFile(f.refused)
	if err != nil {
		return err
	}
	admin, err := c.admin()
	if err == nil && f.yes {
		err = c.importRows(ctx, admin, f, rows, refused)
	} else if err == nil {
		err = c.tryImport(ctx, admin, f, rows, refused)
	}
	return errors.Join(err, refused.close())
}

// read completes the flags, and says how the file is written.
func (f *importFlags) read(name string) (format file.Format, err error) {
	for _, mapped := range f.mapped {
		column, is, ok := strings.Cut(mapped, "=")
		if !ok || column == "" {
			return 0, fmt.Errorf("--map %s must be COLUMN=FIELD", mapped)
		}
		if f.Map == nil {
			f.Map = map[string]string{}
		}
		f.Map[column] = is
	}
	kind := f.format
	if kind == "" {
		kind = strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
	}
	switch kind {
	case "csv", "txt", "tsv":
		f.Text = true
		return file.CSV, nil
	case "jsonl", "ndjson", "json":
		return file.JSONLines, nil
	}
	return 0, errors.New("--format must be csv or jsonl: the name of the file doesn't say it")
}

// portionBytes bounds a portion of long rows.
const portionBytes = 1 << 20

// nextPortion reads the next rows behind a line.
func nextPortion(rows *file.Reader, after int64) (portion []importer.Row, end bool, err error) {
	for size := 0; len(portion) < importer.MostRows && size < portionBytes; {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return portion, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		if row.Line <= after {
			continue
		}
		for column, value := range row.Values {
			size += len(column) + len(value)
		}
		portion = append(portion, row)
	}
	return portion, false, nil
}

// tryImport shows what an import would do.
func (c *command) tryImport(ctx context.Context, admin *adminClient, f *importFlags, rows *file.Reader, refused *refusedFile) error {
	all := importer.Tried{}
	lines := map[string]int64{}
	for end := false; !end; {
		trial := importer.Trial{Spec: f.Spec}
		var err error
		if trial.Rows, end, err = nextPortion(rows, 0); err != nil {
			return err
		}
		var tried importer.Tried
		if err := admin.call(ctx, http.MethodPost, "/api/imports/try", trial, &tried); err != nil {
			return err
		}
		all.Accepted += tried.Accepted
		for _, r := range tried.Refused {
			lines[whyRefused(&r)]++
		}
		if len(all.Refused) < shownRefusals {
			all.Refused = append(all.Refused, tried.Refused...)
		}
		if err := refused.add(tried.Refused); err != nil {
			return err
		}
	}
	if c.output == "json" {
		return c.printJSON(all)
	}
	fmt.Fprintf(c.Stdout, "%s would be taken by form %s.\n", countThings(all.Accepted, "registrations"), f.Form)
	c.printRefusals(lines)
	if !f.dryRun {
		fmt.Fprintln(c.Stdout, "\nNothing was imported. Add --yes to import it.")
	}
	return nil
}

const (
	shownRefusals = 100
	importPause   = 100 * time.Millisecond // until what waits may have been sent
)

// importRows imports what is not imported yet.
func (c *command) importRows(ctx context.Context, admin *adminClient, f *importFlags, rows *file.Reader, refused *refusedFile) error {
	var run importer.Run
	if err := admin.call(ctx, http.MethodPost, "/api/imports", importer.Start{Spec: f.Spec, Again: f.again}, &run); err != nil {
		return err
	}
	if c.output == "text" && run.Position > 0 {
		fmt.Fprintf(c.Stdout, "Import %d of this file is at line %d, %s.\n", run.ID, run.Position, run.State)
	}
	bar := newProgressBar(c.Stderr)
	defer bar.end()
	for end := false; !end && run.State == importer.Running; {
		p := importer.Portion{Position: run.Position}
		var err error
		if p.Rows, end, err = nextPortion(rows, run.Position); err != nil {
			return err
		}
		p.End = end
		if err := c.sendPortion(ctx, admin, &run, p); err != nil {
			return fmt.Errorf("%w; import %d is at line %d: the same command goes on there", err, run.ID, run.Position)
		}
		bar.count(run.Accepted+run.Refused, "rows")
	}
	bar.end()
	lines, err := fetchRefusals(ctx, admin, run.ID, refused)
	if err != nil || c.output == "json" {
		return errors.Join(err, c.printJSON(run))
	}
	fmt.Fprintf(c.Stdout, "Import %d is %s: %s taken by form %s, %s refused.\n", run.ID, run.State, countThings(run.Accepted, "registrations"), f.Form, countThings(run.Refused, "rows"))
	c.printRefusals(lines)
	return nil
}

// sendPortion sends rows until the gateway has taken them.
func (c *command) sendPortion(ctx context.Context, admin *adminClient, run *importer.Run, p importer.Portion) error {
	for {
		var next importer.Run
		if err := admin.call(ctx, http.MethodPost, "/api/imports/"+strconv.FormatInt(run.ID, 10)+"/rows", p, &next); err != nil {
			return err
		}
		if !next.Waits {
			*run = next
			return nil
		}
		select {
		case <-time.After(importPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fetchRefusals has all refusals of an import written, and counts them by reason.
func fetchRefusals(ctx context.Context, admin *adminClient, id int64, refused *refusedFile) (map[string]int64, error) {
	lines := map[string]int64{}
	for cursor := ""; ; {
		var page importer.Refusals
		if err := admin.get(ctx, "/api/imports/"+strconv.FormatInt(id, 10)+"/refused", url.Values{"cursor": {cursor}}, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			lines[whyRefused(&r)]++
		}
		if err := refused.add(page.Items); err != nil || page.Next == "" {
			return lines, err
		}
		cursor = page.Next
	}
}

// whyRefused is what the refusals of a kind have in common.
func whyRefused(r *importer.Refusal) string {
	if r.Field == "" {
		return r.Reason
	}
	return r.Field + ": " + r.Reason
}

// printRefusals prints how many rows were refused, the most frequent reasons first.
func (c *command) printRefusals(lines map[string]int64) {
	for _, reason := range byCount(lines) {
		fmt.Fprintf(c.Stdout, "  refused: %d, %s\n", lines[reason], visible.Escape(reason))
	}
}

// refusedFile is where refusals are written, line by line. The names of columns are a
// stranger's: none is a formula to a spreadsheet.
type refusedFile struct {
	file *os.File
	csv  *csvfile.Writer
}

func newRefusedFile(name string) (*refusedFile, error) {
	if name == "" {
		return &refusedFile{}, nil
	}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	r := &refusedFile{out, csvfile.NewWriter(out)}
	return r, r.csv.Write([]string{"line", "field", "reason"})
}

func (r *refusedFile) add(all []importer.Refusal) error {
	if r.file == nil {
		return nil
	}
	for _, one := range all {
		if err := r.csv.Write([]string{strconv.FormatInt(one.Line, 10), one.Field, one.Reason}); err != nil {
			return err
		}
	}
	return r.csv.Flush()
}

func (r *refusedFile) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// byCount sorts reasons: the most frequent first, and equal ones by their texts.
func byCount(counts map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
}
