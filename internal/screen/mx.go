package screen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Resolver asks the DNS. A net.Resolver is one.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

const (
	mxTimeout = 2 * time.Second
	mxLife    = time.Hour        // of an answer that the domain takes mail
	noMXLife  = 10 * time.Minute // of one that it takes none: it may be mended
	mostMX    = 4096             // domains that are remembered
	mxAtOnce  = 32               // look-ups; beyond that a domain passes
)

// domains remembers which domains take mail.
type domains struct {
	mu    sync.Mutex
	known map[string]domainState
	busy  int
}

type domainState struct {
	takes bool
	until time.Time
}

// takesMail says whether a domain takes mail. While that can't be found out, it does.
func (d *domains) takesMail(ctx context.Context, r Resolver, domain string, now time.Time) bool {
	d.mu.Lock()
	if known, found := d.known[domain]; found && known.until.After(now) {
		d.mu.Unlock()
		return known.takes
	}
	if d.busy >= mxAtOnce {
		d.mu.Unlock()
		return true
	}
	d.busy++
	d.mu.Unlock()
	takes, sure := lookUp(ctx, r, domain)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy--
	if !sure {
		return true
	}
	d.remember(domain, takes, now)
	return takes
}

// remember makes room by forgetting any other one: it is asked for again.
func (d *domains) remember(domain string, takes bool, now time.Time) {
	if d.known == nil {
		d.known = map[string]domainState{}
	}
	for other := range d.known {
		if len(d.known) < mostMX {
			break
		}
		delete(d.known, other)
	}
	life := noMXLife
	if takes {
		life = mxLife
	}
	d.known[domain] = domainState{takes, now.Add(life)}
}

// lookUp asks the DNS: for MX records, of which a single "." says that there is no mail
// (RFC 7505), and without any for an address (RFC 5321, 5.1).
func lookUp(ctx context.Context, r Resolver, domain string) (takes, sure bool) {
	ctx, stop := context.WithTimeout(ctx, mxTimeout)
	defer stop()
	name := domain + "." // as it is, whatever the machine's search list
	records, err := r.LookupMX(ctx, name)
	switch {
	case len(records) == 1 && (records[0].Host == "." || records[0].Host == ""):
		return false, true
	case len(records) > 0:
		return true, true
	case err != nil && !isNotFound(err):
		return false, false
	}
	addresses, err := r.LookupNetIP(ctx, "ip", name)
	if err != nil && !isNotFound(err) {
		return false, false
	}
	return len(addresses) > 0, true
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}
