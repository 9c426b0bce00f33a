package store

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Equal submissions of a person are found by a hash of both (IdempotencyKey.Once), which
// stands in the tables of the keys beside these. It is written there at once: only forms
// with once_per pay for the page that this dirties. So is the new key of a submission that
// repeats an earlier one, whose own row has room for one key.

// earlierOf finds the registration that an acceptance repeats; 0: none. It notes what
// the keys stand for from now on. fresh are those before it in the group.
func (t *tx) earlierOf(a *acceptance, known, noted map[int64]int64, fresh []*acceptance) (seq int64, err error) {
	key := &a.key
	for _, hash := range [...]int64{key.Hash, key.OlderHash} {
		if seq = known[hash]; hash != 0 && seq != 0 {
			return seq, nil
		}
	}
	if seq, err = t.equalTo(a, known, fresh); err != nil {
		return 0, err
	}
	switch next := t.registrationSeq + 1; {
	case seq == 0:
		known[key.Hash] = next // the key may come again in this very group
		if key.Once != 0 {
			known[key.Once], noted[key.Once] = next, next
		}
	case key.Given():
		known[key.Hash], noted[key.Hash] = seq, seq
	}
	return seq, nil
}

// equalTo finds the equal submission of the same person that is recent enough; 0: none.
func (t *tx) equalTo(a *acceptance, known map[int64]int64, fresh []*acceptance) (seq int64, err error) {
	seq = known[a.key.Once]
	if a.key.Once == 0 || seq == 0 {
		return 0, nil
	}
	first, err := t.receivedAt(seq, fresh)
	// both ways: a clock that was set back must not hold a person up until it has caught up
	if err != nil || a.registration.ReceivedAt.Sub(first).Abs() >= a.key.Within {
		return 0, err
	}
	return seq, nil
}

// receivedAt tells when a registration was received that is on disk, or among those of
// this group.
func (t *tx) receivedAt(seq int64, fresh []*acceptance) (time.Time, error) {
	if n := len(fresh); n > 0 && seq >= fresh[0].registration.Seq {
		return fresh[seq-fresh[0].registration.Seq].registration.ReceivedAt, nil
	}
	var at int64
	found, err := t.find(`SELECT received_at FROM registration WHERE seq = $1`, []any{seq}, &at)
	if err == nil && !found {
		err = fmt.Errorf("registration %d of an equal submission is missing", seq)
	}
	return fromMicros(at), err
}

// noteKeys writes keys into their table at once.
func (t *tx) noteKeys(noted map[int64]int64) error {
	if len(noted) == 0 {
		return nil
	}
	i := t.store.idempotency
	values := make([]any, 0, 2*len(noted))
	for _, hash := range slices.Sorted(maps.Keys(noted)) {
		values = append(values, hash, noted[hash])
	}
	return t.insert(i.insert[i.day%2], values)
}
