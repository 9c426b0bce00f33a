package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	"onramp/internal/config"
	"onramp/internal/consent"
	"onramp/internal/mailing"
	"onramp/internal/onramp"
)

// buildConsent makes what double opt-in needs. What waits from before is confirmed and
// expires also when no form asks for it any more.
func (a *App) buildConsent(ctx context.Context, r *running) error {
	asks := func(f *onramp.Form) bool { return f.DoubleOptIn != nil }
	secret, err := a.store.ConsentKey(ctx, slices.ContainsFunc(r.forms, asks))
	if err != nil || secret == "" {
		return err
	}
	r.consent = consent.New(consent.Config{
		Store: a.store, Events: a.store, Secret: secret, Forms: r.byName, PublicURL: r.cfg.Public.URL, Log: a.options.Log.With("part", "consent"),
	})
	if !slices.ContainsFunc(r.forms, bySMTP) {
		return nil
	}
	server, err := mailing.ParseServer(r.cfg.SMTP.URL)
	if err != nil {
		return fmt.Errorf("smtp.url: %w", err)
	}
	r.mail, err = mailing.New(mailing.Config{
		Server: server, From: r.cfg.SMTP.From, Timeout: r.cfg.Delivery.Timeout, Dial: a.guard.DialContext,
		Compose: func(d *onramp.Delivery) (mailing.Mail, bool) { return a.running.Load().compose(d) },
	})
	return err
}

// bySMTP says whether a form sends its confirmations by the mail server.
func bySMTP(f *onramp.Form) bool {
	return f.DoubleOptIn != nil && f.DoubleOptIn.Confirmation.Kind == onramp.SMTP
}

// reachMail tries the mail server; nil when no form uses one.
func reachMail(cfg *config.Config) (func(context.Context) error, error) {
	if !slices.ContainsFunc(cfg.Forms, func(f onramp.Form) bool { return bySMTP(&f) }) {
		return nil, nil
	}
	server, err := mailing.ParseServer(cfg.SMTP.URL)
	if err != nil {
		return nil, fmt.Errorf("smtp.url: %w", err)
	}
	sender, err := mailing.New(mailing.Config{Server: server, From: cfg.SMTP.From, Timeout: cfg.Delivery.Timeout, Dial: NewGuard(cfg).DialContext})
	if err != nil {
		return nil, err
	}
	return sender.Check, nil
}

// compose makes the mail of a confirmation.
func (r *running) compose(d *onramp.Delivery) (mailing.Mail, bool) {
	form := r.byName[d.Form]
	if form == nil || r.consent == nil {
		return mailing.Mail{}, false
	}
	return r.consent.Mail(form, d)
}

// letter gives what a confirmation by Marketing Cloud has in its data.
func (a *App) letter(form *onramp.Form, d *onramp.Delivery) (data json.RawMessage, address string, ok bool) {
	desk := a.running.Load().consent
	if desk == nil {
		return nil, "", false
	}
	l, ok := desk.Letter(form, d)
	return l.Data(), l.To, ok
}

// originOf is the origin of a URL; "" if there is none.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
