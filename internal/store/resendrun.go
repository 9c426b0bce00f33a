package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/resend"
)

const (
	runColumns = `id, kind, target, filter, state, started_at, ended_at, planned, sent, left_out, position, last, portion_from, portion_to`
	selectRuns = `SELECT ` + runColumns + ` FROM resend_run `
)

// runRow receives a run as it is stored.
type runRow struct {
	resend.Run
	filter, leftOut string
	started         int64
	ended           sql.NullInt64
}

func (r *runRow) into() []any {
	return []any{
		&r.ID, &r.Kind, &r.Target, &r.filter, &r.State, &r.started, &r.ended, &r.Planned, &r.Sent, &r.leftOut, &r.Position, &r.Last,
		&r.PortionFrom, &r.PortionTo,
	}
}

func (r *runRow) run() (resend.Run, error) {
	r.Filter, r.StartedAt, r.EndedAt = json.RawMessage(r.filter), fromMicros(r.started), fromNull(r.ended)
	err := json.Unmarshal([]byte(r.leftOut), &r.LeftOut)
	return r.Run, err
}

func (t *tx) findRun(where string, args ...any) (run resend.Run, found bool, err error) {
	var r runRow
	if found, err = t.find(selectRuns+where, args, r.into()...); err != nil || !found {
		return run, false, err
	}
	run, err = r.run()
	return run, true, err
}

// StartResend starts what was planned. A run of the same kind, target and filter that
// is under way is returned instead, with started false: whoever was cut off from it
// finds it again. The error is of kind Conflict when another run to the target is under
// way, when the same was done before and again isn't set, or when there is nothing to
// send.
func (s *Store) StartResend(ctx context.Context, p resend.Plan, again bool) (run resend.Run, started bool, err error) {
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		started = false
		var found bool
		var err error
		if run, found, err = t.findRun(`WHERE kind = $1 AND target = $2 AND state = $3`, p.Kind, p.Target, string(resend.Running)); err != nil || found {
			return checkSame(&run, &p, err)
		}
		run, found, err = t.findRun(`WHERE kind = $1 AND target = $2 AND filter = $3 AND sent > 0 ORDER BY id DESC LIMIT 1`, p.Kind, p.Target, string(p.Filter))
		if err == nil && found && !again {
			err = &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf("resend %d has already sent these again (%d of %d, %s): to send them once more, set again (--again)",
				run.ID, run.Sent, run.Planned, run.State)}
		}
		if err == nil && p.Count == 0 {
			err = &onramp.Error{Kind: onramp.Conflict, Message: "there is nothing to send" + leftOutOf(&p)}
		}
		if err != nil {
			return err
		}
		started = true
		run = resend.Run{
			Kind: p.Kind, Target: p.Target, Filter: p.Filter, State: resend.Running, StartedAt: fromMicros(micros(t.now)), Planned: p.Count,
			LeftOut: map[string]int64{}, Position: p.After, Last: p.Last,
		}
		if _, err := t.find(`SELECT COALESCE(MAX(id), 0) + 1 FROM resend_run`, nil, &run.ID); err != nil {
			return err
		}
		return t.exec(`INSERT INTO resend_run (`+runColumns+`) VALUES ($1, $2, $3, $4, $5, $6, NULL, $7, 0, '{}', $8, $9, 0, 0)`,
			run.ID, run.Kind, run.Target, string(run.Filter), string(run.State), micros(run.StartedAt), run.Planned, run.Position, run.Last)
	}})
	return run, started, wrapUnlessKnown("start resend", err)
}

// leftOutOf says what a plan leaves out, in brackets.
func leftOutOf(p *resend.Plan) string {
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(p.LeftOut)) {
		if n := p.LeftOut[reason]; n > 0 {
			reasons = append(reasons, fmt.Sprint(n, " ", reason))
		}
	}
	if reasons == nil {
		return ""
	}
	return " (left out: " + strings.Join(reasons, ", ") + ")"
}

func checkSame(running *resend.Run, p *resend.Plan, err error) error {
	if err == nil && string(running.Filter) != string(p.Filter) {
		err = &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf("resend %d to %s is still running: wait for its end, or cancel it", running.ID, running.Target)}
	}
	return err
}

// mostRuns is how many runs are listed.
const mostRuns = 500

// ListResends lists the newest runs, the newest first.
func (s *Store) ListResends(ctx context.Context) ([]resend.Run, error) {
	return s.listRuns(ctx, `ORDER BY id DESC LIMIT $1`, mostRuns)
}

// ListRunningResends lists the runs that are under way, the oldest first.
func (s *Store) ListRunningResends(ctx context.Context) ([]resend.Run, error) {
	return s.listRuns(ctx, `WHERE state = $1 ORDER BY id`, string(resend.Running))
}

var errNoResend = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such resend"}

// FindResend returns a run, or an error of kind NotFound.
func (s *Store) FindResend(ctx context.Context, id int64) (resend.Run, error) {
	found, err := s.listRuns(ctx, `WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = errNoResend
	}
	if err != nil {
		return resend.Run{}, err
	}
	return found[0], nil
}

func (s *Store) listRuns(ctx context.Context, where string, args ...any) ([]resend.Run, error) {
	rows, err := s.readers.QueryContext(ctx, selectRuns+where, args...)
	runs, err := collect(rows, err, func(rows *sql.Rows) (resend.Run, error) {
		var r runRow
		if err := rows.Scan(r.into()...); err != nil {
			return resend.Run{}, err
		}
		return r.run()
	})
	return runs, readerErr("list resends", err)
}

// CancelResend ends a run; what it has queued is still sent. To repeat it changes
// nothing. The error is of kind NotFound, or Conflict when the run is done.
func (s *Store) CancelResend(ctx context.Context, id int64) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error {
		run, found, err := t.findRun(`WHERE id = $1`, id)
		switch {
		case err != nil || run.State == resend.Cancelled:
			return err
		case !found:
			return errNoResend
		case run.State == resend.Done:
			return &onramp.Error{Kind: onramp.Conflict, Message: "this resend is done: everything is queued"}
		}
		return t.exec(`UPDATE resend_run SET state = $1, ended_at = $2 WHERE id = $3`, string(resend.Cancelled), micros(t.now), id)
	}})
	return wrapUnlessKnown("cancel resend", err)
}

// stepRun takes a run to a position: what send adds to the deliveries, and how far the
// run is, are one transaction; send says how many things it has queued. It does nothing if that was done before, though the
// answer was lost, or if the run was cancelled.
func (s *Store) stepRun(ctx context.Context, run *resend.Run, to int64, rows int, send func(t *tx) (sent int64, leftOut map[string]int64, err error)) error {
	return s.writer.write(ctx, &op{rows: rows, run: func(t *tx) error {
		current, still, err := t.findRun(`WHERE id = $1 AND state = $2 AND position = $3`, run.ID, string(resend.Running), run.Position)
		if err != nil || !still {
			return err
		}
		before := t.deliverySeq
		sent, leftOut, err := send(t)
		if err != nil {
			return err
		}
		for why, n := range leftOut {
			current.LeftOut[why] += n
		}
		text, err := json.Marshal(current.LeftOut)
		if err != nil {
			return err
		}
		if to >= run.Last {
			current.State, current.EndedAt = resend.Done, t.now
		}
		return t.exec(`UPDATE resend_run SET position = $1, sent = sent + $2, left_out = $3, portion_from = $4, portion_to = $5, state = $6, ended_at = $7 WHERE id = $8`,
			to, sent, string(text), before+1, t.deliverySeq, string(current.State), nullTime(current.EndedAt), run.ID)
	}})
}

var countUnsent = numbered(`SELECT COUNT(*) FROM delivery WHERE seq >= $1 AND seq <= $2 AND run_id = $3 AND (step > 0 OR event_seq IS NOT NULL) AND state = {{pending}} AND due_at IS NULL`)

// countUnsent counts what the pump has not come to yet of the newest portion of a run.
// The next one waits for it: whatever else is to be sent to the destination meanwhile is
// behind a part of a portion, and not behind the whole run.
func (s *Store) countUnsent(ctx context.Context, run *resend.Run) (n int, err error) {
	err = s.readers.QueryRowContext(ctx, countUnsent, run.PortionFrom, run.PortionTo, run.ID).Scan(&n)
	return n, readerErr("count what is not sent yet", err)
}
