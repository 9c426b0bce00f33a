package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"onramp/internal/importer"
	"onramp/internal/onramp"
)

const (
	mostUnsentImports = 1000 // deliveries of imports that may wait to be sent: enough for the asynchronous route
	importWindow      = 4000 // of the newest deliveries, those are counted among
)

// happenedAt is when a registration r was made, also of one that was imported.
const happenedAt = `COALESCE((SELECT i.original_at FROM imported i WHERE i.registration_seq = r.seq), r.received_at)`

// pastColumns are registrationColumns with that in the place of when it was received.
var pastColumns = strings.Replace(registrationColumns, "r.received_at", happenedAt, 1)

const (
	importColumns = `id, spec, state, started_at, ended_at, position, accepted, refused, portion_from, portion_to`
	selectImports = `SELECT ` + importColumns + ` FROM import_run `
)

func scanImport(scan func(...any) error) (r importer.Run, err error) {
	var spec string
	var started int64
	var ended sql.NullInt64
	if err = scan(&r.ID, &spec, &r.State, &started, &ended, &r.Position, &r.Accepted, &r.Refused, &r.PortionFrom, &r.PortionTo); err != nil {
		return r, err
	}
	r.StartedAt, r.EndedAt = fromMicros(started), fromNull(ended)
	return r, json.Unmarshal([]byte(spec), &r.Spec)
}

func (s *Store) listImports(ctx context.Context, where string, args ...any) ([]importer.Run, error) {
	rows, err := s.readers.QueryContext(ctx, selectImports+where, args...)
	runs, err := collect(rows, err, func(rows *sql.Rows) (importer.Run, error) { return scanImport(rows.Scan) })
	return runs, readerErr("list imports", err)
}

// ListImports lists the newest imports, the newest first.
func (s *Store) ListImports(ctx context.Context) ([]importer.Run, error) {
	return s.listImports(ctx, `ORDER BY id DESC LIMIT $1`, mostRuns)
}

var errNoImport = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such import"}

// FindImport returns an import, or an error of kind NotFound.
func (s *Store) FindImport(ctx context.Context, id int64) (importer.Run, error) {
	found, err := s.listImports(ctx, `WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = errNoImport
	}
	if err != nil {
		return importer.Run{}, err
	}
	return found[0], nil
}

// StartImport starts an import, or returns the one of the same file in the same way: it goes
// on where it is, also if it is done. With again it starts anew when that one is done.
func (s *Store) StartImport(ctx context.Context, start importer.Start) (run importer.Run, err error) {
	text, err := json.Marshal(start.Spec)
	if err != nil {
		return run, err
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		found := false
		err := t.each(selectImports+`WHERE spec = $1 ORDER BY id DESC LIMIT 1`, []any{string(text)}, func(scan func(...any) error) (err error) {
			found = true
			run, err = scanImport(scan)
			return err
		})
		if err != nil || found && (run.State == importer.Running || !start.Again) {
			return err
		}
		run = importer.Run{Spec: start.Spec, State: importer.Running, StartedAt: fromMicros(micros(t.now))}
		if _, err := t.find(`SELECT COALESCE(MAX(id), 0) + 1 FROM import_run`, nil, &run.ID); err != nil {
			return err
		}
		return t.exec(`INSERT INTO import_run (`+importColumns+`) VALUES ($1, $2, $3, $4, NULL, 0, 0, 0, 0, 0)`,
			run.ID, string(text), string(run.State), micros(run.StartedAt))
	}})
	return run, wrapUnlessKnown("start import", err)
}

var countUnsentImports = numbered(`SELECT COUNT(*) FROM delivery WHERE seq >= $1 AND seq <= $2 AND state = {{pending}} AND due_at IS NULL`)

// SaveImport stores what has become of a portion: its registrations, its refusals, and how
// far the import is, all or nothing. A registration is refused here that is older than what
// is stored of its person. It does nothing, and the run says so, when too many deliveries of
// the import are still to be sent; nor when the portion was stored before, though the answer was lost.
func (s *Store) SaveImport(ctx context.Context, run importer.Run, p importer.Checked) (importer.Run, error) {
	var unsent int
	if err := s.readers.QueryRowContext(ctx, countUnsentImports, run.PortionFrom, run.PortionTo).Scan(&unsent); err != nil || unsent > mostUnsentImports {
		run.Waits = true
		return run, readerErr("count what is not sent yet", err)
	}
	if err := s.indexPersons(ctx); err != nil {
		return run, err
	}
	accepted := make([]*acceptance, len(p.Accepted))
	for i := range p.Accepted {
		r := *p.Accepted[i].Registration
		accepted[i] = &acceptance{registration: &r}
		if err := accepted[i].protect(s); err != nil {
			return run, err
		}
	}
	var now importer.Run
	err := s.writer.write(ctx, &op{rows: 3 * len(p.Accepted), run: func(t *tx) error {
		err := t.each(selectImports+`WHERE id = $1`, []any{run.ID}, func(scan func(...any) error) (err error) {
			now, err = scanImport(scan)
			return err
		})
		if err != nil || now.Position != run.Position || now.State != importer.Running {
			return err
		}
		return t.saveImport(&now, p, accepted)
	}})
	return now, wrapUnlessKnown("import", err)
}

func (t *tx) saveImport(run *importer.Run, p importer.Checked, accepted []*acceptance) error {
	last, err := t.lastHappened(p.Accepted, p.Forms)
	if err != nil {
		return err
	}
	refused := append([]importer.Refusal(nil), p.Refused...)
	var fresh []*acceptance
	var imported []any
	for i, a := range p.Accepted {
		r := accepted[i].registration
		key := t.store.hashing.orderingKey(r.SubscriberKey)
		older, err := t.wouldOverwrite(r, a.OriginalAt)
		if err != nil {
			return err
		}
		if older || last[key].After(a.OriginalAt) {
			refused = append(refused, importer.Refusal{Line: a.Line, Reason: importer.Superseded})
			continue
		}
		last[key] = a.OriginalAt
		t.registrationSeq++
		r.Seq = t.registrationSeq
		fresh = append(fresh, accepted[i])
		imported = append(imported, r.Seq, run.ID, micros(a.OriginalAt), !run.Spec.WithJourneys)
	}
	first, woken := t.deliverySeq+1, map[int]wakeUp{}
	if err := t.insertImported(fresh, woken); err != nil {
		return err
	}
	if err := t.insert(t.store.writer.imported, imported); err != nil {
		return err
	}
	if err := t.refuseImports(run.ID, refused); err != nil {
		return err
	}
	t.wakeAfter(woken)
	lines := map[int64]bool{}
	for _, r := range refused {
		lines[r.Line] = true
	}
	run.Position, run.Accepted, run.Refused = p.To, run.Accepted+int64(len(fresh)), run.Refused+int64(len(lines))
	if t.deliverySeq >= first {
		if run.PortionFrom == 0 {
			run.PortionFrom = first
		}
		run.PortionFrom, run.PortionTo = max(run.PortionFrom, t.deliverySeq-importWindow), t.deliverySeq
	}
	if p.End {
		run.State, run.EndedAt = importer.Done, fromMicros(micros(t.now))
	}
	return t.exec(`UPDATE import_run SET state = $1, ended_at = $2, position = $3, accepted = $4, refused = $5, portion_from = $6, portion_to = $7 WHERE id = $8`,
		string(run.State), nullTime(run.EndedAt), run.Position, run.Accepted, run.Refused, run.PortionFrom, run.PortionTo, run.ID)
}

// insertImported inserts registrations that have their numbers, with their deliveries.
func (t *tx) insertImported(fresh []*acceptance, woken map[int]wakeUp) error {
	var rows acceptedRows
	for _, a := range fresh {
		if err := a.protectAnew(t.store); err != nil {
			return err
		}
		if err := t.accept(a, &rows, woken); err != nil {
			return err
		}
	}
	t.noteLookUps(fresh)
	return t.insertAccepted(&rows)
}

func (t *tx) refuseImports(id int64, refused []importer.Refusal) error {
	var values []any
	for _, r := range refused {
		values = append(values, id, r.Line, storable(r.Field), storable(r.Reason))
	}
	return t.insert(t.store.writer.importRefusals, values)
}

// lastHappened finds when the persons of registrations registered last by some forms.
func (t *tx) lastHappened(all []importer.Accepted, forms []string) (map[int64]time.Time, error) {
	last := map[int64]time.Time{}
	list := t.store.names.formList(forms)
	if list == "" || len(all) == 0 {
		return last, nil
	}
	later := func(key, at int64) {
		if happened := fromMicros(at); happened.After(last[key]) {
			last[key] = happened
		}
	}
	statement := newTogether(t.store.dialect, `SELECT p.hash, MAX(`+happenedAt+`) FROM person p JOIN registration r ON r.seq = p.registration_seq
		WHERE p.hash IN (`, `) AND r.form_id IN (`+list+`) GROUP BY p.hash`)
	var keys []int64
	for _, a := range all {
		keys = append(keys, t.store.hashing.orderingKey(a.Registration.SubscriberKey))
	}
	err := t.eachOf(&statement, keys, nil, func(scan func(...any) error) error {
		var key, at int64
		err := scan(&key, &at)
		later(key, at)
		return err
	})
	if err != nil {
		return nil, err
	}
	var value string
	if _, err := t.find(`SELECT value FROM meta WHERE name = $1`, []any{personsTo}, &value); err != nil {
		return nil, err
	}
	indexed, _ := strconv.ParseInt(value, 10, 64) // never written: 0
	// those that came since they were indexed, a moment ago
	return last, t.each(`SELECT d.ordering_key, `+happenedAt+` FROM registration r JOIN delivery d ON d.seq = r.delivery_seq
		WHERE r.seq > $1 AND r.form_id IN (`+list+`)`, []any{indexed},
		func(scan func(...any) error) error {
			var key, at int64
			err := scan(&key, &at)
			later(key, at)
			return err
		})
}

// wouldOverwrite says that an event has set a column of the person's row since.
func (t *tx) wouldOverwrite(r *onramp.Registration, at time.Time) (bool, error) {
	for _, to := range r.Route {
		if !to.Upserts() {
			continue
		}
		set, err := columnsSet(t.each, to.ID, t.store.hashing.digest(r.SubscriberKey))
		if err != nil {
			return false, err
		}
		for _, setAt := range set {
			if setAt.After(at) {
				return true, nil
			}
		}
	}
	return false, nil
}

// ListRefusals lists the refusals of an import behind a cursor, "" at first, in the order of
// their lines, and the cursor of the next page, "" at the end.
func (s *Store) ListRefusals(ctx context.Context, id int64, cursor string) (p importer.Refusals, err error) {
	line, field := int64(0), ""
	if cursor != "" {
		text, rest, ok := strings.Cut(cursor, ".")
		if line, err = strconv.ParseInt(text, 10, 64); err != nil || !ok {
			return p, &onramp.Error{Kind: onramp.Malformed, Message: "invalid cursor: use the value of next from the previous page"}
		}
		field = rest
	}
	const page = 500
	rows, err := s.readers.QueryContext(ctx, `SELECT line, field, reason FROM import_refusal
		WHERE import_id = $1 AND (line > $2 OR line = $2 AND field > $3) ORDER BY line, field LIMIT $4`, id, line, field, page)
	p.Items, err = collect(rows, err, func(rows *sql.Rows) (r importer.Refusal, err error) {
		err = rows.Scan(&r.Line, &r.Field, &r.Reason)
		return r, err
	})
	if len(p.Items) == page {
		last := p.Items[page-1]
		p.Next = fmt.Sprint(last.Line, ".", last.Field)
	}
	return p, readerErr("list refusals", err)
}

// LeftAt is when a person has unsubscribed last, as the events say that are stored; zero:
// never.
func (s *Store) LeftAt(ctx context.Context, subscriberKey string) (last time.Time, err error) {
	if s.newestEvent() == 0 {
		return last, nil
	}
	events, err := s.eventsOf(ctx, &onramp.Registration{SubscriberKey: subscriberKey})
	for i := range events {
		e := &events[i]
		if onramp.MatchesType("*.EmailUnsubscribe", e.Type) && e.HappenedAt().After(last) {
			last = e.HappenedAt()
		}
	}
	return last, readerErr("find out whether a person has left", err)
}
