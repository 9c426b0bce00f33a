package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

func (c *command) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show counts of registrations, deliveries and events, and the state of destinations",
		Long: `Shows how many registrations were accepted and what state they are in, how many events
arrived, and the state of each destination. The counts of registrations add up to the
number accepted.`,
		Example: "  onramp status\n  onramp status --output json",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.runStatus(ctx) }),
	}
	c.outputFlag(cmd)
	return cmd
}

func (c *command) runStatus(ctx context.Context) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var s operator.Status
	if err := admin.get(ctx, "/api/status", nil, &s); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(s)
	}
	for _, notice := range s.Notices {
		fmt.Fprintf(c.Stdout, "NOTICE: %s\n\n", notice)
	}
	rows := [][]string{{"REGISTRATIONS", ""}}
	for _, state := range onramp.RegistrationStates() {
		rows = append(rows, []string{state.String(), strconv.FormatInt(s.Registrations[state.String()], 10)})
	}
	rows = append(rows, []string{"accepted", strconv.FormatInt(s.Accepted, 10)}, []string{"", ""}, []string{"DELIVERIES", ""})
	for _, state := range onramp.DeliveryStates() {
		rows = append(rows, []string{state.String(), strconv.FormatInt(s.Deliveries[state.String()], 10)})
	}
	rows = append(rows, []string{"", ""}, []string{"EVENTS", ""},
		[]string{"stored", strconv.FormatInt(s.Events.Stored, 10)}, []string{"repeated", strconv.FormatInt(s.Events.Repeated, 10)})
	if err := c.table(rows); err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout)
	rows = [][]string{{"DESTINATION", "STATE", "WAITING", "OLDEST", "REASON"}}
	for _, d := range s.Destinations {
		rows = append(rows, []string{d.Name, d.State, strconv.FormatInt(d.Waiting, 10), momentOrNone(d.Oldest), d.Reason})
	}
	return c.table(rows)
}
