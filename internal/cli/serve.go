package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/config"
	"onramp/internal/sandbox/limits"
)

func (c *command) serve() *cobra.Command {
	var restored bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Runs the gateway with the given configuration until it is stopped (Ctrl-C or
SIGTERM). It then accepts nothing new, finishes the requests in flight and exits;
remaining deliveries are sent after the next start.

On SIGHUP it loads the configuration again: forms, routes, sinks, alerts, credentials and
most other settings. No request is refused meanwhile. A configuration with a mistake
changes nothing; the log and onramp status say what is wrong with it, and which settings
need a restart.

A restored backup sends again what went out after it was made. Onramp recognises one that
onramp backup has made, and others mostly by the file onramp.db.state beside the database;
where it can't, as with PostgreSQL or on another machine, say it with --restored. Deliveries to journeys, and messages that
Marketing Cloud no longer recognises, are then unknown: see onramp deliveries list.`,
		Example: "  onramp init\n  onramp serve --config onramp.yaml\n  kill -HUP PID\n  onramp serve --restored",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.runServe(ctx, restored) }),
	}
	cmd.Flags().BoolVar(&restored, "restored", false, "the database is a restored backup; give it for one start only")
	return cmd
}

func (c *command) runServe(ctx context.Context, restored bool) error {
	hangups := make(chan os.Signal, 1) // of several in a row, the last one counts
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	load := func() (*config.Config, error) { return config.Load(c.configPath(), c.Environ) }
	cfg, err := load()
	if err != nil {
		return c.missing(err)
	}
	log, level := c.logger(cfg)
	a, err := app.Start(ctx, cfg, app.Options{
		Log: named(log, cfg), Version: buildVersion(), Restored: restored, Hangups: hangups, Load: load, Level: level,
	})
	if err != nil {
		return err
	}
	if literal, err := config.LiteralSecrets(c.configPath(), c.Environ); err == nil && len(literal) > 0 {
		app.WarnOfReadable(log.With("settings", literal), c.configPath())
	}
	if cfg.Admin.Token == "" {
		log.Warn("the admin API is closed: set admin.token to open it")
	}
	public, admin := a.Where()
	log.Info("ready", "public", public, "admin", admin, "version", buildVersion())
	if err := a.Run(ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// named puts the name of the machine into each line that goes to where those of
// others go, too; text is for people at this one.
func named(log *slog.Logger, cfg *config.Config) *slog.Logger {
	if host, err := os.Hostname(); err == nil && cfg.Log.Format != "text" {
		return log.With("node", host)
	}
	return log
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

PUT /_sandbox/faults makes it fail, lose answers, carry calls out late, or answer as a
proxy would, and PUT /_sandbox/account changes data extensions, journeys, message
definitions and scopes: see docs/sandbox.md. Its web page is at /_sandbox/.

It answers to localhost, to IP addresses and to the names given with --host, such as
that of a service in a compose file, and not to web pages of another origin.

What it does not emulate:

` + limits.Text(),
		Example: "  onramp sandbox --listen 127.0.0.1:8090\n  onramp sandbox --listen :8090 --host sandbox\n  curl http://127.0.0.1:8090/_sandbox/state",
		Args:    cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			o.Log, _ = c.logger(config.Default())
			if cmd.Flags().Changed("activation") && o.Activation == 0 {
				o.Activation = -1 // at once; 0 would be the default
			}
			s, err := app.StartSandbox(ctx, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.Stdout, "Marketing Cloud sandbox on %s, page %s/_sandbox/\n", s.Where(), s.URL())
			return s.Run(ctx)
		}),
	}
	cmd.Flags().StringVar(&o.Address, "listen", "127.0.0.1:8090", "address to listen on")
	cmd.Flags().StringSliceVar(&o.Hosts, "host", nil, "host name that the sandbox is reached by, beside localhost and IP addresses; repeat it for several")
	cmd.Flags().BoolVar(&o.Strict, "strict", false, "accept only https URLs without a port for callbacks and token endpoints, as Marketing Cloud does")
	cmd.Flags().DurationVar(&o.Activation, "activation", 2*time.Minute, "time until a new or changed subscription takes effect, on the sandbox's clock")
	cmd.Flags().StringVar(&o.Dialect, "dialect", "facts", "facts: answer as Marketing Cloud does; spec: answer in the simpler forms that some integrations expect, with shorter token answers, and row answers in a results object")
	return cmd
}
