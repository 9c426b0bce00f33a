package app

import (
	"context"
	"net/http"
	"time"

	"onramp/internal/config"
	"onramp/internal/egress"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/screen"
)

// newGate makes what screens the submissions, as a configuration says.
func (a *App) newGate(ctx context.Context, r *running) (*screen.Gate, error) {
	cfg := screen.Config{
		Memory: a.screen, Forms: r.byName, Settings: r.cfg.Screens, Client: a.screenClient(r.cfg), Meter: a.metrics, Log: a.options.Log.With("part", "screen"),
		IsOwn: func(registration *onramp.Registration) bool { return a.watch.IsCanary(registration.Values) },
	}
	if r.cfg.Watch.Usual {
		cfg.Usual = a.watch.MostPerMinute
	}
	return screen.New(ctx, cfg)
}

// surges are the forms that get far more submissions than usual.
func (r *running) surges() []operator.Surge {
	var all []operator.Surge
	for _, s := range r.screen.Surges() {
		all = append(all, operator.Surge(s))
	}
	return all
}

// ask asks the person of a registration that was under suspicion to confirm it.
func (r *running) ask(ctx context.Context, id string) error {
	_, err := r.consent.Send(ctx, id, "") // what a limit keeps back waits for its person all the same
	return err
}

// screenClient makes the requests to captcha services and hooks, which lead where outgoing
// calls may; unless private addresses are allowed, nowhere in a private network.
func (a *App) screenClient(cfg *config.Config) func(private bool) *http.Client {
	return func(private bool) *http.Client {
		guard := a.guard
		if !private {
			policy := callable(cfg)
			policy.NoPrivate = true
			guard = egress.New(policy)
		}
		transport := &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: screenHandshake}
		guard.Requests(transport)
		transport.DialContext = guard.DialContext
		return &http.Client{Transport: transport}
	}
}

const screenHandshake = 5 * time.Second
