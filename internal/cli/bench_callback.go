package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/bench"
	"onramp/internal/config"
	"onramp/internal/operator"
)

const (
	tokenPath    = "/oauth2/token"
	callbackPath = "/ens/events"
	tokenClient  = "bench"
)

// callbackConfig is the configuration of a gateway that gives out tokens and takes
// events: database, Marketing Cloud, the secret of its token client, mode. Where
// public.url is it finds out itself.
const callbackConfig = `
database: %q
public: { listen: "127.0.0.1:0", url: "http://127.0.0.1" }
admin: { listen: "127.0.0.1:0" }
marketing_cloud: { auth_url: %q, client_id: bench, client_secret: bench-secret, account_id: "510000001" }
oauth:
  clients: [{ id: ` + tokenClient + `, secret: %q }]
ens:
  callbacks:
    events:
      auth: client_credentials
      subscribe: [TransactionalSendEvents.EmailSent]
` + formConfig

func (c *command) benchCallback() *cobra.Command {
	var profile string
	cmd := &cobra.Command{
		Use: "callback DIR", Short: "The gateway that bench gets tokens from and sends events to", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: run(func(ctx context.Context, args []string) (err error) {
			// without the environment: it might name a real account
			cfg, err := config.Load(filepath.Join(args[0], gatewayConfig), nil)
			if err != nil {
				return err
			}
			stop, err := startProfile(profile)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stop()) }()
			return c.serveChild(ctx, args[0], cfg, app.Options{OpenAdmin: true, OwnURL: true, NoPump: true})
		}),
	}
	profileFlag(cmd, &profile)
	return cmd
}

// startProfile has a file get the CPU profile of this process until it is stopped;
// without a name there is none.
func startProfile(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// profileFlag is for those who want to make the gateway quicker.
func profileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "cpuprofile", "", "file for the gateway's CPU profile")
	_ = cmd.Flags().MarkHidden("cpuprofile") // it was just added
}

// callbackRig is a gateway that gives out tokens and takes events, a process of
// its own. Deliveries are written but not sent.
type callbackRig struct {
	stderr  io.Writer
	dir     string
	secret  string // of its token client
	gateway *child
}

// startCallbackRig starts a gateway with an account on a new database in a folder,
// and has it write a profile if a file is named. The caller must close what it
// returns.
func (c *command) startCallbackRig(ctx context.Context, data, account, profile string) (_ *callbackRig, err error) {
	r := &callbackRig{stderr: c.Stderr, secret: rand.Text()}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.dir, err = os.MkdirTemp(data, "onramp-bench-"); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(callbackConfig, r.database(), account, r.secret, "sync")
	if err := os.WriteFile(filepath.Join(r.dir, gatewayConfig), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return r, r.start(ctx, "--cpuprofile", profile)
}

func (r *callbackRig) database() string { return filepath.Join(r.dir, "onramp.db") }

func (r *callbackRig) start(ctx context.Context, args ...string) (err error) {
	r.gateway, err = startChild(ctx, r.stderr, append([]string{"callback", r.dir}, args...)...)
	return err
}

func (r *callbackRig) close() {
	if r.gateway != nil {
		r.gateway.stop()
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir) // what stays is a temporary folder's
	}
}

// status is what the gateway counts.
func (r *callbackRig) status(ctx context.Context) (s operator.Status, err error) {
	err = r.gateway.adminClient().get(ctx, "/api/status", nil, &s)
	return s, err
}

// memory is the gateway's; zero where it can't be told.
func (r *callbackRig) memory() bench.Memory {
	m, _ := bench.MemoryOf(r.gateway.process.Pid)
	return m
}
