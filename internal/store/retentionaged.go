package store

import (
	"database/sql"
	"slices"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/retention"
)

// aged is a registration that retention looks at.
type aged struct {
	registrationRow
	route     []agedDelivery // of its acceptance, in their order
	more      []agedDelivery // what sends it again, and what events have changed in its rows
	suspected int64          // since when; 0: it is not under suspicion
	lookAt    int64
}

type agedDelivery struct {
	seq         int64
	destination int
	state       onramp.DeliveryState
	step, tries int
	key         int64
	settled     sql.NullInt64
}

// retainRegistrations removes those of the given registrations, which ascend, that are kept
// no longer, and notes when to look again at the others.
func (t *tx) retainRegistrations(seqs []int64, p *retention.Policies) (removed int64, err error) {
	all, err := t.readAged(seqs)
	if err != nil {
		return 0, err
	}
	older, err := t.olderRetained(all)
	if err != nil {
		return 0, err
	}
	late, err := t.keysOfLateCalls(all)
	if err != nil {
		return 0, err
	}
	var gone []*aged
	var kept []any
	now, isGone := micros(t.now), map[int64]bool{}
	for _, r := range all {
		r.lookAt = t.keepUntil(r, p.Of(t.store.names.formName(r.form)), late)
		waits := false // only for one that goes now: it can go by the next write
		for key := range r.keys() {
			switch o, has := older[key]; {
			case !has || o.seq >= r.seq:
			case isGone[o.seq]:
				waits, r.lookAt = true, max(r.lookAt, now)
			default:
				r.lookAt = max(r.lookAt, o.again(micros(t.now.Add(retainAgain))))
			}
		}
		if r.lookAt <= now && !waits {
			gone, isGone[r.seq] = append(gone, r), true
			continue
		}
		for key := range r.keys() {
			kept = append(kept, r.seq, key, r.lookAt)
			if _, has := older[key]; !has {
				older[key] = olderOne{r.seq, r.lookAt}
			}
		}
	}
	if err := t.insert(t.store.writer.retained, kept); err != nil {
		return 0, err
	}
	return int64(len(gone)), t.removeRegistrations(gone)
}

// keys are those of its deliveries: more than one if an operator has changed it.
func (r *aged) keys() map[int64]bool {
	keys := map[int64]bool{}
	for _, d := range slices.Concat(r.route, r.more) {
		if d.key != 0 { // else its personal data are gone, and it stands in no order
			keys[d.key] = true
		}
	}
	return keys
}

// keepUntil says until when a registration is kept by itself, or when to look again.
func (t *tx) keepUntil(r *aged, p retention.Policy, late map[orderingKey]bool) (until int64) {
	again := micros(t.now.Add(retainAgain))
	if r.seq >= t.store.writer.registrationSeq {
		until = micros(t.now.Add(retainSoon)) // the numbering goes on after the newest
	}
	for _, d := range slices.Concat(r.route, r.more) {
		switch key := (orderingKey{d.destination, d.key}); {
		case late[key], t.store.resends[key] > 0:
			until = max(until, again)
		case d.seq >= t.store.writer.deliverySeq:
			until = max(until, micros(t.now.Add(retainSoon)))
		}
		until = max(until, t.keepDelivery(r, d, p))
	}
	return until
}

// keepDelivery does so for one delivery.
func (t *tx) keepDelivery(r *aged, d agedDelivery, p retention.Policy) int64 {
	after := func(since int64, keep time.Duration, forever int64) int64 {
		if keep == 0 {
			return forever
		}
		return since + keep.Microseconds()
	}
	settled := r.receivedAt
	if d.settled.Valid {
		settled = d.settled.Int64
	}
	never, rarely := micros(onramp.Never), micros(t.now.Add(retainRarely)) // an operator may retry what has failed
	switch d.state {
	case onramp.DeliveryDelivered, onramp.DeliverySkipped, onramp.DeliveryErased:
		return after(settled, p.Delivered, never)
	case onramp.DeliveryDead:
		return after(settled, p.Dead, rarely)
	case onramp.DeliveryUnknown:
		return after(settled, p.Unknown, rarely)
	case onramp.DeliveryDiscarded:
		return after(settled, p.Discarded, rarely)
	case onramp.DeliveryOutOfReach:
		return 0 // the step before it decides
	case onramp.DeliveryHeld:
		if r.suspected != 0 {
			return after(r.suspected, p.Held, rarely)
		}
	}
	return micros(t.now.Add(retainAgain)) // it is still to be sent, or to be confirmed
}

// olderOne is a registration that was passed and is kept.
type olderOne struct{ seq, lookAt int64 }

// again is when to look again at what waits for it.
func (o olderOne) again(tomorrow int64) int64 {
	if o.lookAt == micros(onramp.Never) {
		return o.lookAt
	}
	return tomorrow
}

// olderRetained finds, by key, the oldest registration that is kept.
func (t *tx) olderRetained(all []*aged) (map[int64]olderOne, error) {
	var keys []int64
	for _, r := range all {
		for key := range r.keys() {
			keys = append(keys, key)
		}
	}
	older := map[int64]olderOne{}
	return older, t.eachOf(&t.store.writer.retention.older, keys, nil, func(scan func(...any) error) error {
		var key int64
		var o olderOne
		err := scan(&key, &o.seq, &o.lookAt)
		older[key] = o
		return err
	})
}

// keysOfLateCalls finds for which of their keys a call may still be carried out.
func (t *tx) keysOfLateCalls(all []*aged) (map[orderingKey]bool, error) {
	byDestination := map[int][]int64{}
	for _, r := range all {
		for _, d := range slices.Concat(r.route, r.more) {
			byDestination[d.destination] = append(byDestination[d.destination], d.key)
		}
	}
	late := map[orderingKey]bool{}
	for destination, keys := range byDestination {
		err := t.eachOf(&t.store.writer.retention.late, keys, []any{destination}, func(scan func(...any) error) error {
			var key int64
			err := scan(&key)
			late[orderingKey{destination, key}] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return late, nil
}
