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
number accepted. Deliveries with the same destination and key go one after the other: what
waits behind the retry of an earlier one is shown below.`,
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
	if err := c.table(rows); err != nil {
		return err
	}
	c.printBehind(s.Destinations)
	c.printLate(s.Destinations)
	return nil
}

// printBehind prints what waits for the retry of something else.
func (c *command) printBehind(destinations []operator.DestinationStatus) {
	for _, d := range destinations {
		b := d.Behind
		if b == nil {
			continue
		}
		fmt.Fprintf(c.Stdout, "\n%s: %d %s behind %d earlier %s of the same keys", d.Name,
			b.Waiting, plural(b.Waiting, "delivery waits", "deliveries wait"), b.Earlier, plural(b.Earlier, "delivery", "deliveries"))
		if b.Oldest != "" {
			fmt.Fprintf(c.Stdout, "; the oldest of these is %s, %d %s, next try at %s", b.Oldest, b.Tries, plural(int64(b.Tries), "try", "tries"), momentOrNone(b.DueAt))
		}
		fmt.Fprintln(c.Stdout)
	}
}

// printLate prints what is sent once more, or may have to be.
func (c *command) printLate(destinations []operator.DestinationStatus) {
	for _, d := range destinations {
		if d.Late == nil {
			continue
		}
		if n := d.Late.Resend; n > 0 {
			fmt.Fprintf(c.Stdout, "\n%s: %d %s sent once more, because an older row may have been written after a newer one\n",
				d.Name, n, plural(n, "delivery is", "deliveries are"))
		}
		if n := d.Late.Keys; n > 0 {
			fmt.Fprintf(c.Stdout, "\n%s: calls for %d %s may still be carried out until %s; what is newer is then sent once more\n",
				d.Name, n, plural(n, "person", "people"), momentOrNone(d.Late.Until))
		}
	}
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
