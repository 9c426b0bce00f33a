package store

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/chain"
	"onramp/internal/onramp"
)

// consents is the step for what belongs to the consent log: the texts by version, and the entries of a
// person, which are filled in later in sorted parts, as event_key is.
var consents = []string{
	`CREATE TABLE consent_text (form TEXT NOT NULL, version TEXT NOT NULL, language TEXT NOT NULL, hash TEXT NOT NULL, text TEXT NOT NULL,
		since BIGINT NOT NULL, PRIMARY KEY (form, version, language))`,
	`CREATE TABLE consent_person (hash BIGINT NOT NULL, entry_seq BIGINT NOT NULL, PRIMARY KEY (hash, entry_seq)) {{without rowid}}`,
}

// consentPayload is what the consent log says of an entry. Person is a keyed hash, by which
// the entries of a person are found; without the key nobody can guess whom it means.
type consentPayload struct {
	Form         string `json:"form"`
	Version      string `json:"version,omitempty"`
	TextHash     string `json:"text_hash,omitempty"`
	Language     string `json:"language,omitempty"`
	Registration string `json:"registration,omitempty"`
	By           string `json:"by"`
	Event        string `json:"event,omitempty"`
	Person       string `json:"person"`
}

// personHash stands for a person in the consent log, in any case of the subscriber key.
func (s *Store) personHash(subscriberKey string) string {
	mac := hmac.New(sha256.New, []byte("onramp consent person 1"+s.personKey.Reveal()))
	_, _ = mac.Write([]byte(strings.ToLower(subscriberKey))) // a hash takes everything
	return hex.EncodeToString(mac.Sum(nil))
}

// personIndex is the number by which an entry is found.
func personIndex(hash string) int64 {
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) < 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw))
}

// recordConsent appends an entry to the consent log and returns its row: whoever changes a consent calls
// it in the transaction of that change, and inserts the row.
func (t *tx) recordConsent(c *onramp.ConsentEntry) ([]any, error) {
	payload, err := encodePayload(consentPayload{
		Form: c.Form, Version: c.Version, TextHash: c.TextHash, Language: c.Language, Registration: c.Registration, By: c.By, Event: c.Event,
		Person: t.store.personHash(c.SubscriberKey),
	})
	if err != nil {
		return nil, err
	}
	person := c.ConsentPerson
	for _, text := range []*string{&person.SubscriberKey, &person.IP, &person.UserAgent, &person.PageURL} {
		*text = storable(*text)
	}
	e := chain.Entry{At: micros(c.At), Kind: string(c.Kind), Payload: storable(payload)}
	if e.Personal, e.Commitment, err = chain.Seal(person); err != nil {
		return nil, err
	}
	row, err := t.appendEntry(consentLog, &e, c.SubscriberKey)
	c.Number, c.Hash = e.Number, e.Hash
	return row, err
}

// insertConsent records one consent.
func (t *tx) insertConsent(c *onramp.ConsentEntry) error {
	row, err := t.recordConsent(c)
	if err != nil {
		return err
	}
	return t.insert(t.store.writer.entries[consentLog], row)
}

// insertConsents records those of new registrations.
func (t *tx) insertConsents(fresh []*acceptance) error {
	var rows []any
	for _, a := range fresh {
		if a.registration.Consent == nil {
			continue
		}
		row, err := t.recordConsent(a.registration.Consent)
		if err != nil {
			return err
		}
		rows = append(rows, row...)
	}
	return t.insert(t.store.writer.entries[consentLog], rows)
}

// registerConsent keeps the texts of a form. The error is of kind Conflict when the text of a
// version is another one than before.
func (t *tx) registerConsent(f *onramp.Form) error {
	if f.Consent == nil {
		return nil
	}
	var before []onramp.ConsentText
	err := t.each(`SELECT form, version, language, hash FROM consent_text WHERE form = $1`, []any{f.Name}, func(scan func(...any) error) error {
		var one onramp.ConsentText
		err := scan(&one.Form, &one.Version, &one.Language, &one.Hash)
		before = append(before, one)
		return err
	})
	if err != nil {
		return err
	}
	fresh, err := onramp.CompareConsent(f.Consent.All(f.Name), before)
	for _, text := range fresh {
		if err := t.exec(`INSERT INTO consent_text (form, version, language, hash, text, since) VALUES ($1, $2, $3, $4, $5, $6)`,
			text.Form, text.Version, text.Language, text.Hash, text.Text, micros(t.now)); err != nil {
			return err
		}
	}
	return err
}

// ListConsentTexts lists the texts of all versions.
func (s *Store) ListConsentTexts(ctx context.Context) ([]onramp.ConsentText, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT form, version, language, hash, text, since FROM consent_text ORDER BY form, since, version, language`)
	texts, err := collect(rows, err, func(rows *sql.Rows) (one onramp.ConsentText, err error) {
		var since int64
		err = rows.Scan(&one.Form, &one.Version, &one.Language, &one.Hash, &one.Text, &since)
		one.Since = fromMicros(since)
		return one, err
	})
	return texts, readerErr("list consent texts", err)
}

const consentsTo = "consents_indexed_to" // the entries up to here are in consent_person

// indexConsents brings consent_person up to the newest entry, when somebody asks for a person's.
func (s *Store) indexConsents(ctx context.Context) error {
	for {
		value, err := findMeta(ctx, s.readers, consentsTo)
		if err != nil {
			return readerErr("find consent mark", err)
		}
		mark, _ := strconv.ParseInt(value, 10, 64) // never written: 0
		rows, err := s.readers.QueryContext(ctx, `SELECT e.seq, e.payload FROM consent_entry e WHERE e.seq > $1 ORDER BY e.seq LIMIT $2`, mark, personsTogether)
		keys, err := collect(rows, err, scanConsentKey)
		if err != nil || len(keys) == 0 {
			return readerErr("list consents", err)
		}
		to := keys[len(keys)-1].event
		slices.SortFunc(keys, func(a, b eventKey) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.event, b.event)) })
		values := make([]any, 0, 2*len(keys))
		for _, k := range keys {
			values = append(values, k.hash, k.event)
		}
		err = s.writer.write(ctx, &op{rows: len(keys), run: func(t *tx) error {
			if err := t.insert(t.store.writer.consentPersons, values); err != nil {
				return err
			}
			return t.exec(saveMeta, consentsTo, strconv.FormatInt(to, 10))
		}})
		if err != nil {
			return err
		}
	}
}

func scanConsentKey(rows *sql.Rows) (k eventKey, err error) {
	var payload string
	if err := rows.Scan(&k.event, &payload); err != nil {
		return k, err
	}
	var p consentPayload
	_ = json.Unmarshal([]byte(payload), &p) // what can't be read was changed, which verifying tells
	k.hash = personIndex(p.Person)
	return k, nil
}

// ListConsents lists the entries of a person, oldest first. Where the newest can't be taken into the
// index, since the database can't be written, it looks through them.
func (s *Store) ListConsents(ctx context.Context, subscriberKey string) ([]onramp.ConsentEntry, error) {
	hash, mark := s.personHash(subscriberKey), int64(1<<62)
	if s.indexConsents(ctx) != nil {
		value, err := findMeta(ctx, s.readers, consentsTo)
		if err != nil {
			return nil, readerErr("find consent mark", err)
		}
		mark, _ = strconv.ParseInt(value, 10, 64) // never written: 0
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT `+entryColumns+` FROM consent_entry e WHERE e.seq IN
		(SELECT p.entry_seq FROM consent_person p WHERE p.hash = $1) OR e.seq > $2 AND e.payload LIKE $3 ORDER BY e.seq`,
		personIndex(hash), mark, "%"+hash+"%")
	found, err := collect(rows, err, s.scanEntry(consentLog))
	var list []onramp.ConsentEntry
	for i := range found {
		if one, person := consentOf(&found[i]); person == hash {
			list = append(list, one)
		}
	}
	return list, readerErr("list consents of a person", err)
}

// consentOf reads an entry, and the hash of its person.
func consentOf(e *chain.Entry) (c onramp.ConsentEntry, person string) {
	var p consentPayload
	_ = json.Unmarshal([]byte(e.Payload), &p) // what can't be read was changed, which verifying tells
	c = onramp.ConsentEntry{
		Number: e.Number, Hash: e.Hash, At: e.Time(), Kind: onramp.ConsentKind(e.Kind), Form: p.Form, Version: p.Version, TextHash: p.TextHash,
		Language: p.Language, Registration: p.Registration, By: p.By, Event: p.Event, Erased: e.Personal == "",
	}
	if e.Personal != "" {
		_ = chain.Open(e.Personal, &c.ConsentPerson)
	}
	return c, p.Person
}

// WithdrawConsent takes back the consents of a person for a form: an entry in the log, and, where the person
// has a row, an event that sets the form's consent column to false in it, whatever is newer wins. The
// error is of kind NotFound when the person has never registered with the form.
func (s *Store) WithdrawConsent(ctx context.Context, w onramp.TakenBack) (onramp.ConsentEntry, error) {
	now := s.now().UTC()
	e := onramp.WithdrawnEvent(w, now)
	registration, found, err := s.FindRegistrationOf(ctx, w.SubscriberKey, w.Form.Name, &e, nil)
	if err != nil {
		return onramp.ConsentEntry{}, err
	}
	if !found {
		return onramp.ConsentEntry{}, &onramp.Error{Kind: onramp.NotFound, Message: "this person has not registered with the form " + w.Form.Name}
	}
	entry := onramp.ConsentEntry{
		At: now, Kind: onramp.ConsentWithdrawn, Form: w.Form.Name, Registration: registration.ID, By: w.By, Event: e.ID,
		ConsentPerson: onramp.ConsentPerson{SubscriberKey: registration.SubscriberKey},
	}
	if w.Form.Consent != nil {
		entry.Version = w.Form.Consent.Version
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		if err := t.insertConsent(&entry); err != nil {
			return err
		}
		return t.takeBack(&e, w.Form, &registration)
	}})
	return entry, wrapUnlessKnown("withdraw consent", err)
}

// takeBack stores the event of a withdrawal and its deliveries.
func (t *tx) takeBack(e *onramp.Event, form *onramp.Form, r *onramp.Registration) error {
	events := []onramp.Event{*e}
	sealed, err := t.store.protectEvents(events)
	if err != nil {
		return err
	}
	person, isAbout := e.Person()
	person = t.store.hashing.event(person)
	t.eventSeq++
	seq := t.eventSeq
	// not by saveEvents: it came to no callback, and needs no proof
	err = t.insert(t.store.writer.events, []any{
		seq, e.Identity.At, e.Identity.Hash, 0, micros(e.ReceivedAt), storable(e.Type), nullKey(person, isAbout), nullKey(0, false), sealed.bodies[0], nullTrace(""),
	})
	if err != nil {
		return err
	}
	values, err := json.Marshal(map[string]bool{form.ConsentColumn(): false})
	if err != nil {
		return err
	}
	var rows []any
	woken := map[int]wakeUp{}
	for _, d := range form.Route {
		if d.Kind != onramp.DataExtension || d.OnExisting == onramp.Skip || form.Skips(d.ID, r) != "" {
			continue
		}
		c := onramp.RowChange{Event: seq, RegistrationSeq: r.Seq, SubscriberKey: r.SubscriberKey, Destination: d.ID, Values: values, At: e.ReceivedAt, Forms: []string{form.Name}}
		inTime, err := t.inTime(&c)
		if err != nil {
			return err
		}
		if inTime != nil {
			data, err := t.protectChange(&c, inTime)
			if err != nil {
				return err
			}
			rows = append(rows, t.eventDelivery(d.ID, r.Seq, t.store.hashing.orderingKey(r.SubscriberKey), seq, data, woken)...)
		}
	}
	if err := t.insert(t.store.writer.eventDeliveries, rows); err != nil {
		return err
	}
	t.wakeAfter(woken)
	t.noteEvent(seq, person)
	return nil
}

// recordWithdrawals appends an entry for each consent that the changes of rows take back.
func (t *tx) recordWithdrawals(changes []onramp.RowChange, withdraws map[int]bool) error {
	seen := map[string]bool{}
	for i := range changes {
		c := &changes[i]
		if !withdraws[i] {
			continue
		}
		key := fmt.Sprint(c.Event, " ", c.Withdraws.Form, " ", c.Withdraws.SubscriberKey)
		if seen[key] {
			continue
		}
		seen[key] = true
		if err := t.insertConsent(c.Withdraws); err != nil {
			return err
		}
	}
	return nil
}

// consentItems are what the consent log says of a registration after its acceptance.
func (s *Store) consentItems(ctx context.Context, r *onramp.Registration) ([]onramp.TimelineItem, error) {
	all, err := s.ListConsents(ctx, r.SubscriberKey)
	var items []onramp.TimelineItem
	for _, c := range all {
		if c.Registration != r.ID || c.Kind == onramp.ConsentGiven || c.Kind == onramp.ConsentConfirmed { // of these the rest of the timeline tells
			continue
		}
		items = append(items, onramp.TimelineItem{At: c.At, What: string(c.Kind), Detail: "consent, by " + c.By})
	}
	return items, err
}

// confirmedConsent is the entry of a registration's confirmation, of the text that was agreed to with
// it; nil when it gave no consent.
func (s *Store) confirmedConsent(ctx context.Context, r *onramp.Registration, at time.Time) (*onramp.ConsentEntry, error) {
	all, err := s.ListConsents(ctx, r.SubscriberKey)
	if err != nil {
		return nil, err
	}
	at = at.UTC()
	for _, c := range all {
		if c.Registration == r.ID && c.Kind == onramp.ConsentGiven {
			return &onramp.ConsentEntry{
				At: at, Kind: onramp.ConsentConfirmed, Form: c.Form, Version: c.Version, TextHash: c.TextHash, Language: c.Language,
				Registration: r.ID, By: "page", ConsentPerson: onramp.ConsentPerson{SubscriberKey: r.SubscriberKey},
			}, nil
		}
	}
	return nil, nil
}
