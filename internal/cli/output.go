package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/operator"
)

// outputFlag lets a command that prints data print JSON instead.
func (c *command) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&c.output, "output", "o", "text", "output format: text or json")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if c.output != "text" && c.output != "json" {
			return errors.New("--output must be text or json")
		}
		return nil
	}
}

func (c *command) printJSON(value any) error {
	encoder := json.NewEncoder(c.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// table prints rows in columns, the first one as a heading.
func (c *command) table(rows [][]string) error {
	w := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t "))
	}
	return w.Flush()
}

// printList prints a page of a list of the admin API: as JSON, or as a table with
// a row for each item, and then how to get the next page.
func printList[T any](ctx context.Context, c *command, path string, query url.Values, heading []string, row func(*T) []string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var page operator.Page[T]
	if err := admin.get(ctx, path, query, &page); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(page)
	}
	rows := [][]string{heading}
	for i := range page.Items {
		rows = append(rows, row(&page.Items[i]))
	}
	if err := c.table(rows); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(c.Stdout, "\nMore with --cursor %s\n", page.Next)
	}
	return nil
}

// moment prints a time for people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

func momentOrNone(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return moment(*t)
}
