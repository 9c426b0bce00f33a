package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"onramp/internal/config"
	"onramp/internal/ens"
	"onramp/internal/keyset"
	"onramp/internal/mailing"
	"onramp/internal/oauth"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/postgres"
	"onramp/internal/pump"
	"onramp/internal/setup"
	"onramp/internal/sink"
	"onramp/internal/store"
	"onramp/internal/web"
)

// events are the parts for Marketing Cloud's events. Without callbacks in the
// configuration there are only the sinks, which may have events from before.
type events struct {
	tokens           *oauth.Server
	receiver         *ens.Receiver
	rules            *ens.Rules
	setup            *setup.Setup
	sinks            *sink.Sender
	sinkDestinations []onramp.Destination // as the store knows them
}

// takesEvents says whether a configuration has anything that calls us.
func takesEvents(cfg *config.Config) bool {
	return len(cfg.Callbacks)+len(cfg.OAuth.Clients) > 0
}

// openKeyset finds the key that encrypts what is kept. With a file for the
// database it stands beside it unless the configuration names one. It is nil when
// there is none: then the access token is not kept across restarts.
//
// A new key is made only for a database that has no secrets yet: beside it, the one
// that is missing could no longer be told from one that is there.
func (a *App) openKeyset(cfg *config.Config) func(hasSecrets bool) (store.Cipher, error) {
	return func(hasSecrets bool) (store.Cipher, error) {
		if cfg.EncryptionKey == "" && postgres.IsURL(cfg.Database) {
			return nil, nil
		}
		keys, err := openKeyset(cfg, hasSecrets)
		if err != nil && cfg.EncryptionKey == "" && !takesEvents(cfg) && !cfg.Public.ACME.Used() {
			// nothing but the token needs the key; a disk without hard links, say, must not keep a gateway from its work
			a.options.Log.Warn("the access token is not kept across restarts", "err", err)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return keys, nil
	}
}

func openKeyset(cfg *config.Config, hasSecrets bool) (*keyset.Keyset, error) {
	if cfg.EncryptionKey != "" {
		keys, err := keyset.Open(cfg.EncryptionKey)
		if err != nil {
			return nil, fmt.Errorf("encryption_key: %w", err)
		}
		return keys, nil
	}
	path := cfg.Database + ".key"
	if !hasSecrets {
		return keyset.OpenFile(path)
	}
	keys, err := keyset.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the encryption key %s is missing, and the database has secrets that only it can decrypt: restore it from a backup. "+
			"If it is lost, run onramp keys reset: it shows what is lost with it, and what brings it back", path)
	}
	return keys, err
}

// LostSecret is something in the database that can't be decrypted.
type LostSecret = store.Unreadable

// ResetKeys lists what the database keeps and can't decrypt, of the named callbacks or
// of all, and with remove removes it. The gateway must not be running.
func ResetKeys(ctx context.Context, cfg *config.Config, callbacks []string, remove bool) (lost []LostSecret, err error) {
	s, err := store.Open(ctx, store.Config{URL: cfg.Database, Keyless: true, OpenCipher: func(bool) (store.Cipher, error) {
		if cfg.EncryptionKey == "" && postgres.IsURL(cfg.Database) {
			return nil, nil
		}
		keys, err := openKeyset(cfg, true)
		if err != nil {
			return nil, nil // nothing can be decrypted, which is what this is about
		}
		return keys, nil
	}})
	if err != nil {
		return nil, err
	}
	lost, err = s.ResetKept(ctx, callbacks, remove)
	return lost, errors.Join(err, s.Close())
}

// buildEvents makes the parts of a configuration.
func (a *App) buildEvents(ctx context.Context, r *running) (err error) {
	if r.sinks, err = sink.New(sink.Config{
		Source: r.cfg.Public.URL, Timeout: r.cfg.Delivery.Timeout, Fence: a.store.Fence(), Guard: a.guard, Log: a.options.Log.With("part", "sink"),
	}, r.cfg.Sinks); err != nil {
		return err
	}
	destinations := make([]onramp.Destination, len(r.cfg.Sinks))
	for i, s := range r.cfg.Sinks {
		s.Batch = sink.Batch(s)
		destinations[i] = s.Destination()
	}
	if r.sinkDestinations, err = a.store.RegisterSinks(ctx, destinations); err != nil || !takesEvents(r.cfg) {
		return err
	}
	r.rules = ens.NewRules(ens.RulesConfig{
		Forms: r.forms, Events: a.store, Rulings: a.store, Registrations: a.store, Log: a.options.Log.With("part", "ens"),
	})
	if r.tokens, err = a.newTokens(ctx, r.cfg); err != nil {
		return err
	}
	return a.buildReceiver(ctx, r)
}

// newTokens makes the token endpoint. Without a change it is the one that runs, with
// what it knows of failed tries. Where no URL is configured, the address that the
// listener is bound to takes its place: by which name callers reach it, they alone say.
func (a *App) newTokens(ctx context.Context, cfg *config.Config) (*oauth.Server, error) {
	before := a.running.Load()
	if before != nil && before.tokens != nil && before.cfg.Public.URL == cfg.Public.URL && reflect.DeepEqual(before.cfg.OAuth, cfg.OAuth) {
		return before.tokens, nil
	}
	return oauth.New(ctx, oauth.Config{
		Issuer: cmp.Or(cfg.Public.URL, a.public.URL()), Lifetime: cfg.OAuth.TokenLifetime, Clients: cfg.OAuth.Clients, Users: cfg.OAuth.Users,
		Log: a.options.Log.With("part", "oauth"),
	}, a.store)
}

func (a *App) buildReceiver(ctx context.Context, r *running) error {
	if err := a.store.RegisterCallbacks(ctx, r.callbackNames()); err != nil {
		return err
	}
	targets := make([]ens.Target, len(r.cfg.Sinks))
	for i, s := range r.cfg.Sinks {
		targets[i] = ens.Target{Sink: s, Destination: r.sinkDestinations[i].ID}
	}
	log := a.options.Log.With("part", "ens")
	receives := ens.ReceiverConfig{
		Callbacks: r.cfg.Callbacks, Targets: targets, Events: tracedEvents{a.store, a.tracer}, Records: a.store, Tokens: r.tokens, Quota: a.quota, Reason: oauth.Reason, Log: log,
	}
	if before := a.running.Load(); before != nil && before.receiver != nil {
		r.receiver = before.receiver.With(receives)
	} else {
		r.receiver = ens.NewReceiver(receives)
	}
	r.setup = setup.New(setup.Config{
		PublicURL: r.cfg.Public.URL, Callbacks: r.cfg.Callbacks, Clients: r.cfg.OAuth.Clients, Users: r.cfg.OAuth.Users,
		Account: r.account.Client(), Schemes: a.store, Records: a.store, StoredClients: a.store, Unreadable: a.store.ListUnreadable,
		Arrivals: arrivals{r.receiver, a.store},
		Changed:  r.receiver.Reload, Refusals: r.receiver.Refusals, Taken: r.receiver.Taken, Busy: &a.settingUp, Log: log,
	})
	if err := r.receiver.Reload(ctx); err != nil {
		return err
	}
	return errors.Join(a.warnOfUnreadable(ctx), a.warnOfMissing(ctx, r))
}

// arrivals are what came to the callbacks. Probes are with the receiver, which holds
// those that set-up waits for.
type arrivals struct {
	*ens.Receiver
	store *store.Store
}

// LastEvent returns when the newest event came to a callback.
func (a arrivals) LastEvent(ctx context.Context, callback string) (time.Time, error) {
	return a.store.LastEvent(ctx, callback)
}

// warnOfUnreadable logs what is stored and can't be read. All else works.
func (a *App) warnOfUnreadable(ctx context.Context) error {
	unreadable, err := a.store.ListUnreadable(ctx)
	for _, u := range unreadable {
		a.options.Log.WarnContext(ctx, "something stored can't be read", "kind", u.Kind, "name", u.Name, "err", u.Err, "hint", u.Hint)
	}
	return err
}

// warnOfMissing logs the callbacks that Marketing Cloud does not know yet. The
// demo registers them itself.
func (a *App) warnOfMissing(ctx context.Context, r *running) error {
	records, err := a.store.ListCallbackRecords(ctx)
	if err != nil || a.options.OwnURL {
		return err
	}
	for _, name := range r.callbackNames() {
		if !slices.ContainsFunc(records, func(r onramp.CallbackRecord) bool { return r.Name == name && r.Verified }) {
			a.options.Log.WarnContext(ctx, "a callback is not set up yet: run onramp ens setup", "callback", name)
		}
	}
	return nil
}

func (r *running) callbackNames() []string {
	names := make([]string, len(r.cfg.Callbacks))
	for i, c := range r.cfg.Callbacks {
		names[i] = c.Name
	}
	return names
}

// clients lets operators change the token clients that the database keeps.
func (a *App) clients(r *running) *operator.Clients {
	return &operator.Clients{
		Keep: a.store, Configured: r.cfg.OAuth.Clients, ClientsChanged: r.tokens.Reload,
		NewSecret: keyset.NewSecret, NewClientID: keyset.NewClientID,
		UsedBy: func(id string) []string {
			var names []string
			for _, c := range r.cfg.Callbacks {
				if c.UsesClient(id) {
					names = append(names, c.Name)
				}
			}
			return names
		},
	}
}

func (e *events) routes(mux *http.ServeMux, server *web.Server) {
	if e.tokens != nil {
		e.tokens.Routes(mux, server)
		e.receiver.Routes(mux, server)
	}
}

// run keeps the token endpoint's keys fresh and follows the rules, until ctx ends.
func (e *events) run(ctx context.Context) {
	if e.tokens == nil {
		return
	}
	var parts sync.WaitGroup
	parts.Go(func() { e.tokens.Run(ctx) })
	parts.Go(func() { e.rules.Run(ctx) })
	parts.Wait()
}

func (e *events) close() error {
	if e.sinks == nil {
		return nil
	}
	return e.sinks.Close()
}

// SetUpEvents makes Marketing Cloud match the configuration, as onramp ens setup
// does. The gateway must be running: Marketing Cloud calls it meanwhile.
func (a *App) SetUpEvents(ctx context.Context) error {
	r := a.running.Load()
	if r.setup == nil {
		return nil
	}
	_, err := r.setup.Apply(ctx, false)
	return err
}

// senders sends each delivery to where its destination is.
type senders struct {
	account, sinks pump.Sender
	mail           *mailing.Sender                                    // nil: there is no mail server
	blocked        func(to onramp.Destination) (onramp.Outcome, bool) // why nothing may be sent there
	sent           func(destination string, outcomes []onramp.Outcome, took time.Duration)
}

// Send makes the call, unless its destination would spoil what is sent. Of what was sent
// already the results are asked for all the same.
func (s senders) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	to := s.account
	if c.Destination.Kind == onramp.SinkDestination {
		to = s.sinks
	} else if c.Destination.Kind == onramp.SMTP {
		to = s.mail
	} else if o, blocked := s.blocked(c.Destination); blocked && c.RequestID == "" {
		return slices.Repeat([]onramp.Outcome{o}, len(c.Deliveries))
	}
	begun := time.Now()
	outcomes := to.Send(ctx, c)
	s.sent(c.Destination.Name(), outcomes, time.Since(begun))
	return outcomes
}
