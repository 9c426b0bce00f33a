package store

import (
	"slices"

	"onramp/internal/onramp"
)

// removeRegistrations removes registrations with all that belongs to them.
func (t *tx) removeRegistrations(all []*aged) error {
	if len(all) == 0 {
		return nil
	}
	var seqs, deliveries []int64
	what := map[string]int64{}
	for _, r := range all {
		seqs = append(seqs, r.seq)
		for _, d := range slices.Concat(r.route, r.more) {
			deliveries = append(deliveries, d.seq)
			t.moveDelivery(d.destination, d.state, onramp.DeliveryRemoved)
		}
		t.moveRegistration(r.state(), onramp.RegistrationRemoved)
		what[r.what()]++
		for key := range r.keys() {
			if err := t.exec(`DELETE FROM person WHERE hash = $1 AND registration_seq = $2`, key, r.seq); err != nil {
				return err
			}
		}
		r.open(t.store)
		for _, hash := range t.store.hashing.lookUpHashes(r.subscriberKey, valuesOf(r.data, r.byField)) {
			if err := t.exec(`DELETE FROM look_up WHERE hash = $1 AND registration_seq = $2`, hash, r.seq); err != nil {
				return err
			}
		}
	}
	texts := &t.store.writer.retention
	if err := t.execAll(texts.removeDeliveries, deliveries); err != nil {
		return err
	}
	if err := t.execAll(texts.remove, seqs); err != nil {
		return err
	}
	return t.countRemoved(what)
}

func (r *aged) state() onramp.RegistrationState {
	first := make([]onramp.Delivery, len(r.route))
	for i, d := range r.route {
		first[i] = onramp.Delivery{State: d.state, Step: d.step, Tries: d.tries}
	}
	return stateOf(first)
}

// what is under which period of a policy a registration was kept.
func (r *aged) what() string {
	state := r.state()
	if state == onramp.RegistrationFailed {
		for _, d := range r.route {
			if d.state == onramp.DeliveryDead || d.state == onramp.DeliveryDiscarded {
				return d.state.String()
			}
		}
	}
	return state.String()
}

// countRemoved counts what is removed, by what it was.
func (t *tx) countRemoved(what map[string]int64) error {
	for name, n := range what {
		if n == 0 {
			continue
		}
		err := t.exec(`INSERT INTO removed (what, n, last_at) VALUES ($1, $2, $3)
			ON CONFLICT (what) DO UPDATE SET n = removed.n + excluded.n, last_at = excluded.last_at`, name, n, micros(t.now))
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetRemoved leaves out of known the registrations that are no longer stored: their keys
// stand for nothing any more.
func (t *tx) forgetRemoved(known map[int64]int64) error {
	if len(known) == 0 {
		return nil
	}
	there := map[int64]bool{}
	var seqs []int64
	for _, seq := range known {
		seqs = append(seqs, seq)
	}
	err := t.eachOf(&t.store.writer.retention.known, seqs, nil, func(scan func(...any) error) error {
		var seq int64
		err := scan(&seq)
		there[seq] = true
		return err
	})
	for hash, seq := range known {
		if !there[seq] {
			delete(known, hash)
		}
	}
	return err
}
