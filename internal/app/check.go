package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"onramp/internal/alert"
	"onramp/internal/backup"
	"onramp/internal/certificate/pemfile"
	"onramp/internal/check"
	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/outbound"
	"onramp/internal/postgres"
	"onramp/internal/setup"
	"onramp/internal/sink"
	"onramp/internal/store"
	"onramp/internal/store/snapshot"
	"onramp/internal/web"
)

// CheckOptions are what a configuration does not say.
type CheckOptions struct {
	File          string   // of the configuration
	SecretFiles   []string // files with secrets, beside those that the gateway keeps
	AskGateway    func(ctx context.Context) (*check.Running, error)
	SendTestAlert bool
	WriteProbe    bool
}

// CheckFile checks the configuration in a file, see [Check]; mistakes in it are findings.
// The error is that of config.Load, when there is no file.
func CheckFile(ctx context.Context, path string, environ []string, o CheckOptions, names ...string) (check.Report, error) {
	if err := check.Known(names); err != nil {
		return check.Report{}, err
	}
	cfg, err := config.Load(path, environ)
	if mistakes, ok := errors.AsType[*config.Error](err); ok {
		return check.Mistakes(mistakes.Lines()), nil
	}
	if err != nil {
		return check.Report{}, err
	}
	if literal, err := config.LiteralSecrets(path, environ); err == nil && len(literal) > 0 {
		o.SecretFiles = append(o.SecretFiles, path)
	}
	o.File = path
	return Check(ctx, cfg, o, names...)
}

// AskGateway makes a function that asks a running gateway for what only it knows. One that
// is not there, or whose admin API is closed, is none.
func AskGateway(client web.Client) func(context.Context) (*check.Running, error) {
	return func(ctx context.Context) (*check.Running, error) {
		var status operator.Status
		err := client.Call(ctx, http.MethodGet, "/api/status", nil, &status)
		if _, away := errors.AsType[*url.Error](err); away || err != nil && client.Token == "" {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		running := &check.Running{Address: client.Base, Trouble: status.Store.Reason, Certificates: status.Certificates}
		var newest operator.Page[operator.Registration]
		if err := client.Call(ctx, http.MethodGet, "/api/registrations?limit=1", nil, &newest); err != nil {
			return nil, err
		}
		for _, r := range newest.Items {
			running.Newest = r.ReceivedAt
		}
		var events setup.Status
		err = client.Call(ctx, http.MethodGet, "/api/ens", nil, &events)
		if err == nil {
			running.ENS = &events
		}
		if answer, ok := errors.AsType[*web.AnswerError](err); ok && strings.HasPrefix(answer.Status, "409") {
			err = nil // it takes no events
		}
		return running, err
	}
}

// Check checks a configuration; see [check.Checks.Run]. It needs no gateway, and disturbs none.
func Check(ctx context.Context, cfg *config.Config, o CheckOptions, names ...string) (report check.Report, err error) {
	sender, err := checkSender(cfg)
	if err != nil {
		return check.Report{}, err
	}
	sinks, err := sink.New(sink.Config{Source: cfg.Public.URL, Timeout: cfg.Delivery.Timeout, Guard: NewGuard(cfg)}, cfg.Sinks)
	if err != nil {
		return check.Report{}, err
	}
	defer func() { err = errors.Join(err, sinks.Close()) }()
	mc := cfg.MarketingCloud
	c := check.Config{
		File: o.File, Forms: cfg.Forms, Callbacks: cfg.Callbacks, Sinks: cfg.Sinks, Alerts: len(cfg.Alerts),
		Subdomain: mc.Subdomain, AuthURL: mc.AuthURL, AccountID: mc.AccountID, PublicURL: cfg.Public.URL, QuietAfter: cfg.Watch.Events,
		Certificates: shownCertificates(cfg),
		Account:      check.Marketing{Client: sender.Client(), Token: sender.AccessToken, Clock: sender.Clock, Explain: explain},
		Machine:      thisMachine(cfg, o.SecretFiles), AskGateway: o.AskGateway, ReachSink: sinks.Reach,
		ENS: func(ctx context.Context) (setup.Status, error) {
			return setup.Observe(ctx, setup.Config{
				PublicURL: cfg.Public.URL, Callbacks: cfg.Callbacks, Clients: cfg.OAuth.Clients, Users: cfg.OAuth.Users, Account: sender.Client(),
			})
		},
	}
	if reach, err := reachMail(cfg); err != nil {
		return check.Report{}, err
	} else if reach != nil {
		c.ReachMail = reach
	}
	if o.SendTestAlert {
		c.SendTestAlert = func(ctx context.Context, i int) error { return alert.SendTest(ctx, i, cfg.Alerts[i]) }
	}
	if o.WriteProbe {
		c.WriteProbe = func(ctx context.Context, form *onramp.Form, to onramp.Destination) (bool, error) {
			return writeProbe(ctx, sender, form, to)
		}
	}
	return check.New(c).Run(ctx, names...)
}

// shownCertificates are those that the listeners are to show.
func shownCertificates(cfg *config.Config) []check.Shown {
	var all []check.Shown
	var hosts []string
	if u, err := url.Parse(cfg.Public.URL); err == nil && u.Hostname() != "" {
		hosts = []string{u.Hostname()}
	}
	if cfg.Public.ACME.Used() {
		all = append(all, check.Shown{Setting: "public.tls.acme", Hosts: cfg.Public.ACME.Hosts})
	}
	for _, s := range []struct {
		setting string
		files   config.TLS
		hosts   []string
	}{{"public.tls.cert", cfg.Public.TLS, hosts}, {"admin.tls.cert", cfg.Admin.TLS, nil}} {
		if s.files.Cert == "" {
			continue
		}
		if c, _, _ := pemfile.Read(s.files.Cert, s.files.Key).Parse(); c != nil { // else the configuration has said so
			all = append(all, check.Shown{Setting: s.setting, Leaf: c.Leaf, Hosts: s.hosts})
		}
	}
	return all
}

// explain is outbound's, without the reference to a check: the reader has it.
func explain(err error, to onramp.Destination) onramp.Outcome {
	o := outbound.Explain(err, to)
	o.Hint, _, _ = strings.Cut(o.Hint, outbound.SeeCheck)
	return o
}

// checkSender asks for a token of its own, which proves the credentials of the
// configuration, and keeps nothing.
func checkSender(cfg *config.Config) (*outbound.Sender, error) {
	mc := cfg.MarketingCloud
	return outbound.New(outbound.Config{
		Subdomain: mc.Subdomain, AuthURL: mc.AuthURL, ClientID: mc.ClientID, ClientSecret: mc.ClientSecret, AccountID: mc.AccountID,
		Timeout: cfg.Delivery.Timeout, Log: slog.New(slog.DiscardHandler),
	}, noTokens{}, func(error) {})
}

// noTokens keeps no access token.
type noTokens struct{}

// LoadToken finds none.
func (noTokens) LoadToken(context.Context) ([]byte, error) { return nil, nil }

// SaveToken drops it.
func (noTokens) SaveToken(context.Context, []byte) error { return nil }

// thisMachine is what the gateway needs on this machine.
func thisMachine(cfg *config.Config, secretFiles []string) check.Machine {
	if postgres.IsURL(cfg.Database) {
		return check.Machine{
			Readable:     func() []string { return readablePaths(append(keptFiles("", cfg), secretFiles...)) },
			ReadDatabase: func(ctx context.Context) (check.Stored, error) { return readServer(ctx, cfg.Database) },
			OpenKey:      func(s check.Stored) error { return openKey(cfg, s) },
		}
	}
	return check.Machine{
		Readable:     func() []string { return readablePaths(append(keptFiles(cfg.Database, cfg), secretFiles...)) },
		ReadDatabase: func(ctx context.Context) (check.Stored, error) { return readFile(ctx, cfg.Database) },
		OpenKey:      func(s check.Stored) error { return openKey(cfg, s) },
		Disk: func() (free, total, least uint64, err error) {
			free, total, err = alert.FreeSpace(filepath.Dir(cfg.Database))
			limit := cfg.Watch.DiskFree
			return free, total, max(limit.Bytes, uint64(float64(total)*limit.Percent/100)), err
		},
		LastBackup: func() (at time.Time, file string) { return backup.Last(cfg.Database) },
	}
}

func readablePaths(files []string) []string {
	var paths []string
	for _, file := range readable(files) {
		paths = append(paths, file.path)
	}
	return paths
}

func readServer(ctx context.Context, url string) (check.Stored, error) {
	version, err := postgres.Version(ctx, url)
	name := "PostgreSQL"
	if err == nil {
		name += " " + version
	}
	return check.Stored{Name: name, Server: true}, err
}

func readFile(ctx context.Context, path string) (check.Stored, error) {
	content, err := snapshot.Look(ctx, path)
	return check.Stored{
		Name: path, Version: content.Version, Supported: store.NewestVersion(), First: content.First, Newest: content.Newest,
		LastEvent: content.LastEvent, KeySecret: content.KeySecret,
	}, err
}

// openKey says why the encryption key is not the one of the database.
func openKey(cfg *config.Config, s check.Stored) error {
	if cfg.EncryptionKey == "" && s.KeySecret == "" {
		return nil
	}
	keys, err := openKeyset(cfg, true)
	if err != nil || s.KeySecret == "" {
		return err
	}
	if _, err := keys.Decrypt(s.KeySecret, snapshot.KeySecretAs); err != nil {
		return errors.New("the encryption key is not the one of this database")
	}
	return nil
}
