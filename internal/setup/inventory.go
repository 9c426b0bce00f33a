package setup

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// inventory is the actual state: what we have stored, and what Marketing Cloud
// lists.
type inventory struct {
	base string // of our callbacks' URLs

	schemes []onramp.Scheme
	records map[string]onramp.CallbackRecord // by name
	clients []onramp.TokenClient
	probes  map[string][]onramp.Probe // by the callback's name

	accountSchemes []sfmc.AuthScheme              // everybody's; also none when Marketing Cloud can't list them
	callbacks      []sfmc.Callback                // everybody's
	subscriptions  map[string][]sfmc.Subscription // of our callbacks, by the callback's id
}

func (s *Setup) readActual(ctx context.Context) (*inventory, error) {
	h, err := s.readStored(ctx)
	if err != nil {
		return nil, err
	}
	return h, s.readAccount(ctx, h)
}

func (s *Setup) newInventory() *inventory {
	return &inventory{
		base: s.cfg.PublicURL + onramp.CallbackPath, records: map[string]onramp.CallbackRecord{},
		probes: map[string][]onramp.Probe{}, subscriptions: map[string][]sfmc.Subscription{},
	}
}

// readStored reads what we have stored.
func (s *Setup) readStored(ctx context.Context) (*inventory, error) {
	h := s.newInventory()
	var err error
	if h.schemes, err = s.cfg.Schemes.ListSchemes(ctx); err != nil {
		return nil, fmt.Errorf("list stored schemes: %w", err)
	}
	records, err := s.cfg.Records.ListCallbackRecords(ctx)
	if err != nil {
		return nil, fmt.Errorf("list records of callbacks: %w", err)
	}
	for _, r := range records {
		h.records[r.Name] = r
	}
	clients, err := s.cfg.StoredClients.ListTokenClients(ctx)
	if err != nil {
		return nil, fmt.Errorf("list token clients: %w", err)
	}
	h.clients = slices.Concat(s.cfg.Clients, clients)
	for i := range s.cfg.Callbacks {
		name := s.cfg.Callbacks[i].Name
		if h.probes[name], err = s.cfg.Arrivals.ListProbes(ctx, name); err != nil {
			return nil, fmt.Errorf("list probes of callback %s: %w", name, err)
		}
	}
	return h, nil
}

// readAccount reads what Marketing Cloud lists.
func (s *Setup) readAccount(ctx context.Context, h *inventory) error {
	const reading = "read the actual state from Marketing Cloud"
	var err error
	if len(h.schemes) > 0 || usesSchemes(s.cfg.Callbacks) {
		h.accountSchemes, err = s.cfg.Account.ListAuthSchemes(ctx)
		// none of the vendor's pages documents this call, so it may not exist
		if err != nil && !hasStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, sfmc.StatusServiceNotFound) {
			return failure(reading, hintAgain, err)
		}
	}
	// in the vendor's table for this call 404 also means "Callback doesn't exist"
	if h.callbacks, err = s.cfg.Account.ListCallbacks(ctx); ignoreNotFound(err) != nil {
		return failure(reading, hintAgain, err)
	}
	for _, c := range h.callbacks {
		if _, ours := h.owner(c); !ours {
			continue
		}
		if h.subscriptions[c.CallbackID], err = s.cfg.Account.ListSubscriptions(ctx, c.CallbackID); ignoreNotFound(err) != nil {
			return failure(reading, hintAgain, err)
		}
	}
	return nil
}

func usesSchemes(callbacks []onramp.Callback) bool {
	return slices.ContainsFunc(callbacks, func(c onramp.Callback) bool { return c.Auth != onramp.SignatureOnly })
}

// owner gives our name of a callback: from its URL, or from the record with its id
// when it is at another URL. Other systems' callbacks are never touched.
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

// cutBase takes the base off a URL, upper or lower case.
func cutBase(url, base string) (name string, ok bool) {
	if len(url) <= len(base) || !strings.EqualFold(url[:len(base)], base) {
		return "", false
	}
	name = strings.TrimSuffix(url[len(base):], "/")
	return name, name != "" && !strings.Contains(name, "/")
}

// names are those of all our callbacks, recorded or in Marketing Cloud.
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
// is still at a former address of the gateway.
func (h *inventory) callbacksOf(name string) []sfmc.Callback {
	var list []sfmc.Callback
	for _, c := range h.callbacks {
		if owner, ours := h.owner(c); ours && owner == name {
			list = append(list, c)
		}
	}
	return byName(list, func(c sfmc.Callback) string { return c.CallbackID })
}

// schemeOf gives the id of a callback's scheme: from Marketing Cloud, or else from
// our record.
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

// verificationWindow is how long a verification key is valid. Vendor page "Verify
// Callback".
const verificationWindow = 4 * time.Hour

// probesOf are the probes that may hold the key of a callback.
func probesOf(probes []onramp.Probe, callbackID string, now time.Time) []onramp.Probe {
	return slices.DeleteFunc(slices.Clone(probes), func(p onramp.Probe) bool {
		return !strings.EqualFold(p.CallbackID, callbackID) || now.Sub(p.ReceivedAt) >= verificationWindow
	})
}
