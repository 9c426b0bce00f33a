package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"time"

	"onramp/internal/config"
	"onramp/internal/ens"
	"onramp/internal/keyset"
	"onramp/internal/oauth"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/pump"
	"onramp/internal/setup"
	"onramp/internal/sink"
	"onramp/internal/store"
	"onramp/internal/web"
	"onramp/sfmc"
)

// events are the parts for Marketing Cloud's events. Without callbacks in the
// configuration there are only the sinks, which may have events from before.
type events struct {
	tokens   *oauth.Server
	receiver *ens.Receiver
	rules    *ens.Rules
	setup    *setup.Setup
	sinks    *sink.Sender
}

// takesEvents says whether the configuration has anything that calls us.
func (a *App) takesEvents() bool {
	return len(a.cfg.Callbacks)+len(a.cfg.OAuth.Clients) > 0
}

// openKeyset finds the key that encrypts what is kept. With a file for the
// database it stands beside it unless the configuration names one. It is nil when
// there is none: then the access token is not kept across restarts.
//
// A new key is made only for a database that has no secrets yet: beside it, the one
// that is missing could no longer be told from one that is there.
func (a *App) openKeyset(hasSecrets bool) (store.Cipher, error) {
	if a.cfg.EncryptionKey == "" && store.IsShared(a.cfg.Database) {
		return nil, nil
	}
	keys, err := openKeyset(a.cfg, hasSecrets)
	if err != nil && a.cfg.EncryptionKey == "" && !a.takesEvents() {
		// nothing but the token needs the key; a disk without hard links, say, must not keep a gateway from its work
		a.options.Log.Warn("the access token is not kept across restarts", "err", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return keys, nil
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
	s, err := store.Open(ctx, store.Config{URL: cfg.Database, OpenCipher: func(bool) (store.Cipher, error) {
		if cfg.EncryptionKey == "" && store.IsShared(cfg.Database) {
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

// startEvents makes the parts, and returns the sinks' destinations.
func (a *App) startEvents(ctx context.Context, forms []*onramp.Form, account *sfmc.Client) ([]onramp.Destination, error) {
	log := a.options.Log
	sinks, err := sink.New(sink.Config{
		Source: a.cfg.Public.URL, Timeout: a.cfg.Delivery.Timeout, Fence: a.store.Fence(), Log: log.With("part", "sink"),
	}, a.cfg.Sinks)
	if err != nil {
		return nil, err
	}
	a.events.sinks = sinks
	destinations := make([]onramp.Destination, len(a.cfg.Sinks))
	for i, s := range a.cfg.Sinks {
		s.Batch = sink.Batch(s)
		destinations[i] = s.Destination()
	}
	if destinations, err = a.store.RegisterSinks(ctx, destinations); err != nil || !a.takesEvents() {
		return destinations, err
	}
	a.events.rules = ens.NewRules(ens.RulesConfig{
		Forms: forms, Events: a.store, Rulings: a.store, Registrations: a.store, Log: log.With("part", "ens"),
	})
	a.events.tokens, err = oauth.New(ctx, oauth.Config{
		Issuer: a.cfg.Public.URL, Lifetime: a.cfg.OAuth.TokenLifetime, Clients: a.cfg.OAuth.Clients, Users: a.cfg.OAuth.Users,
		Log: log.With("part", "oauth"),
	}, a.store)
	if err != nil {
		return nil, err
	}
	return destinations, a.startReceiver(ctx, destinations, account)
}

func (a *App) startReceiver(ctx context.Context, sinks []onramp.Destination, account *sfmc.Client) error {
	if err := a.store.RegisterCallbacks(ctx, a.callbackNames()); err != nil {
		return err
	}
	targets := make([]ens.Target, len(sinks))
	for i, s := range a.cfg.Sinks {
		targets[i] = ens.Target{Sink: s, Destination: sinks[i].ID}
	}
	log := a.options.Log.With("part", "ens")
	a.events.receiver = ens.NewReceiver(ens.ReceiverConfig{
		Callbacks: a.cfg.Callbacks, Targets: targets, Events: a.store, Records: a.store, Tokens: a.events.tokens, Reason: oauth.Reason, Log: log,
	})
	a.events.setup = setup.New(setup.Config{
		PublicURL: a.cfg.Public.URL, Callbacks: a.cfg.Callbacks, Clients: a.cfg.OAuth.Clients, Users: a.cfg.OAuth.Users,
		Account: account, Schemes: a.store, Records: a.store, StoredClients: a.store, Unreadable: a.store.ListUnreadable,
		Arrivals: arrivals{a.events.receiver, a.store},
		Changed:  a.events.receiver.Reload, Refusals: a.events.receiver.Refusals, Taken: a.events.receiver.Taken, Log: log,
	})
	if err := a.events.receiver.Reload(ctx); err != nil {
		return err
	}
	return errors.Join(a.warnOfUnreadable(ctx), a.warnOfMissing(ctx))
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
func (a *App) warnOfMissing(ctx context.Context) error {
	records, err := a.store.ListCallbackRecords(ctx)
	if err != nil || a.options.OwnURL {
		return err
	}
	for _, name := range a.callbackNames() {
		if !slices.ContainsFunc(records, func(r onramp.CallbackRecord) bool { return r.Name == name && r.Verified }) {
			a.options.Log.WarnContext(ctx, "a callback is not set up yet: run onramp ens setup", "callback", name)
		}
	}
	return nil
}

func (a *App) callbackNames() []string {
	names := make([]string, len(a.cfg.Callbacks))
	for i, c := range a.cfg.Callbacks {
		names[i] = c.Name
	}
	return names
}

// clients lets operators change the token clients that the database keeps.
func (a *App) clients() *operator.Clients {
	return &operator.Clients{
		Keep: a.store, Configured: a.cfg.OAuth.Clients, ClientsChanged: a.events.tokens.Reload,
		NewSecret: keyset.NewSecret, NewClientID: keyset.NewClientID,
		UsedBy: func(id string) []string {
			var names []string
			for _, c := range a.cfg.Callbacks {
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
	if a.events.setup == nil {
		return nil
	}
	_, err := a.events.setup.Apply(ctx, false)
	return err
}

// senders sends each delivery to where its destination is.
type senders struct {
	account, sinks pump.Sender
}

// Send makes the call.
func (s senders) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	if c.Destination.Kind == onramp.SinkDestination {
		return s.sinks.Send(ctx, c)
	}
	return s.account.Send(ctx, c)
}
