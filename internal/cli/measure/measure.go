// Package measure has the commands of onramp bench. Begin with Command; what they do is
// package rig.
package measure

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
	"onramp/internal/cli/frame"
)

const partCommand = "part"

// measurements are the commands.
type measurements struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	output         string // text or json
}

// Command is onramp bench, with the measurements, and a hidden command for the processes
// that they consist of.
func Command(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	c := &measurements{stdin: stdin, stdout: stdout, stderr: stderr}
	return frame.Group("bench", "Measure Onramp's performance on this machine", c.accept(), c.deliver(), c.token(), c.events(), c.soak(), c.part())
}

// rig makes what runs the measurements: it starts this program again, with the
// hidden command.
func (c *measurements) rig() *rig.Rig {
	return &rig.Rig{Command: []string{"bench", partCommand}, Stderr: c.stderr, Progress: c.progress}
}

func (c *measurements) part() *cobra.Command {
	return &cobra.Command{
		Use: partCommand + " NAME", Short: "Run one process of a benchmark", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: frame.Run(func(ctx context.Context, args []string) error { return rig.RunPart(ctx, args[0], c.stdin, c.stdout) }),
	}
}

// progress says what is being measured, unless that would get between the figures.
func (c *measurements) progress(format string, args ...any) {
	if c.output != "json" {
		fmt.Fprintf(c.stderr, format+" …\n", args...)
	}
}

// report is the result of a measurement.
type report interface {
	WriteText(w io.Writer) error
	Misses() []string
}

// report prints a report and returns its misses.
func (c *measurements) report(r report) error {
	show := func() error { return r.WriteText(c.stdout) }
	if c.output == "json" {
		show = func() error { return frame.PrintJSON(c.stdout, r) }
	}
	return errors.Join(show(), missed(r))
}

// missed is an error with what a report misses.
func missed(r report) error {
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
		return frame.Run(func(ctx context.Context, _ []string) error { return f(ctx) })(cmd, args)
	}
}
