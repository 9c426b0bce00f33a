// Package frame is what the commands of onramp have in common, wherever they are: how they
// fail, how they print data, and how they stand in groups.
package frame

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// RunError is an error of a command that was used rightly.
type RunError struct{ err error }

// Error is that of the error within.
func (e *RunError) Error() string { return e.err.Error() }

// Unwrap returns the error within.
func (e *RunError) Unwrap() error { return e.err }

// Run makes a command's function from one that may fail: its errors are RunErrors.
func Run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd.Context(), args); err != nil {
			return &RunError{err}
		}
		return nil
	}
}

// Group makes a command that only has others under it.
func Group(use, short string, under ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return fmt.Errorf("%s needs one of: %s", cmd.CommandPath(), strings.Join(names(under), ", "))
	}}
	g.AddCommand(under...)
	return g
}

func names(commands []*cobra.Command) []string {
	var all []string
	for _, c := range commands {
		if !c.Hidden {
			all = append(all, c.Name())
		}
	}
	return all
}

// OutputFlag lets a command that prints data print JSON instead: format becomes "text" or
// "json".
func OutputFlag(cmd *cobra.Command, format *string) { outputFlag(cmd, format, "text or json", "json") }

// ListFlag is OutputFlag for a list: format can also become "csv".
func ListFlag(cmd *cobra.Command, format *string) {
	outputFlag(cmd, format, "text, json or csv", "json", "csv")
}

func outputFlag(cmd *cobra.Command, format *string, known string, others ...string) {
	cmd.Flags().StringVarP(format, "output", "o", "text", "output format: "+known)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *format != "text" && !slices.Contains(others, *format) {
			return errors.New("--output must be " + known)
		}
		return nil
	}
}

// PrintJSON prints a value for programs.
func PrintJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
