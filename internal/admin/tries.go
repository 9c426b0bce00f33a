package admin

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"onramp/internal/operator"
	"onramp/internal/web"
)

const (
	freeTries   = 10               // wrong tokens of a network that have no delay
	firstDelay  = time.Second      // after the next one; doubled with each one more
	longestWait = 5 * time.Minute  // for one network
	forgiveTo   = 15 * time.Minute // without a wrong token, and they are forgotten
	trustFor    = 24 * time.Hour   // a network from which a right token came is not locked
	rememberTo  = 4096             // networks
	calmAfter   = time.Minute      // without a wrong token: the next one begins a new burst
	lastingFor  = 10 * time.Minute // a burst is a lasting one from then on
	tellFor     = time.Hour        // how long its end is remembered
)

// Tries slows down who guesses admin tokens. After ten wrong ones from a network, which is an IPv4
// address or a /64 of IPv6, none from there is looked at for a while that doubles with each wrong
// one more: 2,000 guesses take a week. Other networks are not affected, and one from which a right
// token came within a day is never locked: an operator who shares it with a program that has an old
// token can go on to work. Its memory is bounded. The zero value is ready, and is safe for
// concurrent use; the configurations of a process share one.
type Tries struct {
	mu     sync.Mutex
	by     map[netip.Addr]*tried // by network
	begun  time.Time             // of the burst
	last   time.Time             // when a wrong token came
	wrong  int64                 // in this burst
	logged bool                  // that this burst is limited
}

// tried is what came from a network.
type tried struct {
	wrong       int       // in a row
	last        time.Time // wrong one
	lockedUntil time.Time // none is looked at
	trusted     time.Time // when a right one came
}

// networkOf is the network of a request. What is no address counts as one.
func networkOf(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return web.Network(peer.Addr())
}

// locked says how long no token from a network is looked at; 0: it is.
func (t *Tries) locked(network netip.Addr, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.by[network]
	if one == nil || one.isTrusted(now) {
		return 0
	}
	return max(0, one.lockedUntil.Sub(now))
}

func (o *tried) isTrusted(now time.Time) bool {
	return !o.trusted.IsZero() && now.Sub(o.trusted) < trustFor
}

// right notes that a right token came.
func (t *Tries) right(network netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.of(network, now)
	one.trusted, one.wrong, one.lockedUntil = now, 0, time.Time{}
}

// count counts a wrong token, or one that was not looked at. wait is how long no other one is;
// first says that this is the first of a burst that is limited.
func (t *Tries) count(network netip.Addr, looked bool, now time.Time) (wait time.Duration, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.last) > calmAfter {
		t.begun, t.wrong, t.logged = now, 0, false
	}
	t.last = now
	t.wrong++
	one := t.of(network, now)
	if looked {
		if now.Sub(one.last) > forgiveTo {
			one.wrong = 0
		}
		one.wrong++
		one.last = now
		one.lockedUntil = now.Add(delayAfter(one.wrong))
	}
	if wait = one.lockedUntil.Sub(now); wait <= 0 {
		return 0, false
	}
	first, t.logged = !t.logged, true
	return wait, first
}

// delayAfter is how long to wait after so many wrong tokens.
func delayAfter(wrong int) time.Duration {
	over := wrong - freeTries
	switch {
	case over <= 0:
		return 0
	case over > 10:
		return longestWait
	}
	return min(longestWait, firstDelay<<(over-1))
}

// of finds what came from a network, and makes room for it: first goes what is forgiven, then what is
// oldest.
func (t *Tries) of(network netip.Addr, now time.Time) *tried {
	if one := t.by[network]; one != nil {
		return one
	}
	if t.by == nil {
		t.by = map[netip.Addr]*tried{}
	}
	if len(t.by) >= rememberTo {
		t.forget(now)
	}
	one := &tried{}
	t.by[network] = one
	return one
}

func (t *Tries) forget(now time.Time) {
	var oldest netip.Addr
	var at time.Time
	for network, one := range t.by {
		last := one.lockedUntil
		if last.Before(one.trusted) {
			last = one.trusted
		}
		if now.Sub(one.last) > forgiveTo && !one.isTrusted(now) {
			delete(t.by, network)
			continue
		}
		if at.IsZero() || last.Before(at) {
			oldest, at = network, last
		}
	}
	if len(t.by) >= rememberTo {
		delete(t.by, oldest)
	}
}

// Guessing says whether someone is guessing, for alerts: the zero value when not, or not for long.
func (t *Tries) Guessing(now time.Time) operator.Guessing {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.logged || t.last.Sub(t.begun) < lastingFor || now.Sub(t.last) > tellFor {
		return operator.Guessing{}
	}
	return operator.Guessing{Since: t.begun, Last: t.last, Wrong: t.wrong}
}

// tooMany answers a token that is not looked at, or one that was one wrong too many.
func (a *Admin) tooMany(w http.ResponseWriter, r *http.Request, wait time.Duration, first bool) error {
	if first {
		a.Server.Log.WarnContext(r.Context(), "someone is trying admin tokens: tries are limited until they stop; if it is not one of yours, let only operators reach admin.listen")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	w.WriteHeader(http.StatusTooManyRequests)
	// a client that has gone away is nobody's error
	_ = json.NewEncoder(w).Encode(web.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusTooManyRequests), Status: http.StatusTooManyRequests,
		Detail: "too many wrong admin tokens; wait before the next one",
	})
	return nil
}
