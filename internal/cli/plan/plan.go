// Package plan prints plans, and what was done of them, alike for all commands that make
// Marketing Cloud match the configuration.
package plan

import (
	"fmt"
	"io"
	"slices"

	"onramp/internal/setup"
)

// Output is what such a command prints as JSON.
type Output struct {
	Plan   []setup.Step `json:"plan"`
	Done   []setup.Step `json:"done"` // empty when only the plan was asked for
	Failed *setup.Error `json:"failed,omitempty"`
}

// Printer prints steps.
type Printer struct {
	Out  io.Writer
	Line func(string) string // makes a text fit for one line of a terminal
}

// Print prints steps below a title, each with a sign for what it does.
func (p Printer) Print(title string, all []setup.Step) {
	fmt.Fprintln(p.Out, title)
	if len(all) == 0 {
		fmt.Fprintln(p.Out, "  nothing")
	}
	for _, st := range all {
		fmt.Fprintf(p.Out, "  %s %s: %s\n", sign(st), p.Line(st.String()), p.Line(st.Detail))
	}
}

// sign says at a glance what a step does: add, remove, change, or nothing.
func sign(st setup.Step) string {
	switch {
	case st.Kept:
		return "="
	case st.Kind == setup.Create:
		return "+"
	case st.Kind == setup.Delete || st.Kind == setup.Forget:
		return "-"
	}
	return "~"
}

// changes are those steps that change something.
func changes(all []setup.Step) []setup.Step {
	return slices.DeleteFunc(slices.Clone(all), func(st setup.Step) bool { return st.Kept })
}

// PrintDone prints what was changed, since the rest stood in the plan.
func (p Printer) PrintDone(done []setup.Step, failed *setup.Error) {
	changed := changes(done)
	fmt.Fprintln(p.Out)
	switch {
	case failed != nil && len(changed) == 0:
		fmt.Fprintln(p.Out, "It stopped before anything was changed.")
	case failed != nil:
		p.Print("It stopped after these steps:", changed)
	case len(changed) == 0:
		fmt.Fprintln(p.Out, "Done: nothing had to be changed.")
	default:
		p.Print("Done:", changed)
	}
}
