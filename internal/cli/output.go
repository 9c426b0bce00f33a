package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// outputFlag lets a command that prints data print JSON instead.
func (c *command) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&c.output, "output", "o", "text", "text or json")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if c.output != "text" && c.output != "json" {
			return errors.New("--output is text or json")
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

// moment prints a time for people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

func momentOrNone(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return moment(*t)
}
