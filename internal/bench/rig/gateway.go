package rig

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"onramp/internal/app"
	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// gatewaySettings say in what the gateway of a measurement differs from the
// demo's.
type gatewaySettings struct {
	Dir      string // has its log and, unless another is named, its database
	Database string // postgres:// URL; "": a file in Dir
	Account  string // URL of what stands for Marketing Cloud; "": nothing does
	Mode     string // of the data extension; "": the demo's
	Steps    int    // the route's first ones only; 0: all
	NoRules  bool   // the form has no on_event rules
	NoPump   bool   // deliveries are written but not sent
	Clear    bool   // personal data is stored in clear text
	Profile  string // file for its CPU profile; "": none
	Listen   string // public address; "": any port
	Hook     string // URL of a webhook that events go on to; "": they stay
	Hurried  bool   // calls time out, and late ones are over, within seconds
	// ClientSecret is that of tokenClient; "": it gives out no tokens and takes no
	// events.
	ClientSecret string
}

// nowhere is an address where nobody listens.
const nowhere = "http://127.0.0.1:1"

// config changes the demo's configuration. The environment is left out: it might
// name a real account.
func (s *gatewaySettings) config() (*config.Config, error) {
	cfg, err := config.Parse("bench", []byte(app.DemoConfig()), nil)
	if err != nil {
		return nil, err
	}
	cfg.Database = cmp.Or(s.Database, s.file())
	cfg.Privacy.Encrypt = !s.Clear
	cfg.Public.Listen, cfg.Admin.Listen = cmp.Or(s.Listen, anyPort), anyPort
	cfg.MarketingCloud.AuthURL = cmp.Or(s.Account, nowhere)
	cfg.OAuth.Clients, cfg.OAuth.Users = nil, nil
	cfg.Storage.Total = 1 << 50 // counted as ever, and never reached
	if s.ClientSecret == "" {
		cfg.Callbacks = nil
	} else {
		cfg.OAuth.Clients = []onramp.TokenClient{{ID: tokenClient, Secrets: []onramp.Secret{onramp.Secret(s.ClientSecret)}}}
		cfg.Callbacks[0].Client = tokenClient
	}
	if s.Hook != "" {
		secret := onramp.Secret("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, signatureKeySize)))
		cfg.Sinks = []onramp.Sink{{Name: "soak", Batch: hookBatch, Webhook: &onramp.Webhook{URL: s.Hook, Secrets: []onramp.Secret{secret}}}}
	}
	if s.Hurried {
		cfg.Delivery.Timeout, cfg.Delivery.LongestCall = hurriedTimeout, hurriedLate
	}
	form := &cfg.Forms[0]
	if s.NoRules {
		form.OnEvent = nil
	}
	if s.Steps > 0 {
		form.Route = form.Route[:s.Steps]
	}
	if s.Mode != "" {
		mode, known := onramp.ParseMode(s.Mode)
		if !known {
			return nil, fmt.Errorf("unknown mode %q", s.Mode)
		}
		form.Route[0].Mode = mode
	}
	return cfg, nil
}

// file is the database where none is named.
func (s *gatewaySettings) file() string { return filepath.Join(s.Dir, "onramp.db") }

func serveGateway(ctx context.Context, p *parent) (err error) {
	var s gatewaySettings
	if err := json.Unmarshal(p.settings, &s); err != nil {
		return err
	}
	cfg, err := s.config()
	if err != nil {
		return err
	}
	stop, err := startProfile(s.Profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	a, err := app.Start(ctx, cfg, app.Options{
		Log: slog.New(slog.NewJSONHandler(log, nil)), Version: "bench", OpenAdmin: true, OwnURL: true, NoPump: s.NoPump,
	})
	if err != nil {
		return err
	}
	return whileRunning(ctx, a.Run, func() error {
		return p.attend(addresses{a.PublicURL(), a.AdminURL()}, func() counts { return counts{Fsyncs: a.Commits(), Goroutines: runtime.NumGoroutine()} })
	})
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

// gateway is a gateway in a separate process and folder.
type gateway struct {
	*server  // nil until it is started
	rig      *Rig
	settings gatewaySettings
}

// newGateway makes the folder for a gateway. The caller must start it, and close
// it in any case.
func (r *Rig) newGateway(data string, s gatewaySettings) (_ *gateway, err error) {
	if s.Dir, err = os.MkdirTemp(data, "onramp-bench-"); err != nil {
		return nil, err
	}
	return &gateway{rig: r, settings: s}, nil
}

// newCallbackGateway makes a gateway that gives out tokens and takes events. What
// it accepts it does not deliver.
func (r *Rig) newCallbackGateway(data string, s gatewaySettings) (*gateway, error) {
	s.Mode, s.Steps, s.NoRules, s.NoPump = "sync", 1, true, true
	return r.newGateway(data, s)
}

func (g *gateway) start(ctx context.Context) (err error) {
	g.server, err = g.rig.startServer(ctx, partGateway, g.settings)
	return err
}

// close stops the gateway, and removes its folder.
func (g *gateway) close() {
	if g.server != nil {
		g.stop()
	}
	_ = os.RemoveAll(g.settings.Dir) // what stays is a temporary folder's
}

// status is what a measurement needs of the admin API's /api/status.
type status struct {
	Accepted      int64
	Registrations map[string]int64
	Destinations  []struct {
		State   string
		Waiting int64
		Oldest  *time.Time
		Late    *struct{ Keys int64 } // nil: nothing may be written late
	}
	Events struct{ Stored, Repeated int64 }
}

func (g *gateway) status(ctx context.Context) (s status, err error) {
	admin := web.Client{Base: g.admin}
	err = admin.Call(ctx, http.MethodGet, "/api/status", nil, &s)
	return s, err
}
