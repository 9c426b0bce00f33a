package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/personkey"
	"onramp/internal/store/personal"
)

// What the database holds of persons is encrypted here, and nowhere else: what they
// submitted, with their subscriber keys, before and after edits; what was sent and
// answered; events; why something is held, or failed. Each text belongs to one person,
// whose key encrypts it, see package personal.
//
// The places of texts are part of what is encrypted: never change them.

func placeOfRegistration(id string) string { return "registration/" + id + "/data" }

func placeOfEdit(registration int64, number int) string {
	return "edit/" + strconv.FormatInt(registration, 10) + "/" + strconv.Itoa(number) + "/data"
}

func placeOfDelivery(seq int64, column string) string {
	return "delivery/" + strconv.FormatInt(seq, 10) + "/" + column
}

func placeOfAttempt(delivery int64, number int, column string) string {
	return "attempt/" + strconv.FormatInt(delivery, 10) + "/" + strconv.Itoa(number) + "/" + column
}

func placeOfEvent(i onramp.EventIdentity) string {
	return "event/" + strconv.FormatInt(i.At, 10) + "/" + strconv.FormatInt(i.Hash, 10) + "/body"
}

func placeOfHold(registration int64) string {
	return "hold/" + strconv.FormatInt(registration, 10) + "/detail"
}

// personOfEvent is whose key encrypts an event: the subscriber's, else that of whoever it
// says it is about, else the send's.
func personOfEvent(e *onramp.Event) string {
	switch {
	case e.SubscriberKey != "":
		return e.SubscriberKey
	case e.Subject != "":
		return personOfSubject(e.Subject)
	}
	return "send\x00" + e.Send
}

// personOfSubject keeps the numbers and addresses that events have instead of subscriber keys
// apart from these: one may look like the other.
func personOfSubject(subject string) string { return "subject\x00" + subject }

// encrypts says whether what is written from now on is encrypted.
func (s *Store) encrypts() bool { return s.vault != nil && !s.clear }

// Encrypts says whether personal data are encrypted from now on.
func (s *Store) Encrypts() bool { return s.encrypts() }

// leafOf is the leaf of a person's key; 0 when nothing is encrypted.
func (s *Store) leafOf(person string) personkey.Leaf {
	if s.vault == nil {
		return 0
	}
	return s.vault.Leaf(person)
}

// leafOfDelivery is that of the key that encrypts what a delivery brings: it stays the same
// also when the person was erased and has come back since.
func (s *Store) leafOfDelivery(d *onramp.Delivery) personkey.Leaf {
	switch {
	case d.PersonKey != 0 || s.vault == nil:
		return personkey.Leaf(d.PersonKey)
	case d.Event != nil && d.RegistrationID == "":
		return s.vault.Leaf(personOfEvent(d.Event))
	}
	return s.vault.Leaf(d.SubscriberKey)
}

// protect makes of a text what is stored of it. Of a person who was erased meanwhile nothing
// is: the error is [personal.ErrErased].
func (s *Store) protect(leaf personkey.Leaf, text, place string) (any, error) {
	if s.encrypts() {
		return s.vault.Seal(leaf, []byte(text), place)
	}
	if s.vault != nil && !s.vault.Has(leaf) {
		return nil, personal.ErrErased
	}
	return personal.Clear(text), nil
}

// protectOrDrop is protect for what need not be stored: of a person who was erased it is empty.
func (s *Store) protectOrDrop(leaf personkey.Leaf, text, place string) (any, error) {
	if text == "" {
		return "", nil
	}
	value, err := s.protect(leaf, text, place)
	if errors.Is(err, personal.ErrErased) {
		return "", nil
	}
	return value, err
}

// reveal is the reverse of protect.
func (s *Store) reveal(value []byte, place string) (text []byte, leaf personkey.Leaf, err error) {
	return s.vault.Open(value, place)
}

// revealOrDrop is reveal for what tells nothing when it can't be read.
func (s *Store) revealOrDrop(value []byte, place string) string {
	text, _, err := s.vault.Open(value, place)
	if err != nil {
		return ""
	}
	return string(text)
}

// What is encrypted of a registration is one text: its subscriber key, with its length
// before it, and its values by field. The column subscriber_key is empty then.

func (s *Store) protectValues(leaf personkey.Leaf, subscriberKey, values, place string) (key string, data any, err error) {
	if !s.encrypts() {
		data, err = s.protect(leaf, values, place)
		return personal.Clear(subscriberKey), data, err
	}
	plain := binary.AppendUvarint(make([]byte, 0, len(subscriberKey)+len(values)+2), uint64(len(subscriberKey)))
	data, err = s.vault.Seal(leaf, append(append(plain, subscriberKey...), values...), place)
	return "", data, err
}

func (s *Store) revealValues(subscriberKey string, data []byte, place string) (key string, values []byte, leaf personkey.Leaf, err error) {
	plain, leaf, err := s.vault.Open(data, place)
	if err != nil {
		return "", nil, leaf, err
	}
	if !personal.IsSealed(data) {
		clear, _, err := s.vault.Open([]byte(subscriberKey), place)
		return string(clear), plain, 0, err
	}
	length, n := binary.Uvarint(plain)
	if n <= 0 || length > uint64(len(plain)-n) {
		return "", nil, leaf, fmt.Errorf("decrypt %s: it is not what was encrypted", place)
	}
	return string(plain[n : n+int(length)]), plain[n+int(length):], leaf, nil
}

// noValues stand for those that can't be read.
const noValues = `{}`

// withheld is the reason of a delivery whose data can't be read.
func withheld(err error) string { return "its personal data can't be read: " + err.Error() }

// leaveUnreadable takes what can't be read out of what is to be sent: the person was
// erased, or the row is damaged. It is not sent, ever: the one becomes erased, the other a
// dead letter.
func (s *Store) leaveUnreadable(ctx context.Context, found []onramp.Delivery) ([]onramp.Delivery, error) {
	var left []onramp.Delivery
	readable := found[:0]
	for _, d := range found {
		if d.Unreadable != nil {
			left = append(left, d)
		} else {
			readable = append(readable, d)
		}
	}
	if len(left) == 0 {
		return readable, nil
	}
	return readable, s.writer.write(ctx, &op{rows: len(left), run: func(t *tx) error {
		woken := map[int]wakeUp{}
		for i := range left {
			if err := t.leaveUnreadable(&left[i], woken); err != nil {
				return err
			}
		}
		t.wakeAfter(woken)
		return nil
	}})
}

func (t *tx) leaveUnreadable(left *onramp.Delivery, woken map[int]wakeUp) error {
	if left.Resend { // it was delivered, and stays so
		n, err := t.update(`DELETE FROM resend WHERE destination_id = $1 AND ordering_key = $2 AND seq = $3`, left.DestinationID, left.OrderingKey, left.Seq)
		t.after = append(t.after, func() { t.store.resends.remove(orderingKey{left.DestinationID, left.OrderingKey}, int(n)) })
		woken[left.DestinationID] |= dueUp
		return err
	}
	d, found, err := t.findChange(`WHERE d.seq = $1`, left.Seq)
	if err != nil || !found || d.State != onramp.DeliveryPending && d.State != onramp.DeliveryWaiting {
		return err
	}
	state, registration, later := onramp.DeliveryDead, onramp.RegistrationFailed, onramp.DeliveryOutOfReach
	reason := any(withheld(left.Unreadable))
	if errors.Is(left.Unreadable, personal.ErrErased) {
		state, registration, later, reason = onramp.DeliveryErased, onramp.RegistrationErased, onramp.DeliveryErased, nil
	}
	err = t.exec(`UPDATE delivery SET state = $1, due_at = NULL, settled_at = $2, reason = $3, cause = NULL, data = NULL WHERE seq = $4`,
		uint8(state), micros(t.now), reason, d.Seq)
	if err != nil {
		return err
	}
	t.moveDelivery(d.DestinationID, d.State, state)
	if d.State == onramp.DeliveryPending {
		t.moveRegistrationOf(&d, stateAt(d.Step, d.Tries), registration)
		if _, err := t.moveLaterSteps(&d, onramp.DeliveryWaiting, later, time.Time{}, woken); err != nil {
			return err
		}
	}
	if d.Parked() {
		return t.wakeNextOfKey(d.DestinationID, d.OrderingKey, woken)
	}
	return nil
}

// noteUnreadable has an operator know of a row that is damaged, or was encrypted with other
// keys. That someone was erased is no news.
func (s *Store) noteUnreadable(err error) {
	if !errors.Is(err, personal.ErrErased) && s.toldUnreadable.CompareAndSwap(false, true) {
		s.log.Warn("some personal data can't be read; registrations and events with it are shown without it, and not sent", "err", err)
	}
}

// matches says whether one of several texts contains another one, in any case.
func matches(query string, texts ...string) bool {
	query = strings.ToLower(query)
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), query) {
			return true
		}
	}
	return false
}
