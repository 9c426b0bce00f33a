package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/check"
	"onramp/internal/cli/terminal"
	"onramp/internal/web"
)

func (c *command) check() *cobra.Command {
	var o app.CheckOptions
	var only []string
	cmd := &cobra.Command{
		Use: "check", Short: "Check everything that the configuration names, and say what to do where it is wrong", Long: check.Help,
		Example: "  onramp check\n  onramp check --only scopes,data-extension\n  onramp check --output json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.runCheck(cmd.Context(), only, o) },
	}
	c.outputFlag(cmd)
	cmd.Flags().StringSliceVar(&only, "only", nil, "check only this, and what it depends on; repeat it for several, or separate names by commas")
	cmd.Flags().BoolVar(&o.WriteProbe, "write-probe", false, "also write a marked row into each data extension, and remove it again")
	cmd.Flags().BoolVar(&o.SendTestAlert, "send-test-alert", false, "also send a test alert to each receiver")
	return cmd
}

// levelError ends a command with the exit status of a level. err is what is still to be
// printed; nil: nothing.
type levelError struct {
	level check.Level
	err   error
}

func (e levelError) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return fmt.Sprintf("the checks ended with a %s", e.level)
}

func (c *command) runCheck(ctx context.Context, only []string, o app.CheckOptions) error {
	if err := check.Known(only); err != nil {
		return err
	}
	if admin, err := c.admin(); err == nil { // of a file that can't be read, the next step tells
		o.AskGateway = app.AskGateway(web.Client{Base: admin.base, Token: admin.token, HTTP: admin.http})
	}
	report, err := app.CheckFile(ctx, c.configPath(), c.Environ, o, only...)
	if err != nil {
		return levelError{check.Failure, c.missing(err)} // 1 would be a warning
	}
	if c.output == "json" {
		err = c.printJSON(report)
	} else {
		err = report.Text(c.Stdout, terminal.ShowsMarks(c.terminal, c.getenv), oneLine)
	}
	if err == nil && report.Level != check.OK {
		return levelError{level: report.Level}
	}
	return err
}
