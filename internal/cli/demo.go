package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/config"
)

// demoSettings are where the demo listens and keeps its data.
type demoSettings struct {
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
folder and removed on exit, unless --data names a folder.`,
		Example: "  onramp demo\n  onramp demo --data ./demo-data",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.runDemo(ctx, s) }),
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
	ready   chan struct{} // closed once events are set up
	cleanUp func() error
}

func (c *command) startDemo(ctx context.Context, s demoSettings) (_ *demo, err error) {
	// the environment is left out on purpose: a demo must never reach a real account
	cfg, err := config.Parse("demo", []byte(app.DemoConfig()), nil)
	if err != nil {
		return nil, err
	}
	d := &demo{ready: make(chan struct{}), cleanUp: func() error { return nil }}
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
	log := c.logger(cfg)
	if d.sandbox, err = app.StartSandbox(ctx, app.SandboxOptions{Address: s.sandbox, Activation: -1, Log: log}); err != nil {
		return nil, errors.Join(err, d.cleanUp())
	}
	cfg.Database = filepath.Join(s.data, "onramp.db")
	cfg.Public.Listen, cfg.Admin.Listen = s.public, s.admin
	cfg.MarketingCloud.AuthURL = d.sandbox.URL()
	d.gateway, err = app.Start(ctx, cfg, app.Options{Log: log, Version: buildVersion(), OpenAdmin: true, OwnURL: true})
	if err != nil {
		return nil, errors.Join(err, d.sandbox.Close(), d.cleanUp())
	}
	return d, nil
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
	fmt.Fprintf(c.Stdout, `Onramp is running, with a sandbox in place of Marketing Cloud. Its data is %[4]s.

  form in the browser   %[1]s/f/registration
  sandbox               %[3]s/_sandbox/
  admin API             %[2]s/api/status
  token endpoint        %[1]s/oauth2/token, client demo-ens, secret demo-ens-secret
  callback              %[1]s/ens/events, set up right after the start

Send a registration and wait until it is delivered:

  curl -i -H 'Prefer: wait=5' -H 'Content-Type: application/json' \
    -d '%[5]s' \
    %[1]s%[6]s

Then inspect it:

  onramp registrations list
  onramp events list
  onramp ens status
  curl %[3]s/_sandbox/state

Stop with Ctrl-C.
`, d.gateway.PublicURL(), d.gateway.AdminURL(), d.sandbox.URL(), kept, app.DemoRegistration, app.DemoPath)
}
