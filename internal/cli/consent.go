package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
)

func (c *command) consent() *cobra.Command {
	under := []*cobra.Command{c.consentWithdraw(), c.consentExport(), c.consentVerify()}
	for _, cmd := range under {
		c.outputFlag(cmd)
	}
	return frame.Group("consent", "Withdraw and export consents; verify the consent log", under...)
}

var errWhoseConsent = errors.New("name the person, with --email or --subscriber-key")

// personFlags name a person.
func personFlags(cmd *cobra.Command, p *operator.Person) {
	cmd.Flags().StringVar(&p.Email, "email", "", "the person's email `address`")
	cmd.Flags().StringVar(&p.SubscriberKey, "subscriber-key", "", "the person's subscriber `key`, where it is not made from the address")
	cmd.MarkFlagsMutuallyExclusive("email", "subscriber-key")
}

// forPerson runs a command for a person who is named.
func forPerson(cmd *cobra.Command, p *operator.Person, run func(context.Context) error) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if p.Email == "" && p.SubscriberKey == "" {
			return errWhoseConsent
		}
		return frame.Run(func(ctx context.Context, _ []string) error { return run(ctx) })(cmd, args)
	}
}

func (c *command) consentWithdraw() *cobra.Command {
	var w operator.Withdraw
	cmd := &cobra.Command{
		Use: "withdraw", Short: "Take back a person's consent",
		Long: `Takes back a person's consent for a form, or for all forms: writes it to the consent log, and sets
the form's consent column to false in the person's rows. Needs the role privacy.`,
		Example: `  onramp consent withdraw --email user@example.com --form registration
  onramp consent withdraw --subscriber-key 42`,
		Args: cobra.NoArgs,
	}
	personFlags(cmd, &w.Person)
	cmd.Flags().StringVar(&w.Form, "form", "", "only for this form")
	forPerson(cmd, &w.Person, func(ctx context.Context) error { return c.withdrawConsent(ctx, w) })
	return cmd
}

func (c *command) withdrawConsent(ctx context.Context, w operator.Withdraw) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var done operator.Withdrawn
	if err := admin.call(ctx, http.MethodPost, "/api/registrations/withdraw", w, &done); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(done)
	}
	for _, one := range done.Items {
		fmt.Fprintf(c.Stdout, "Withdrew the consent for %s: entry %d of the consent log.\n", oneLine(one.Form), one.Number)
	}
	return nil
}

func (c *command) consentExport() *cobra.Command {
	var p operator.Person
	cmd := &cobra.Command{
		Use: "export", Short: "Export what a person has agreed to, signed",
		Long: `Prints as JSON what the consent log has of a person: each entry, and the texts that the person
agreed to, with a signature that onramp consent verify --export checks. Needs the role privacy.`,
		Example: "  onramp consent export --email user@example.com > consent.json\n  onramp consent verify --export consent.json",
		Args:    cobra.NoArgs,
	}
	personFlags(cmd, &p)
	forPerson(cmd, &p, func(ctx context.Context) error { return c.exportConsent(ctx, p) })
	return cmd
}

func (c *command) exportConsent(ctx context.Context, p operator.Person) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var e operator.ConsentExport
	if err := admin.call(ctx, http.MethodPost, "/api/consent/export", p, &e); err != nil {
		return err
	}
	return c.printJSON(e)
}

func (c *command) consentVerify() *cobra.Command {
	cmd := c.verifier("consent", "/api/consent/verify", `Walks the consent log and checks that no entry was changed, removed, added or moved, and that none
is missing at the end. With --anchor it also compares the log with the anchors that consent.anchor_file
has collected: they tell even if somebody has rewritten the whole database. Exits 1 and prints what is
wrong, by the number of the entry.

With --export it checks instead that an export was signed by this gateway and not changed since.`)
	var file string
	cmd.Flags().StringVar(&file, "export", "", "check the signature of the export in this `file`, and not the log")
	cmd.MarkFlagsMutuallyExclusive("export", "anchor")
	verify := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return verify(cmd, args)
		}
		return frame.Run(func(ctx context.Context, _ []string) error { return c.checkExport(ctx, file) })(cmd, args)
	}
	return cmd
}

var errForged = errors.New("the export was not signed by this gateway, or was changed since")

func (c *command) checkExport(ctx context.Context, file string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--export: %w", err)
	}
	var e operator.ConsentExport
	if err := json.Unmarshal(data, &e); err != nil || len(e.Export) == 0 {
		return fmt.Errorf("--export: %s is no export", file)
	}
	var checked operator.Checked
	if err := admin.call(ctx, http.MethodPost, "/api/consent/check", e, &checked); err != nil {
		return err
	}
	if c.output == "json" {
		if err := c.printJSON(checked); err != nil {
			return err
		}
	} else if checked.Genuine {
		fmt.Fprintf(c.Stdout, "The export is genuine: it was signed with key %s.\n", checked.Key)
	}
	if !checked.Genuine {
		return errForged
	}
	return nil
}
