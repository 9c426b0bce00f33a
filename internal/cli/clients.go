package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
	"onramp/internal/shell"
)

// saving lets keys new client have the gateway keep what it makes.
func (c *command) saving(cmd *cobra.Command) {
	var save bool
	var id string
	cmd.Flags().BoolVar(&save, "save", false, "have the running gateway create the client and store it in its database")
	cmd.Flags().StringVar(&id, "client", "", "with --save: the `id` of a new client, or of a stored one that gets a second secret")
	c.adminFlag(cmd)
	bare := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := cmd.Flags().Changed("client")
		switch {
		case given && !save:
			return errors.New("--client needs --save")
		case given && id == "":
			return errors.New("--client is empty")
		case !save:
			return bare(cmd, args)
		}
		return frame.Run(func(ctx context.Context, _ []string) error { return c.saveClient(ctx, id) })(cmd, args)
	}
}

func (c *command) saveClient(ctx context.Context, id string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var meant struct {
		ID string `json:"id,omitempty"`
	}
	var made operator.NewClient
	meant.ID = id
	if err := admin.call(ctx, http.MethodPost, "/api/clients", meant, &made); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(made)
	}
	fmt.Fprintf(c.Stdout, "id: %s\nsecret: %s\n", made.ID, made.Secret)
	if made.Secrets > 1 {
		fmt.Fprintf(c.Stdout, `
The previous secret is still valid. If a callback uses the client, run
  %s
Then retire the previous secret with
  %s
`, c.ask("ens setup"), c.ask("keys retire "+shell.Word(oneLine(made.ID))))
	}
	return nil
}

func (c *command) keysList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the clients of the token endpoint, without secrets",
		Example: "  onramp keys list\n  onramp keys list --output json",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.listClients(ctx) }),
	}
	c.outputFlag(cmd)
	c.adminFlag(cmd)
	return cmd
}

func (c *command) listClients(ctx context.Context) error {
	heading := []string{"CLIENT", "SECRETS", "FROM", "USED BY"}
	return printList(ctx, c, "/api/clients", nil, heading, func(one *operator.Client) []string {
		return []string{oneLine(one.ID), strconv.Itoa(one.Secrets), one.From, orNone(strings.Join(one.UsedBy, ", "))}
	})
}

func (c *command) keysRetire() *cobra.Command {
	return c.keysChange("retire CLIENT", "Retire the older of a client's two secrets",
		`Retires the older secret of a client that got a second one from onramp keys new client
--save --client ID. If a callback uses the client, run onramp ens setup first, so that
Marketing Cloud uses the new secret. Access tokens that were issued for the older one
are refused from then on.`,
		"  onramp keys retire onramp-q7rmbkzhx2v4w6ea", http.MethodPost, "/retire", "Its older secret is no longer valid.")
}

func (c *command) keysRemove() *cobra.Command {
	return c.keysChange("remove CLIENT", "Remove a client that is stored in the database",
		`Removes a client of the token endpoint that was created with onramp keys new client
--save, for example because its secret has leaked. Its access tokens are refused from
then on. A callback that uses it gets no events until you create the client again, with
onramp keys new client --save --client ID and onramp ens setup; Marketing Cloud keeps
them meanwhile. Clients in the configuration are removed there.`,
		"  onramp keys remove onramp-q7rmbkzhx2v4w6ea", http.MethodDelete, "", "The client was removed.")
}

// keysChange makes a command that changes one client and prints what it did.
func (c *command) keysChange(use, short, long, example, method, action, done string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return err
			}
			if args[0] == "" {
				return errors.New("the CLIENT is empty")
			}
			return nil
		},
		RunE: frame.Run(func(ctx context.Context, args []string) error {
			admin, err := c.admin()
			if err != nil {
				return err
			}
			var changed operator.Client
			if err := admin.call(ctx, method, "/api/clients/"+url.PathEscape(args[0])+action, nil, &changed); err != nil {
				return err
			}
			if c.output == "json" {
				return c.printJSON(changed)
			}
			fmt.Fprintln(c.Stdout, done)
			if method == http.MethodDelete && len(changed.UsedBy) > 0 {
				fmt.Fprintf(c.Stdout, `Marketing Cloud can no longer send events to %s. Create the client again, and set it up:
  %s
  %s
`, oneLine(strings.Join(changed.UsedBy, ", ")), c.ask("keys new client --save --client "+shell.Word(oneLine(changed.ID))), c.ask("ens setup"))
			}
			return nil
		}),
	}
	c.outputFlag(cmd)
	c.adminFlag(cmd)
	return cmd
}
