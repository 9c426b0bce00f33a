package store

import "onramp/internal/onramp"

// proof notes the new events that only a token has proved, and finds the signed ones
// that look repeated because such an event has their identity: whoever steals a token
// could otherwise keep a real event out by sending a false one first. A signed one with
// the same content proves the other; else it is returned with an identity of its own,
// which it has again when it is repeated.
func (t *tx) proof(events []onramp.Event, first int64, isNew func(seq int64) bool) (masked []onramp.Event, err error) {
	var unproven []any
	var repeated []*onramp.Event // with a signature
	for i := range events {
		switch e, seq := &events[i], first+int64(i); {
		case isNew(seq) && e.Unproven:
			unproven = append(unproven, e.Identity.At, e.Identity.Hash, seq)
		case !isNew(seq) && !e.Unproven:
			repeated = append(repeated, e)
		}
	}
	if err := t.insert(t.store.writer.unproven, unproven); err != nil || len(repeated) == 0 {
		return nil, err
	}
	// nearly always there is none at all
	if some, err := t.find(`SELECT 1 FROM unproven WHERE at >= 0 LIMIT 1`, nil, new(int)); err != nil || !some {
		return nil, err
	}
	for _, e := range repeated {
		if masked, err = t.unmask(masked, e); err != nil {
			return nil, err
		}
	}
	return masked, nil
}

// unmask adds a signed event that was taken for a repeat, if it is none.
func (t *tx) unmask(masked []onramp.Event, e *onramp.Event) ([]onramp.Event, error) {
	var body []byte
	found, err := t.find(`SELECT e.body FROM unproven u JOIN event e ON e.seq = u.event_seq WHERE u.at = $1 AND u.hash = $2`,
		[]any{e.Identity.At, e.Identity.Hash}, &body)
	switch {
	case err != nil || !found:
		return masked, err
	case t.store.revealOrDrop(body, placeOfEvent(e.Identity)) == storableJSON(e.Body):
		return masked, t.exec(`DELETE FROM unproven WHERE at = $1 AND hash = $2`, e.Identity.At, e.Identity.Hash)
	}
	signed := *e
	signed.Identity = e.Identity.Signed()
	signed.ID = onramp.NewEventID(signed.Identity)
	return append(masked, signed), nil
}
