package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// inTime is what a change still changes: nothing that a registration or an event has
// decided which happened after its own event. It stores what was left out, and when
// the rest was decided.
func (t *tx) inTime(c *onramp.RowChange) (json.RawMessage, error) {
	if c.At.IsZero() {
		return c.Values, nil
	}
	registered, err := t.lastRegistered(c)
	if err != nil {
		return nil, err
	}
	person := t.store.hashing.digest(c.SubscriberKey)
	set, err := columnsSet(t.each, c.Destination, person)
	if err != nil {
		return nil, err
	}
	values, late := c.InTime(registered, set)
	if late != "" {
		err := t.exec(`INSERT INTO unchanged (registration_seq, event_seq, destination_id, decided_at, detail)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, c.RegistrationSeq, c.Event, c.Destination, micros(t.now), storable(late))
		if err != nil {
			return nil, err
		}
	}
	return values, t.setColumns(c, person, values)
}

// lastRegistered is when the person of a change last registered with one of its
// forms; zero when never. A registration whose step to the destination was skipped has
// decided nothing about the row. Those that person does not hold yet are few: it was brought
// up to date a moment ago.
func (t *tx) lastRegistered(c *onramp.RowChange) (last time.Time, err error) {
	forms := t.store.names.formList(c.Forms)
	if forms == "" {
		return time.Time{}, nil
	}
	compare := func(scan func(...any) error) error {
		var row registrationRow
		if err := scan(row.into()...); err != nil {
			return err
		}
		row.open(t.store)
		if received := fromMicros(row.receivedAt); onramp.SamePerson(row.subscriberKey, c.SubscriberKey) && received.After(last) {
			last = received
		}
		return nil
	}
	isFor := numbered(`NOT EXISTS (SELECT 1 FROM delivery n WHERE n.seq >= r.delivery_seq AND n.seq < r.delivery_seq + r.steps
		AND n.destination_id = $2 AND n.state = {{skipped}})`)
	err = t.each(`SELECT `+pastColumns+` FROM person p JOIN registration r ON r.seq = p.registration_seq
		WHERE p.hash = $1 AND r.form_id IN (`+forms+`) AND `+isFor+` ORDER BY p.registration_seq DESC LIMIT 20`,
		[]any{t.store.hashing.orderingKey(c.SubscriberKey), c.Destination}, compare)
	if err != nil {
		return time.Time{}, err
	}
	var value string
	if _, err := t.find(`SELECT value FROM meta WHERE name = $1`, []any{personsTo}, &value); err != nil {
		return time.Time{}, err
	}
	indexed, _ := strconv.ParseInt(value, 10, 64) // never written: 0
	err = t.each(`SELECT `+pastColumns+` FROM registration r WHERE r.seq > $1 AND r.form_id IN (`+forms+`) AND `+isFor, []any{indexed, c.Destination}, compare)
	return last, err
}

// formList writes the ids of forms for a condition; "" when none is known.
func (n *names) formList(forms []string) string {
	var ids []string
	for _, name := range forms {
		if id, known := n.form(name); known {
			ids = append(ids, strconv.Itoa(id))
		}
	}
	return strings.Join(ids, ", ")
}

func columnsSet(query each, destination int, person string) (map[string]time.Time, error) {
	set := map[string]time.Time{}
	err := query(`SELECT name, at FROM column_set WHERE destination_id = $1 AND person = $2`, []any{destination, person}, func(scan func(...any) error) error {
		var name string
		var at int64
		err := scan(&name, &at)
		set[name] = fromMicros(at)
		return err
	})
	return set, err
}

func (t *tx) setColumns(c *onramp.RowChange, person string, values json.RawMessage) error {
	if values == nil {
		return nil
	}
	var columns map[string]json.RawMessage
	if err := json.Unmarshal(values, &columns); err != nil {
		return fmt.Errorf("read the values of a change: %w", err)
	}
	for name := range columns {
		err := t.exec(`INSERT INTO column_set (destination_id, person, name, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (destination_id, person, name) DO UPDATE SET at = excluded.at`, c.Destination, person, name, micros(c.At))
		if err != nil {
			return err
		}
	}
	return nil
}
