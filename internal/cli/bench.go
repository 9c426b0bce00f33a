package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
)

const partCommand = "part"

// bench has the measurements, and a hidden command for the processes that they
// consist of.
func (c *command) bench() *cobra.Command {
	return group("bench", "Measure Onramp's performance on this machine", c.benchAccept(), c.benchDeliver(), c.benchToken(), c.benchEvents(), c.benchPart())
}

// rig makes what runs the measurements: it starts this program again, with the
// hidden command.
func (c *command) rig() *rig.Rig {
	return &rig.Rig{Command: []string{"bench", partCommand}, Stderr: c.Stderr, Progress: c.progress}
}

func (c *command) benchPart() *cobra.Command {
	return &cobra.Command{
		Use: partCommand + " NAME", Short: "Run one process of a benchmark", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: run(func(ctx context.Context, args []string) error { return rig.RunPart(ctx, args[0], c.Stdin, c.Stdout) }),
	}
}

// progress says what is being measured, unless that would get between the figures.
func (c *command) progress(format string, args ...any) {
	if c.output != "json" {
		fmt.Fprintf(c.Stderr, format+" …\n", args...)
	}
}

// benchReport is the result of a measurement.
type benchReport interface {
	WriteText(w io.Writer) error
	Misses() []string
}

// report prints a report and returns its misses.
func (c *command) report(r benchReport) error {
	show := func() error { return r.WriteText(c.Stdout) }
	if c.output == "json" {
		show = func() error { return c.printJSON(r) }
	}
	return errors.Join(show(), missed(r))
}

// missed is an error with what a report misses.
func missed(r benchReport) error {
	var misses []error
	for _, miss := range r.Misses() {
		misses = append(misses, errors.New(miss))
	}
	return errors.Join(misses...)
}

// dataFlag is for the folder whose disk is measured.
func dataFlag(cmd *cobra.Command, folder *string) {
	cmd.Flags().StringVar(folder, "data", "", "folder for the database, on the disk to measure (default: a temporary folder)")
}

// profileFlag is for profiling the gateway, by those who work on it.
func profileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "cpuprofile", "", "file for the gateway's CPU profile")
	_ = cmd.Flags().MarkHidden("cpuprofile") // it was just added
}

// checked makes a command's function from a check of its flags and a function
// that may fail.
func checked(check func() error, f func(ctx context.Context) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(); err != nil {
			return err
		}
		return run(func(ctx context.Context, _ []string) error { return f(ctx) })(cmd, args)
	}
}
