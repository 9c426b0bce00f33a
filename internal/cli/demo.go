package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/config"
	"onramp/internal/version"
)

const logLevelEnv = "ONRAMP_LOG_LEVEL"

// demoSettings are what the demo runs, and where it listens and keeps its data.
type demoSettings struct {
	config                 string // a file; "": the demo's own
	public, admin, sandbox string
	data                   string
	quiet                  bool
}

func (c *command) demo() *cobra.Command {
	s := demoSettings{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the gateway and the sandbox together, with nothing to configure",
		Long: `Runs the gateway with an example registration form, and a sandbox in place of Marketing
Cloud, in one process with event notifications set up. The data is kept in a temporary
folder and removed on exit, unless --data names a folder. Pages of this machine
(http://localhost, with any port) may submit its form.

With --config, it runs the forms, callbacks and settings of that file instead, but nothing
goes out to others: the account, the database, the addresses to listen on, sinks and alerts
of the file are not used. The sandbox holds what the file needs: its forms' data
extensions, journeys and message definitions.

Without --config, no variable of the environment is used but ONRAMP_LOG_LEVEL.`,
		Example: "  onramp demo\n  onramp demo --data ./demo-data\n  onramp demo --config onramp.yaml\n  onramp demo --public-listen 127.0.0.1:9080 --admin-listen 127.0.0.1:9081",
		Args:    cobra.NoArgs,
		RunE: frame.Run(func(ctx context.Context, _ []string) error {
			s.config = c.configFile
			return c.runDemo(ctx, s)
		}),
	}
	cmd.Flags().StringVar(&s.data, "data", "", "folder to keep the data in (default: a temporary folder)")
	cmd.Flags().StringVar(&s.public, "public-listen", "127.0.0.1:8080", "address of the public listener")
	cmd.Flags().StringVar(&s.admin, "admin-listen", "127.0.0.1:8081", "address of the admin listener")
	cmd.Flags().StringVar(&s.sandbox, "sandbox-listen", "127.0.0.1:8090", "address of the sandbox")
	return cmd
}

func (c *command) runDemo(ctx context.Context, s demoSettings) error {
	d, err := c.startDemo(ctx, s)
	if err != nil {
		return err
	}
	c.printDemo(d, s)
	return d.run(ctx)
}

// demo is a gateway with its sandbox.
type demo struct {
	gateway *app.App
	sandbox *app.Sandbox
	cfg     *config.Config
	ready   chan struct{} // closed once events are set up
	cleanUp func() error
}

func (c *command) startDemo(ctx context.Context, s demoSettings) (_ *demo, err error) {
	cfg, err := c.demoConfig(s.config)
	if err != nil {
		return nil, err
	}
	d := &demo{cfg: cfg, ready: make(chan struct{}), cleanUp: func() error { return nil }}
	if s.data == "" {
		if s.data, err = os.MkdirTemp("", "onramp-demo-"); err != nil {
			return nil, err
		}
		d.cleanUp = func() error { return os.RemoveAll(s.data) }
	} else if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, err
	}
	if s.quiet {
		cfg.Log.Level = "error"
	}
	cfg.Log.Format = "text"
	log, _, recent := c.logger(cfg)
	options := app.SandboxOptions{Address: s.sandbox, Activation: -1, Log: log}
	if s.config != "" {
		options.Account = app.SandboxAccount(cfg)
	}
	if d.sandbox, err = app.StartSandbox(ctx, options); err != nil {
		return nil, errors.Join(err, d.cleanUp())
	}
	cfg.Database = filepath.Join(s.data, "onramp.db")
	cfg.Public.Listen, cfg.Admin.Listen = s.public, s.admin
	cfg.MarketingCloud.AuthURL = d.sandbox.URL()
	d.gateway, err = app.Start(ctx, cfg, app.Options{Log: log, Version: version.Read().Version, OpenAdmin: true, OwnURL: true, Recent: recent})
	if err != nil {
		return nil, errors.Join(err, d.sandbox.Close(), d.cleanUp())
	}
	return d, nil
}

// demoConfig is the configuration of a demo. It must never reach a real account, nor
// anyone else.
func (c *command) demoConfig(file string) (cfg *config.Config, err error) {
	if file == "" {
		level := logLevelEnv + "=" + c.getenv(logLevelEnv)
		cfg, err = config.Parse("demo", []byte(app.DemoConfig()), []string{level})
	} else {
		cfg, err = config.Load(file, append(slices.Clone(c.Environ), app.DemoAccount()...))
	}
	if err != nil {
		return nil, c.missing(err)
	}
	cfg.Sinks, cfg.Alerts = nil, nil
	for i := range cfg.Forms {
		if f := &cfg.Forms[i]; f.Origins != nil {
			f.Origins = append(f.Origins, "http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*")
		}
	}
	return cfg, nil
}

// run serves until ctx ends. The sandbox outlives the gateway, which has
// deliveries to finish.
func (d *demo) run(ctx context.Context) error {
	sandbox, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 2)
	go func() { ended <- d.sandbox.Run(sandbox) }()
	running, end := context.WithCancel(ctx)
	go func() {
		defer end()
		ended <- d.gateway.Run(running)
	}()
	err := d.setUp(running)
	if err != nil {
		end()
	} else {
		close(d.ready)
	}
	<-running.Done()
	err = errors.Join(err, <-ended)
	stop()
	return errors.Join(err, <-ended, d.cleanUp())
}

// setUp makes the sandbox send its events to the gateway: by a real token, a
// real probe and a real signature, as onramp ens setup does it.
func (d *demo) setUp(ctx context.Context) error {
	err := d.gateway.SetUpEvents(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("set up events: %w", err)
	}
	return nil
}

func (c *command) printDemo(d *demo, s demoSettings) {
	kept := "removed on exit"
	if s.data != "" {
		kept = "kept in " + s.data
	}
	fmt.Fprintf(c.Stdout, "Onramp is running, with a sandbox in place of Marketing Cloud. Its data is %s.\n\n", kept)
	public, admin := d.gateway.Where()
	for _, l := range [][2]string{{public, d.gateway.PublicURL()}, {admin, d.gateway.AdminURL()}, {d.sandbox.Where(), d.sandbox.URL()}} {
		if l[0] != l[1] {
			fmt.Fprintf(c.Stdout, "  other machines reach  %s, at every address of this one\n", l[0])
		}
	}
	for _, form := range d.cfg.Forms {
		fmt.Fprintf(c.Stdout, "  form in the browser   %s/f/%s\n", d.gateway.PublicURL(), form.Name)
	}
	fmt.Fprintf(c.Stdout, `  sandbox               %s/_sandbox/
  admin API             %s/api/status
`, d.sandbox.URL(), d.gateway.AdminURL())
	if s.config == "" {
		fmt.Fprintf(c.Stdout, `  token endpoint        %[1]s/oauth2/token, client demo-ens, secret demo-ens-secret
  callback              %[1]s/ens/events, set up right after the start

Send a registration and wait until it is delivered:

  curl -i -H 'Prefer: wait=5' -H 'Content-Type: application/json' \
    -d '%[2]s' \
    %[1]s%[3]s

Then inspect it:
`, d.gateway.PublicURL(), app.DemoRegistration, app.DemoPath)
	} else {
		fmt.Fprintln(c.Stdout, "\nSubmit a form in the browser, then inspect the registration:")
	}
	for _, command := range c.demoCommands(d) {
		fmt.Fprintf(c.Stdout, "\n  %s", command)
	}
	fmt.Fprintf(c.Stdout, `
  curl %s/_sandbox/state

If the shell doesn't find onramp, run "go install ./cmd/onramp" in its source, and add
the folder $(go env GOPATH)/bin to PATH.

Stop with Ctrl-C.
`, d.sandbox.URL())
}

// demoCommands are commands that show what a demo has done. They name its admin API
// where they would look for it elsewhere.
func (c *command) demoCommands(d *demo) []string {
	asking := *c
	if found, err := c.admin(); err != nil || found.base != d.gateway.AdminURL() {
		asking.adminURL = adminAddress(d.gateway.AdminURL())
	}
	commands := []string{asking.ask("registrations list")}
	if len(d.cfg.Callbacks) > 0 {
		commands = append(commands, asking.ask("events list"), asking.ask("ens status"))
	}
	return commands
}
