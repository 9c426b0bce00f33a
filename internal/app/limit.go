package app

import (
	"context"
	"errors"
	"net/netip"

	"onramp/internal/config"
	"onramp/internal/egress"
	"onramp/internal/quota"
	"onramp/internal/web"
)

// The shares of the open files that listeners may take, so that what strangers
// take of one leaves enough for the others, for the database and for the calls
// that go out. A quarter is left when all have theirs.
const (
	publicShare  = 2 // a half, unless public.max_connections says otherwise
	sandboxShare = 8
	adminShare   = 16

	// maxPublic keeps the memory that connections take within some 100 MB where files
	// are hardly limited.
	maxPublic = 4096
	maxAdmin  = 256
	// addressShare is the part of the public connections that one address may have.
	addressShare = 4
	// waiterShare is the part of them that may wait for an outcome.
	waiterShare = 4
)

// maxConnections is how many connections the public listener takes.
func (a *App) maxConnections(cfg *config.Config) int {
	files, wanted := web.OpenFiles(), cfg.Public.MaxConnections
	most := files - files/4 // the others need something, too
	switch {
	case wanted == 0:
		return max(min(files/publicShare, maxPublic), 1)
	case wanted > most:
		a.options.Log.Warn("public.max_connections is more than the limit of open files allows: raise that limit",
			"max_connections", wanted, "open_files", files, "used", most)
		return most
	}
	return wanted
}

// limitListeners says what the listeners allow.
func (a *App) limitListeners(cfg *config.Config) {
	public := a.maxConnections(cfg)
	a.waiters = max(public/waiterShare, 1)
	a.public.Limit(web.Limits{
		Connections: public, PerAddress: max(public/addressShare, 1), Trusted: trusted(cfg), Log: a.options.Log, Part: "public", Meter: a.metrics,
	})
	few := max(min(web.OpenFiles()/adminShare, maxAdmin), 1)
	a.admin.Limit(web.Limits{Connections: few, Log: a.options.Log, Part: "admin", Meter: a.metrics})
	if a.plain != nil {
		a.plain.Limit(web.Limits{Connections: few, PerAddress: max(few/addressShare, 1), Log: a.options.Log, Part: "http", Meter: a.metrics})
	}
}

// allowance is how much strangers may make us store.
func (a *App) allowance(cfg *config.Config) quota.Config {
	s := cfg.Storage
	return quota.Config{
		PerAddress: s.PerAddress, Total: s.Total, Exempt: prefixes(s.Exempt),
		Reserve: quota.Reserve(s.Reserve), Free: a.freeSpace(),
	}
}

// NewGuard makes a guard for the outgoing calls of a configuration.
func NewGuard(cfg *config.Config) *egress.Guard { return egress.New(callable(cfg)) }

// callable is where outgoing calls may lead.
func callable(cfg *config.Config) egress.Policy {
	return egress.Policy{NoPrivate: !cfg.Egress.Private, Allow: prefixes(cfg.Egress.Allow)}
}

// trusted are the proxies that bring many people.
func trusted(cfg *config.Config) []netip.Prefix { return prefixes(cfg.Public.TrustedProxies) }

// prefixes reads a list of addresses and prefixes, which the configuration has checked.
func prefixes(list []string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			address := netip.MustParseAddr(p)
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		if address := prefix.Addr(); address.Is4In6() && prefix.Bits() >= mappedBits {
			prefix = netip.PrefixFrom(address.Unmap(), prefix.Bits()-mappedBits) // as addresses are compared
		}
		all = append(all, prefix)
	}
	return all
}

// mappedBits are what an IPv4-mapped IPv6 address has before the IPv4 address.
const mappedBits = 96

// shutdown stops all listeners at once.
func (a *App) shutdown(ctx context.Context) error {
	all := a.listeners()
	stopped := make(chan error, len(all))
	for _, l := range all {
		go func() { stopped <- l.Shutdown(ctx) }()
	}
	var errs []error
	for range all {
		errs = append(errs, <-stopped)
	}
	return errors.Join(errs...)
}
