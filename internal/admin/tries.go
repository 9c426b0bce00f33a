package admin

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"onramp/internal/web"
)

const (
	maxTries    = 10              // wrong tokens from an address in a row
	tryEvery    = 6 * time.Second // one more
	maxTriesAll = 100             // from all addresses
	tryAllEvery = time.Second
	rememberTo  = 4096        // addresses; beyond it all are forgotten, and the limit for all holds
	calmAfter   = time.Minute // without a wrong token: the next one begins a new burst
)

// tries limits wrong tokens, for each address and in all. The right one always
// passes: nobody can lock the operator out, and its length is what protects it.
// The limit saves work, and shows in the log that someone is guessing.
type tries struct {
	mu     sync.Mutex
	all    *rate.Limiter
	by     map[netip.Addr]*rate.Limiter // by network
	last   time.Time                    // when a wrong token came
	logged bool                         // that this burst is limited
}

func newTries() *tries {
	return &tries{all: rate.NewLimiter(rate.Every(tryAllEvery), maxTriesAll), by: map[netip.Addr]*rate.Limiter{}}
}

// wrong counts a wrong token. limited says that there were too many, first that
// this is the first such of a burst.
func (t *tries) wrong(r *http.Request, now time.Time) (limited, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.last) > calmAfter {
		t.logged = false
	}
	t.last = now
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // what is no address counts as one
	network := web.Network(peer.Addr())
	one := t.by[network]
	if one == nil {
		if len(t.by) >= rememberTo {
			clear(t.by)
		}
		one = rate.NewLimiter(rate.Every(tryEvery), maxTries)
		t.by[network] = one
	}
	if one.AllowN(now, 1) && t.all.AllowN(now, 1) {
		return false, false
	}
	first, t.logged = !t.logged, true
	return true, first
}

// refuse answers a wrong token: with bring, or with 429 when there were too many.
func (a *Admin) refuse(w http.ResponseWriter, r *http.Request, bring error) error {
	limited, first := a.tries.wrong(r, time.Now())
	if first {
		a.Server.Log.WarnContext(r.Context(), "someone is trying admin tokens: tries are limited until they stop; if it is not one of yours, let only operators reach admin.listen")
	}
	if !limited {
		return bring
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", strconv.Itoa(int(tryEvery/time.Second)))
	w.WriteHeader(http.StatusTooManyRequests)
	// a client that has gone away is nobody's error
	_ = json.NewEncoder(w).Encode(web.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusTooManyRequests), Status: http.StatusTooManyRequests,
		Detail: "too many wrong admin tokens; wait before the next one",
	})
	return nil
}
