package ens

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"onramp/internal/sandbox/wire"
)

const (
	// minBatchSize and maxBatchSize bound the events in one request; the latter
	// is the default, too. Vendor page createCallback.
	minBatchSize = 100
	maxBatchSize = 1000
	// verifyTime is how long a verification key works, on the host's clock.
	// Vendor page verifyCallback: "within four hours".
	verifyTime = 4 * time.Hour
)

// sentCallback is a member of POST and PUT /platform/v1/ens-callbacks.
type sentCallback struct {
	CallbackID   *string         `json:"callbackId"`
	CallbackName *string         `json:"callbackName"`
	URL          *string         `json:"url"`
	MaxBatchSize *int            `json:"maxBatchSize"`
	AuthID       json.RawMessage `json:"authId"` // "" and null: none
}

// callbackAnswer is a callback as calls return it: each has some of the fields.
// Undocumented: authId in answers.
type callbackAnswer struct {
	CallbackID   string `json:"callbackId"`
	CallbackName string `json:"callbackName"`
	URL          string `json:"url"`
	SignatureKey string `json:"signatureKey,omitempty"`
	MaxBatchSize int    `json:"maxBatchSize,omitempty"`
	AuthID       string `json:"authId,omitempty"`
	Status       string `json:"status,omitempty"`
	StatusReason string `json:"statusReason,omitempty"`
}

// answer is the callback as all calls return it.
func (cb *callback) answer() callbackAnswer {
	return callbackAnswer{
		CallbackID: cb.id, CallbackName: cb.name, URL: cb.url, MaxBatchSize: cb.maxBatchSize, AuthID: cb.authID,
	}
}

// withStatus adds what the GETs return. Undocumented: the status of a callback
// that is not verified, and its reason.
func (cb *callback) withStatus() callbackAnswer {
	a := cb.answer()
	a.Status, a.StatusReason = "unverified", "none"
	if cb.verified {
		a.Status = "verified"
	}
	return a
}

// newKey is 32 random bytes in base64, as the vendor's keys are.
func newKey() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand says so
	return base64.StdEncoding.EncodeToString(secret[:])
}

// over lays what both POST and PUT take over a callback. It needs the host's
// lock, under which the callback must be stored, so that its scheme stays.
func (m sentCallback) over(cb callback, w *world) (callback, error) {
	var err error
	if cb.name, err = required("callbackName", m.CallbackName); err != nil {
		return cb, err
	}
	if m.MaxBatchSize != nil {
		cb.maxBatchSize = *m.MaxBatchSize
	}
	if cb.maxBatchSize < minBatchSize || cb.maxBatchSize > maxBatchSize {
		return cb, invalid("maxBatchSize", fmt.Sprintf("is not in %d to %d", minBatchSize, maxBatchSize))
	}
	if len(m.AuthID) == 0 {
		return cb, nil
	}
	id, ok := wire.Text(m.AuthID)
	switch {
	case !ok:
		return cb, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "The parameter authId is not of the expected type.")
	case id != "" && w.scheme(id) == nil:
		return cb, invalid("authId", "does not reference an authentication that exists")
	}
	cb.authID = id
	return cb, nil
}

// createCallbacks answers POST /platform/v1/ens-callbacks. The probe arrives
// before the answer does. A caller that hangs up does not end it.
func (s *Service) createCallbacks(c *wire.Call) (wire.Answer, error) {
	ctx := context.WithoutCancel(c.Request.Context())
	return eachMember(c, http.StatusCreated, func(m sentCallback) (any, error) {
		cb, err := s.addCallback(m)
		if err != nil {
			return nil, err
		}
		failed := s.probe(ctx, cb)
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		known := s.world.callback(cb.id)
		switch {
		case known == nil: // deleted while it was probed
			return nil, unknownID("callback")
		case failed != nil:
			known.verificationKey = ""
			return nil, probeError(cb, failed)
		}
		a := cb.answer()
		a.SignatureKey = cb.signatureKey
		return a, nil
	})
}

// probeError is the vendor's message for a callback that did not take its probe:
// page createCallback. "Please delete" says that the callback is there.
// Undocumented: the errorcode; and that the key, which may have arrived, does not
// work any more.
func probeError(cb callback, err error) error {
	return wire.Failuref(http.StatusBadRequest, wire.CodeGeneric,
		"MCMS_UWH_Runtime_GeneralFailure_probeCallbackLiveness: CallbackId is %s. Could not verify callback url '%s'. "+
			"Please test that the url is reachable with a https POST call and returns a 200 http status code. "+
			"To retry please delete the callback and create it again. Status: %v", cb.id, cb.url, err)
}

// addCallback adds a callback that is not verified and returns a copy.
// Undocumented: two URLs are the same when they are so letter by letter; the
// status of a second one (the vendor's page says both "error" and 304).
func (s *Service) addCallback(m sentCallback) (callback, error) {
	url, err := required("url", m.URL)
	if err != nil {
		return callback{}, err
	}
	if err := s.checkURL("url", url, false); err != nil {
		return callback{}, err
	}
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	w := s.world
	cb, err := m.over(callback{
		id: wire.NewGUID(), url: url, maxBatchSize: maxBatchSize, signatureKey: newKey(), verificationKey: newKey(),
		verifyBy: s.host.Now().Add(verifyTime),
	}, w)
	if err != nil {
		return callback{}, err
	}
	if slices.ContainsFunc(w.callbacks, func(other *callback) bool { return other.url == url }) {
		return callback{}, invalid("url", "is registered already")
	}
	stored := cb
	w.callbacks = append(w.callbacks, &stored)
	return cb, nil
}

// updateCallbacks answers PUT /platform/v1/ens-callbacks. Undocumented: what is
// not sent stays, a url that is sent is ignored, and an authId of "" or null
// takes the scheme away.
func (s *Service) updateCallbacks(c *wire.Call) (wire.Answer, error) {
	return eachMember(c, http.StatusOK, func(m sentCallback) (any, error) {
		id, err := required("callbackId", m.CallbackID)
		if err != nil {
			return nil, err
		}
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		w := s.world
		known := w.callback(id)
		if known == nil {
			return nil, unknownID("callback")
		}
		cb, err := m.over(*known, w)
		if err != nil {
			return nil, err
		}
		if cb.authID != known.authID || cb.maxBatchSize != known.maxBatchSize {
			now := s.host.Now()
			cb.beforeAuthID, cb.beforeMaxBatchSize = w.terms(known, now)
			cb.changedFrom = now.Add(s.activation)
		}
		*known = cb
		return cb.answer(), nil
	})
}

// terms are the scheme and the number of events that a callback's requests have
// at a time: a change takes a while to have effect. Vendor page
// ens-oauth2-support: "The callback requires up to two minutes for changes to
// become active." Undocumented: a scheme that was deleted meanwhile is used no
// more. It needs the host's lock.
func (w *world) terms(cb *callback, now time.Time) (authID string, maxBatchSize int) {
	authID, maxBatchSize = cb.authID, cb.maxBatchSize
	if now.Before(cb.changedFrom) {
		maxBatchSize = cb.beforeMaxBatchSize
		if cb.beforeAuthID == "" || w.scheme(cb.beforeAuthID) != nil {
			authID = cb.beforeAuthID
		}
	}
	return authID, maxBatchSize
}

// listCallbacks answers GET /platform/v1/ens-callbacks. Undocumented: that none
// is an empty list; the vendor's page has 404 "Callback doesn't exist", too.
func (s *Service) listCallbacks(*wire.Call) (wire.Answer, error) {
	list := []callbackAnswer{}
	s.host.Lock.Lock()
	for _, cb := range s.world.callbacks {
		list = append(list, cb.withStatus())
	}
	s.host.Lock.Unlock()
	return wire.JSON(http.StatusOK, list), nil
}

// getCallback answers GET /platform/v1/ens-callbacks/{callbackId}.
func (s *Service) getCallback(c *wire.Call) (wire.Answer, error) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	cb := s.world.callback(c.Param("callbackId"))
	if cb == nil {
		return wire.Answer{}, unknownID("callback")
	}
	return wire.JSON(http.StatusOK, cb.withStatus()), nil
}

// deleteCallback answers DELETE /platform/v1/ens-callbacks/{callbackId}.
func (s *Service) deleteCallback(c *wire.Call) (wire.Answer, error) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	w := s.world
	cb := w.callback(c.Param("callbackId"))
	if cb == nil {
		return wire.Answer{}, unknownID("callback")
	}
	if len(w.subscriptionsOf(cb.id)) > 0 {
		return wire.Answer{}, wire.Failuref(http.StatusConflict, wire.CodeInvalidTransition,
			"Subscriptions exist for the callback. Delete all subscriptions for the callback before deleting the callback.")
	}
	w.callbacks = slices.DeleteFunc(w.callbacks, func(other *callback) bool { return other == cb })
	return done(), nil
}

// verification is the body of a probe and a member of POST /platform/v1/ens-verify.
type verification struct {
	CallbackID      *string `json:"callbackId"`
	VerificationKey *string `json:"verificationKey"`
}

// verifyCallbacks answers POST /platform/v1/ens-verify. A callback may verify
// itself while it is being probed. Undocumented: a key that was used, or is too
// old, answers like a wrong one; the body of the answer.
func (s *Service) verifyCallbacks(c *wire.Call) (wire.Answer, error) {
	return eachMember(c, http.StatusOK, func(m verification) (any, error) {
		id, err := required("callbackId", m.CallbackID)
		if err != nil {
			return nil, err
		}
		key, err := required("verificationKey", m.VerificationKey)
		if err != nil {
			return nil, err
		}
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		cb := s.world.callback(id)
		if cb == nil || cb.verificationKey != key || s.host.Now().After(cb.verifyBy) {
			return nil, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "Incorrect callback ID, verification key, or both.")
		}
		cb.verified, cb.verificationKey = true, ""
		return struct{}{}, nil
	})
}

// sentRegenerate is a member of PUT /platform/v1/ens-regenerate.
type sentRegenerate struct {
	CallbackID *string `json:"callbackId"`
}

// regenerateKeys answers PUT /platform/v1/ens-regenerate: from now on all is
// signed with another key.
func (s *Service) regenerateKeys(c *wire.Call) (wire.Answer, error) {
	return eachMember(c, http.StatusOK, func(m sentRegenerate) (any, error) {
		id, err := required("callbackId", m.CallbackID)
		if err != nil {
			return nil, err
		}
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		cb := s.world.callback(id)
		if cb == nil {
			return nil, unknownID("callback")
		}
		cb.signatureKey = newKey()
		return callbackAnswer{
			CallbackID: cb.id, CallbackName: cb.name, URL: cb.url, SignatureKey: cb.signatureKey, AuthID: cb.authID,
		}, nil
	})
}
