package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/onramp"
	"onramp/internal/operator"
)

func (c *command) deliveriesRetry() *cobra.Command {
	var meant bulkFlags
	var yes bool
	cmd := &cobra.Command{
		Use: "retry ID | --cause CAUSE | --form FORM | --destination NAME | --since TIME | --until TIME | --all", Short: "Retry dead, unknown or failing deliveries now",
		Long: `Retries one delivery that is dead or unknown, or pending after a failed attempt, or all
dead deliveries that match the flags, or with --all every dead delivery. Tries are
counted from 0 again. Deliveries whose answer was lost (--state unknown) may have arrived,
so retrying several of them always needs --all.

A delivery to a data extension is left alone if a newer row of the same person has been
delivered since: it would overwrite that. --overwrite-newer sends it anyway. A delivery is
also left alone if its form is no longer in the configuration, or no route leads to its
destination any more.

With --dry-run, only shows how many deliveries would be retried, where they would go, and
how many not and why. A retry that was interrupted goes on when it is repeated: what was
retried already is no longer dead.`,
		Example: `  onramp deliveries retry 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f.1
  onramp deliveries retry --cause 1e48f7c5 --dry-run
  onramp deliveries retry --cause 1e48f7c5
  onramp deliveries retry --destination data_extension:Web_Registrations --since 24h
  onramp deliveries retry --form registration --state unknown --all`,
		Args: cobra.MaximumNArgs(1),
	}
	meant.add(cmd)
	addOverwriteNewer(cmd, &meant.OverwriteNewer)
	cmd.Flags().BoolVar(&meant.DryRun, "dry-run", false, "only show what would be retried")
	cmd.Flags().BoolVar(&yes, "yes", false, "retry them (the default without --dry-run)")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "yes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := meant.check(cmd, args)
		switch b := meant.Bulk; {
		case err == nil && len(args) > 0 && b.DryRun:
			err = errors.New("--dry-run is for several deliveries; give --cause, --form, --destination, --since, --until or --all")
		case err != nil || len(args) > 0 || b.All || b.DryRun:
		case b.State == onramp.DeliveryUnknown.String():
			err = errors.New("deliveries whose answer was lost may already have arrived; add --all to retry them anyway")
		case !b.Narrowed():
			err = errors.New("give a delivery ID, --cause, --form, --destination, --since or --until; or add --all to retry every dead delivery")
		}
		if err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				return c.showDelivery(ctx, http.MethodPost, args[0], "/retry"+overwriteNewer(meant.OverwriteNewer), nil)
			}
			return c.changeDeliveries(ctx, "retry", "Retried", meant.Bulk)
		})(cmd, args)
	}
	return cmd
}

func addOverwriteNewer(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVar(value, "overwrite-newer", false, "send it even if a newer row of the same person has been delivered")
}

func overwriteNewer(value bool) (query string) {
	if value {
		return "?overwrite_newer=true"
	}
	return ""
}

func (c *command) printRetryPlan(n *operator.Count) {
	fmt.Fprintf(c.Stdout, "Would retry %s.\n", countDeliveries(n.Count))
	for _, name := range slices.Sorted(maps.Keys(n.To)) {
		fmt.Fprintf(c.Stdout, "  to %s: %d\n", name, n.To[name])
	}
	if n.Superseded > 0 {
		fmt.Fprintf(c.Stdout, "  left out: %d, a newer row of the same person would be overwritten (--overwrite-newer sends it anyway)\n", n.Superseded)
	}
	if n.Unsendable > 0 {
		fmt.Fprintf(c.Stdout, "  left out: %d, the form is no longer in the configuration, or no route leads to the destination\n", n.Unsendable)
	}
	fmt.Fprintln(c.Stdout, "Nothing was retried. Add --yes instead of --dry-run to retry them.")
}
