package ens

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"onramp/internal/onramp"
)

// readProbe tells a probe, by which Marketing Cloud asks whether the callback is
// ours, from a batch: it is an object with exactly an id and a key, and is never signed
// (vendor page "Create Callback").
func readProbe(body []byte) (p onramp.Probe, ok bool) {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(body) > maxProbe || !bytes.HasPrefix(trimmed, []byte("{")) {
		return p, false
	}
	var sent struct {
		CallbackID      *string `json:"callbackId"`
		VerificationKey *string `json:"verificationKey"`
		EventType       *string `json:"eventCategoryType"`
	}
	if json.Unmarshal(body, &sent) != nil || sent.CallbackID == nil || sent.VerificationKey == nil || sent.EventType != nil {
		return p, false
	}
	p.CallbackID, p.VerificationKey = *sent.CallbackID, onramp.Secret(*sent.VerificationKey)
	return p, p.CallbackID != "" && p.VerificationKey != ""
}

const (
	maxProbe = 4 << 10 // bytes: what is larger is no probe

	// mostProbes is how many probes of strangers are held for a callback while it is
	// set up: some 8 MB. The real one follows within a second, and nobody else can
	// know its id, so the first ones are the ones to hold.
	mostProbes = 20_000
	// mostOfID is how many keys are held for one id. Set-up tries them all.
	mostOfID = 3

	// Probes with a token that nobody expects are saved, but not faster than this.
	savesPerSecond, savesAtOnce = 5, 50
)

// takeProbe answers a probe with exactly 200, as it wants. The callback's id is not
// known here yet: the answer to its creation follows the probe. So whatever comes
// while the callback is being set up is held in memory, until set-up knows which
// one it needs. At other times a probe is saved if it came with a token; that of a
// stranger serves nobody, and costs nothing.
func (r *Receiver) takeProbe(ctx context.Context, w http.ResponseWriter, c onramp.Callback, p onramp.Probe) error {
	if !onramp.ValidID(p.CallbackID) || !onramp.ValidID(p.VerificationKey.Reveal()) {
		return r.refuse(c.Name, onramp.RefusedProbe, &onramp.Error{Kind: onramp.Invalid, Message: "the id or the key of the probe is not valid"})
	}
	p.Callback, p.ReceivedAt, p.Proven = c.Name, r.cfg.Now().UTC(), c.Auth != onramp.SignatureOnly
	expected, held := r.probes.hold(p)
	if expected && !held || !expected && p.Proven && !r.saves.AllowN(r.cfg.Now(), 1) {
		return r.refuse(c.Name, onramp.RefusedProbe, &onramp.Error{Kind: onramp.Unavailable, Message: "too many probes; please try again", RetryAfter: 10 * time.Second})
	}
	if !expected && p.Proven {
		if err := r.cfg.Events.SaveProbe(ctx, p); err != nil {
			return r.refuse(c.Name, onramp.RefusedNotStored, busy(err))
		}
	}
	r.take(c.Name, "probe")
	w.WriteHeader(http.StatusOK)
	return nil
}

// ExpectProbes holds all probes that come to a callback, until ctx ends.
func (r *Receiver) ExpectProbes(ctx context.Context, callback string) {
	context.AfterFunc(ctx, r.probes.expect(callback))
}

// ListProbes returns the probes of a callback that may be Marketing Cloud's: those
// that are held, with those that came with a token first and in the order in which
// they came, then the saved ones, the newest first.
func (r *Receiver) ListProbes(ctx context.Context, callback string) ([]onramp.Probe, error) {
	saved, err := r.cfg.Events.ListProbes(ctx, callback)
	return append(r.probes.list(callback), saved...), err
}

// SaveProbe keeps a probe over a restart.
func (r *Receiver) SaveProbe(ctx context.Context, p onramp.Probe) error {
	return r.cfg.Events.SaveProbe(ctx, p)
}

func newSaves() *rate.Limiter { return rate.NewLimiter(savesPerSecond, savesAtOnce) }

// probes are those that came to callbacks while they were set up.
type probes struct {
	mu       sync.Mutex
	expected map[string]*heldProbes // by callback
}

// heldProbes are the probes of one callback. Those of strangers never take the
// place of those with a token.
type heldProbes struct{ proven, others heldByID }

// heldByID are probes in the order in which they came.
type heldByID struct {
	inOrder []onramp.Probe
	ofID    map[string][]onramp.Secret // their keys, by id in lower case
}

// expect begins to hold the probes of a callback, and returns how to end that.
func (p *probes) expect(callback string) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := &heldProbes{heldByID{ofID: map[string][]onramp.Secret{}}, heldByID{ofID: map[string][]onramp.Secret{}}}
	if p.expected == nil {
		p.expected = map[string]*heldProbes{}
	}
	p.expected[callback] = held
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.expected[callback] == held {
			delete(p.expected, callback)
		}
	}
}

// hold says whether the callback's probes are expected, and whether there was room
// for this one.
func (p *probes) hold(one onramp.Probe) (expected, held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.expected[one.Callback]
	switch {
	case all == nil:
		return false, false
	case one.Proven:
		return true, all.proven.add(one)
	}
	return true, all.others.add(one)
}

func (h *heldByID) add(one onramp.Probe) bool {
	id := strings.ToLower(one.CallbackID)
	if slices.Contains(h.ofID[id], one.VerificationKey) {
		return true // it is repeated
	}
	if len(h.inOrder) >= mostProbes || len(h.ofID[id]) >= mostOfID {
		return false
	}
	h.ofID[id] = append(h.ofID[id], one.VerificationKey)
	h.inOrder = append(h.inOrder, one)
	return true
}

func (p *probes) list(callback string) []onramp.Probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := p.expected[callback]
	if held == nil {
		return nil
	}
	return append(append([]onramp.Probe(nil), held.proven.inOrder...), held.others.inOrder...)
}
