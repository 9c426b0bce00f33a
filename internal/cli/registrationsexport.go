package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
)

func (c *command) registrationsExport() *cobra.Command {
	var person operator.Person
	cmd := &cobra.Command{
		Use: "export", Short: "Export what is stored of a person, as JSON",
		Long: `Prints what is stored of a person as JSON: registrations with their values, edits, deliveries
and timelines, and the events about the person. It is personal data: send it to nobody but the
person.`,
		Example: `  onramp registrations export --email ana@example.org > ana.json
  onramp registrations export --subscriber-key u-1001`,
		Args: cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error { return c.exportPerson(ctx, person) }),
	}
	cmd.Flags().StringVar(&person.Email, "email", "", "the person's email address")
	cmd.Flags().StringVar(&person.SubscriberKey, "subscriber-key", "", "the person's subscriber key")
	cmd.MarkFlagsMutuallyExclusive("email", "subscriber-key")
	cmd.MarkFlagsOneRequired("email", "subscriber-key")
	return cmd
}

func (c *command) exportPerson(ctx context.Context, person operator.Person) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	admin.http.Timeout = 0 // it may have to look through much
	var export operator.Export
	if err := admin.call(ctx, http.MethodPost, "/api/registrations/export", person, &export); err != nil {
		return err
	}
	return c.printJSON(export)
}
