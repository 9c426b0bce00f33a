package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/pgtest"
	"onramp/internal/store"
)

// troubled waits until the store tells of trouble that a text names, and measures
// how long that took.
func (w *world) troubled(t *testing.T, names string) {
	t.Helper()
	begun := time.Now()
	await(t, func() bool {
		err := w.s.Trouble()
		return err != nil && strings.Contains(err.Error(), names)
	})
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it was told after %v", took)
	}
}

// accept stores a registration and tells how that ended.
func (w *world) accepting(key string) <-chan error {
	ended := make(chan error, 1)
	r := w.registration("one", key)
	w.names[r.ID], w.ids[key] = key, r.ID
	go func() {
		_, err := w.s.SaveRegistration(w.t.Context(), &r, onramp.IdempotencyKey{}, false)
		ended <- err
	}()
	return ended
}

// While a table is locked, trouble is told within three seconds, and its end by
// itself.
func TestTroubleLocked(t *testing.T) {
	t.Parallel()
	w := newLeaseWorld(t, 5*time.Second)
	locking, err := w.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locking.Exec(`LOCK TABLE registration`); err != nil {
		t.Fatal(err)
	}
	ended := w.accepting("ana")
	w.troubled(t, "lock")
	wantKind(t, "accepting behind a lock", <-ended, onramp.Unavailable)
	if err := locking.Rollback(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return w.s.Trouble() == nil })
	w.save("one", "bob")
	w.wantRows("bob.1 pending")
}

// The database is away for a while and nobody writes: the end of the trouble is
// found all the same.
func TestTroubleEndsUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgEngine)
	p := w.throughProxy(t)
	p.OnStatement(func(statement string) pgtest.Fault {
		if strings.HasPrefix(statement, "INSERT INTO registration") || strings.HasPrefix(statement, "INSERT INTO meta") {
			return pgtest.CutBefore
		}
		return pgtest.None
	})
	wantKind(t, "accepting without a database", <-w.accepting("ana"), onramp.Unavailable)
	w.troubled(t, "")
	p.OnStatement(nil)
	await(t, func() bool { return w.s.Trouble() == nil })
}

// standby is a database whose commits wait for a standby that is away.
func standby(t *testing.T) (w *world, away func(bool)) {
	t.Helper()
	url := pgtest.Server(t)
	w = newWorld(t, engine{"postgres", "pgx", func(testing.TB) string { return url }, nil})
	w.life = 5 * time.Second
	w.reopen()
	return w, func(is bool) {
		t.Helper()
		names := map[bool]string{true: "away"}[is]
		w.exec(fmt.Sprintf(`ALTER SYSTEM SET synchronous_standby_names = '%s'`, names))
		w.exec(`SELECT pg_reload_conf()`)
		await(t, func() bool {
			var now string
			err := w.db.QueryRow(`SELECT setting FROM pg_settings WHERE name = 'synchronous_standby_names'`).Scan(&now)
			return err == nil && now == names
		})
	}
}

// A commit whose wait for the standby is given up is never answered as done, whoever
// has given it up; and trouble is told meanwhile.
func TestStandbyAway(t *testing.T) {
	t.Parallel()
	w, away := standby(t)
	defer away(false)
	away(true)
	const waiting = `SELECT COALESCE(MAX(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'`
	ended := w.accepting("ana")
	w.troubled(t, "standby")
	await(t, func() bool {
		var pid int
		if err := w.db.QueryRow(waiting).Scan(&pid); err != nil || pid == 0 {
			return false
		}
		w.exec(`SELECT pg_cancel_backend($1)`, pid)
		return true
	})
	wantKind(t, "a commit that was cancelled", <-ended, onramp.Unavailable)
	wantKind(t, "a commit that waits for ever", <-w.accepting("bob"), onramp.Unavailable)
	if w.s.Trouble() == nil {
		t.Error("no trouble is told")
	}
	away(false)
	await(t, func() bool { return w.s.Trouble() == nil })
	w.save("one", "cem")
}

// A start that fails leaves no session behind on the server.
func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newLeaseWorld(t, 1500*time.Millisecond)
	sessions := func() (n int) {
		t.Helper()
		err := w.db.QueryRow(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'failing'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	start := func(url string) error {
		s, err := store.Open(t.Context(), store.WithLease(store.Config{URL: url + "&application_name=failing"}, w.life))
		if err == nil {
			s.Close()
		}
		return err
	}
	for _, c := range []struct {
		name         string
		damage, mend string // and how to mend it
	}{
		{"lease is taken", ``, ``},
		{"newer database", `UPDATE goose_db_version SET version_id = version_id + 100`, `UPDATE goose_db_version SET version_id = version_id - 100 WHERE version_id >= 100`},
		{"table is missing", `ALTER TABLE lease RENAME TO gone`, `ALTER TABLE gone RENAME TO lease`},
	} {
		if c.damage != "" {
			w.exec(c.damage)
		}
		if err := start(w.url); err == nil {
			t.Errorf("%s: the start succeeded", c.name)
		}
		if c.mend != "" {
			w.exec(c.mend)
		}
		await(t, func() bool { return sessions() == 0 })
	}

	// nor does one whose connection is lost while it has the lease's row locked
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	p := pgtest.NewProxy(t, w.url)
	happened := p.Once("UPDATE lease", pgtest.HoldAnswer)
	go func() {
		<-happened
		p.Lose()
	}()
	if err := start(p.URL()); err == nil {
		t.Error("the start succeeded without a connection")
	}
	await(t, func() bool { return sessions() == 0 })
	w.open()
}
