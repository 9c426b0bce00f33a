package store

import (
	"errors"
)

// retentionTexts are the statements of retention over many rows.
type retentionTexts struct {
	registrations, known, steps, resent, changes, holds, older, late together
	remove                                                           []together // by the seqs of registrations
	removeDeliveries                                                 []together // by theirs
	events, eventDeliveries                                          together
	removeEvents                                                     []together
}

const agedColumns = `registration_seq, seq, destination_id, state, step, tries, ordering_key, settled_at`

func newRetentionTexts(d dialect) retentionTexts {
	list := func(before, after string) together { return newTogether(d, before, after) }
	return retentionTexts{
		registrations: list(`SELECT `+registrationColumns+` FROM registration r WHERE r.seq IN (`, `) ORDER BY r.seq`),
		known:         list(`SELECT seq FROM registration WHERE seq IN (`, `)`),
		steps:         list(`SELECT `+agedColumns+` FROM delivery WHERE seq IN (`, `) ORDER BY seq`),
		resent:        list(`SELECT `+agedColumns+` FROM delivery WHERE steps IS NOT NULL AND registration_seq IN (`, `)`),
		changes:       list(`SELECT `+agedColumns+` FROM delivery WHERE data IS NOT NULL AND registration_seq IN (`, `)`),
		holds:         list(`SELECT registration_seq, held_at FROM hold WHERE reason = {{suspicion}} AND registration_seq IN (`, `)`),
		older:         list(`SELECT ordering_key, MIN(registration_seq), MIN(look_at) FROM retained WHERE ordering_key IN (`, `) GROUP BY ordering_key`),
		late:          list(`SELECT ordering_key FROM late_call WHERE destination_id = ? AND ordering_key IN (`, `)`),
		remove: []together{
			list(`DELETE FROM edit WHERE registration_seq IN (`, `)`), list(`DELETE FROM unchanged WHERE registration_seq IN (`, `)`),
			list(`DELETE FROM hold WHERE registration_seq IN (`, `)`), list(`DELETE FROM opt_in WHERE registration_seq IN (`, `)`), list(`DELETE FROM imported WHERE registration_seq IN (`, `)`), list(`DELETE FROM retained WHERE registration_seq IN (`, `)`),
			list(`DELETE FROM registration WHERE seq IN (`, `)`),
		},
		removeDeliveries: []together{list(`DELETE FROM attempt WHERE delivery_seq IN (`, `)`), list(`DELETE FROM delivery WHERE seq IN (`, `)`)},
		events:           list(`SELECT seq, at, hash, received_at, person, send FROM event WHERE seq IN (`, `) ORDER BY seq`),
		eventDeliveries:  list(`SELECT event_seq, registration_seq, seq, destination_id, state, settled_at FROM delivery WHERE event_seq IN (`, `)`),
		removeEvents:     []together{list(`DELETE FROM retained_event WHERE event_seq IN (`, `)`), list(`DELETE FROM event WHERE seq IN (`, `)`)},
	}
}

// eachOf runs a query over a list of numbers, in parts; before are the arguments before it.
func (t *tx) eachOf(statement *together, numbers []int64, before []any, row func(scan func(...any) error) error) error {
	for len(numbers) > 0 {
		text, length := statement.fit(len(numbers))
		part := numbers[:min(length, len(numbers))]
		numbers = numbers[len(part):]
		if err := t.each(text, statement.arguments(length, part, before, nil), row); err != nil {
			return err
		}
	}
	return nil
}

// execAll runs statements over a list of numbers, in parts.
func (t *tx) execAll(statements []together, numbers []int64) error {
	for i := range statements {
		for rest := numbers; len(rest) > 0; {
			text, length := statements[i].fit(len(rest))
			part := rest[:min(length, len(rest))]
			rest = rest[len(part):]
			if err := t.exec(text, statements[i].arguments(length, part, nil, nil)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// readAged reads registrations with all of their deliveries.
func (t *tx) readAged(seqs []int64) (all []*aged, err error) {
	texts := &t.store.writer.retention
	bySeq := map[int64]*aged{}
	var steps []int64
	err = t.eachOf(&texts.registrations, seqs, nil, func(scan func(...any) error) error {
		r := &aged{}
		err := scan(r.into()...)
		for i := range int64(r.steps) {
			steps = append(steps, r.deliverySeq+i)
		}
		all, bySeq[r.seq] = append(all, r), r
		return err
	})
	if err != nil {
		return nil, err
	}
	read := func(to func(*aged, agedDelivery)) func(scan func(...any) error) error {
		return func(scan func(...any) error) error {
			var registration int64
			var d agedDelivery
			err := scan(&registration, &d.seq, &d.destination, &d.state, &d.step, &d.tries, &d.key, &d.settled)
			if r := bySeq[registration]; r != nil {
				to(r, d)
			}
			return err
		}
	}
	also := read(func(r *aged, d agedDelivery) { r.more = append(r.more, d) })
	return all, errors.Join(
		t.eachOf(&texts.steps, steps, nil, read(func(r *aged, d agedDelivery) { r.route = append(r.route, d) })),
		t.eachOf(&texts.resent, seqs, nil, also),
		t.eachOf(&texts.changes, seqs, nil, also),
		t.eachOf(&texts.holds, seqs, nil, func(scan func(...any) error) error {
			var seq, since int64
			err := scan(&seq, &since)
			if r := bySeq[seq]; r != nil {
				r.suspected = since
			}
			return err
		}),
	)
}
