package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/notices"
	"onramp/internal/version"
)

func (c *command) version() *cobra.Command {
	var licenses bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version, and what it was built from",
		Long: `Prints the version, the version of Go, the platform, and the commit that the program was
built from, with its time; "modified" if files were changed since.`,
		Example: "  onramp version\n  onramp version --output json\n  onramp version --licenses", Args: cobra.NoArgs,
		RunE: frame.Run(func(context.Context, []string) error {
			switch {
			case licenses:
				_, err := io.WriteString(c.Stdout, notices.Text)
				return err
			case c.output == "json":
				return c.printJSON(version.Read())
			}
			_, err := fmt.Fprintln(c.Stdout, "onramp", version.Read())
			return err
		}),
	}
	c.outputFlag(cmd)
	cmd.Flags().BoolVar(&licenses, "licenses", false, "print the licenses of the software that Onramp contains")
	return cmd
}
