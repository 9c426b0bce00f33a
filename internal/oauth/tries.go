package oauth

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"onramp/internal/web"
)

const (
	maxTries     = 10              // failed tries in a row
	tryEvery     = 6 * time.Second // one more try
	provenFor    = 24 * time.Hour  // how long an address is trusted that has shown the right secret
	rememberable = 4096            // half the number of pairs of client and address that are remembered, twice: see tries
)

// tries limits failed tries for each client, user and address.
//
// A failed try costs one of ten, and one comes back every six seconds. Callers
// who have none left get a 429 whatever they send, right or wrong, so that
// guessing gets no further. The real client must not be locked out by somebody
// else's tries: it usually comes from another address, and where it doesn't
// (behind a proxy that isn't trusted, all of them have the proxy's address) two
// kinds of right secrets always pass: one that is too long to be guessed, for
// which the limit only saves work, and one that was right at this address
// before. What remains is that a short secret can be guessed without limit from
// the very address of its owner; a short one is warned about at start.
//
// Names that nobody has are remembered apart: a stranger can invent any number, and
// must not push out what is known of the real ones.
type tries struct {
	mu       sync.Mutex
	seed     maphash.Seed
	pairs    recent[uint64, *pair]
	invented recent[uint64, *pair]
}

// pair is what is known of a client at an address.
type pair struct {
	left   *rate.Limiter
	proven time.Time // when the right secret was last shown; zero: never
}

// verdict is what becomes of a try.
type verdict uint8

const (
	pass verdict = iota
	wrong
	tooMany
)

func newTries() *tries {
	return &tries{
		seed: maphash.MakeSeed(), pairs: newRecent[uint64, *pair](rememberable), invented: newRecent[uint64, *pair](rememberable),
	}
}

// who is whose tries are counted together.
type who struct {
	client, user string
	network      netip.Addr // invalid: no address was found
}

// judge counts a try and says whether it passes. a is the account that was
// tried; right says whether the secret is one of its.
func (t *tries) judge(w who, a *account, right bool, now time.Time) verdict {
	if right && !a.guessable {
		return pass
	}
	key := maphash.Comparable(t.seed, w) // a stranger's names may be long: they are not kept
	t.mu.Lock()
	defer t.mu.Unlock()
	pairs := &t.pairs
	if a.id == "" { // nobody
		pairs = &t.invented
	}
	p, known := pairs.get(key)
	if !known {
		p = &pair{left: rate.NewLimiter(rate.Every(tryEvery), maxTries)}
		pairs.put(key, p)
	}
	switch {
	case right && (p.left.TokensAt(now) >= 1 || now.Sub(p.proven) < provenFor):
		p.proven = now
		return pass
	case !right && p.left.AllowN(now, 1):
		return wrong
	}
	return tooMany
}

// networkOf gives the network that a request comes from.
func networkOf(r *http.Request) netip.Addr {
	address, _ := netip.ParseAddr(web.IP(r.Context())) // fails only if none was found
	return web.Network(address)
}
