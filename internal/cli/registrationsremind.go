package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
)

func (c *command) registrationsRemind() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remind ID", Short: "Ask the person of a held registration once more to confirm it",
		Long: `Sends another confirmation for a registration that waits for its person, by double
opt-in. The limits of its form hold, as for a visitor who asks for another link: if one
keeps the confirmation back, nothing is sent, and the command says which.

A registration that is held under suspicion waits for its person from then on.`,
		Example: "  onramp registrations remind 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f",
		Args:    cobra.ExactArgs(1),
		RunE:    frame.Run(func(ctx context.Context, args []string) error { return c.remindRegistration(ctx, args[0]) }),
	}
	c.outputFlag(cmd)
	return cmd
}

func (c *command) remindRegistration(ctx context.Context, id string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var done operator.Reminder
	if err := admin.call(ctx, http.MethodPost, "/api/registrations/"+url.PathEscape(id)+"/remind", nil, &done); err != nil {
		return err
	}
	switch {
	case c.output == "json":
		return c.printJSON(done)
	case done.Sent:
		fmt.Fprintln(c.Stdout, "Sent another confirmation.")
	default:
		fmt.Fprintf(c.Stdout, "Sent nothing: the limit %s is reached.\n", done.Limit)
	}
	return nil
}
