package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// callback is a callback of the configuration, with its actual state.
type callback struct {
	*onramp.Callback
	url      string
	scheme   *scheme               // nil: its signature alone protects it
	record   onramp.CallbackRecord // saved after each step
	actual   *sfmc.Callback        // nil: it is to be created
	verified bool
}

func (p *plan) newCallback(c *onramp.Callback, schemes []*scheme) *callback {
	return &callback{Callback: c, url: p.actual.base + c.Name, scheme: findScheme(schemes, schemeName(c))}
}

// accountName is what a callback is called in Marketing Cloud.
func accountName(name string) string { return "onramp-" + name }

// maxBatch is the largest number of events in one call. Vendor page "Create
// Callback": 1000 by default.
func (cb *callback) maxBatch() int {
	if cb.MaxBatch == 0 {
		return 1000
	}
	return cb.MaxBatch
}

// authID is the id of its scheme; "" without one, or until the scheme is created.
func (cb *callback) authID() string {
	if cb.scheme == nil {
		return ""
	}
	return cb.scheme.desired.AuthID
}

func (p *plan) planCallback(cb *callback, prune bool) error {
	cb.record = p.actual.records[cb.Name]
	for _, c := range p.actual.callbacksOf(cb.Name) {
		why := p.whyRecreate(cb, c)
		if why == "" {
			cb.actual = &c
			continue
		}
		if others := p.unmanagedSubscriptions(cb, c); len(others) > 0 && !prune {
			return &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf(
				"callback %s must be deleted and recreated, since %s; but it has subscriptions that are not in the configuration (such as %s): add them there, or delete them with --prune",
				cb.Name, why, others[0].SubscriptionName)}
		}
		p.deleteCallback(cb.Name, c, why+"; it is recreated")
	}
	if cb.actual == nil {
		p.createCallback(cb)
		p.verifyCallback(cb)
		return nil
	}
	p.planCallbackChanges(cb)
	return nil
}

// whyRecreate says why a callback in Marketing Cloud can't be changed into the
// desired one; "" when it can.
func (p *plan) whyRecreate(cb *callback, c sfmc.Callback) string {
	if name, ok := cutBase(c.URL, p.actual.base); !ok || name != cb.Name {
		return "its address has changed" // which an update can't
	}
	if cb.scheme == nil && p.actual.schemeOf(c) != "" {
		return "an update can't remove its authentication scheme"
	}
	if c.Verified() {
		return ""
	}
	if len(probesOf(p.actual.probes[cb.Name], c.CallbackID, p.cfg.Now())) == 0 || p.observed.rejected[c.CallbackID] {
		return "it is not verified, and its verification key never arrived, was used, or has expired"
	}
	return ""
}

// planCallbackChanges plans what is still to do about a callback that exists.
func (p *plan) planCallbackChanges(cb *callback) {
	count := len(p.steps)
	if keyKnown := cb.adopt(p.cfg.Now()); !keyKnown {
		p.regenerateKey(cb)
	}
	if !cb.verified {
		p.verifyCallback(cb)
	}
	if why := cb.differences(); why != "" {
		p.updateCallback(cb, why)
	}
	if len(p.steps) == count {
		p.add(step{
			Step: Step{Kind: Keep, Object: Callback, Name: cb.Name, Detail: cb.url, Kept: true},
			do:   func(ctx context.Context) error { return p.refresh(ctx, cb) },
			hint: hintAgain,
		})
	}
}

// adopt takes over what Marketing Cloud says of the callback. It says whether its
// signature key is known: not when there is no record, or one of another callback.
func (cb *callback) adopt(now time.Time) (keyKnown bool) {
	c := cb.actual
	cb.verified = c.Verified()
	keyKnown = cb.record.CallbackID == c.CallbackID && len(cb.record.SignatureKeys) > 0
	if cb.record.CallbackID != c.CallbackID {
		cb.record = onramp.CallbackRecord{
			Name: cb.Name, CallbackID: c.CallbackID, SignatureKeys: cb.record.SignatureKeys, CreatedAt: now.UTC(),
		}
	}
	cb.record.AuthID = cmp.Or(c.AuthID, cb.record.AuthID)
	cb.record.MaxBatch = cmp.Or(c.MaxBatchSize, cb.record.MaxBatch)
	return keyKnown
}

// differences says what an update is to change; "" when there is nothing.
func (cb *callback) differences() string {
	var why string
	if cb.record.MaxBatch != cb.maxBatch() {
		why = fmt.Sprintf("at most %d events in a call", cb.maxBatch())
	}
	if cb.scheme != nil && (cb.authID() == "" || cb.record.AuthID != cb.authID()) {
		if why != "" {
			why += ", "
		}
		why += "authenticates with scheme " + cb.scheme.name
	}
	return why
}

// refresh stores what Marketing Cloud says of a callback, if an interrupted setup
// did not.
func (p *plan) refresh(ctx context.Context, cb *callback) error {
	stored := p.actual.records[cb.Name]
	if stored.Verified == cb.verified && stored.URL == cb.url && stored.AuthID == cb.record.AuthID && stored.MaxBatch == cb.record.MaxBatch {
		return nil
	}
	return p.save(ctx, cb)
}

func (p *plan) save(ctx context.Context, cb *callback) error {
	cb.record.URL, cb.record.Verified = cb.url, cb.verified
	if err := p.cfg.Records.SaveCallbackRecord(ctx, cb.record); err != nil {
		return err
	}
	return p.changed(ctx)
}

// maxKeys is how many signature keys are accepted: the new one, and the one before
// it for events that are already on their way.
const maxKeys = 2

var errNoKey = errors.New("the answer has no signature key")

// saveKey stores a new signature key at once: it is shown only this one time.
func (p *plan) saveKey(ctx context.Context, cb *callback, key sfmc.Secret) error {
	if key == "" {
		return errNoKey
	}
	keys := slices.Insert(slices.Clone(cb.record.SignatureKeys), 0, onramp.Secret(key.Reveal()))
	cb.record.SignatureKeys = keys[:min(len(keys), maxKeys)]
	return p.save(ctx, cb)
}

const hintProbe = "Marketing Cloud probes the address before it accepts a callback, and expects exactly 200: " +
	"check that public.url leads to this gateway from the internet, by https with a valid certificate and without a port, " +
	"and that any proxy in front of it lets " + onramp.CallbackPath + " and " + onramp.TokenPath + " through; then run onramp ens setup again; see onramp check --only public-url"

func (p *plan) createCallback(cb *callback) {
	detail := fmt.Sprintf("%s, at most %d events in a call", cb.url, cb.maxBatch())
	if cb.scheme == nil {
		detail += ", protected by its signature alone"
	} else {
		detail += ", authenticates with scheme " + cb.scheme.name
	}
	p.add(step{
		Step: Step{Kind: Create, Object: Callback, Name: cb.Name, Detail: detail},
		do: func(ctx context.Context) error {
			p.cfg.Arrivals.ExpectProbes(ctx, cb.Name)
			created, err := p.cfg.Account.CreateCallback(ctx, sfmc.Callback{
				CallbackName: accountName(cb.Name), URL: cb.url, MaxBatchSize: cb.maxBatch(), AuthID: cb.authID(),
			})
			if err != nil {
				return errors.Join(err, p.cleanUp(ctx, cb.Name, sfmc.FailedCallbackID(err)))
			}
			cb.record = onramp.CallbackRecord{
				Name: cb.Name, CallbackID: created.CallbackID, AuthID: cb.authID(), MaxBatch: cb.maxBatch(),
				SignatureKeys: cb.record.SignatureKeys, CreatedAt: p.cfg.Now().UTC(),
			}
			cb.verified = created.Verified()
			p.observed.created[created.CallbackID] = true
			return errors.Join(p.saveProbes(ctx, cb), p.saveKey(ctx, cb, created.SignatureKey))
		},
		hint: hintProbe,
	})
}

// cleanUp deletes the incomplete callback that a failed probe leaves behind: its
// URL would stay taken.
func (p *plan) cleanUp(ctx context.Context, name, callbackID string) error {
	if callbackID == "" {
		return nil
	}
	if err := ignoreNotFound(p.cfg.Account.DeleteCallback(ctx, callbackID)); err != nil {
		return fmt.Errorf("the incomplete callback that it left behind was not deleted; the next setup deletes it: %w", err)
	}
	p.cleanups = append(p.cleanups, step{Step: Step{
		Kind: Delete, Object: Callback, Name: name, Detail: "the incomplete one left by the failed probe",
	}})
	return nil
}

var errNoProbe = errors.New("the verification key never arrived here, although Marketing Cloud says that it probed the address")

const hintKey = "check that public.url leads to this gateway, and that no proxy in front of it answers instead; then run onramp ens setup again"

func (p *plan) verifyCallback(cb *callback) {
	p.add(step{
		Step: Step{Kind: Verify, Object: Callback, Name: cb.Name, Detail: "with the key from the probe"},
		do: func(ctx context.Context) error {
			if !cb.verified {
				if err := p.verify(ctx, cb); err != nil {
					return err
				}
			}
			cb.verified = true
			return p.save(ctx, cb)
		},
		hint: hintKey,
	})
}

// listProbes lists the probes that may hold the key of a new callback.
func (p *plan) listProbes(ctx context.Context, cb *callback) ([]onramp.Probe, error) {
	probes, err := p.cfg.Arrivals.ListProbes(ctx, cb.Name)
	if err != nil {
		return nil, fmt.Errorf("list probes: %w", err)
	}
	return probesOf(probes, cb.record.CallbackID, p.cfg.Now()), nil
}

// saveProbes keeps the probes of a new callback, now that its id is known.
func (p *plan) saveProbes(ctx context.Context, cb *callback) error {
	probes, err := p.listProbes(ctx, cb)
	for _, probe := range probes {
		err = errors.Join(err, p.cfg.Arrivals.SaveProbe(ctx, probe))
	}
	return err
}

// verify tries the keys of the probes. It returns errReplan when they are rejected:
// the callback may have been verified by now, and otherwise it is recreated, but not
// twice.
func (p *plan) verify(ctx context.Context, cb *callback) error {
	id := cb.record.CallbackID
	probes, err := p.listProbes(ctx, cb)
	if err != nil {
		return err
	}
	if len(probes) == 0 {
		return errNoProbe
	}
	for _, probe := range probes {
		err = p.cfg.Account.VerifyCallback(ctx, id, sfmc.Secret(probe.VerificationKey.Reveal()))
		if !hasStatus(err, http.StatusNotFound) {
			break
		}
	}
	if hasStatus(err, http.StatusNotFound) && !p.observed.created[id] {
		p.observed.rejected[id] = true
		return errReplan
	}
	return err
}

func (p *plan) regenerateKey(cb *callback) {
	p.add(step{
		Step: Step{Kind: Regenerate, Object: SignatureKey, Name: cb.Name, Detail: "the current one is not stored here, and is shown only once"},
		do: func(ctx context.Context) error {
			updated, err := p.cfg.Account.RegenerateSignatureKey(ctx, cb.record.CallbackID)
			if err != nil {
				return err
			}
			return p.saveKey(ctx, cb, updated.SignatureKey)
		},
		hint: hintAgain,
	})
}

func (p *plan) updateCallback(cb *callback, why string) {
	p.add(step{
		Step: Step{Kind: Update, Object: Callback, Name: cb.Name, Detail: why},
		do: func(ctx context.Context) error {
			_, err := p.cfg.Account.UpdateCallback(ctx, sfmc.Callback{
				CallbackID: cb.actual.CallbackID, CallbackName: cmp.Or(cb.actual.CallbackName, accountName(cb.Name)), MaxBatchSize: cb.maxBatch(), AuthID: cb.authID(),
			})
			if err != nil {
				return err
			}
			cb.record.AuthID, cb.record.MaxBatch = cb.authID(), cb.maxBatch()
			return p.save(ctx, cb)
		},
		hint: hintAgain,
	})
}
