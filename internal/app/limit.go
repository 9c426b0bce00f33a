package app

import (
	"context"
	"errors"
	"net/netip"

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
func (a *App) maxConnections() int {
	files, wanted := web.OpenFiles(), a.cfg.Public.MaxConnections
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
func (a *App) limitListeners() {
	public := a.maxConnections()
	var trusted []netip.Prefix
	for _, p := range prefixes(a.cfg.Public.TrustedProxies) {
		trusted = append(trusted, netip.MustParsePrefix(p)) // the configuration was checked
	}
	a.waiters = max(public/waiterShare, 1)
	a.public.Limit(web.Limits{
		Connections: public, PerAddress: max(public/addressShare, 1), Trusted: trusted, Log: a.options.Log, Part: "public",
	})
	a.admin.Limit(web.Limits{Connections: max(min(web.OpenFiles()/adminShare, maxAdmin), 1), Log: a.options.Log, Part: "admin"})
}

// shutdown stops both listeners at once.
func (a *App) shutdown(ctx context.Context) error {
	stopped := make(chan error)
	go func() { stopped <- a.admin.Shutdown(ctx) }()
	return errors.Join(a.public.Shutdown(ctx), <-stopped)
}
