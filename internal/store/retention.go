package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"onramp/internal/retention"
)

// Retention goes through the registrations in the order of their seqs, once, when they are
// old enough to have been delivered long ago. What it can't remove then, because something
// of it is still to be sent, or is kept longer, stands in the table retained from then on,
// with the time at which to look again. Nothing is ever searched for.
//
// Of a person the oldest goes first: as long as anything older of the same key is kept,
// what was delivered after it must be known, so that a retry or a resend of the older one
// doesn't write over it.

const (
	retainTogether = 64 // registrations, or events, in one write
	retainAgain    = 24 * time.Hour
	retainSoon     = time.Hour // of the newest of all, which keeps the numbering
	retainRarely   = 7 * 24 * time.Hour
)

const (
	retentionPolicy = "retention_policy" // by which registrations and events were looked at up to the positions
	retentionDone   = "retention_done"   // when everything had been looked at, the last time
)

// retentionPosition is the name in meta of up to which seq a kind was looked at.
func retentionPosition(k retention.Kind) string { return "retention_" + string(k) + "_to" }

// RetainSlice removes the next of a kind that is kept no longer, by one short write. It is
// to be repeated while there may be more.
func (s *Store) RetainSlice(ctx context.Context, k retention.Kind, p *retention.Policies) (slice retention.Slice, err error) {
	if err := s.followPolicies(ctx, p); err != nil {
		return slice, err
	}
	switch k {
	case retention.Registrations:
		slice, err = s.retainRegistrations(ctx, p)
	case retention.Events:
		slice, err = s.retainEvents(ctx, p)
	case retention.Attempts:
		slice, err = s.retainAttempts(ctx, p)
	case retention.Calls:
		slice, err = s.retainCalls(ctx, p)
	}
	return slice, readerErr("remove old "+string(k), err)
}

// followPolicies begins anew when the periods have changed: what was passed may be due
// earlier now.
func (s *Store) followPolicies(ctx context.Context, p *retention.Policies) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	before, err := findMeta(ctx, s.readers, retentionPolicy)
	if err != nil || before == string(text) {
		return readerErr("find the retention policy", err)
	}
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, k := range []retention.Kind{retention.Registrations, retention.Events} {
			if err := t.exec(saveMeta, retentionPosition(k), "0"); err != nil {
				return err
			}
		}
		return t.exec(saveMeta, retentionPolicy, string(text))
	}})
}

// walk is the next rows of a table behind a position, as far as they are old enough to be
// looked at.
type walk struct {
	seqs []int64
	to   int64 // the new position
	more bool
}

// walkOn reads the next rows. One that was received in the future doesn't hold up those
// behind it: the clock was ahead then.
func (s *Store) walkOn(ctx context.Context, k retention.Kind, table string, keep time.Duration) (w walk, err error) {
	value, err := findMeta(ctx, s.readers, retentionPosition(k))
	if err != nil {
		return w, err
	}
	w.to, _ = strconv.ParseInt(value, 10, 64) // never written: 0
	rows, err := s.readers.QueryContext(ctx, `SELECT seq, received_at FROM `+table+` WHERE seq > $1 ORDER BY seq LIMIT $2`, w.to, retainTogether)
	type row struct{ seq, at int64 }
	found, err := collect(rows, err, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.seq, &r.at)
		return r, err
	})
	w.more = len(found) == retainTogether
	now := s.now()
	for _, r := range found {
		if r.at > micros(now.Add(-keep)) && r.at <= micros(now.Add(clockSetBack)) {
			w.more = false
			break
		}
		w.seqs, w.to = append(w.seqs, r.seq), r.seq
	}
	return w, err
}

// nextToRetain are the registrations that are to be looked at next: those that are due
// again, those under suspicion, and those that have not been looked at yet.
func (s *Store) nextToRetain(ctx context.Context, p *retention.Policies) (w walk, err error) {
	now := s.now()
	rows, err := s.readers.QueryContext(ctx, `SELECT registration_seq FROM retained WHERE look_at <= $1 ORDER BY look_at, registration_seq LIMIT $2`, micros(now), retainTogether)
	if w.seqs, err = collect(rows, err, scanSeq); err != nil || len(w.seqs) > 0 {
		w.more = true
		return w, err
	}
	if keep := p.Suspicion(); keep > 0 {
		rows, err := s.readers.QueryContext(ctx, numbered(`SELECT h.registration_seq FROM hold h WHERE h.reason = {{suspicion}} AND h.held_at <= $1
			AND NOT EXISTS (SELECT 1 FROM retained a WHERE a.registration_seq = h.registration_seq AND a.look_at > $2)
			ORDER BY h.held_at LIMIT $3`), micros(now.Add(-keep)), micros(now), retainTogether)
		if w.seqs, err = collect(rows, err, scanSeq); err != nil || len(w.seqs) > 0 {
			w.more = true
			return w, err
		}
	}
	if p.Settled() == 0 {
		return w, nil
	}
	return s.walkOn(ctx, retention.Registrations, "registration", p.Settled())
}

func (s *Store) retainRegistrations(ctx context.Context, p *retention.Policies) (slice retention.Slice, err error) {
	if !p.RemovesRegistrations() {
		return slice, nil
	}
	next, err := s.nextToRetain(ctx, p)
	if err != nil || len(next.seqs) == 0 {
		return slice, err
	}
	slices.Sort(next.seqs)
	next.seqs = slices.Compact(next.seqs) // one may have two keys
	err = s.writer.write(ctx, &op{rows: 4 * len(next.seqs), run: func(t *tx) error {
		return t.overwriting(func() (err error) {
			if slice.Removed, err = t.retainRegistrations(next.seqs, p); err != nil || next.to == 0 {
				return err
			}
			return t.exec(saveMeta, retentionPosition(retention.Registrations), strconv.FormatInt(next.to, 10))
		})
	}})
	slice.More = next.more
	return slice, err
}

// overwriting has what is removed meanwhile overwritten in the file, too.
func (t *tx) overwriting(remove func() error) error {
	if t.store.own == nil {
		return remove()
	}
	if err := t.exec(`PRAGMA secure_delete = ON`); err != nil {
		return err
	}
	return errors.Join(remove(), t.exec(`PRAGMA secure_delete = OFF`))
}

// retainAttempts empties the requests and answers of old attempts: what became of them
// stays as long as their deliveries.
func (s *Store) retainAttempts(ctx context.Context, p *retention.Policies) (slice retention.Slice, err error) {
	if p.Attempts == 0 {
		return slice, nil
	}
	const old = `FROM attempt WHERE started_at < $1 AND (request <> '' OR answer <> '')`
	var last sql.NullInt64
	err = s.readers.QueryRowContext(ctx, `SELECT MAX(started_at) FROM (SELECT started_at `+old+` ORDER BY started_at LIMIT $2) AS oldest`,
		micros(s.now().Add(-p.Attempts)), retainTogether).Scan(&last)
	if err != nil || !last.Valid {
		return slice, err
	}
	err = s.writer.write(ctx, &op{rows: retainTogether, run: func(t *tx) error {
		return t.overwriting(func() error {
			slice.Removed, err = t.update(`UPDATE attempt SET request = '', answer = '' WHERE started_at <= $1 AND (request <> '' OR answer <> '')`, last.Int64)
			if err != nil {
				return err
			}
			return t.countRemoved(map[string]int64{string(retention.Attempts): slice.Removed})
		})
	}})
	slice.More = slice.Removed > 0
	return slice, err
}

// retainCalls removes the calls that delivered what is no longer kept.
func (s *Store) retainCalls(ctx context.Context, p *retention.Policies) (slice retention.Slice, err error) {
	keep := p.Calls()
	if keep == 0 {
		return slice, nil
	}
	var last sql.NullInt64
	err = s.readers.QueryRowContext(ctx, `SELECT MAX(seq) FROM (SELECT seq, started_at FROM call ORDER BY seq LIMIT $2) AS oldest WHERE started_at < $1`,
		micros(s.now().Add(-keep)), 8*retainTogether).Scan(&last)
	if err != nil || !last.Valid {
		return slice, err
	}
	err = s.writer.write(ctx, &op{rows: retainTogether, run: func(t *tx) (err error) {
		slice.Removed, err = t.update(`DELETE FROM call WHERE seq <= $1`, min(last.Int64, t.store.writer.callSeq-1))
		return err
	}})
	slice.More = slice.Removed > 0
	return slice, err
}
