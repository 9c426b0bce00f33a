// Package app builds the parts of Onramp and runs them. It is the only package
// that knows them all.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/admin"
	"onramp/internal/alert"
	"onramp/internal/api"
	"onramp/internal/budget"
	"onramp/internal/bundle"
	"onramp/internal/certificate"
	"onramp/internal/config"
	"onramp/internal/egress"
	"onramp/internal/hosted"
	"onramp/internal/ignored"
	"onramp/internal/metrics"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/quota"
	"onramp/internal/screen"
	"onramp/internal/store"
	"onramp/internal/systemd"
	"onramp/internal/tracing"
	"onramp/internal/watch"
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

	// Hangups yields a value whenever the configuration is to be loaded again, by Load;
	// nil: never.
	Hangups <-chan os.Signal
	Load    func() (*config.Config, error)
	Level   *slog.LevelVar // of Log, for a configuration to set; nil: it stays as it is

	Manager systemd.Manager // of the process; it is told when a reload begins and ends, and when the end begins

	// Guard is that of outgoing calls, where the program has put one under its libraries, too;
	// nil: the gateway makes its own. See NewGuard.
	Guard *egress.Guard

	Recent *bundle.Log // the newest lines of Log, for debug bundles; nil: none are kept
}

// App is a gateway that is ready to run.
type App struct {
	options Options
	store   *store.Store
	calls   *budget.Meter   // to Marketing Cloud, whatever the configuration
	tracer  *tracing.Tracer // nil: tracing is off
	metrics *metrics.Metrics
	alerts  *alert.Watcher
	watch   *watch.Watch
	screen  *screen.Memory // what is known of submissions, whatever the configuration
	public  *web.Listener
	admin   *web.Listener
	plain   *web.Listener                 // http, beside certificates that an authority gives; nil: there is none
	left    atomic.Pointer[[]onramp.Left] // behind by the routes as they are now
	ending  chan struct{}
	loads   loads

	running      atomic.Pointer[running]
	saving       sync.RWMutex // held for reading while a registration is stored
	pump         currentPump
	certificates []certificate.Source // of the listeners

	waiters   int           // how many may wait for an outcome
	waiting   atomic.Int64  // how many do
	guard     *egress.Guard // of where calls lead, whatever the configuration
	quota     *quota.Quota  // of what strangers make us store, whatever the configuration
	ignored   ignored.Names // what came with forms and is no field of theirs, whatever the configuration
	tries     admin.Tries   // of admin tokens, whatever the configuration
	settingUp sync.Mutex    // held while the Event Notification Service is set up
}

// Start opens the database and binds the listeners, so that whatever is wrong
// is reported before anything runs. The caller must Run what it returns.
func Start(ctx context.Context, cfg *config.Config, o Options) (*App, error) {
	a := &App{options: o, ending: make(chan struct{}), guard: o.Guard}
	if a.guard == nil {
		a.guard = NewGuard(cfg)
	}
	if err := a.startTracing(ctx, cfg); err != nil {
		return nil, err
	}
	a.metrics = metrics.New(o.Version, currentDesk{a})
	if err := a.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *App) start(ctx context.Context, cfg *config.Config) (err error) {
	if a.store, err = store.Open(ctx, store.Config{
		URL: cfg.Database, OpenCipher: a.openKeyset(cfg), Restored: a.options.Restored, LongestCall: cfg.Delivery.LongestCall,
		Clear: !cfg.Privacy.Encrypt, Committed: a.metrics.Committed, Log: a.options.Log.With("part", "store"),
	}); err != nil {
		return err
	}
	if cfg.Privacy.Encrypt && !a.store.Encrypts() {
		a.options.Log.Warn("personal data is stored in clear text, since there is no encryption key", "hint", "set encryption_key (onramp keys new encryption creates one), or privacy.encrypt: false")
	}
	if a.calls, err = budget.Open(ctx, a.store, contract(cfg), time.Now); err != nil {
		return err
	}
	if a.watch, err = a.newWatch(ctx); err != nil {
		return err
	}
	a.screen = screen.NewMemory(a.store, a.options.Log.With("part", "screen"), time.Now)
	if err := a.bind(ctx, cfg); err != nil {
		return err
	}
	a.quota = quota.New(a.allowance(cfg), time.Now)
	first, err := a.build(ctx, cfg)
	if err != nil {
		return err
	}
	a.use(first)
	for _, notice := range a.store.Notices() {
		a.options.Log.Warn("the database is not as Onramp left it", "notice", notice)
	}
	if a.alerts, err = a.newAlerts(first); err != nil {
		return err
	}
	a.loads.succeeded(nil)
	return a.prepareLanes(ctx)
}

func (a *App) newAlerts(r *running) (*alert.Watcher, error) {
	from := alert.Sources{Desk: currentDesk{a}, Trouble: a.store.Trouble, Free: r.desk.Health.Free, Kept: a.store}
	return alert.New(r.alerts(), from, a.options.Log.With("part", "alert"))
}

// alerts says when to alert, and whom.
func (r *running) alerts() alert.Config {
	watch := r.cfg.Watch
	return alert.Config{
		Receivers: r.cfg.Alerts, Oldest: watch.Oldest, FreePercent: watch.DiskFree.Percent, FreeBytes: watch.DiskFree.Bytes,
		Events: watch.Events, Callbacks: r.callbackNames(), Returned: watch.Confirmations,
	}
}

// tellGone has the log say that the database file went away.
func (a *App) tellGone(ctx context.Context) {
	select {
	case <-a.store.Gone():
		a.options.Log.Error("the database file is gone", "err", a.store.Trouble())
	case <-ctx.Done():
	}
}

// bind takes the addresses, before anything is known of what is served there.
func (a *App) bind(ctx context.Context, cfg *config.Config) (err error) {
	if a.public, err = web.Listen(ctx, cfg.Public.Listen, nil); err != nil {
		return fmt.Errorf("public listener: %w", err)
	}
	if a.admin, err = web.Listen(ctx, cfg.Admin.Listen, nil); err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	if err := a.secure(cfg); err != nil {
		return err
	}
	if err := a.bindPlain(ctx, cfg); err != nil {
		return err
	}
	a.limitListeners(cfg)
	return nil
}

// listeners are those that are bound.
func (a *App) listeners() []*web.Listener {
	return slices.DeleteFunc([]*web.Listener{a.public, a.admin, a.plain}, func(l *web.Listener) bool { return l == nil })
}

func (a *App) publicHandler(r *running) (http.Handler, error) {
	server := &web.Server{Log: a.options.Log, Part: "public", Meter: a.metrics}
	if a.tracer != nil {
		server.Tracer = a.tracer
	}
	pages, err := hosted.New(r.byName, r.screen, server)
	if err != nil {
		return nil, err
	}
	if r.consent != nil {
		pages.Confirm, pages.Origin = r.consent, originOf(r.cfg.Public.URL)
	}
	server.Failed = pages.Failed
	mux := http.NewServeMux()
	sites := &api.Public{
		Forms: r.byName, Store: registrar{a.store, a}, Server: server, Now: time.Now, BaseURL: r.cfg.Public.URL,
		Version: a.options.Version, Ending: a.ending, MaxWaiters: a.waiters, Waiters: &a.waiting, Ignored: &a.ignored, Quota: a.quota,
		Screen: r.screen,
	}
	if err := sites.Routes(mux); err != nil {
		return nil, err
	}
	pages.Routes(mux)
	r.routes(mux, server)
	mux.Handle("GET /healthz", server.Handle(a.health))
	server.Unmatched(mux)
	all := web.Harden(web.ClientIP(trusted(r.cfg), r.cfg.Public.ClientIPHeader)(mux))
	if onlySecure(r.cfg) {
		all = web.StrictTransport(all)
	}
	return all, nil
}

func (a *App) adminHandler(r *running) http.Handler {
	server := &web.Server{Log: a.options.Log, Part: "admin", Meter: a.metrics}
	mux := http.NewServeMux()
	operators := &admin.Admin{Desk: r.desk, Server: server, Tokens: adminTokens(r.cfg), Tries: &a.tries, Open: a.options.OpenAdmin, Metrics: a.metrics.Handler()}
	operators.Routes(mux)
	mux.Handle("GET /healthz", server.Handle(live))
	mux.Handle("GET /readyz", server.Handle(a.readiness))
	server.Unmatched(mux)
	return web.Harden(private(http.NewCrossOriginProtection().Handler(mux)))
}

// adminTokens are the tokens that the admin API takes: that of admin.token may do everything.
func adminTokens(cfg *config.Config) []admin.Token {
	var all []admin.Token
	if cfg.Admin.Token != "" {
		all = append(all, admin.Token{Caller: operator.Caller{Name: "admin", Roles: onramp.Roles()}, Secret: cfg.Admin.Token})
	}
	for _, t := range cfg.Admin.Tokens {
		all = append(all, admin.Token{Caller: operator.Caller{Name: t.Name, Roles: t.Roles}, Secret: t.Token})
	}
	return all
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

// PlainURL is the address of the http listener beside certificates that an authority
// gives, "" without one.
func (a *App) PlainURL() string {
	if a.plain == nil {
		return ""
	}
	return a.plain.URL()
}

// Where is where both listeners can be reached, see listen.Where.
func (a *App) Where() (public, admin string) { return a.public.Where(), a.admin.Where() }

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
		a.deliver(claim, work)
	}()
	var watching sync.WaitGroup
	watching.Go(func() { a.alerts.Run(claim) })
	watching.Go(func() { a.calls.Run(claim, a.uncounted) })
	watching.Go(func() { a.screen.Run(claim) })
	watching.Go(func() { a.anchorChains(claim) })
	go a.tellGone(claim)
	failed := make(chan error, len(a.listeners()))
	for _, l := range a.listeners() {
		go func() { failed <- l.Serve() }()
	}
	for _, c := range a.certificates {
		watching.Go(func() { c.Run(claim) })
	}
	var cause error
	lost := false
	select {
	case <-ctx.Done():
	case cause = <-failed:
	case <-a.store.Lost():
		cause = errors.New("another onramp has taken over this database")
		lost = true
		abandon() // nothing can be settled, and the other may be sending the same
	case cause = <-a.store.Damaged():
	}
	drain := a.running.Load().cfg.Drain
	if lost {
		drain = lostDrain
	}
	if cause == nil {
		a.options.Log.Info("draining", "limit", drain.String())
	}
	a.options.Manager.Stopping()
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
	watching.Wait()
	a.keepCalls()
	err = errors.Join(err, a.running.Load().close(), a.store.Close())
	a.tracer.Close(limit)
	return err
}

// close undoes a start that did not succeed.
func (a *App) close() error {
	var errs []error
	for _, l := range a.listeners() {
		errs = append(errs, l.Close())
	}
	if r := a.running.Load(); r != nil {
		errs = append(errs, r.close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}
