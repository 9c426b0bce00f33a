package cli

import (
	"context"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/config"
)

func (c *command) provision() *cobra.Command {
	var apply bool
	var folder string
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
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.runProvision(ctx, folder, apply) }),
	}
	frame.OutputFlag(cmd, &c.output)
	cmd.Flags().BoolVar(&apply, "apply", false, "carry out the plan")
	cmd.Flags().StringVar(&folder, "folder", "", `folder for new data extensions, by name; created below "Data Extensions" if there is none (default: that one)`)
	return cmd
}

func (c *command) runProvision(ctx context.Context, folder string, apply bool) error {
	cfg, err := config.Load(c.configPath(), c.Environ)
	if err != nil {
		return c.missing(err)
	}
	p, err := app.NewProvisioner(cfg, folder)
	if err != nil {
		return err
	}
	return c.steps().Provision(ctx, p, apply, c.output == "json")
}
