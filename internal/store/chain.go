package store

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"onramp/internal/chain"
	"onramp/internal/onramp"
	"onramp/internal/store/personal"
)

// chains is the step for the logs whose entries are chained by their hashes. The number of an
// entry and that of its chain are one key, see chainSeq: the table grows at its end.
var chains = []string{
	entryTable("consent_entry"),
	entryTable("audit_entry"),
	// the result of an action completes the entry of its beginning
	`CREATE INDEX audit_result ON audit_entry (ref) WHERE ref > 0`,
	// where the chains end; guard authenticates that, see chain.Key
	`CREATE TABLE chain_head (log TEXT NOT NULL, chain INTEGER NOT NULL, number BIGINT NOT NULL, hash TEXT NOT NULL, guard TEXT NOT NULL,
		PRIMARY KEY (log, chain))`,
	`CREATE TABLE chain_anchor (log TEXT NOT NULL, chain INTEGER NOT NULL, number BIGINT NOT NULL, hash TEXT NOT NULL, at BIGINT NOT NULL,
		signer TEXT NOT NULL, signature TEXT NOT NULL, PRIMARY KEY (log, chain, at))`,
}

func entryTable(name string) string {
	return `CREATE TABLE ` + name + ` (seq {{integer key}}, at BIGINT NOT NULL, kind TEXT NOT NULL, ref BIGINT NOT NULL, payload TEXT NOT NULL,
		commitment TEXT NOT NULL, personal TEXT, hash TEXT NOT NULL)`
}

// The logs, as the writer counts them.
const (
	consentLog = iota
	auditLog
	chainLogs
)

var logNames = [chainLogs]chain.Log{chain.Consent, chain.Audit}

var entryTables = [chainLogs]string{"consent_entry", "audit_entry"}

// logOf finds a log by its name.
func logOf(name chain.Log) int {
	if name == chain.Audit {
		return auditLog
	}
	return consentLog
}

// ownChain is the chain that this node appends to. Each of several nodes would have one.
const ownChain = 1

const perChain = 1 << 40 // numbers that a chain may use

// chainSeq is the key of an entry: that of the first chain is its number.
func chainSeq(chain int, number int64) int64 { return int64(chain-1)*perChain + number }

// ofSeq is the other way round.
func ofSeq(seq int64) (chain int, number int64) { return int(seq/perChain) + 1, seq % perChain }

func insertEntries(d dialect, log int) insertion {
	return newInsertion(d, `INSERT INTO `+entryTables[log]+` (seq, at, kind, ref, payload, commitment, personal, hash)`, 8, "")
}

// appendEntry makes an entry the next one of a log and returns its row. The key of the person
// encrypts what is personal in it; "": it is nobody's that is known.
func (t *tx) appendEntry(log int, e *chain.Entry, person string) (row []any, err error) {
	e.Chain = ownChain
	t.heads[log].Append(logNames[log], e)
	var stored any
	switch {
	case e.Personal != "" && person != "":
		stored, err = t.store.protect(t.store.leafOf(person), e.Personal, placeOfEntry(log, e))
		if errors.Is(err, personal.ErrErased) {
			stored, err = nil, nil // only the commitment stays of a person who was erased meanwhile
		}
	case e.Personal != "":
		stored = personal.Clear(e.Personal)
	}
	return []any{chainSeq(ownChain, e.Number), e.At, e.Kind, e.Ref, e.Payload, e.Commitment, stored, e.Hash}, err
}

func placeOfEntry(log int, e *chain.Entry) string {
	return entryTables[log] + "/" + strconv.FormatInt(chainSeq(e.Chain, e.Number), 10) + "/personal"
}

// readPersonal reads the personal part of an entry. Of a person whose key was destroyed it is erased.
func (s *Store) readPersonal(log int, e *chain.Entry, stored []byte) {
	if stored == nil {
		return
	}
	text, _, err := s.reveal(stored, placeOfEntry(log, e))
	if err != nil {
		e.Unreadable = !errors.Is(err, personal.ErrErased)
		return
	}
	e.Personal = string(text)
}

// saveHeads stores where the chains end that have grown.
func (t *tx) saveHeads() error {
	for log, head := range t.heads {
		if head == t.store.writer.heads[log] {
			continue
		}
		if err := t.saveHead(log); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) saveHead(log int) error {
	head, guard := t.heads[log], ""
	if key := t.store.signer(); key != nil {
		guard = key.Guard(logNames[log], ownChain, head)
	}
	return t.exec(`INSERT INTO chain_head (log, chain, number, hash, guard) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (log, chain)
		DO UPDATE SET number = excluded.number, hash = excluded.hash, guard = excluded.guard`,
		string(logNames[log]), ownChain, head.Number, head.Hash, guard)
}

// loadHeads finds where the chains go on.
func (w *writer) loadHeads(ctx context.Context, q queryer) error {
	for log, name := range logNames {
		head := chain.Head{}
		err := q.QueryRowContext(ctx, `SELECT number, hash FROM chain_head WHERE log = $1 AND chain = $2`, string(name), ownChain).Scan(&head.Number, &head.Hash)
		if err != nil && err != sql.ErrNoRows {
			return fmt.Errorf("find the end of the %s log: %w", name, err)
		}
		// where the newest entries were added or the head was removed, the chain goes on behind them: verify tells
		var newest sql.NullInt64
		last := `SELECT MAX(seq) FROM ` + entryTables[log] + ` WHERE seq < $1`
		if err := q.QueryRowContext(ctx, last, chainSeq(ownChain+1, 0)).Scan(&newest); err != nil {
			return fmt.Errorf("find the newest entry of the %s log: %w", name, err)
		}
		head.Number = max(head.Number, newest.Int64)
		w.heads[log] = head
	}
	return nil
}

// keptChainKey are the keys that sign heads and exports, the newest in use.
const keptChainKey = "chain key"

// openChainKeys reads the keys, and makes one when there is none that can be read. Without
// a cipher there are none.
func (s *Store) openChainKeys(ctx context.Context) error {
	if s.cipher == nil {
		return nil
	}
	kept, err := s.listChainKeys(ctx)
	if err != nil {
		return err
	}
	isNew := len(kept) == 0
	if isNew {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // never fails
		made := onramp.SigningKey{ID: onramp.NewID(s.now()), Seed: seed, CreatedAt: s.now().UTC()}
		if err := s.keep(ctx, keptChainKey, made.ID, made); err != nil {
			return err
		}
		kept = append(kept, made)
	}
	for _, k := range kept {
		key, err := chain.NewKey(k.ID, k.Seed)
		if err != nil {
			return err
		}
		s.chainKeys = append(s.chainKeys, key)
	}
	if !isNew {
		return nil
	}
	return s.guardHeads(ctx)
}

// guardHeads guards the ends of chains that were written before there was a key. It is done only
// when the first one is made: else who has cut a chain would only have to remove the guard.
func (s *Store) guardHeads(ctx context.Context) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		for log, head := range t.heads {
			if head.Number == 0 {
				continue
			}
			if err := t.saveHead(log); err != nil {
				return err
			}
		}
		return nil
	}})
}

// listChainKeys lists those that can be read, the oldest first. With another encryption key that is
// none: a new one is made, and verifying tells what the others have signed.
func (s *Store) listChainKeys(ctx context.Context) ([]onramp.SigningKey, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT name, data FROM kept WHERE kind = $1 ORDER BY kept_at, name`, keptChainKey)
	found, err := collect(rows, err, func(rows *sql.Rows) (r keptRow, err error) {
		err = rows.Scan(&r.name, &r.text)
		return r, err
	})
	var readable []onramp.SigningKey
	for _, r := range found {
		key, err := openKept[onramp.SigningKey](s.cipher, keptChainKey, r)
		if err != nil {
			s.log.Warn("a key that has signed the consent and audit logs can't be read", "err", err)
			continue
		}
		readable = append(readable, key)
	}
	return readable, readerErr("list chain keys", err)
}

// signer is the key in use, or nil.
func (s *Store) signer() *chain.Key {
	if len(s.chainKeys) == 0 {
		return nil
	}
	return &s.chainKeys[len(s.chainKeys)-1]
}

// ChainKeys are the keys that have signed anchors and exports, the one in use last.
func (s *Store) ChainKeys() []chain.Key { return s.chainKeys }

const entryColumns = `e.seq, e.at, e.kind, e.ref, e.payload, e.commitment, e.personal, e.hash`

// scanEntry reads the entries of a log.
func (s *Store) scanEntry(log int) func(*sql.Rows) (chain.Entry, error) {
	return func(rows *sql.Rows) (e chain.Entry, err error) {
		var seq int64
		var stored []byte
		err = rows.Scan(&seq, &e.At, &e.Kind, &e.Ref, &e.Payload, &e.Commitment, &stored, &e.Hash)
		e.Chain, e.Number = ofSeq(seq)
		s.readPersonal(log, &e, stored)
		return e, err
	}
}

const verifyTogether = 1000 // entries that are read together

// VerifyLog walks a log, compares it with what is stored of its end, with the stored
// anchors and with those that somebody has kept elsewhere, and reports what is wrong. It reads
// in portions: nobody waits for it.
func (s *Store) VerifyLog(ctx context.Context, log chain.Log, kept []chain.Anchor) (chain.Report, error) {
	anchors, err := s.listAnchors(ctx, log)
	if err != nil {
		return chain.Report{}, readerErr("list anchors", err)
	}
	v := chain.NewVerifier(log, chain.Witness{Anchors: append(anchors, kept...), Keys: s.chainKeys})
	after := int64(minSeq)
	for more := true; more; {
		if after, more, err = s.walk(ctx, s.readers, log, after, v); err != nil {
			return chain.Report{}, readerErr("read the "+string(log)+" log", err)
		}
	}
	stored, err := s.walkEnd(ctx, log, after, v)
	return v.Report(stored), readerErr("read the end of the "+string(log)+" log", err)
}

const minSeq = -1 << 62

// reader reads many rows: a pool or a transaction.
type rowsReader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// walk hands over the next entries.
func (s *Store) walk(ctx context.Context, q rowsReader, log chain.Log, after int64, v *chain.Verifier) (to int64, more bool, err error) {
	rows, err := q.QueryContext(ctx, `SELECT `+entryColumns+` FROM `+entryTables[logOf(log)]+` e WHERE e.seq > $1 ORDER BY e.seq LIMIT $2`, after, verifyTogether)
	page, short, err := collectPage(rows, err, s.scanEntry(logOf(log)), func(e *chain.Entry) int { return len(e.Payload) + len(e.Personal) })
	for i := range page {
		v.Next(&page[i])
		after = chainSeq(page[i].Chain, page[i].Number)
	}
	return after, short || len(page) == verifyTogether, err
}

// walkEnd hands over what has come meanwhile, and reads where the chains end as of the same
// moment.
func (s *Store) walkEnd(ctx context.Context, log chain.Log, after int64, v *chain.Verifier) (map[int]chain.Stored, error) {
	t, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.dialect.snapshot})
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Rollback() }() // it has only read
	for more := true; more; {
		if after, more, err = s.walk(ctx, t, log, after, v); err != nil {
			return nil, err
		}
	}
	stored := map[int]chain.Stored{}
	rows, err := t.QueryContext(ctx, `SELECT chain, number, hash, guard FROM chain_head WHERE log = $1`, string(log))
	_, err = collect(rows, err, func(rows *sql.Rows) (one chain.Stored, err error) {
		var id int
		err = rows.Scan(&id, &one.Number, &one.Hash, &one.Guard)
		stored[id] = one
		return one, err
	})
	return stored, err
}

// listAnchors lists the anchors of a log, the oldest first.
func (s *Store) listAnchors(ctx context.Context, log chain.Log) ([]chain.Anchor, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT chain, number, hash, at, signer, signature FROM chain_anchor WHERE log = $1 ORDER BY at, chain`, string(log))
	return collect(rows, err, func(rows *sql.Rows) (a chain.Anchor, err error) {
		var at int64
		a.Log = log
		err = rows.Scan(&a.Chain, &a.Number, &a.Hash, &at, &a.Key, &a.Signature)
		a.At = fromMicros(at)
		return a, err
	})
}

// AnchorChains signs where the chains end that have grown since their last anchor, unless that is of
// the same day (UTC), and keeps these anchors. Before that it hands them to publish, which puts
// them where who can change the database can't change them; with its error none is kept, and the next
// call tries again. Without a key it does nothing.
func (s *Store) AnchorChains(ctx context.Context, publish func([]chain.Anchor) error) error {
	key := s.signer()
	if key == nil {
		return nil
	}
	now := s.now()
	made, err := s.dueAnchors(ctx, key, now)
	if err != nil || len(made) == 0 {
		return readerErr("find the ends of the chains", err)
	}
	if err := publish(made); err != nil {
		return err
	}
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, a := range made {
			err := t.exec(`INSERT INTO chain_anchor (log, chain, number, hash, at, signer, signature) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
				string(a.Log), a.Chain, a.Number, a.Hash, micros(a.At), a.Key, a.Signature)
			if err != nil {
				return err
			}
		}
		return nil
	}})
}

func (s *Store) dueAnchors(ctx context.Context, key *chain.Key, now time.Time) ([]chain.Anchor, error) {
	today := now.UTC().Truncate(24 * time.Hour)
	rows, err := s.readers.QueryContext(ctx, `SELECT h.log, h.number, h.hash FROM chain_head h WHERE h.chain = $1 AND NOT EXISTS (SELECT 1 FROM chain_anchor a
		WHERE a.log = h.log AND a.chain = h.chain AND (a.number >= h.number OR a.at >= $2)) ORDER BY h.log`, ownChain, micros(today))
	return collect(rows, err, func(rows *sql.Rows) (chain.Anchor, error) {
		var log string
		var head chain.Head
		err := rows.Scan(&log, &head.Number, &head.Hash)
		return key.Sign(chain.Log(log), ownChain, head, now), err
	})
}

// entryLimit is how many entries of a log a page has.
func entryLimit(n int) int { return min(cmp.Or(max(n, 0), 50), 500) }
