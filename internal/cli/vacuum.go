package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/config"
)

func (c *command) vacuum() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vacuum",
		Short: "Give the free space of the SQLite file of a stopped gateway back to its disk",
		Long: `Writes the SQLite file anew, without what holds nothing any more. The gateway must not be
running. It needs the file's size once more on the same disk.

Once is enough, for a file that an Onramp without retention has made: from then on a running
gateway gives space back by itself, after what it has removed. onramp status says when this
is needed. PostgreSQL does not need it.`,
		Example: "  onramp vacuum --config /etc/onramp/onramp.yaml",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.runVacuum(ctx) }),
	}
	c.outputFlag(cmd)
	return cmd
}

func (c *command) runVacuum(ctx context.Context) error {
	cfg, err := config.Load(c.configPath(), c.Environ)
	if err != nil {
		return err
	}
	v, err := app.Vacuum(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(v)
	}
	fmt.Fprintf(c.Stdout, "%s has %.1f MB now, %.1f MB before.\n", v.File, float64(v.After)/1e6, float64(v.Before)/1e6)
	return nil
}
