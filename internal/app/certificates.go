package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"onramp/internal/certificate"
	"onramp/internal/config"
	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// secure has the listeners speak https where the configuration says so.
func (a *App) secure(cfg *config.Config) error {
	log := a.options.Log.With("part", "certificate")
	if acme := cfg.Public.ACME; acme.Used() {
		a.show(a.public, certificate.NewACME(certificate.ACMEConfig{
			Listener: "public", Hosts: acme.Hosts, Email: acme.Email, Directory: acme.Directory, HTTP: acme.HTTPListen != "",
			Kept: a.store, UserAgent: "onramp/" + a.options.Version, Log: log,
		}))
	}
	for _, of := range []struct {
		name     string
		listener *web.Listener
		files    config.TLS
	}{{"public", a.public, cfg.Public.TLS}, {"admin", a.admin, cfg.Admin.TLS}} {
		if of.files.Cert == "" {
			continue
		}
		files, err := certificate.OpenFiles(of.name, of.files.Cert, of.files.Key, log)
		if err != nil {
			return fmt.Errorf("%s.tls: %w", of.name, err)
		}
		a.show(of.listener, files)
	}
	return nil
}

// show has a listener show certificates.
func (a *App) show(l *web.Listener, from certificate.Source) {
	l.Secure(from.Config())
	a.certificates = append(a.certificates, from)
}

// certificateStatus is how it stands with the certificates of the listeners.
func (a *App) certificateStatus() []health.Certificate {
	var all []health.Certificate
	for _, c := range a.certificates {
		all = append(all, c.Status()...)
	}
	return all
}

// bindPlain takes the address for http beside https, where there is one: it proves to a
// certificate authority that the hosts are ours, and leads everybody else to https.
func (a *App) bindPlain(ctx context.Context, cfg *config.Config) (err error) {
	address := cfg.Public.ACME.HTTPListen
	if address == "" {
		return nil
	}
	server := &web.Server{Log: a.options.Log, Part: "http"}
	mux := http.NewServeMux()
	for _, c := range a.certificates {
		if authority, ok := c.(*certificate.ACME); ok {
			mux.Handle("GET "+certificate.ChallengePath, server.Handle(authority.ServeChallenge))
		}
	}
	mux.Handle("/", server.Handle(toHTTPS(cfg.Public)))
	if a.plain, err = web.Listen(ctx, address, web.Harden(mux)); err != nil {
		return fmt.Errorf("http listener: %w", err)
	}
	return nil
}

// toHTTPS leads to the same address by https, if the host is one of ours. What was sent
// went in the clear already: it is not sent again.
func toHTTPS(public config.Public) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		host := certificate.Hostname(r.Host)
		switch {
		case !slices.Contains(public.ACME.Hosts, host):
			return web.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			return &onramp.Error{Kind: onramp.Forbidden, Message: "this address takes requests by https only"}
		}
		if u, err := url.Parse(public.URL); err == nil && certificate.Hostname(u.Host) == host {
			host = u.Host // with its port
		}
		to := url.URL{Scheme: "https", Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", to.String())
		w.WriteHeader(http.StatusMovedPermanently)
		return nil
	}
}

// onlySecure says whether all visitors come by https: browsers are then told to come by
// nothing else. Below a path the host is not Onramp's alone, and others decide for it.
func onlySecure(cfg *config.Config) bool {
	if cfg.Public.Secure() {
		return true
	}
	u, err := url.Parse(cfg.Public.URL)
	return err == nil && u.Scheme == "https" && strings.Trim(u.Path, "/") == ""
}
