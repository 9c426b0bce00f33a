// Package cli is the command line of onramp: one file for each command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/bundle"
	"onramp/internal/cli/frame"
	"onramp/internal/cli/measure"
	"onramp/internal/config"
	"onramp/internal/shell"
	"onramp/internal/visible"
)

// System is what a program gets from the operating system. In a test all of it
// can be something else.
type System struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string
	// OwnProcess says that the command has the process for itself, and may change what all
	// parts of it share.
	OwnProcess bool
}

// OS is the real system.
func OS() System { return System{os.Stdin, os.Stdout, os.Stderr, os.Environ(), true} }

// The exit statuses.
const (
	done      = 0
	failed    = 1
	wrongUse  = 2
	configEnv = "ONRAMP_CONFIG"
)

// Main runs one command and returns the exit status: 0 done, 1 failed, 2 wrong
// use.
func Main(ctx context.Context, args []string, system System) int {
	c := &command{System: system, terminal: system.Stdout}
	c.Stdout = visible.NewWriter(system.Stdout) // what is printed may be a stranger's text
	root := c.root()
	root.SetArgs(args)
	root.SetIn(system.Stdin)
	root.SetOut(system.Stdout)
	root.SetErr(system.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return done
	}
	if ended, ok := errors.AsType[levelError](err); ok {
		if ended.err != nil {
			fmt.Fprintln(system.Stderr, "onramp:", visible.Escape(ended.err.Error()))
		}
		return ended.level.Status()
	}
	fmt.Fprintln(system.Stderr, "onramp:", visible.Escape(err.Error()))
	if _, ran := errors.AsType[*frame.RunError](err); ran {
		return failed
	}
	fmt.Fprintln(system.Stderr, "See onramp --help, or onramp COMMAND --help.")
	return wrongUse
}

// Root is the tree of all commands, with their help.
func Root(system System) *cobra.Command {
	c := &command{System: system}
	return c.root()
}

// command holds what the commands share.
type command struct {
	System               // its Stdout escapes what a terminal would obey
	terminal   io.Writer // standard output itself
	configFile string
	adminURL   adminAddress
	output     string
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "onramp",
		Short: "Deliver website registrations to Salesforce Marketing Cloud without losing any",
		Long: `Onramp accepts registrations from website forms, writes each one to disk before it
answers, and delivers it to Salesforce Marketing Cloud.

Start with "onramp demo": it needs no account and no configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&c.configFile, "config", "", `configuration file (default "onramp.yaml", or $`+configEnv+`)`)
	asking := []*cobra.Command{c.status(), c.readyz(), c.registrations(), c.deliveries(), c.destinations(), c.events(), c.ens(), c.consent(), c.audit(), c.check()}
	c.adminFlag(asking...)
	root.AddCommand(c.demo(), c.try(), c.serve(), c.sandbox(), c.initialize(), c.steps().Command(c.provisioner))
	root.AddCommand(asking...)
	root.AddCommand(c.explain(), c.keys(), c.backup(), c.restore(), c.vacuum(), c.debug(), measure.Command(c.Stdin, c.terminal, c.Stderr), c.version())
	return root
}

// configPath is the configuration file: by flag, by environment, or the default.
func (c *command) configPath() string {
	if c.configFile != "" {
		return c.configFile
	}
	if path := c.getenv(configEnv); path != "" {
		return path
	}
	return "onramp.yaml"
}

// again is a command that a message suggests: with the configuration file that was
// given to this one.
func (c *command) again(words string) string {
	words = "onramp " + words
	if c.configFile != "" {
		words += " --config " + shell.Word(c.configFile)
	}
	return words
}

// ask is the same for a command that asks the admin API.
func (c *command) ask(words string) string {
	words = c.again(words)
	if c.adminURL != "" {
		words += " --admin " + shell.Word(string(c.adminURL))
	}
	return words
}

// missing adds to an error that there is no configuration how to get one.
func (c *command) missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; to write one, run %s", err, c.again("init"))
	}
	return err
}

func (c *command) getenv(name string) string {
	for _, pair := range c.Environ {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}

// logger writes to standard error as the configuration says. Its level can be changed; that of
// the lines that are kept for debug bundles can't.
func (c *command) logger(cfg *config.Config) (log *slog.Logger, level *slog.LevelVar, recent *bundle.Log) {
	handler, level := c.logHandler(cfg)
	recent = bundle.NewLog()
	return slog.New(slog.NewMultiHandler(handler, recent)), level, recent
}

func (c *command) logHandler(cfg *config.Config) (slog.Handler, *slog.LevelVar) {
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level.Set(slog.LevelInfo) // config has checked it
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "text" {
		return slog.NewTextHandler(c.Stderr, options), level
	}
	return slog.NewJSONHandler(c.Stderr, options), level
}
