package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/config"
	"onramp/internal/keyset"
)

func (c *command) initialize() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented configuration file for a registration form",
		Long: `Writes onramp.yaml (or the file given with --config) with a registration form and
every setting explained, and beside it onramp.admin-token: a new token for the admin API,
which the configuration refers to. The gateway and the commands that ask it read the token
there. Existing files are never overwritten; a token that is there is used.`,
		Example: "  onramp init\n  onramp init --config /etc/onramp/onramp.yaml",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(context.Context, []string) error { return c.runInit() }),
	}
}

func (c *command) runInit() error {
	path := c.configPath()
	tokenFile := strings.TrimSuffix(path, filepath.Ext(path)) + ".admin-token"
	absolute, err := filepath.Abs(tokenFile)
	if err != nil {
		return err
	}
	err = writeNew(path, config.Template(absolute))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists; choose another file with --config", path)
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
	fmt.Fprintf(c.Stdout, "Fill in the marketing_cloud section, then run: %s\n", c.again("serve"))
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
