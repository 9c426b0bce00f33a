package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"onramp/internal/check"
	"onramp/internal/config"
	"onramp/internal/consent"
	"onramp/internal/erasure"
	"onramp/internal/health"
	"onramp/internal/importer"
	"onramp/internal/mailing"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/outbound"
	"onramp/internal/pump"
	"onramp/internal/resend"
	"onramp/internal/retention"
	"onramp/internal/screen"
	"onramp/internal/store"
)

// running is a configuration with the parts that depend on it. It is built as a whole,
// at the start and at each reload, and replaced as a whole.
type running struct {
	events
	cfg           *config.Config
	forms         []*onramp.Form // as the store knows them
	byName        map[string]*onramp.Form
	account       *outbound.Sender
	checks        *health.Checks
	consent       *consent.Desk   // nil: nothing was ever to be confirmed
	mail          *mailing.Sender // nil: there is no mail server
	desk          *operator.Desk
	erasures      *erasure.Desk
	screen        *screen.Gate
	public, admin http.Handler
}

// build makes the parts that a configuration needs, while another one may be running:
// nothing of them is in use yet. What it makes known to the store stays there.
func (a *App) build(ctx context.Context, cfg *config.Config) (*running, error) {
	r := &running{cfg: cfg, byName: make(map[string]*onramp.Form, len(cfg.Forms))}
	if err := a.buildParts(ctx, r); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (a *App) buildParts(ctx context.Context, r *running) (err error) {
	if a.options.OwnURL {
		r.cfg.Public.URL = a.public.URL()
	}
	WarnOfReadable(a.options.Log, a.files(r.cfg)...)
	if r.forms, err = a.store.RegisterForms(ctx, r.cfg.Forms); err != nil {
		return err
	}
	for _, f := range r.forms {
		r.byName[f.Name] = f
	}
	if a.running.Load() == nil { // before anything is sent
		if _, err = a.store.HoldRestored(ctx, r.forms); err != nil {
			return err
		}
	}
	if r.account, err = a.newAccount(r.cfg); err != nil {
		return err
	}
	if err := a.buildConsent(ctx, r); err != nil {
		return err
	}
	if err := a.buildEvents(ctx, r); err != nil {
		return err
	}
	r.checks = health.NewChecks(health.CheckConfig{
		Account: r.account.Client(), AccountID: r.cfg.MarketingCloud.AccountID, Destinations: r.formDestinations(), Timeout: r.cfg.Delivery.Timeout,
		Explain: outbound.Explain, Scopes: r.lackingScopes, Saving: a.savesCalls, Log: a.options.Log.With("part", "health"),
	})
	if r.screen, err = a.newGate(ctx, r); err != nil {
		return err
	}
	r.erasures = a.newErasures(r)
	r.desk = a.newDesk(r)
	if r.public, err = a.publicHandler(r); err != nil {
		return err
	}
	r.admin = a.adminHandler(r)
	return nil
}

// lackingScopes compares the scopes of the access token with those that the configuration needs.
func (r *running) lackingScopes(ctx context.Context) (health.Lack, error) {
	token, err := r.account.AccessToken(ctx)
	if err != nil {
		return health.Lack{}, err
	}
	return check.LackingScopes(check.Config{Forms: r.cfg.Forms, Callbacks: r.cfg.Callbacks}, token), nil
}

// newAccount makes the sender to Marketing Cloud. Without a change it is the one that
// runs: it has a token, and Marketing Cloud rations those.
func (a *App) newAccount(cfg *config.Config) (*outbound.Sender, error) {
	before := a.running.Load()
	if before != nil && before.cfg.MarketingCloud.SameAccount(cfg.MarketingCloud) && before.cfg.Delivery.Timeout == cfg.Delivery.Timeout {
		return before.account, nil
	}
	mc := cfg.MarketingCloud
	return outbound.New(outbound.Config{
		Forms:     func(name string) *onramp.Form { return a.running.Load().byName[name] },
		Confirm:   a.letter,
		Subdomain: mc.Subdomain, AuthURL: mc.AuthURL, ClientID: mc.ClientID, ClientSecret: mc.ClientSecret,
		AccountID: mc.AccountID, Timeout: cfg.Delivery.Timeout, Fence: a.store.Fence(), Dial: a.guard.DialContext, Calls: a.calls, Called: a.metrics.Called, Trace: a.tracer.Transport, Log: a.options.Log.With("part", "outbound"),
	}, a.store, func(err error) { a.options.Log.Warn("token could not be stored", "err", err) })
}

func (a *App) newDesk(r *running) *operator.Desk {
	desk := &operator.Desk{
		Registrations: a.store, Deliveries: a.store, Changes: a.store, Audit: a.store, Consents: a.store, Chains: a.store, Counts: a.store, Events: a.store, Suspects: a.store, Surges: r.surges, Ask: r.ask, Pump: &a.pump, Rows: r.account, Forms: r.byName, Ignored: &a.ignored,
		Notices: a.store.Notices(), Left: a.listLeft, Configuration: a.loads.view, Health: a.newHealth(r), Watch: a.watch.Status, Tracing: a.tracingStatus, Guessing: func() operator.Guessing { return a.tries.Guessing(time.Now()) },
		Sources: a.bundleSources(r), Log: a.options.Log.With("part", "admin"),
	}
	if r.consent != nil {
		desk.Confirmations = r.consent
	}
	desk.Resends = resend.New(a.store, map[string]resend.Kind{
		resend.Events:        resend.EventKind{Sinks: r.cfg.Sinks, Events: a.store},
		resend.Registrations: resend.RegistrationKind{Forms: r.byName, Store: a.store},
	}, desk.HeldUp, desk.Log)
	desk.Imports = &importer.Desk{Store: a.store, Forms: r.byName, MayImport: a.mayImport, Now: time.Now, Log: desk.Log}
	desk.Retention = retention.New(r.cfg.Retention, a.store, func() string { return wrongClock(desk.Health.Status()) }, a.options.Log.With("part", "retention"))
	desk.Erasures, desk.Persons = r.erasures, a.store
	if r.setup != nil {
		desk.Setup, desk.Clients = r.setup, a.clients(r)
	}
	return desk
}

// wrongClock says that this machine's clock is wrong, by which nothing is to be removed; ""
// when it is right, or nobody knows.
func wrongClock(s health.Status) string {
	if s.Clock != nil && s.Clock.Failed() {
		return "Marketing Cloud's clock is " + s.Clock.Describe() + " this machine's: nothing is removed by a clock that is wrong"
	}
	return ""
}

// use makes a configuration the one that runs, but for the deliveries: its lanes begin
// when those before it have ended.
func (a *App) use(r *running) {
	a.saving.Lock() // until it is unlocked, what was accepted for the routes before is on disk
	a.running.Store(r)
	a.saving.Unlock()
	a.calls.Change(contract(r.cfg))
	a.quota.Change(a.allowance(r.cfg))
	a.guard.Change(callable(r.cfg))
	a.public.Trust(trusted(r.cfg))
	a.public.Handle(r.public)
	a.admin.Handle(r.admin)
	for _, c := range a.certificates {
		c.Look()
	}
}

// prepareLanes makes the pump of the configuration that runs. No lane runs meanwhile.
func (a *App) prepareLanes(ctx context.Context) error {
	r := a.running.Load()
	var before []onramp.Health
	if p := a.pump.Load(); p != nil {
		before = p.Health()
	}
	a.pump.Store(pump.New(pump.Config{
		Senders: r.cfg.Delivery.Senders, GiveUpAfter: r.cfg.Delivery.GiveUpAfter, Log: a.options.Log.With("part", "pump"),
		Fence: a.store.Fence(), Before: before, Skips: a.skips(r), Saving: a.longestFill,
	}, a.store, a.store, a.tracer.Sender(senders{r.account, r.sinks, r.mail, a.watch.Blocked, a.metrics.Sent}), append(r.formDestinations(), r.sinkDestinations...)))
	a.watch.Change(a.watched(r))
	left, err := a.store.FollowRoutes(ctx, r.forms)
	if err == nil {
		a.left.Store(&left)
	}
	return err
}

// skips tells which deliveries are not for their person; nil when all are.
func (r *running) skips() func(d *onramp.Delivery) (why string) {
	if !slices.ContainsFunc(r.forms, func(f *onramp.Form) bool { return f.When != nil }) {
		return nil
	}
	return func(d *onramp.Delivery) string {
		if form := r.byName[d.Form]; form != nil {
			return form.SkipsDelivery(d)
		}
		return ""
	}
}

// listLeft lists what no route leads to any more.
func (a *App) listLeft() []onramp.Left {
	if left := a.left.Load(); left != nil {
		return *left
	}
	return nil
}

// formDestinations are those of the forms' routes.
func (r *running) formDestinations() []onramp.Destination {
	var all []onramp.Destination
	for _, f := range r.forms {
		all = append(all, f.Destinations()...)
	}
	return all
}

// currentPump is the pump of the configuration that runs.
type currentPump struct{ atomic.Pointer[pump.Pump] }

// Health returns how each destination is doing.
func (c *currentPump) Health() []onramp.Health { return c.Load().Health() }

// Flight says whether a delivery is in flight.
func (c *currentPump) Flight(destination int, seq int64) onramp.DeliveryState {
	return c.Load().Flight(destination, seq)
}

// Forget drops a delivery from memory.
func (c *currentPump) Forget(seq int64) { c.Load().Forget(seq) }

// currentDesk is the desk of the configuration that runs, for the alerts and the metrics.
type currentDesk struct{ app *App }

// Overview returns at once.
func (c currentDesk) Overview() operator.Overview { return c.app.running.Load().desk.Overview() }

// Status counts everything, and tells how each destination is doing.
func (c currentDesk) Status(ctx context.Context) (operator.Status, error) {
	return c.app.running.Load().desk.Status(ctx)
}

// ListCauses groups dead and unknown deliveries by what they have in common.
func (c currentDesk) ListCauses(ctx context.Context, f onramp.Filter) (operator.Causes, error) {
	return c.app.running.Load().desk.ListCauses(ctx, f)
}

// Oldest returns when the oldest registration was accepted that is still to be sent.
func (c currentDesk) Oldest(ctx context.Context, destination string) (time.Time, error) {
	return c.app.running.Load().desk.Oldest(ctx, destination)
}

// Failures groups what is dead or unknown by cause.
func (c currentDesk) Failures(ctx context.Context, destination string, state onramp.DeliveryState) ([]onramp.CauseGroup, time.Time, error) {
	return c.app.running.Load().desk.Failures(ctx, destination, state)
}

// registrar stores registrations on the routes that are now: a request that began
// before a reload may end after it, when nobody sends to what its form named then.
type registrar struct {
	*store.Store
	app *App
}

// SaveRegistration returns once the registration is on disk.
func (r registrar) SaveRegistration(ctx context.Context, to *onramp.Registration, key onramp.IdempotencyKey, watch bool) (onramp.Accepted, error) {
	r.app.saving.RLock()
	defer r.app.saving.RUnlock()
	running := r.app.running.Load()
	if form := running.byName[to.Form]; form != nil {
		to.Route = form.Route
	}
	to.OptIn = running.consent.Ask(to)
	ctx, at, end := r.app.tracer.Accept(ctx, to.Form)
	to.Trace = at
	accepted, err := r.Store.SaveRegistration(ctx, to, key, watch)
	end(accepted, err)
	return accepted, err
}
