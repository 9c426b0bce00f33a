package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/csvfile"
	"onramp/internal/operator"
)

// outputFlag lets a command that prints data print JSON instead.
func (c *command) outputFlag(cmd *cobra.Command) { frame.OutputFlag(cmd, &c.output) }

func (c *command) listFlag(cmd *cobra.Command) { frame.ListFlag(cmd, &c.output) }

func (c *command) printJSON(value any) error { return frame.PrintJSON(c.Stdout, value) }

// table prints rows in columns, the first one as a heading.
func (c *command) table(rows [][]string) error {
	w := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t "))
	}
	return w.Flush()
}

// runList runs a command that lists, by the parameters that its flags stand for.
func (c *command) runList(flags func() (url.Values, error), list func(context.Context, url.Values) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		query, err := flags()
		if err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, _ []string) error { return list(ctx, query) })(cmd, args)
	}
}

// printList prints a page of a list of the admin API: as JSON, or as a table with
// a row for each item, and then how to get the next page.
func printList[T any](ctx context.Context, c *command, path string, query url.Values, heading []string, row func(*T) []string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	page, err := fillPage[T](ctx, c, admin, path, query)
	if err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(page)
	}
	rows := [][]string{heading}
	for i := range page.Items {
		rows = append(rows, row(&page.Items[i]))
	}
	if c.output == "csv" {
		return printCSV(c.terminal, rows)
	}
	if err := c.table(rows); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(c.Stdout, "\nMore with --cursor %s\n", page.Next)
	}
	return nil
}

// printCSV prints rows for a spreadsheet, as they are: it is for a file.
func printCSV(out io.Writer, rows [][]string) error {
	w := csvfile.NewWriter(out)
	for _, row := range rows {
		if err := w.Write(row); err != nil {
			return err
		}
	}
	return w.Flush()
}

// fillPage reads a page of a list. The gateway ends one early that takes long: then it goes on until
// it has as many as were asked for, or all, and says on standard error how far it has looked.
func fillPage[T any](ctx context.Context, c *command, admin *adminClient, path string, query url.Values) (page operator.Page[T], err error) {
	limit, _ := strconv.Atoi(query.Get("limit")) // a list that has none has one page
	items, looked := []T{}, false
	for {
		page = operator.Page[T]{}
		if err := admin.get(ctx, path, query, &page); err != nil {
			return page, err
		}
		items = append(items, page.Items...)
		if page.LookedTo == nil || len(items) >= limit {
			break
		}
		looked = true
		fmt.Fprintf(c.Stderr, "\rLooked back to %s, found %d … ", moment(*page.LookedTo), len(items))
		query.Set("cursor", page.Next)
		query.Set("limit", strconv.Itoa(limit-len(items)))
	}
	if looked {
		fmt.Fprintln(c.Stderr)
	}
	page.Items, page.LookedTo = items, nil
	return page, nil
}

// moment prints a time for people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

func momentOrNone(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return moment(*t)
}
