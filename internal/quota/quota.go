// Package quota limits how much strangers can make the gateway store: bytes a minute for
// each client address, bytes a minute in all, and what must stay free on the database's
// disk. It counts and refuses; it stores nothing itself.
//
// Ask [Quota.Take] before a stranger's registration is stored, [Quota.TakeProven] before
// what Marketing Cloud has proved to send. What operators do and what deliveries write
// asks for nothing, so it goes on when strangers are refused.
package quota

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// Config is what is allowed. A limit of 0 means that there is none.
type Config struct {
	PerAddress int64          // bytes a minute of one client address, for IPv6 of one /64
	Total      int64          // bytes a minute of all
	Exempt     []netip.Prefix // addresses that only Total limits, beside those that no stranger has
	Reserve    Reserve        // of the disk
	// Free tells the space on the database's disk; nil: it is not ours to watch.
	Free func() (free, total uint64, err error)
}

// Reserve is how much of a disk must stay free: one of the two is set, or nothing must.
type Reserve struct {
	Percent float64
	Bytes   uint64
}

// of gives the bytes that must stay free of a disk with so many in all.
func (r Reserve) of(total uint64) uint64 {
	return r.Bytes + uint64(r.Percent/100*float64(total))
}

const (
	// eventsShare is the part of Total that is kept for what is proved: a flood of
	// registrations must not keep Marketing Cloud's events out.
	eventsShare = 4
	// mostAddresses are remembered at once, in some 3 MB.
	mostAddresses = 1 << 15
	// sampled are the addresses of which the one that has used least is forgotten for a new one.
	sampled = 16
	// diskEvery is how often the disk is looked at, while something is to be stored.
	diskEvery = time.Second
	// diskPause is when to try again what the disk has no room for.
	diskPause = time.Minute
)

// Quota counts what is stored. It is safe for concurrent use.
type Quota struct {
	now func() time.Time

	mu   sync.Mutex
	cfg  Config
	all  bucket
	by   map[netip.Addr]bucket // by network
	disk disk
}

// New makes a quota that counts from now on; now is time.Now, or a test's clock.
func New(cfg Config, now func() time.Time) *Quota {
	q := &Quota{now: now, by: map[netip.Addr]bucket{}}
	q.Change(cfg)
	return q
}

// Change sets other limits. What was counted stays counted.
func (q *Quota) Change(cfg Config) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cfg = cfg
}

// Take counts bytes that a stranger's request is about to store. The error is an
// [*onramp.Error]: of kind Limited when the address or all of them have stored too much
// in the last minute, of kind Unavailable when the disk has too little space.
func (q *Quota) Take(from netip.Addr, bytes int64) error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if q.disk.low(q.cfg, now, 1) {
		return errDisk
	}
	network, limited := q.network(from)
	if limited {
		if wait := q.bucketOf(network, now).wait(now, q.cfg.PerAddress, 0); wait > 0 {
			return refused("your address has sent too much; please try again later", wait)
		}
	}
	if wait := q.all.wait(now, q.cfg.Total, q.cfg.Total/eventsShare); wait > 0 {
		return refused("too much is being sent at the moment; please try again later", wait)
	}
	q.all.take(now, q.cfg.Total, bytes)
	if limited {
		q.takeOf(network, now, bytes)
	}
	return nil
}

// Return gives back what Take has counted, when nothing was stored after all.
func (q *Quota) Return(from netip.Addr, bytes int64) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.all.take(now, q.cfg.Total, -bytes)
	if network, limited := q.network(from); limited {
		q.takeOf(network, now, -bytes)
	}
}

// TakeProven counts bytes of a request that has proved where it comes from, whatever its
// address. The error is of kind Unavailable. A quarter of what is allowed in all, and half of
// what must stay free on the disk, are there for such requests alone.
func (q *Quota) TakeProven(bytes int64) error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if q.disk.low(q.cfg, now, 2) {
		return errDisk
	}
	if wait := q.all.wait(now, q.cfg.Total, 0); wait > 0 {
		return &onramp.Error{Kind: onramp.Unavailable, Message: "too many events are being sent at the moment; please send them again later", RetryAfter: wait}
	}
	q.all.take(now, q.cfg.Total, bytes)
	return nil
}

// ReturnProven gives back what TakeProven has counted and was not stored.
func (q *Quota) ReturnProven(bytes int64) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all.take(q.now(), q.cfg.Total, -bytes)
}

// Full is why registrations are refused for the space on the disk, nil while they are not.
func (q *Quota) Full() error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk.low(q.cfg, q.now(), 1) {
		return errFull
	}
	return nil
}

// network is by which an address is counted, if its own limit counts for it. Private and
// loopback addresses are no strangers': one is a back end of the operator's, or a proxy
// that brings all visitors.
func (q *Quota) network(from netip.Addr) (network netip.Addr, limited bool) {
	from = from.Unmap().WithZone("")
	if q.cfg.PerAddress == 0 || from.IsPrivate() || from.IsLoopback() {
		return netip.Addr{}, false
	}
	if slices.ContainsFunc(q.cfg.Exempt, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return netip.Addr{}, false
	}
	return web.Network(from), true
}

// bucketOf is what a network may still store. It needs mu.
func (q *Quota) bucketOf(network netip.Addr, now time.Time) *bucket {
	b := q.by[network]
	b.fill(now, q.cfg.PerAddress)
	return &b
}

// takeOf counts bytes of a network, and forgets one that has all of its bytes again.
// It needs mu.
func (q *Quota) takeOf(network netip.Addr, now time.Time, bytes int64) {
	b, known := q.by[network]
	if !known && len(q.by) >= mostAddresses {
		q.forgetOne(now)
	}
	b.take(now, q.cfg.PerAddress, bytes)
	if b.used <= 0 {
		delete(q.by, network)
		return
	}
	q.by[network] = b
}

// forgetOne makes room for another network: of a few, chosen by chance, it forgets the one
// that has used least. Whoever has used much stays known, however many others come.
func (q *Quota) forgetOne(now time.Time) {
	var least netip.Addr
	lowest, seen := int64(-1), 0
	for network, b := range q.by {
		b.fill(now, q.cfg.PerAddress)
		if lowest < 0 || b.used < lowest {
			least, lowest = network, max(b.used, 0)
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(q.by, least)
}

// bucket is what was used of a limit for a minute, less what time has given back. The
// zero value is unused.
type bucket struct {
	used int64 // bytes; above the limit after a request that was larger than what was left
	at   time.Time
}

// fill gives back what the time since the last look allows.
func (b *bucket) fill(now time.Time, limit int64) {
	if passed := now.Sub(b.at); b.used > 0 && passed > 0 {
		b.used = max(b.used-share(limit, passed), 0)
	}
	b.at = now
}

// share is the part of a minute's limit that a time is worth. Beyond an hour it is all
// that could have been used.
func share(limit int64, passed time.Duration) int64 {
	return int64(float64(limit) * min(passed, time.Hour).Minutes())
}

// wait is how long until more than kept is left of the limit; 0: now. A request may use
// more than is left: then the next one waits longer. So no size is refused for ever.
func (b *bucket) wait(now time.Time, limit, kept int64) time.Duration {
	if limit == 0 {
		return 0
	}
	b.fill(now, limit)
	over := b.used - (limit - kept)
	if over < 0 {
		return 0
	}
	return max(time.Duration(float64(over)/float64(limit)*float64(time.Minute)), time.Second)
}

func (b *bucket) take(now time.Time, limit, bytes int64) {
	if limit == 0 {
		return
	}
	b.fill(now, limit)
	b.used = max(b.used+bytes, 0)
}

func refused(message string, wait time.Duration) error {
	return &onramp.Error{Kind: onramp.Limited, Message: message, RetryAfter: wait}
}
