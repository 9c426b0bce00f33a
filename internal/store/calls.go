package store

import (
	"context"
	"database/sql"

	"onramp/internal/budget"
)

const lastCalls = "calls" // in meta: the batch that was added last, since its commit may be on disk though the answer was an error

// AddCalls adds to the counts of calls to Marketing Cloud, and returns all from a day on.
// The batch that was added last changes nothing when it comes again.
func (s *Store) AddCalls(ctx context.Context, b budget.Batch, from budget.Day) ([]budget.Count, error) {
	if len(b.Counts) > 0 {
		if err := s.writer.write(ctx, &op{rows: len(b.Counts), run: func(t *tx) error { return t.addCalls(b) }}); err != nil {
			return nil, err
		}
	}
	ctx, cancel := limited(ctx, s.waits.read)
	defer cancel()
	rows, err := s.readers.QueryContext(ctx, `SELECT day, kind, n FROM call_count WHERE day >= $1`, from)
	all, err := collect(rows, err, func(rows *sql.Rows) (c budget.Count, err error) {
		err = rows.Scan(&c.Day, &c.Kind, &c.N)
		return c, err
	})
	return all, readerErr("list counts of calls", because(ctx, err))
}

func (t *tx) addCalls(b budget.Batch) error {
	var last string
	if _, err := t.find(`SELECT value FROM meta WHERE name = $1`, []any{lastCalls}, &last); err != nil || last == b.ID {
		return err
	}
	for _, c := range b.Counts {
		if err := t.exec(`INSERT INTO call_count (day, kind, n) VALUES ($1, $2, $3)
			ON CONFLICT (day, kind) DO UPDATE SET n = call_count.n + excluded.n`, c.Day, string(c.Kind), c.N); err != nil {
			return err
		}
	}
	return t.exec(saveMeta, lastCalls, b.ID)
}
