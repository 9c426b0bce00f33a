package setup

import (
	"cmp"
	"context"
	"slices"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// Observe is [Setup.Status] for a process that has not the gateway's store: it goes by
// what Marketing Cloud lists. What only the store knows, such as signature keys and the
// secrets that were submitted, is presumed to be right. Of the configuration it uses
// PublicURL, Callbacks, Clients, Users and Account.
func Observe(ctx context.Context, cfg Config) (Status, error) {
	s := New(Config{PublicURL: cfg.PublicURL, Callbacks: cfg.Callbacks, Clients: cfg.Clients, Users: cfg.Users, Account: cfg.Account})
	actual := s.newInventory()
	actual.clients = s.cfg.Clients
	status := Status{}
	patience, stop := context.WithTimeout(ctx, statusPatience)
	defer stop()
	if err := s.readAccount(patience, actual); err != nil {
		return Status{}, err
	}
	s.presume(actual)
	return status, s.compare(ctx, actual, &status)
}

// presume makes the records that the store would have of what Marketing Cloud lists.
func (s *Setup) presume(h *inventory) {
	desired, _ := s.desiredSchemes(h) // a secret that is missing here may be in the store
	for i := range s.cfg.Callbacks {
		c := &s.cfg.Callbacks[i]
		listed := h.at(c.Name)
		scheme := findScheme(desired, schemeName(c))
		authID := ""
		if scheme != nil {
			authID = h.presumedScheme(scheme, listed)
		}
		recorded := slices.ContainsFunc(h.schemes, func(r onramp.Scheme) bool { return r.AuthID == authID })
		if authID != "" && !recorded {
			h.schemes = append(h.schemes, onramp.Scheme{Name: scheme.name, AuthID: authID, Digest: scheme.digest})
		}
		if listed != nil {
			h.records[c.Name] = onramp.CallbackRecord{
				Name: c.Name, CallbackID: listed.CallbackID, URL: listed.URL, AuthID: cmp.Or(listed.AuthID, authID), MaxBatch: listed.MaxBatchSize,
				SignatureKeys: []onramp.Secret{"presumed"}, Verified: listed.Verified(),
			}
		}
	}
}

// at is the callback at our address with this name, or nil.
func (h *inventory) at(name string) *sfmc.Callback {
	i := slices.IndexFunc(h.callbacks, func(c sfmc.Callback) bool {
		found, ours := cutBase(c.URL, h.base)
		return ours && found == name
	})
	if i < 0 {
		return nil
	}
	return &h.callbacks[i]
}

// presumedScheme is the id of the scheme that fits, "" when there is none. Where
// Marketing Cloud can't list schemes, it is the callback's.
func (h *inventory) presumedScheme(s *scheme, listed *sfmc.Callback) string {
	if len(h.accountSchemes) == 0 && listed != nil {
		return listed.AuthID
	}
	for _, actual := range h.accountSchemes {
		if actual.AuthEndpoint == s.desired.AuthEndpoint && actual.GrantType == s.desired.GrantType && (listed == nil || listed.AuthID == "" || listed.AuthID == actual.AuthID) {
			return actual.AuthID
		}
	}
	return ""
}
