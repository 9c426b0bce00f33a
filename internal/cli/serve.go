package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/config"
	"onramp/internal/systemd"
	"onramp/internal/version"
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
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.runServe(ctx, restored) }),
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
	log, level, recent := c.logger(cfg)
	build := version.Read().Version
	manager := systemd.Manager{Socket: c.getenv("NOTIFY_SOCKET"), Log: log}
	guard := app.NewGuard(cfg)
	if c.OwnProcess {
		guard.Default() // alerts are sent by a library
	}
	a, err := app.Start(ctx, cfg, app.Options{
		Log: named(log, cfg), Version: build, Restored: restored, Hangups: hangups, Load: load, Level: level, Recent: recent,
		Manager: manager, Guard: guard,
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
	facts := []any{"public", public, "admin", admin, "version", build}
	if plain := a.PlainURL(); plain != "" {
		facts = append(facts, "http", plain)
	}
	log.Info("ready", facts...)
	manager.Ready()
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
