// Package app builds the parts of Onramp and runs them. It is the only package
// that knows them all.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"onramp/internal/admin"
	"onramp/internal/alert"
	"onramp/internal/api"
	"onramp/internal/config"
	"onramp/internal/hosted"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/outbound"
	"onramp/internal/pump"
	"onramp/internal/store"
	"onramp/internal/web"
)

// Options are what a configuration file can't say.
type Options struct {
	Log       *slog.Logger
	Version   string
	OpenAdmin bool // the admin API asks for no token: for the demo, on loopback
	OwnURL    bool // the public URL is where the public listener is: for the demo
	NoPump    bool // accept only; for measurements
	Restored  bool // the database is a backup: what may have gone out since is not sent again
}

// App is a gateway that is ready to run.
type App struct {
	cfg     *config.Config
	options Options
	store   *store.Store
	pump    *pump.Pump
	desk    *operator.Desk
	alerts  *alert.Watcher
	events  events
	public  *web.Listener
	admin   *web.Listener
	waiters int // how many may wait for an outcome
	ending  chan struct{}
}

// Start opens the database and binds the listeners, so that whatever is wrong
// is reported before anything runs. The caller must Run what it returns.
func Start(ctx context.Context, cfg *config.Config, o Options) (*App, error) {
	a := &App{cfg: cfg, options: o, ending: make(chan struct{})}
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *App) start(ctx context.Context) (err error) {
	if a.store, err = store.Open(ctx, store.Config{
		URL: a.cfg.Database, OpenCipher: a.openKeyset, Restored: a.options.Restored, LongestCall: a.cfg.Delivery.LongestCall, Log: a.options.Log.With("part", "store"),
	}); err != nil {
		return err
	}
	WarnOfReadable(a.options.Log, a.files()...)
	if err := a.bind(ctx); err != nil {
		return err
	}
	forms, err := a.store.RegisterForms(ctx, a.cfg.Forms)
	if err != nil {
		return err
	}
	if _, err := a.store.HoldRestored(ctx, forms); err != nil {
		return err
	}
	for _, notice := range a.store.Notices() {
		a.options.Log.Warn("the database is not as Onramp left it", "notice", notice)
	}
	mc := a.cfg.MarketingCloud
	sender, err := outbound.New(outbound.Config{
		Subdomain: mc.Subdomain, AuthURL: mc.AuthURL, ClientID: mc.ClientID, ClientSecret: mc.ClientSecret,
		AccountID: mc.AccountID, Timeout: a.cfg.Delivery.Timeout, Fence: a.store.Fence(),
	}, a.store, func(err error) { a.options.Log.Warn("token could not be stored", "err", err) })
	if err != nil {
		return err
	}
	sinks, err := a.startEvents(ctx, forms, sender.Client())
	if err != nil {
		return err
	}
	a.pump = pump.New(pump.Config{
		Senders: a.cfg.Delivery.Senders, GiveUpAfter: a.cfg.Delivery.GiveUpAfter, Log: a.options.Log.With("part", "pump"),
		Fence: a.store.Fence(),
	}, a.store, a.store, senders{sender, a.events.sinks}, append(destinations(forms), sinks...))
	byName := make(map[string]*onramp.Form, len(forms))
	for _, f := range forms {
		byName[f.Name] = f
	}
	a.desk = a.newDesk(byName)
	if a.alerts, err = a.newAlerts(); err != nil {
		return err
	}
	return a.handle(byName)
}

func (a *App) newDesk(forms map[string]*onramp.Form) *operator.Desk {
	desk := &operator.Desk{
		Registrations: a.store, Deliveries: a.store, Changes: a.store, Counts: a.store, Events: a.store, Pump: a.pump, Forms: forms,
		Notices: a.store.Notices(), Trouble: a.store.Trouble,
		Log: a.options.Log.With("part", "admin"),
	}
	if a.events.setup != nil {
		desk.Setup, desk.Clients = a.events.setup, a.clients()
	}
	return desk
}

func (a *App) newAlerts() (*alert.Watcher, error) {
	from := alert.Sources{Desk: a.desk, Trouble: a.store.Trouble}
	if file := a.store.File(); file != "" {
		from.Free = func() (free, total uint64, err error) { return alert.FreeSpace(filepath.Dir(file)) }
	}
	watch := a.cfg.Watch
	return alert.New(alert.Config{
		Receivers: a.cfg.Alerts, Oldest: watch.Oldest, FreePercent: watch.DiskFree.Percent, FreeBytes: watch.DiskFree.Bytes,
		Events: watch.Events, Callbacks: a.callbackNames(),
	}, from, a.options.Log.With("part", "alert"))
}

// tellGone has the log say that the database file went away.
func (a *App) tellGone(ctx context.Context) {
	select {
	case <-a.store.Gone():
		a.options.Log.Error("the database file is gone", "err", a.store.Trouble())
	case <-ctx.Done():
	}
}

func destinations(forms []*onramp.Form) []onramp.Destination {
	var all []onramp.Destination
	for _, f := range forms {
		all = append(all, f.Route...)
	}
	return all
}

// bind takes the addresses, before anything is known of what is served there.
func (a *App) bind(ctx context.Context) (err error) {
	if a.public, err = web.Listen(ctx, a.cfg.Public.Listen, nil); err != nil {
		return fmt.Errorf("public listener: %w", err)
	}
	if a.admin, err = web.Listen(ctx, a.cfg.Admin.Listen, nil); err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	a.limitListeners()
	if a.options.OwnURL {
		a.cfg.Public.URL = a.public.URL()
	}
	return nil
}

func (a *App) handle(forms map[string]*onramp.Form) error {
	public, err := a.publicHandler(forms)
	if err != nil {
		return err
	}
	a.public.Handle(public)
	a.admin.Handle(a.adminHandler())
	return nil
}

func (a *App) publicHandler(forms map[string]*onramp.Form) (http.Handler, error) {
	server := &web.Server{Log: a.options.Log, Part: "public"}
	pages, err := hosted.New(forms, server)
	if err != nil {
		return nil, err
	}
	server.Failed = pages.Failed
	mux := http.NewServeMux()
	sites := &api.Public{
		Forms: forms, Store: a.store, Server: server, Now: time.Now, BaseURL: a.cfg.Public.URL,
		Version: a.options.Version, Ending: a.ending, MaxWaiters: a.waiters,
	}
	if err := sites.Routes(mux); err != nil {
		return nil, err
	}
	pages.Routes(mux)
	a.events.routes(mux, server)
	mux.Handle("GET /healthz", server.Handle(a.health))
	server.Unmatched(mux)
	return web.Harden(web.ClientIP(prefixes(a.cfg.Public.TrustedProxies))(mux)), nil
}

// prefixes parses networks. A single address becomes a network of one.
func prefixes(proxies []string) []string {
	networks := make([]string, len(proxies))
	for i, p := range proxies {
		networks[i] = p
		if address, err := netip.ParseAddr(p); err == nil {
			networks[i] = netip.PrefixFrom(address, address.BitLen()).String()
		}
	}
	return networks
}

func (a *App) adminHandler() http.Handler {
	server := &web.Server{Log: a.options.Log, Part: "admin"}
	mux := http.NewServeMux()
	operators := &admin.Admin{Desk: a.desk, Server: server, Token: a.cfg.Admin.Token, Open: a.options.OpenAdmin}
	operators.Routes(mux)
	mux.Handle("GET /healthz", server.Handle(a.health))
	mux.Handle("GET /readyz", server.Handle(a.readiness))
	server.Unmatched(mux)
	return web.Harden(http.NewCrossOriginProtection().Handler(mux))
}

// healthTimeout is how long the database may take to answer: load balancers wait
// for a few seconds.
const healthTimeout = 2 * time.Second

// health answers 200 while registrations can be taken, else 503.
func (a *App) health(w http.ResponseWriter, r *http.Request) error {
	status := http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if a.ready(ctx) != nil {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return nil
}

// readiness is health for operators, with the reason.
func (a *App) readiness(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if err := a.ready(r.Context()); err != nil {
		return web.WriteJSON(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "reason": err.Error()})
	}
	return web.WriteJSON(w, http.StatusOK, map[string]any{"ready": true})
}

// ready returns why registrations can't be taken, or nil.
func (a *App) ready(ctx context.Context) error {
	if a.isEnding() {
		return errors.New("this process is ending")
	}
	if err := a.store.Trouble(); err != nil {
		return err
	}
	return a.store.Ping(ctx)
}

func (a *App) isEnding() bool {
	select {
	case <-a.ending:
		return true
	default:
		return false
	}
}

// PublicURL is the address of the public listener.
func (a *App) PublicURL() string { return a.public.URL() }

// AdminURL is the address of the admin listener.
func (a *App) AdminURL() string { return a.admin.URL() }

// Commits counts the transactions since the start.
func (a *App) Commits() int64 { return a.store.Commits() }

// lostDrain is for the answers to requests that are under way when the database is
// another process's.
const lostDrain = 2 * time.Second

// Run serves and delivers until ctx ends, then drains: it takes and leases
// nothing new, finishes what is in flight, settles it, and closes the database.
// It returns nil after a clean stop.
func (a *App) Run(ctx context.Context) error {
	claim, stopClaiming := context.WithCancel(context.WithoutCancel(ctx))
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	delivering := make(chan struct{})
	go func() {
		defer close(delivering)
		if !a.options.NoPump {
			a.pump.Run(claim, work)
		}
	}()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		a.alerts.Run(claim)
	}()
	go a.tellGone(claim)
	attending := make(chan struct{})
	go func() {
		defer close(attending)
		a.events.run(claim)
	}()
	failed := make(chan error, 2)
	for _, l := range []*web.Listener{a.public, a.admin} {
		go func() { failed <- l.Serve() }()
	}
	var cause error
	drain := a.cfg.Drain
	select {
	case <-ctx.Done():
		a.options.Log.Info("draining", "limit", a.cfg.Drain)
	case cause = <-failed:
	case <-a.store.Lost():
		cause = errors.New("another onramp has taken over this database")
		drain = lostDrain
		abandon() // nothing can be settled, and the other may be sending the same
	case cause = <-a.store.Damaged():
	}
	close(a.ending)
	stopClaiming()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := errors.Join(cause, a.shutdown(limit))
	select {
	case <-delivering:
	case <-a.store.Gone(): // no outcome can be stored any more
		a.options.Log.Warn("the database file is gone; requests in flight are repeated after the next start")
	case <-limit.Done():
		a.options.Log.Warn("drain limit reached; requests in flight are repeated after the next start")
	}
	abandon()
	<-delivering
	<-watching
	<-attending
	return errors.Join(err, a.events.close(), a.store.Close())
}

// close undoes a start that did not succeed.
func (a *App) close() error {
	var errs []error
	for _, l := range []*web.Listener{a.public, a.admin} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	errs = append(errs, a.events.close())
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}
