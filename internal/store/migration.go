package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
)

// partitions is fixed when a database is created: deliveries are spread over
// them by their ordering key, and nodes own them by leases.
const partitions = 64

// migrations are the steps from an empty database to today's. A step that was
// released is never changed; a new one is appended.
var migrations = [][]string{{
	`CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)`,
	`CREATE TABLE form (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)`,
	// read_to: every delivery of the destination up to this seq is settled or parked
	`CREATE TABLE destination (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, read_to BIGINT NOT NULL)`,
	`CREATE TABLE lease (partition_id INTEGER PRIMARY KEY, owner TEXT NOT NULL, epoch BIGINT NOT NULL, expires_at BIGINT NOT NULL)`,
	// destination 0 counts registrations
	`CREATE TABLE tally (destination_id INTEGER NOT NULL, state INTEGER NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (destination_id, state))`,
	`CREATE TABLE registration (
		seq {{integer key}}, id TEXT NOT NULL, form_id INTEGER NOT NULL, subscriber_key TEXT NOT NULL,
		received_at BIGINT NOT NULL, data TEXT NOT NULL, delivery_seq BIGINT NOT NULL, steps INTEGER NOT NULL,
		idempotency_hash BIGINT, body_hash BIGINT)`,
	// UUIDv7 sorts by time, so this index grows at its end
	`CREATE UNIQUE INDEX registration_id ON registration (id)`,
	// appended by seq; only what must be retried, or waits behind that, has a due_at and so enters an index
	`CREATE TABLE delivery (
		seq {{integer key}}, registration_seq BIGINT NOT NULL, step INTEGER NOT NULL, destination_id INTEGER NOT NULL,
		partition_id INTEGER NOT NULL, ordering_key BIGINT NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL,
		due_at BIGINT, settled_at BIGINT, reason TEXT)`,
	`CREATE INDEX delivery_due ON delivery (destination_id, due_at, seq) WHERE due_at IS NOT NULL`,
	`CREATE INDEX delivery_key ON delivery (destination_id, ordering_key, seq) WHERE due_at IS NOT NULL`,
	`CREATE INDEX delivery_failed ON delivery (seq) WHERE state IN (6, 7, 9)`,
	`CREATE TABLE attempt (
		delivery_seq BIGINT NOT NULL, number INTEGER NOT NULL, started_at BIGINT NOT NULL, took BIGINT NOT NULL,
		verdict INTEGER NOT NULL, status INTEGER NOT NULL, code INTEGER NOT NULL, detail TEXT NOT NULL,
		mend TEXT NOT NULL, request TEXT NOT NULL, answer TEXT NOT NULL,
		PRIMARY KEY (delivery_seq, number)) {{without rowid}}`,
	// one table for the even days and one for the odd: a day is forgotten by emptying its table
	`CREATE TABLE idempotency_even (hash {{integer key}}, registration_seq BIGINT NOT NULL)`,
	`CREATE TABLE idempotency_odd (hash {{integer key}}, registration_seq BIGINT NOT NULL)`,
}, {
	// what dead and unknown deliveries have in common that failed alike
	`ALTER TABLE delivery ADD COLUMN cause TEXT`,
	// one request that delivered everything in it; what went otherwise stands in attempt
	`CREATE TABLE call (seq {{integer key}}, started_at BIGINT NOT NULL, took BIGINT NOT NULL,
		status INTEGER NOT NULL, detail TEXT NOT NULL)`,
	`ALTER TABLE delivery ADD COLUMN call_seq BIGINT`,
	// what a registration held before an operator changed it
	`CREATE TABLE edit (registration_seq BIGINT NOT NULL, number INTEGER NOT NULL, edited_at BIGINT NOT NULL,
		fields TEXT NOT NULL, subscriber_key TEXT NOT NULL, data TEXT NOT NULL,
		PRIMARY KEY (registration_seq, number)) {{without rowid}}`,
}, {
	`CREATE TABLE callback (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)`,
	// person and send are hashes of what joins events to registrations and to each other; see event_key
	`CREATE TABLE event (seq {{integer key}}, at BIGINT NOT NULL, hash BIGINT NOT NULL, callback_id INTEGER NOT NULL,
		received_at BIGINT NOT NULL, type TEXT NOT NULL, person BIGINT, send BIGINT, body TEXT NOT NULL)`,
	// the time comes first: identities of about the same time lie on the same page
	`CREATE UNIQUE INDEX event_identity ON event (at, hash)`,
	// finds events by either hash; filled in large sorted parts, a little after the events
	`CREATE TABLE event_key (hash BIGINT NOT NULL, event_seq BIGINT NOT NULL, PRIMARY KEY (hash, event_seq)) {{without rowid}}`,
	// of an event that goes on to a sink (registration_seq is 0), or that has changed a row (data is the change)
	`ALTER TABLE delivery ADD COLUMN event_seq BIGINT`,
	`ALTER TABLE delivery ADD COLUMN data TEXT`,
	`CREATE INDEX delivery_event ON delivery (event_seq) WHERE event_seq IS NOT NULL`,
	// the registrations of a subscriber; filled when an event asks for it
	`CREATE TABLE person (hash BIGINT NOT NULL, registration_seq BIGINT NOT NULL, PRIMARY KEY (hash, registration_seq)) {{without rowid}}`,
	// engagement that came before its send, with a rule that waits for it
	`CREATE TABLE unjoined (send BIGINT NOT NULL, event_seq BIGINT NOT NULL, PRIMARY KEY (send, event_seq)) {{without rowid}}`,
	// what is kept encrypted: signature keys, signing keys, clients
	`CREATE TABLE kept (kind TEXT NOT NULL, name TEXT NOT NULL, kept_at BIGINT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (kind, name))`,
}, {
	// a registration whose answer was lost is no longer counted with those that are held
	`UPDATE tally SET state = 7 WHERE destination_id = 0 AND state = 1`,
	`ALTER TABLE attempt RENAME COLUMN mend TO hint`,
	// events that came to a callback; tally had them under the destinations -1 and -2, by callback instead of state
	`CREATE TABLE event_tally (callback_id INTEGER PRIMARY KEY, stored BIGINT NOT NULL, repeated BIGINT NOT NULL)`,
	`INSERT INTO event_tally (callback_id, stored, repeated) SELECT state, SUM(CASE WHEN destination_id = -1 THEN n ELSE 0 END),
		SUM(CASE WHEN destination_id = -2 THEN n ELSE 0 END) FROM tally WHERE destination_id < 0 GROUP BY state`,
	`DELETE FROM tally WHERE destination_id < 0`,
	// the same index in other words: to check a list of three, SQLite fills a temporary table at every row that it writes
	`DROP INDEX delivery_failed`,
	`CREATE INDEX delivery_failed ON delivery (seq) WHERE (state = 6 OR state = 7 OR state = 9)`,
}, {
	// no delivery to the destination after this seq has been sent; 0: nothing is in flight
	`ALTER TABLE destination ADD COLUMN sent_to BIGINT NOT NULL DEFAULT 0`,
	`UPDATE destination SET sent_to = (SELECT COALESCE(MAX(seq), 0) FROM delivery)`,
	// calls that may be carried out late, by the key of what was in them: see late.go
	`CREATE TABLE late_call (destination_id INTEGER NOT NULL, ordering_key BIGINT NOT NULL, seq BIGINT NOT NULL, until_at BIGINT NOT NULL,
		PRIMARY KEY (destination_id, ordering_key)) {{without rowid}}`,
	`CREATE INDEX late_call_until ON late_call (destination_id, until_at)`,
	// what was delivered and is to be sent once more, of each key the oldest first; form_id is 0 of what an event has changed
	`CREATE TABLE resend (destination_id INTEGER NOT NULL, ordering_key BIGINT NOT NULL, seq BIGINT NOT NULL, form_id INTEGER NOT NULL,
		due_at BIGINT NOT NULL, PRIMARY KEY (destination_id, ordering_key, seq)) {{without rowid}}`,
	`CREATE INDEX resend_due ON resend (destination_id, due_at)`,
	// asynchronous requests whose outcome is not known yet; seqs are the deliveries, in the order of their rows
	`CREATE TABLE job (request_id TEXT PRIMARY KEY, destination_id INTEGER NOT NULL, submitted_at BIGINT NOT NULL, seqs TEXT NOT NULL)`,
	// with this version the key secret may be encrypted, see seal, and an onramp that does not know it would go on without one
}, proofAndOrder, rescue, {
	// calls to Marketing Cloud by day, counted from 1970, and kind
	`CREATE TABLE call_count (day INTEGER NOT NULL, kind TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (day, kind)) {{without rowid}}`,
}, {
	// where what came stands in a distributed trace, see onramp.Trace; null: tracing was off
	`ALTER TABLE registration ADD COLUMN trace TEXT`,
	`ALTER TABLE event ADD COLUMN trace TEXT`,
}, hold, doubleOptIn, persons, screening, retain, imports, erasures, chains, consents}

// NewestVersion is the version of the tables of a database that Open has opened.
func NewestVersion() int { return len(migrations) }

// migrate takes the migrations that the database has not had yet. A database
// that a newer onramp wrote is refused.
func migrate(ctx context.Context, db *sql.DB, d dialect, migrations [][]string) error {
	if err := checkVersion(ctx, db, d, len(migrations)); err != nil {
		return err
	}
	steps := make([]*goose.Migration, len(migrations))
	for i, statements := range migrations {
		up := func(ctx context.Context, tx *sql.Tx) error { return runStep(ctx, tx, d, statements, i == 0) }
		steps[i] = goose.NewGoMigration(int64(i+1), &goose.GoFunc{RunTx: up}, nil)
	}
	provider, err := goose.NewProvider(d.goose, db, nil, goose.WithGoMigrations(steps...), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// checkVersion reads the version itself: goose takes whatever keeps it from
// reading its table, such as a damaged file, for the table's absence.
func checkVersion(ctx context.Context, db *sql.DB, d dialect, newest int) error {
	var exists, version int
	if err := db.QueryRowContext(ctx, d.versioned).Scan(&exists); err != nil || exists == 0 {
		return err
	}
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`).Scan(&version); err != nil {
		return err
	}
	if version > newest {
		return fmt.Errorf("the database has version %d, and this onramp supports versions up to %d: use a newer onramp", version, newest)
	}
	return nil
}

func runStep(ctx context.Context, tx *sql.Tx, d dialect, statements []string, first bool) error {
	text := strings.NewReplacer("{{integer key}}", d.integerKey, "{{without rowid}}", d.withoutRowID)
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, text.Replace(statement)); err != nil {
			return fmt.Errorf("%w in: %s", err, statement)
		}
	}
	if !first {
		return nil
	}
	for i := range partitions {
		if _, err := tx.ExecContext(ctx, `INSERT INTO lease (partition_id, owner, epoch, expires_at) VALUES ($1, '', 0, 0)`, i); err != nil {
			return err
		}
	}
	return nil
}

// findMeta reads a setting that lives in the database; "" when it has none.
func findMeta(ctx context.Context, q queryer, name string) (string, error) {
	var value string
	err := q.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

const saveMeta = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
