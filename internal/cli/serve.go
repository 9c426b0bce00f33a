package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/config"
)

func (c *command) serve() *cobra.Command {
	var restored bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Runs the gateway with the given configuration until it is stopped (Ctrl-C or
SIGTERM). It then accepts nothing new, finishes the requests in flight and exits;
remaining deliveries are sent after the next start.

A restored backup sends again what went out after it was made. Onramp mostly recognises
one by the file onramp.db.state beside the database; where it can't, as with PostgreSQL
or on another machine, say it with --restored. Deliveries to journeys, and messages that
Marketing Cloud no longer recognises, are then unknown: see onramp deliveries list.`,
		Example: "  onramp init\n  onramp serve --config onramp.yaml\n  onramp serve --restored",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.runServe(ctx, restored) }),
	}
	cmd.Flags().BoolVar(&restored, "restored", false, "the database is a restored backup; give it for one start only")
	return cmd
}

func (c *command) runServe(ctx context.Context, restored bool) error {
	cfg, err := config.Load(c.configPath(), c.Environ)
	if err != nil {
		return err
	}
	log := c.logger(cfg)
	a, err := app.Start(ctx, cfg, app.Options{Log: log, Version: buildVersion(), Restored: restored})
	if err != nil {
		return err
	}
	if literal, err := config.LiteralSecrets(c.configPath(), c.Environ); err == nil && len(literal) > 0 {
		app.WarnOfReadable(log.With("settings", literal), c.configPath())
	}
	if cfg.Admin.Token == "" {
		log.Warn("the admin API is closed: set admin.token to open it")
	}
	log.Info("ready", "public", a.PublicURL(), "admin", a.AdminURL(), "version", buildVersion())
	if err := a.Run(ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

func (c *command) sandbox() *cobra.Command {
	o := app.SandboxOptions{}
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   "sandbox",
		Short: "Run the Marketing Cloud emulator on its own",
		Long: `Runs the sandbox, an emulator of Marketing Cloud: token endpoint, data extensions,
journeys, messages and the Event Notification Service, all at one address. It keeps
everything in memory.

It sends no mail, does not evaluate journey rules, and never throttles on its own; use
PUT /_sandbox/faults to make it fail, lose answers, carry calls out late, or answer as
a proxy would: see docs/sandbox.md. Its web page is at /_sandbox/.

It answers to localhost, to IP addresses and to the names given with --host, such as
that of a service in a compose file, and not to web pages of another origin.`,
		Example: "  onramp sandbox --listen 127.0.0.1:8090\n  onramp sandbox --listen :8090 --host sandbox\n  curl http://127.0.0.1:8090/_sandbox/state",
		Args:    cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			o.Log = c.logger(config.Default())
			if cmd.Flags().Changed("activation") && o.Activation == 0 {
				o.Activation = -1 // at once; 0 would be the default
			}
			s, err := app.StartSandbox(ctx, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.Stdout, "Marketing Cloud sandbox on %s, page %s/_sandbox/\n", s.URL(), s.URL())
			return s.Run(ctx)
		}),
	}
	cmd.Flags().StringVar(&o.Address, "listen", "127.0.0.1:8090", "address to listen on")
	cmd.Flags().StringSliceVar(&o.Hosts, "host", nil, "host name that the sandbox is reached by, beside localhost and IP addresses; repeat it for several")
	cmd.Flags().BoolVar(&o.Strict, "strict", false, "accept only https URLs without a port for callbacks and token endpoints, as Marketing Cloud does")
	cmd.Flags().DurationVar(&o.Activation, "activation", 2*time.Minute, "time until a new or changed subscription takes effect, on the sandbox's clock")
	cmd.Flags().StringVar(&o.Dialect, "dialect", "facts", "facts: answer as Marketing Cloud does; spec: shorter token answers, and row answers in a results object")
	return cmd
}

func (c *command) initialize() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented configuration file for a registration form",
		Long: `Writes onramp.yaml (or the file given with --config) with a registration form and
every setting explained. An existing file is never overwritten.`,
		Example: "  onramp init\n  onramp init --config /etc/onramp/onramp.yaml",
		Args:    cobra.NoArgs,
		RunE: run(func(context.Context, []string) error {
			path := c.configPath()
			// one call that fails if the file exists: no moment in between
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s already exists; choose another file with --config", path)
			}
			if err != nil {
				return err
			}
			if _, err := file.Write(config.Template()); err != nil {
				return errors.Join(err, file.Close())
			}
			if err := file.Close(); err != nil {
				return err
			}
			fmt.Fprintf(c.Stdout, "Wrote %s. Fill in the marketing_cloud section, then run: onramp serve --config %s\n", path, path)
			return nil
		}),
	}
}
