package setup

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// inventory is what there is: what we have kept, and what Marketing Cloud lists.
type inventory struct {
	base string // of our callbacks' URLs

	schemes []onramp.Scheme
	records map[string]onramp.CallbackRecord // by name
	clients []onramp.TokenClient
	probes  map[string][]onramp.Probe // by the callback's name

	accountSchemes []sfmc.AuthScheme              // of everybody; none also when Marketing Cloud does not list them
	callbacks      []sfmc.Callback                // of everybody
	subscriptions  map[string][]sfmc.Subscription // of our callbacks, by the callback's id
}

// look reads all of it.
func (s *Setup) look(ctx context.Context) (*inventory, error) {
	h, err := s.lookHere(ctx)
	if err != nil {
		return nil, err
	}
	return h, s.lookThere(ctx, h)
}

// lookHere reads what we have kept.
func (s *Setup) lookHere(ctx context.Context) (*inventory, error) {
	h := &inventory{
		base: s.PublicURL + onramp.CallbackPath, records: map[string]onramp.CallbackRecord{},
		probes: map[string][]onramp.Probe{}, subscriptions: map[string][]sfmc.Subscription{},
	}
	var err error
	if h.schemes, err = s.Store.ListSchemes(ctx); err != nil {
		return nil, fmt.Errorf("list schemes that are kept: %w", err)
	}
	records, err := s.Store.ListCallbackRecords(ctx)
	if err != nil {
		return nil, fmt.Errorf("list records of callbacks: %w", err)
	}
	for _, r := range records {
		h.records[r.Name] = r
	}
	clients, err := s.Store.ListTokenClients(ctx)
	if err != nil {
		return nil, fmt.Errorf("list token clients: %w", err)
	}
	h.clients = append(append(h.clients, s.Clients...), clients...)
	for i := range s.Callbacks {
		name := s.Callbacks[i].Name
		if h.probes[name], err = s.Store.ListProbes(ctx, name); err != nil {
			return nil, fmt.Errorf("list probes of callback %s: %w", name, err)
		}
	}
	return h, nil
}

// lookThere reads what Marketing Cloud lists.
func (s *Setup) lookThere(ctx context.Context, h *inventory) error {
	const listing = "list the actual state in Marketing Cloud"
	var err error
	if len(h.schemes) > 0 || usesSchemes(s.Callbacks) {
		h.accountSchemes, err = s.Account.ListAuthSchemes(ctx)
		// no page of the vendor's names this call, so it may not be there
		if err != nil && !hasStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, statusNoService) {
			return failure(listing, hintAgain, err)
		}
	}
	// 404 stands for "Callback doesn't exist" in the vendor's table of this call, too
	if h.callbacks, err = s.Account.ListCallbacks(ctx); unlessGone(err) != nil {
		return failure(listing, hintAgain, err)
	}
	for _, c := range h.callbacks {
		if _, ours := h.owner(c); !ours {
			continue
		}
		if h.subscriptions[c.CallbackID], err = s.Account.ListSubscriptions(ctx, c.CallbackID); unlessGone(err) != nil {
			return failure(listing, hintAgain, err)
		}
	}
	return nil
}

func usesSchemes(callbacks []onramp.Callback) bool {
	for i := range callbacks {
		if callbacks[i].Auth != onramp.SignatureOnly {
			return true
		}
	}
	return false
}

// owner gives the name of ours that a callback has: by its URL, or by the record
// of its id when it is at another one. Others' callbacks are never touched.
func (h *inventory) owner(c sfmc.Callback) (name string, ours bool) {
	if name, ok := cutBase(c.URL, h.base); ok {
		return name, true
	}
	for name, r := range h.records {
		if r.CallbackID == c.CallbackID {
			return name, true
		}
	}
	return "", false
}

// cutBase takes the base off a URL. Letters of scheme and host count in any case.
func cutBase(url, base string) (name string, ok bool) {
	if len(url) <= len(base) || !strings.EqualFold(url[:len(base)], base) {
		return "", false
	}
	name = strings.TrimSuffix(url[len(base):], "/")
	return name, name != "" && !strings.Contains(name, "/")
}

// names are those of all callbacks of ours, recorded or in Marketing Cloud.
func (h *inventory) names() map[string]bool {
	names := map[string]bool{}
	for name := range h.records {
		names[name] = true
	}
	for _, c := range h.callbacks {
		if name, ours := h.owner(c); ours {
			names[name] = true
		}
	}
	return names
}

// callbacksOf lists a name's callbacks in Marketing Cloud. There are two when one
// is still at an address that the gateway had before.
func (h *inventory) callbacksOf(name string) []sfmc.Callback {
	var list []sfmc.Callback
	for _, c := range h.callbacks {
		if owner, ours := h.owner(c); ours && owner == name {
			list = append(list, c)
		}
	}
	return byName(list, func(c sfmc.Callback) string { return c.CallbackID })
}

// schemeOf gives the id of a callback's scheme: as Marketing Cloud tells it, or
// else as we have left it.
func (h *inventory) schemeOf(c sfmc.Callback) string {
	if c.AuthID != "" {
		return c.AuthID
	}
	for _, r := range h.records {
		if r.CallbackID == c.CallbackID {
			return r.AuthID
		}
	}
	return ""
}

// verificationWindow is how long a verification key lives. Vendor page "Verify
// Callback".
const verificationWindow = 4 * time.Hour

// key finds the verification key of a callback among probes.
func key(probes []onramp.Probe, callbackID string, now time.Time) (onramp.Secret, bool) {
	for _, p := range probes {
		if strings.EqualFold(p.CallbackID, callbackID) && now.Sub(p.ReceivedAt) < verificationWindow {
			return p.VerificationKey, true
		}
	}
	return "", false
}
