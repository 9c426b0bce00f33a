package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"onramp/internal/onramp"
)

// pauses are the destinations that are paused or were, by id: what the table has,
// for the pump to look at before each call.
type pauses struct {
	mu sync.RWMutex
	of map[int]onramp.Pause
}

func (p *pauses) load(ctx context.Context, q queryer) error {
	rows, err := q.QueryContext(ctx, `SELECT id, paused_at, COALESCE(pause_reason, ''), resumed_at FROM destination
		WHERE paused_at IS NOT NULL OR resumed_at IS NOT NULL`)
	of := map[int]onramp.Pause{}
	_, err = collect(rows, err, func(rows *sql.Rows) (none struct{}, err error) {
		var id int
		var since, ended sql.NullInt64
		var reason string
		err = rows.Scan(&id, &since, &reason, &ended)
		of[id] = onramp.Pause{Since: fromNull(since), Reason: reason, Ended: fromNull(ended)}
		return none, err
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of = of
	return nil
}

func (p *pauses) set(destination int, pause onramp.Pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := maps.Clone(p.of)
	of[destination] = pause
	p.of = of
}

// Pause tells whether an operator has paused a destination, at once. Whoever waits
// for Wake is woken when that changes.
func (s *Store) Pause(destination int) onramp.Pause {
	s.pauses.mu.RLock()
	defer s.pauses.mu.RUnlock()
	return s.pauses.of[destination]
}

// PauseDestination pauses a destination. One that is paused already gets the new
// reason. The error is of kind NotFound when there is no such destination.
func (s *Store) PauseDestination(ctx context.Context, name, reason string) error {
	err := s.changePause(ctx, name, func(t *tx, before onramp.Pause) (onramp.Pause, error) {
		if before.Reason = storable(reason); !before.Lasts() {
			before.Since = fromMicros(micros(t.now))
		}
		return before, nil
	})
	return wrapUnlessKnown("pause destination", err)
}

// ResumeDestination ends a pause. Messages that were tried before it, so long ago
// that Marketing Cloud may not know them again, become unknown: to repeat them could
// reach the person twice. It returns how many. The error is of kind NotFound, or
// Conflict when the destination is not paused.
func (s *Store) ResumeDestination(ctx context.Context, name string) (held int, err error) {
	held, err = s.holdForgotten(ctx, name)
	if err == nil {
		err = s.changePause(ctx, name, func(t *tx, before onramp.Pause) (onramp.Pause, error) {
			if !before.Lasts() {
				return before, &onramp.Error{Kind: onramp.Conflict, Message: name + " is not paused"}
			}
			return onramp.Pause{Ended: fromMicros(micros(t.now))}, nil
		})
	}
	return held, wrapUnlessKnown("resume destination", err)
}

// changePause writes a destination's pause as change makes it of the one on disk.
func (s *Store) changePause(ctx context.Context, name string, change func(t *tx, before onramp.Pause) (onramp.Pause, error)) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		var id int
		var since, ended sql.NullInt64
		var p onramp.Pause
		found, err := t.find(`SELECT id, paused_at, COALESCE(pause_reason, ''), resumed_at FROM destination WHERE name = $1`,
			[]any{storable(name)}, &id, &since, &p.Reason, &ended)
		if err != nil {
			return err
		}
		if !found {
			return &onramp.Error{Kind: onramp.NotFound, Message: "there is no such destination"}
		}
		p.Since, p.Ended = fromNull(since), fromNull(ended)
		if p, err = change(t, p); err != nil {
			return err
		}
		t.after = append(t.after, func() { s.pauses.set(id, p) })
		t.wakeAfter(map[int]wakeUp{id: dueUp})
		return t.exec(`UPDATE destination SET paused_at = $1, pause_reason = $2, resumed_at = $3 WHERE id = $4`,
			nullTime(p.Since), p.Reason, nullTime(p.Ended), id)
	}})
}

var forgottenOutcome = onramp.Outcome{
	Verdict: onramp.Unknown,
	Detail: fmt.Sprintf("an earlier try, more than %d hours ago, may have arrived: after so long a pause Marketing Cloud no longer recognises a repeat",
		int(onramp.Message.RepeatFor().Hours())),
}

// holdForgotten makes those messages unknown that were tried so long ago that
// Marketing Cloud may not know them again.
func (s *Store) holdForgotten(ctx context.Context, name string) (held int, err error) {
	id, known := s.names.destination(name)
	pause := s.Pause(id)
	if kind, _, _ := strings.Cut(name, ":"); !known || !pause.Lasts() || kind != onramp.Message.String() {
		return 0, nil
	}
	rows, err := s.readers.QueryContext(ctx, numbered(`SELECT d.seq FROM delivery d
		WHERE d.destination_id = $1 AND d.due_at IS NOT NULL AND d.state = {{pending}} AND `+firstFailure+` <= $2 ORDER BY d.seq`),
		id, micros(s.now().Add(-onramp.Message.RepeatFor())))
	seqs, err := collect(rows, err, func(rows *sql.Rows) (seq int64, err error) {
		err = rows.Scan(&seq)
		return seq, err
	})
	if err != nil {
		return 0, readerErr("list messages that may be repeated too late", err)
	}
	for part := range slices.Chunk(seqs, portion) {
		n, err := s.holdAll(ctx, part, forgottenOutcome)
		if held += n; err != nil {
			return held, err
		}
	}
	return held, nil
}
