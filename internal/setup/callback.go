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

// place is a callback of the configuration on its way into Marketing Cloud.
type place struct {
	*onramp.Callback
	url      string
	scheme   *scheme               // nil: the signature alone protects it
	record   onramp.CallbackRecord // as it is kept, and stored after each step
	there    *sfmc.Callback        // nil: it is to be made
	verified bool
}

func (p *plan) newPlace(c *onramp.Callback, schemes []*scheme) *place {
	return &place{Callback: c, url: p.have.base + c.Name, scheme: find(schemes, schemeName(c))}
}

// accountName is what a callback is called in Marketing Cloud.
func accountName(name string) string { return "onramp-" + name }

// maxBatch is how many events one call holds at the most. Vendor page "Create
// Callback": 1000 unless told otherwise.
func (pl *place) maxBatch() int {
	if pl.MaxBatch == 0 {
		return 1000
	}
	return pl.MaxBatch
}

// authID is the id of its scheme; "" without one, or while that is to be made.
func (pl *place) authID() string {
	if pl.scheme == nil {
		return ""
	}
	return pl.scheme.want.AuthID
}

func (p *plan) drawCallback(pl *place, prune bool) error {
	pl.record = p.have.records[pl.Name]
	for _, c := range p.have.callbacksOf(pl.Name) {
		why := p.obstacle(pl, c)
		if why == "" {
			pl.there = &c
			continue
		}
		if extra := p.extraSubscriptions(pl, c); len(extra) > 0 && !prune {
			return &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf(
				"callback %s must be deleted and made again, since %s; but it has subscriptions that the configuration does not name (such as %s): name them there, or let --prune delete them",
				pl.Name, why, extra[0].SubscriptionName)}
		}
		p.deleteCallback(pl.Name, c, why+"; it is made again")
	}
	if pl.there == nil {
		p.createCallback(pl)
		p.verifyCallback(pl)
		return nil
	}
	p.adjustCallback(pl)
	return nil
}

// obstacle says why a callback in Marketing Cloud can't become the one that is
// wanted; "" when it can.
func (p *plan) obstacle(pl *place, c sfmc.Callback) string {
	if name, ok := cutBase(c.URL, p.have.base); !ok || name != pl.Name {
		return "its address has changed" // which an update can't tell Marketing Cloud
	}
	if pl.scheme == nil && p.have.schemeOf(c) != "" {
		return "no call takes its authentication scheme from it"
	}
	if c.Verified() {
		return ""
	}
	if _, ok := key(p.have.probes[pl.Name], c.CallbackID, p.Now()); !ok || p.learned.dead[c.CallbackID] {
		return "it is not verified, and the key that would verify it never came, was used, or has run out"
	}
	return ""
}

// adjustCallback draws what is still to do about a callback that is there.
func (p *plan) adjustCallback(pl *place) {
	count := len(p.steps)
	if pl.find(p.Now()) {
		p.regenerateKey(pl)
	}
	if !pl.verified {
		p.verifyCallback(pl)
	}
	if why := pl.differences(); why != "" {
		p.updateCallback(pl, why)
	}
	if len(p.steps) == count {
		p.add(step{
			Step: Step{Kind: Keep, Object: Callback, Name: pl.Name, Detail: pl.url, Kept: true},
			do:   func(ctx context.Context) error { return p.refresh(ctx, pl) },
			hint: hintAgain,
		})
	}
}

// find takes over what Marketing Cloud tells of the callback. It says whether the
// signature key is not known: the record, if there is one, is of another.
func (pl *place) find(now time.Time) (keyless bool) {
	c := pl.there
	pl.verified = c.Verified()
	keyless = pl.record.CallbackID != c.CallbackID || len(pl.record.SignatureKeys) == 0
	if pl.record.CallbackID != c.CallbackID {
		pl.record = onramp.CallbackRecord{
			Name: pl.Name, CallbackID: c.CallbackID, SignatureKeys: pl.record.SignatureKeys, CreatedAt: now.UTC(),
		}
	}
	pl.record.AuthID = cmp.Or(c.AuthID, pl.record.AuthID)
	pl.record.MaxBatch = cmp.Or(c.MaxBatchSize, pl.record.MaxBatch)
	return keyless
}

// differences says what an update is to change; "" when there is nothing.
func (pl *place) differences() string {
	var why string
	if pl.record.MaxBatch != pl.maxBatch() {
		why = fmt.Sprintf("at most %d events in a call", pl.maxBatch())
	}
	if pl.scheme != nil && (pl.authID() == "" || pl.record.AuthID != pl.authID()) {
		if why != "" {
			why += ", "
		}
		why += "authenticates by scheme " + pl.scheme.name
	}
	return why
}

// refresh stores what Marketing Cloud tells of a callback, where an interrupted
// setup has not.
func (p *plan) refresh(ctx context.Context, pl *place) error {
	kept := p.have.records[pl.Name]
	if kept.Verified == pl.verified && kept.URL == pl.url && kept.AuthID == pl.record.AuthID && kept.MaxBatch == pl.record.MaxBatch {
		return nil
	}
	return p.save(ctx, pl)
}

func (p *plan) save(ctx context.Context, pl *place) error {
	pl.record.URL, pl.record.Verified = pl.url, pl.verified
	if err := p.Store.SaveCallbackRecord(ctx, pl.record); err != nil {
		return err
	}
	return p.changed(ctx)
}

// maxKeys is how many signature keys are good: the new one, and the one before it
// for what is under way.
const maxKeys = 2

var errNoKey = errors.New("the answer brings no signature key")

// saveKey stores a new signature key at once: it is told only this one time.
func (p *plan) saveKey(ctx context.Context, pl *place, key sfmc.Secret) error {
	if key == "" {
		return errNoKey
	}
	keys := slices.Insert(slices.Clone(pl.record.SignatureKeys), 0, onramp.Secret(key.Reveal()))
	pl.record.SignatureKeys = keys[:min(len(keys), maxKeys)]
	return p.save(ctx, pl)
}

const hintProbe = "Marketing Cloud asks the address before it takes the callback, and wants exactly 200: " +
	"is public.url this gateway's, reachable from the internet by https with a valid certificate and without a port, " +
	"and does whatever stands before it let /ens/ and /oauth2/token through? Then run onramp ens setup again"

func (p *plan) createCallback(pl *place) {
	detail := fmt.Sprintf("%s, at most %d events in a call", pl.url, pl.maxBatch())
	if pl.scheme == nil {
		detail += ", protected by its signature alone"
	} else {
		detail += ", authenticates by scheme " + pl.scheme.name
	}
	p.add(step{
		Step: Step{Kind: Create, Object: Callback, Name: pl.Name, Detail: detail},
		do: func(ctx context.Context) error {
			made, err := p.Account.CreateCallback(ctx, sfmc.Callback{
				CallbackName: accountName(pl.Name), URL: pl.url, MaxBatchSize: pl.maxBatch(), AuthID: pl.authID(),
			})
			if err != nil {
				return errors.Join(err, p.cleanUp(ctx, pl.Name, sfmc.FailedCallbackID(err)))
			}
			pl.record = onramp.CallbackRecord{
				Name: pl.Name, CallbackID: made.CallbackID, AuthID: pl.authID(), MaxBatch: pl.maxBatch(),
				SignatureKeys: pl.record.SignatureKeys, CreatedAt: p.Now().UTC(),
			}
			pl.verified = made.Verified()
			p.learned.made[made.CallbackID] = true
			return p.saveKey(ctx, pl, made.SignatureKey)
		},
		hint: hintProbe,
	})
}

// cleanUp deletes the half-made callback that a failed probe has left: its URL
// would stay taken.
func (p *plan) cleanUp(ctx context.Context, name, callbackID string) error {
	if callbackID == "" {
		return nil
	}
	if err := unlessGone(p.Account.DeleteCallback(ctx, callbackID)); err != nil {
		return fmt.Errorf("the half-made callback that it left was not deleted, which the next setup does: %w", err)
	}
	p.besides = append(p.besides, step{Step: Step{
		Kind: Delete, Object: Callback, Name: name, Detail: "the half-made one that the failed probe has left",
	}})
	return nil
}

var errNoProbe = errors.New("the address was probed, says Marketing Cloud, but the verification key never came here")

const hintKey = "does public.url lead to this gateway, or does something before it answer in its stead? Then run onramp ens setup again"

func (p *plan) verifyCallback(pl *place) {
	p.add(step{
		Step: Step{Kind: Verify, Object: Callback, Name: pl.Name, Detail: "by the key that the probe brings"},
		do: func(ctx context.Context) error {
			if !pl.verified {
				if err := p.verify(ctx, pl); err != nil {
					return err
				}
			}
			pl.verified = true
			return p.save(ctx, pl)
		},
		hint: hintKey,
	})
}

// verify returns errLearned when the key is not taken: the callback may be
// verified by now, and else it is made again, but not twice.
func (p *plan) verify(ctx context.Context, pl *place) error {
	id := pl.record.CallbackID
	probes, err := p.Store.ListProbes(ctx, pl.Name)
	if err != nil {
		return fmt.Errorf("list probes: %w", err)
	}
	key, ok := key(probes, id, p.Now())
	if !ok {
		return errNoProbe
	}
	err = p.Account.VerifyCallback(ctx, id, sfmc.Secret(key.Reveal()))
	if hasStatus(err, http.StatusNotFound) && !p.learned.made[id] {
		p.learned.dead[id] = true
		return errLearned
	}
	return err
}

func (p *plan) regenerateKey(pl *place) {
	p.add(step{
		Step: Step{
			Kind: Regenerate, Object: SignatureKey, Name: pl.Name, Detail: "the one it has is not kept here, and is told only once",
		},
		do: func(ctx context.Context) error {
			made, err := p.Account.RegenerateSignatureKey(ctx, pl.record.CallbackID)
			if err != nil {
				return err
			}
			return p.saveKey(ctx, pl, made.SignatureKey)
		},
		hint: hintAgain,
	})
}

func (p *plan) updateCallback(pl *place, why string) {
	p.add(step{
		Step: Step{Kind: Update, Object: Callback, Name: pl.Name, Detail: why},
		do: func(ctx context.Context) error {
			_, err := p.Account.UpdateCallback(ctx, sfmc.Callback{
				CallbackID: pl.there.CallbackID, CallbackName: cmp.Or(pl.there.CallbackName, accountName(pl.Name)), MaxBatchSize: pl.maxBatch(), AuthID: pl.authID(),
			})
			if err != nil {
				return err
			}
			pl.record.AuthID, pl.record.MaxBatch = pl.authID(), pl.maxBatch()
			return p.save(ctx, pl)
		},
		hint: hintAgain,
	})
}
