package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/provision"
	"onramp/internal/setup"
)

// Command is onramp provision. open makes the provisioner of the configuration; folder is the
// name of the folder for new data extensions, or empty.
func (p Printer) Command(open func(folder string) (*provision.Provisioner, error)) *cobra.Command {
	var apply bool
	var folder, output string
	cmd := &cobra.Command{
		Use: "provision", Short: "Show, or create, what the forms need in Marketing Cloud",
		Long: `Compares Marketing Cloud with the forms of the configuration and prints a plan: data
extensions and columns that would be created, columns that would get longer, API events.
With --apply it takes these steps and reads each one back. Nothing is deleted or
shortened, and no type is changed: such a difference is left alone, with what to do by
hand. Journeys can't be created; the plan ends with what an admin still has to do.

It needs no running gateway, and the scopes data_extensions_read, data_extensions_write
and, with journeys, journeys_read. It can be stopped at any point and run again.`,
		Example: "  onramp provision\n  onramp provision --apply\n  onramp provision --apply --folder Website",
		Args:    cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error {
			from, err := open(folder)
			if err != nil {
				return err
			}
			return p.provision(ctx, from, apply, output == "json")
		}),
	}
	frame.OutputFlag(cmd, &output)
	cmd.Flags().BoolVar(&apply, "apply", false, "carry out the plan")
	cmd.Flags().StringVar(&folder, "folder", "", `folder for new data extensions, by name; created below "Data Extensions" if there is none (default: that one)`)
	return cmd
}

// provisioned is what onramp provision prints as JSON.
type provisioned struct {
	Output
	ByHand []provision.Task `json:"by_hand"`
}

// provision prints the plan of a provisioner and, with apply, follows it and prints what was
// done; asJSON has all of it printed as JSON at the end. An error is fit for one line.
func (p Printer) provision(ctx context.Context, from *provision.Provisioner, apply, asJSON bool) error {
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
