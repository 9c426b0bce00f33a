package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"onramp/internal/onramp"
)

// screening is the step for what keeps abuse away.
var screening = []string{
	// one row for what one node saved at once; uses is JSON, see screenUse
	`CREATE TABLE screen_use (seq {{integer key}}, node TEXT NOT NULL, until_at BIGINT NOT NULL, uses TEXT NOT NULL)`,
	// what a registration is suspected of, as it is counted: it tells nothing of its person, and so is not encrypted; null: of nothing
	`ALTER TABLE hold ADD COLUMN suspicion TEXT`,
	// how many were held under each suspicion, and what became of them
	`CREATE TABLE suspicion (reason TEXT PRIMARY KEY, held BIGINT NOT NULL, released BIGINT NOT NULL, discarded BIGINT NOT NULL)`,
}

const (
	keptScreenKey = "screening key"
	screenKeyName = "screen"
)

// LoadScreenKey returns the key that signs what pages send back, or nil if there is none.
// One that can't be decrypted is none, and is removed: all it costs is that open pages are
// taken for old ones.
func (s *Store) LoadScreenKey(ctx context.Context) ([]byte, error) {
	if s.cipher == nil {
		return nil, nil
	}
	row := keptRow{name: screenKeyName}
	err := s.readers.QueryRowContext(ctx, `SELECT data FROM kept WHERE kind = $1 AND name = $2`, keptScreenKey, screenKeyName).Scan(&row.text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, readerErr("find the screening key", err)
	}
	key, err := openKept[[]byte](s.cipher, keptScreenKey, row)
	if err != nil {
		s.log.Warn("the key that signs what pages send back can't be read, and is replaced", "err", err)
		return nil, s.drop(ctx, keptScreenKey, screenKeyName)
	}
	return key, nil
}

// SaveScreenKey keeps a key, encrypted, unless there is one, and returns the one that is
// kept. Without a cipher it is not kept: it is then the key of this process alone.
func (s *Store) SaveScreenKey(ctx context.Context, key []byte) ([]byte, error) {
	if s.cipher == nil {
		return key, nil
	}
	var plain bytes.Buffer
	if err := gob.NewEncoder(&plain).Encode(key); err != nil {
		return nil, fmt.Errorf("encode the screening key: %w", err)
	}
	text, err := s.cipher.Encrypt(plain.Bytes(), keptAs(keptScreenKey, screenKeyName))
	if err != nil {
		return nil, fmt.Errorf("encrypt the screening key: %w", err)
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`INSERT INTO kept (kind, name, kept_at, data) VALUES ($1, $2, $3, $4) ON CONFLICT (kind, name) DO NOTHING`,
			keptScreenKey, screenKeyName, micros(t.now), text)
	}})
	if err != nil {
		return nil, fmt.Errorf("keep the screening key: %w", err)
	}
	return s.LoadScreenKey(ctx)
}

// screenUse is how a use is stored, without names.
type screenUse [5]int64

// SaveUses adds what a node has counted for the limits, and removes what is over.
func (s *Store) SaveUses(ctx context.Context, node string, uses []onramp.Use) error {
	rows, until := make([]screenUse, len(uses)), time.Time{}
	for i, u := range uses {
		rows[i] = screenUse{int64(u.Kind), int64(u.Key), micros(u.At), u.Amount, micros(u.Until)}
		if u.Until.After(until) {
			until = u.Until
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode uses: %w", err)
	}
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		if err := t.exec(`DELETE FROM screen_use WHERE until_at < $1 AND seq < (SELECT MAX(seq) FROM screen_use)`, micros(t.now)); err != nil {
			return err
		}
		// never a number that was used before: readers go on behind the last one that they have seen
		return t.exec(`INSERT INTO screen_use (seq, node, until_at, uses) VALUES ((SELECT COALESCE(MAX(seq), 0) + 1 FROM screen_use), $1, $2, $3)`,
			node, micros(until), string(text))
	}})
	if err != nil {
		return fmt.Errorf("save uses: %w", err)
	}
	return nil
}

// usesAtOnce is how many saves one call lists.
const usesAtOnce = 500

// ListUses lists what nodes have saved after a place, the oldest first, but for one node,
// and how far it has looked.
func (s *Store) ListUses(ctx context.Context, after int64, without string) (uses []onramp.Use, to int64, err error) {
	to = after
	rows, err := s.readers.QueryContext(ctx, `SELECT seq, node, uses FROM screen_use WHERE seq > $1 ORDER BY seq LIMIT $2`, after, usesAtOnce)
	_, err = collect(rows, err, func(rows *sql.Rows) (none struct{}, err error) {
		var node string
		var text []byte
		if err := rows.Scan(&to, &node, &text); err != nil || node == without {
			return none, err
		}
		var stored []screenUse
		if err := json.Unmarshal(text, &stored); err != nil {
			return none, fmt.Errorf("read uses: %w", err)
		}
		for _, u := range stored {
			uses = append(uses, onramp.Use{Kind: onramp.UseKind(u[0]), Key: uint64(u[1]), At: fromMicros(u[2]), Amount: u[3], Until: fromMicros(u[4])})
		}
		return none, nil
	})
	if err != nil {
		return nil, after, readerErr("list uses", err)
	}
	return uses, to, nil
}

// countSuspects counts registrations by what they are suspected of.
func (t *tx) countSuspects(reason string, held, released, discarded int64) error {
	return t.exec(`INSERT INTO suspicion (reason, held, released, discarded) VALUES ($1, $2, $3, $4)
		ON CONFLICT (reason) DO UPDATE SET held = suspicion.held + excluded.held, released = suspicion.released + excluded.released,
			discarded = suspicion.discarded + excluded.discarded`, storable(reason), held, released, discarded)
}

// countHeld counts the suspects among new registrations.
func (t *tx) countHeld(fresh []*acceptance) error {
	held := map[string]int64{}
	for _, a := range fresh {
		if h := &a.registration.Hold; h.Reason == onramp.HoldSuspicion {
			held[onramp.SuspicionOf(h.Detail)]++
		}
	}
	for reason, n := range held {
		if err := t.countSuspects(reason, n, 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// ListSuspicions tells how many registrations were held under each suspicion, ever, and
// what became of them; the most frequent first.
func (s *Store) ListSuspicions(ctx context.Context) ([]onramp.Suspicion, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT s.reason, s.held, s.released, s.discarded, COALESCE(h.n, 0) FROM suspicion s
		LEFT JOIN (SELECT suspicion, COUNT(*) AS n FROM hold WHERE suspicion IS NOT NULL GROUP BY suspicion) h ON h.suspicion = s.reason
		ORDER BY s.held DESC, s.reason`)
	all, err := collect(rows, err, func(rows *sql.Rows) (c onramp.Suspicion, err error) {
		err = rows.Scan(&c.Reason, &c.Held, &c.Released, &c.Discarded, &c.Waiting)
		return c, err
	})
	return all, readerErr("list suspicions", err)
}
