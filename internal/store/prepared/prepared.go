// Package prepared keeps queries that are asked again and again: on SQLite parsing one
// costs more than running it.
package prepared

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// Queries are queries of one database, prepared when each is asked first. Let their LIMIT
// be an expression ($1 + 0): SQLite parses a statement anew whenever a parameter is bound
// that stands alone behind LIMIT.
type Queries struct {
	db         *sql.DB
	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

// New has no query prepared yet.
func New(db *sql.DB) *Queries {
	return &Queries{db: db, statements: map[string]*sql.Stmt{}}
}

// Query asks for rows. The text must be one of few: it is kept until Close.
func (q *Queries) Query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	statement, err := q.Statement(ctx, text)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

// Statement prepares a query, or returns it as it was prepared before.
func (q *Queries) Statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if kept := q.kept(text); kept != nil {
		return kept, nil
	}
	statement, err := q.db.PrepareContext(ctx, text) // not under the mutex: it may take long
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if other := q.statements[text]; other != nil {
		return other, statement.Close()
	}
	q.statements[text] = statement
	return statement, nil
}

func (q *Queries) kept(text string) *sql.Stmt {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.statements[text]
}

// Close forgets all queries.
func (q *Queries) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, statement := range q.statements {
		errs = append(errs, statement.Close())
	}
	clear(q.statements)
	return errors.Join(errs...)
}
