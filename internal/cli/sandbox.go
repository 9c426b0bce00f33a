package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/config"
	"onramp/internal/sandbox/limits"
)

func (c *command) sandbox() *cobra.Command {
	o := app.SandboxOptions{}
	secure, useTLS, from := app.SandboxTLS{}, false, ""
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   "sandbox",
		Short: "Run the Marketing Cloud emulator on its own",
		Long: `Runs the sandbox, an emulator of Marketing Cloud: token endpoint, data extensions,
journeys, messages and the Event Notification Service, all at one address. It keeps
everything in memory.

PUT /_sandbox/faults makes it fail, lose answers, carry calls out late, or answer as a
proxy would, and PUT /_sandbox/account changes data extensions, journeys, message
definitions and scopes: see docs/sandbox.md. Its web page is at /_sandbox/.

It answers to localhost, to IP addresses and to the names given with --host, such as
that of a service in a compose file, and not to web pages of another origin.

With --tls it serves HTTPS under Marketing Cloud's own host names, for programs that can't
be given another address. It prints what makes them trust it, the lines for the hosts
file, and what port 443 takes. Its certificate authority is made at the first start and
kept in the folder --tls-dir. It can vouch for nothing but these names and this machine.

With --from it holds what a configuration needs: its business unit, its package with all
scopes, and the data extensions, journeys and message definitions of its forms. Set
ONRAMP_MARKETING_CLOUD_AUTH_URL to the sandbox's address, and
ONRAMP_MARKETING_CLOUD_SUBDOMAIN to nothing, where you start the gateway.

What it does not emulate:

` + limits.Text(),
		Example: "  onramp sandbox --listen 127.0.0.1:8090\n  onramp sandbox --listen :8090 --host sandbox\n  onramp sandbox --tls --listen 127.0.0.1:443\n  onramp sandbox --from onramp.yaml\n  curl http://127.0.0.1:8090/_sandbox/state",
		Args:    cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if !useTLS && (cmd.Flags().Changed("tls-dir") || cmd.Flags().Changed("tenant")) {
				return errors.New("--tls-dir and --tenant say how to serve HTTPS: add --tls")
			}
			return nil
		},
		RunE: frame.Run(func(ctx context.Context, _ []string) error {
			o.Log, _, _ = c.logger(config.Default())
			if cmd.Flags().Changed("activation") && o.Activation == 0 {
				o.Activation = -1 // at once; 0 would be the default
			}
			if useTLS {
				o.TLS = &secure
			}
			s, err := c.startSandbox(ctx, o, from)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.Stdout, "Marketing Cloud sandbox on %s, page %s/_sandbox/\n", s.Where(), s.URL())
			if useTLS {
				fmt.Fprintf(c.Stdout, "\n%s", s.Guide())
			}
			return s.Run(ctx)
		}),
	}
	cmd.Flags().StringVar(&o.Address, "listen", "127.0.0.1:8090", "address to listen on")
	cmd.Flags().StringSliceVar(&o.Hosts, "host", nil, "host name that the sandbox is reached by, beside localhost and IP addresses; repeat it for several")
	cmd.Flags().BoolVar(&useTLS, "tls", false, "serve HTTPS under Marketing Cloud's own host names")
	cmd.Flags().StringVar(&secure.Folder, "tls-dir", "", "folder of the certificate authority (default: onramp/sandbox-tls in your folder for settings)")
	cmd.Flags().StringVar(&secure.Tenant, "tenant", "", "subdomain of your account, for the printed lines; any is served (default: an invented one)")
	cmd.Flags().StringVar(&from, "from", "", "configuration file whose account, data extensions, journeys and message definitions the sandbox holds")
	cmd.Flags().BoolVar(&o.Strict, "strict", false, "accept only https URLs without a port for callbacks and token endpoints, as Marketing Cloud does")
	cmd.Flags().DurationVar(&o.Activation, "activation", 2*time.Minute, "time until a new or changed subscription takes effect, on the sandbox's clock")
	cmd.Flags().StringVar(&o.Dialect, "dialect", "facts", "facts: answer as Marketing Cloud does; spec: answer in the simpler forms that some integrations expect, with shorter token answers, and row answers in a results object")
	return cmd
}

// startSandbox starts a sandbox with the account of a configuration file, if there is one.
func (c *command) startSandbox(ctx context.Context, o app.SandboxOptions, from string) (*app.Sandbox, error) {
	if from == "" {
		return app.StartSandbox(ctx, o)
	}
	cfg, err := config.Load(from, append(slices.Clone(c.Environ), app.NoAccountURL()...)) // it is reached here
	if err != nil {
		return nil, c.missing(err)
	}
	o.Account = app.SandboxAccount(cfg)
	return app.StartSandbox(ctx, o)
}
