package cli

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
)

func (c *command) deliveriesMove() *cobra.Command {
	m := operator.Move{Dry: true}
	var yes bool
	cmd := &cobra.Command{
		Use: "move --from DESTINATION --to DESTINATION", Short: "Move deliveries from a destination that was renamed",
		Long: `Moves everything that is not delivered, skipped or discarded from a destination that no
route leads to any more to a configured one of the same kind. When the key in a form's
route is corrected, its deliveries follow by themselves at the next start or reload; this
command is for those that don't, because their form is gone, for example.

Without --yes, only prints how many deliveries it would move.`,
		Example: `  onramp deliveries move --from data_extension:Web_Registration --to data_extension:Web_Registrations
  onramp deliveries move --from data_extension:Web_Registration --to data_extension:Web_Registrations --yes`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&m.From, "from", "", "destination to move from, as printed by status")
	cmd.Flags().StringVar(&m.To, "to", "", "destination to move to")
	cmd.Flags().BoolVar(&yes, "yes", false, "move them")
	cmd.Flags().BoolVar(&m.Dry, "dry-run", false, "only print what would be moved (the default without --yes)")
	cmd.MarkFlagsMutuallyExclusive("yes", "dry-run")
	for _, name := range []string{"from", "to"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that there is not
	}
	cmd.RunE = frame.Run(func(ctx context.Context, _ []string) error {
		m.Dry = !yes
		return c.moveDeliveries(ctx, m)
	})
	return cmd
}

func (c *command) moveDeliveries(ctx context.Context, m operator.Move) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	admin.http.Timeout = 0 // it takes as long as there are deliveries
	var n operator.Count
	if err := admin.call(ctx, http.MethodPost, "/api/deliveries/move", m, &n); err != nil {
		return err
	}
	switch {
	case c.output == "json":
		return c.printJSON(n)
	case m.Dry:
		fmt.Fprintf(c.Stdout, "%s would go from %s to %s.\nNothing was moved. Add --yes to move them.\n", countDeliveries(n.Count), m.From, m.To)
	default:
		fmt.Fprintf(c.Stdout, "Moved %s from %s to %s.\n", countDeliveries(n.Count), m.From, m.To)
	}
	return nil
}
