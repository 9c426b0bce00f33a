package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/config"
	"onramp/internal/keyset"
)

func (c *command) initialize() *cobra.Command {
	var extension, account string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented configuration file for a registration form",
		Long: `Writes onramp.yaml (or the file given with --config) with a registration form and
every setting explained, and beside it onramp.admin-token: a new token for the admin API,
which the configuration refers to. The gateway and the commands that ask it read the token
there. Existing files are never overwritten; a token that is there is used.

With --from-data-extension, the form is that of a data extension in Marketing Cloud, with
a field for each of its columns. The credentials are those of the configuration given by
--account (default: onramp.yaml, or $` + configEnv + `), or come from the environment:
ONRAMP_MARKETING_CLOUD_SUBDOMAIN, …_CLIENT_ID, …_CLIENT_SECRET and …_ACCOUNT_ID. The
scope data_extensions_read is needed.`,
		Example: "  onramp init\n  onramp init --config /etc/onramp/onramp.yaml\n  onramp init --from-data-extension Web_Registrations --config registrations.yaml",
		Args:    cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error {
			if extension == "" {
				return c.runInit(config.Template, "Fill in the marketing_cloud section, then run: "+c.again("serve"))
			}
			return c.initFrom(ctx, extension, account)
		}),
	}
	cmd.Flags().StringVar(&extension, "from-data-extension", "", "external key of a data extension to make the form from")
	cmd.Flags().StringVar(&account, "account", "", "with --from-data-extension, the configuration file with the credentials")
	return cmd
}

// initFrom writes a configuration for a data extension that exists, in the account of a
// file or of the environment alone.
func (c *command) initFrom(ctx context.Context, key, account string) error {
	if _, err := os.Lstat(c.configPath()); err == nil {
		return c.alreadyThere()
	}
	cfg, err := config.LoadAccount(cmp.Or(account, c.getenv(configEnv), "onramp.yaml"), account == "", c.Environ)
	if err != nil {
		return err
	}
	text, use, err := app.DraftConfig(ctx, cfg, key)
	if err != nil {
		return err
	}
	return c.runInit(text, oneLine(use)+"\nGo through the fields, set SFMC_CLIENT_ID and SFMC_CLIENT_SECRET, then run: "+c.again("serve"))
}

func (c *command) alreadyThere() error {
	return fmt.Errorf("%s already exists; choose another file with --config", c.configPath())
}

// runInit writes a configuration, and a token beside it if there is none.
func (c *command) runInit(text func(tokenFile string) []byte, next string) error {
	path := c.configPath()
	tokenFile := strings.TrimSuffix(path, filepath.Ext(path)) + ".admin-token"
	absolute, err := filepath.Abs(tokenFile)
	if err != nil {
		return err
	}
	err = writeNew(path, text(absolute))
	if errors.Is(err, fs.ErrExist) {
		return c.alreadyThere()
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "Wrote %s.\n", path)
	err = writeNew(tokenFile, []byte(keyset.NewSecret().Reveal()+"\n"))
	switch {
	case err == nil:
		fmt.Fprintf(c.Stdout, "Wrote %s: the admin token, which the configuration refers to. Keep it secret.\n", tokenFile)
	case errors.Is(err, fs.ErrExist):
		fmt.Fprintf(c.Stdout, "The admin token is that in %s, which was there already.\n", tokenFile)
	default:
		return errors.Join(err, os.Remove(path)) // it refers to a token that isn't there
	}
	fmt.Fprintln(c.Stdout, next)
	return nil
}

// writeNew writes a file that only its owner can read, unless there is one.
func writeNew(path string, data []byte) error {
	// one call that fails if the file exists: no moment in between
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return errors.Join(err, file.Close(), os.Remove(path))
	}
	return file.Close()
}
