package app

import (
	"cmp"
	"context"

	"onramp/internal/onramp"
	"onramp/internal/watch"
	"onramp/sfmc/metadata"
)

// newWatch makes what watches over the arrival of registrations, whatever the
// configuration.
func (a *App) newWatch(ctx context.Context) (*watch.Watch, error) {
	from := watch.Sources{Kept: a.store, Registrations: a.store, Deliveries: a.store, Fence: a.store.Fence()}
	return watch.New(ctx, from, a.options.Log.With("part", "watch"))
}

// watched says what of a configuration is watched.
func (a *App) watched(r *running) watch.Config {
	w, mc := r.cfg.Watch, r.cfg.MarketingCloud
	return watch.Config{
		Canary: watch.Canary{Every: w.Canary.Every, Timeout: w.Canary.Timeout, Form: w.Canary.Form, Email: w.Canary.Email},
		Sample: w.Sample, Usual: w.Usual, Forms: r.forms, Events: len(r.cfg.Callbacks) > 0,
		URL: cmp.Or(r.cfg.Public.URL, a.public.URL()), Rows: r.account,
		Schema: w.Schema, Schemas: metadata.New(r.account.Client()), Account: cmp.Or(mc.Subdomain, mc.AuthURL) + "/" + mc.AccountID, Saving: a.savesCalls,
	}
}

// skips tells which deliveries are not sent: what is not for its person, and the canaries
// that nobody would get.
func (a *App) skips(r *running) func(d *onramp.Delivery) (why string) {
	conditions := r.skips()
	return func(d *onramp.Delivery) string {
		if why := a.watch.Skips(d); why != "" || conditions == nil {
			return why
		}
		return conditions(d)
	}
}
