package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"onramp/internal/cli/frame"
	"onramp/internal/provision"
	"onramp/internal/setup"
)

// provisioned is what onramp provision prints as JSON.
type provisioned struct {
	Output
	ByHand []provision.Task `json:"by_hand"`
}

// Provision prints the plan of a provisioner and, with apply, follows it and prints what was
// done; asJSON has all of it printed as JSON at the end. An error is fit for one line.
func (p Printer) Provision(ctx context.Context, from *provision.Provisioner, apply, asJSON bool) error {
	planned, err := from.Plan(ctx)
	if err != nil {
		return errors.New(p.Line(err.Error()))
	}
	out := provisioned{Output{Plan: append([]setup.Step{}, planned.Steps...), Done: []setup.Step{}}, append([]provision.Task{}, planned.ByHand...)}
	if !asJSON {
		p.Print("Plan:", planned.Steps)
	}
	if apply {
		done, failed := from.Apply(ctx)
		out.Done = append(out.Done, done.Steps...)
		out.Failed, _ = errors.AsType[*setup.Error](failed)
	}
	if asJSON {
		err = frame.PrintJSON(p.Out, out)
	} else {
		p.printProvisioned(out, apply)
	}
	if out.Failed != nil {
		return errors.New(p.Line(out.Failed.Error()))
	}
	return err
}

func (p Printer) printProvisioned(out provisioned, apply bool) {
	switch {
	case apply:
		p.PrintDone(out.Done, out.Failed)
	case len(changes(out.Plan)) > 0:
		fmt.Fprintln(p.Out, "\nNothing was changed. Add --apply to carry out the plan.")
	default:
		fmt.Fprintln(p.Out, "\nNothing has to be changed.")
	}
	p.printTasks(out.ByHand)
}

// printTasks prints what remains for a person.
func (p Printer) printTasks(tasks []provision.Task) {
	if len(tasks) == 0 {
		return
	}
	fmt.Fprintln(p.Out, "\nStill to be done by an admin, in Marketing Cloud:")
	for _, task := range tasks {
		fmt.Fprintf(p.Out, "  - %s\n    %s\n", p.Line(task.What), p.Line(strings.Join(task.Menu, " → ")))
	}
}
