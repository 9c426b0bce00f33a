package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/config"
	"onramp/internal/shell"
)

func (c *command) keysReset() *cobra.Command {
	var callbacks []string
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Remove stored secrets that can't be decrypted any more",
		Long: `When the encryption key is lost or was replaced, the secrets in the database that were
encrypted with it can't be read. First try to restore the key: onramp.db.key beside the
database, or what encryption_key was set to. If it is lost, this command lists what is
lost with it, and what brings it back. With --yes it removes that from the database, so
that onramp serve starts, and onramp ens setup makes what is missing again.

With --callback, only what belongs to that callback is removed, and what is made again by
itself: schemes, signing keys, the access token. Whatever can be decrypted stays. Stop
the gateway first.`,
		Example: `  onramp keys reset
  onramp keys reset --callback events --yes
  onramp keys reset --all --yes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if yes && !all && len(callbacks) == 0 {
				return errors.New("--yes needs --callback NAME or --all")
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: frame.Run(func(ctx context.Context, _ []string) error { return c.runKeysReset(ctx, callbacks, yes) }),
	}
	c.outputFlag(cmd)
	cmd.Flags().StringArrayVar(&callbacks, "callback", nil, "reset this callback only (can be repeated)")
	cmd.Flags().BoolVar(&all, "all", false, "reset everything that can't be decrypted")
	cmd.Flags().BoolVar(&yes, "yes", false, "remove it; without --yes it is only listed")
	cmd.MarkFlagsMutuallyExclusive("callback", "all")
	return cmd
}

func (c *command) runKeysReset(ctx context.Context, callbacks []string, yes bool) error {
	cfg, err := config.Load(c.configPath(), c.Environ)
	if err != nil {
		return c.missing(err)
	}
	lost, err := app.ResetKeys(ctx, cfg, callbacks, yes)
	if err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(map[string]any{"items": lost, "removed": yes})
	}
	if len(lost) == 0 {
		fmt.Fprintln(c.Stdout, "Everything can be decrypted. Nothing was removed.")
		return nil
	}
	rows := [][]string{{"KIND", "NAME", "LOST"}}
	for _, one := range lost {
		rows = append(rows, []string{one.Kind, oneLine(one.Name), one.Lost})
	}
	if err := c.table(rows); err != nil {
		return err
	}
	if yes {
		fmt.Fprintf(c.Stdout, "\nRemoved. Now start %s, and run %s.\n", c.again("serve"), c.again("ens setup"))
		return nil
	}
	fmt.Fprintf(c.Stdout, "\nNothing was removed. To remove it: %s\n", c.again("keys reset "+strings.Join(target(callbacks), " ")+" --yes"))
	return nil
}

// target is how the command names what it is about.
func target(callbacks []string) []string {
	if len(callbacks) == 0 {
		return []string{"--all"}
	}
	var flags []string
	for _, name := range callbacks {
		flags = append(flags, "--callback", shell.Word(name))
	}
	return flags
}
