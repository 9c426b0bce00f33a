package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"

	"onramp/internal/chain"
	"onramp/internal/onramp"
)

// auditPayload is what the audit log says of an action. A result only has the last two.
type auditPayload struct {
	By     string `json:"by,omitempty"`
	Object string `json:"object,omitempty"`
	Result string `json:"result,omitempty"`
	Count  int64  `json:"count,omitempty"`
}

// auditReason is the part that an operator has typed: nobody can know whom it names.
type auditReason struct {
	Reason string `json:"reason"`
}

// BeginAction appends that an action begins to the audit log, and returns the number by which
// EndAction completes it. With a result it is complete.
func (s *Store) BeginAction(ctx context.Context, a onramp.Action) (number int64, err error) {
	e := chain.Entry{Kind: storable(a.What)}
	if e.Payload, err = encodePayload(auditPayload{By: storable(a.By), Object: storable(a.Object), Result: a.Result.Kind}); err != nil {
		return 0, err
	}
	if a.Reason != "" {
		if e.Personal, e.Commitment, err = chain.Seal(auditReason{storable(a.Reason)}); err != nil {
			return 0, err
		}
	}
	return s.appendAudit(ctx, e)
}

// EndAction appends how an action ended.
func (s *Store) EndAction(ctx context.Context, number int64, what string, r onramp.ActionResult) error {
	payload, err := encodePayload(auditPayload{Result: r.Kind, Count: r.Count})
	if err == nil {
		_, err = s.appendAudit(ctx, chain.Entry{Kind: storable(what), Ref: number, Payload: payload})
	}
	return err
}

func (s *Store) appendAudit(ctx context.Context, e chain.Entry) (number int64, err error) {
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		one := e
		one.At = micros(t.now)
		row, err := t.appendEntry(auditLog, &one, "")
		if err != nil {
			return err
		}
		number = one.Number
		return t.insert(t.store.writer.entries[auditLog], row)
	}})
	if err != nil {
		return 0, fmt.Errorf("append to the audit log: %w", err)
	}
	return number, nil
}

func encodePayload(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// ListActions returns a page of the audit log, the newest first, and the cursor of the next one, ""
// at the end.
func (s *Store) ListActions(ctx context.Context, f onramp.ActionFilter) (page []onramp.Action, next string, err error) {
	below, err := before(onramp.Filter{Cursor: f.Cursor})
	if err != nil {
		return nil, "", err
	}
	var where chosen
	where.and(`e.seq < ?`, below)
	where.and(`e.ref = 0`)
	if f.What != "" {
		where.and(`e.kind = ?`, storable(f.What))
	}
	if f.By != "" {
		by, err := encodePayload(storable(f.By))
		if err != nil {
			return nil, "", err
		}
		where.and(`SUBSTR(e.payload, 1, LENGTH(CAST(? AS TEXT))) = ?`, `{"by":`+by, `{"by":`+by)
	}
	where.within("e.at", f.Since, f.Until)
	most := entryLimit(f.Limit)
	rows, err := s.readers.QueryContext(ctx, `SELECT `+entryColumns+`, r.at, r.payload FROM audit_entry e LEFT JOIN audit_entry r ON r.ref = e.seq AND r.ref > 0
		WHERE `+where.text+` ORDER BY e.seq DESC LIMIT `+strconv.Itoa(most), where.args...)
	page, err = collect(rows, err, s.scanAction)
	if err == nil && len(page) == most {
		next = strconv.FormatInt(page[most-1].Number, 10)
	}
	return page, next, readerErr("list the audit log", err)
}

func (s *Store) scanAction(rows *sql.Rows) (a onramp.Action, err error) {
	var personal []byte
	var result sql.NullString
	var ended sql.NullInt64
	var e chain.Entry
	err = rows.Scan(&e.Number, &e.At, &e.Kind, &e.Ref, &e.Payload, &e.Commitment, &personal, &e.Hash, &ended, &result)
	if err != nil {
		return a, err
	}
	e.Chain, e.Number = ofSeq(e.Number)
	s.readPersonal(auditLog, &e, personal)
	var begun, end auditPayload
	var reason auditReason
	// what can't be read was changed, which verifying tells: the line is shown without it
	_ = json.Unmarshal([]byte(e.Payload), &begun)
	if end.Result = begun.Result; result.Valid {
		_ = json.Unmarshal([]byte(result.String), &end)
	}
	if e.Personal != "" {
		_ = chain.Open(e.Personal, &reason)
	}
	return onramp.Action{
		Number: e.Number, At: e.Time(), By: begun.By, What: e.Kind, Object: begun.Object, Reason: reason.Reason,
		Result: onramp.ActionResult{At: fromNull(ended), Kind: end.Result, Count: end.Count},
	}, nil
}
