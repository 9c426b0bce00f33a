package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// What a start does once it does not do again.
func TestReopen(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana")
		w.settle("ana.1", delivered, 0)
		before := *w.forms["both"]
		rows := w.rows()
		w.reopen()
		if diff := cmp.Diff(before.Route, w.forms["both"].Route); diff != "" {
			t.Error("destinations:", diff)
		}
		w.wantRows(rows...)
		if diff := cmp.Diff([]string{"data_extension:x", "journey:y"}, w.s.Destinations()); diff != "" {
			t.Error(diff)
		}
		if err := w.s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		w.save("both", "bob") // the numbering goes on
		w.wantRows(append(rows, "bob.1 pending", "bob.2 waiting")...)
	})
}

// A database that a newer onramp wrote is left alone.
func TestNewerDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, TRUE)`); err != nil {
			t.Fatal(err)
		}
		wantOpenError(t, w.url, fmt.Sprintf("the database has version 999, and this onramp supports versions up to %d: use a newer onramp", store.NewestVersion()))
		if _, err := w.db.Exec(`DELETE FROM goose_db_version WHERE version_id = 999`); err != nil {
			t.Fatal(err)
		}
		w.open()
	})
}

// wantOpenError opens a database that can't be opened. The message must hold a
// part that tells the operator what to do.
func wantOpenError(t *testing.T, url, part string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: url})
	if err == nil {
		s.Close()
		t.Fatalf("opened, want an error with %q", part)
	}
	if !strings.Contains(err.Error(), part) {
		t.Errorf("got error %q, want %q in it", err, part)
	}
}

func TestRegisterForms(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ids := []int{w.destination("x"), w.destination("y")}
		if diff := cmp.Diff([]int{1, 2}, ids); diff != "" {
			t.Error(diff)
		}
		w.save("both", "ana")
		more := append(forms(), onramp.Form{Name: "new", Route: []onramp.Destination{{Kind: onramp.Journey, Key: "z"}}})
		again, err := w.s.RegisterForms(t.Context(), more)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.forms["both"].Route, again[0].Route); diff != "" {
			t.Error(diff)
		}
		if more[0].Route[0].ID != 0 {
			t.Error("the caller's forms were changed")
		}
		if id := again[2].Route[0].ID; id != 3 {
			t.Errorf("the new destination has id %d", id)
		}
		for id, want := range map[int]int64{1: 0, 3: 2} {
			// a new destination begins behind what there was before it
			if mark, _, err := w.s.Resume(t.Context(), onramp.Destination{ID: id}); err != nil || mark != want {
				t.Errorf("destination %d is read to %d, %v; want %d", id, mark, err, want)
			}
		}
	})
}

// The secret behind uuid keys stays the same, so that a returning address is
// recognised.
func TestKeySecret(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		key := func() string {
			registered, err := w.s.RegisterForms(t.Context(), []onramp.Form{{
				Name: "uuid", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
				Fields: []onramp.Field{{Name: "email", Column: "E", Type: onramp.Email}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := registered[0].Accept(onramp.Submission{
				ReceivedAt: begin,
				Inputs:     []onramp.Input{{Name: "email", Value: onramp.Scalar{Kind: onramp.String, Text: "ana@example.org"}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			return r.SubscriberKey
		}
		before := key()
		w.reopen()
		if after := key(); after != before {
			t.Errorf("key %s became %s", before, after)
		}
	})
}

// After Close every method fails with an error that asks to try again, and
// Close itself is safe.
func TestClose(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.cipher = reversing{}
		w.reopen()
		w.save("one", "ana")
		d := w.find("ana.1")
		for range 2 {
			if err := w.s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		r := w.registration("one", "bob")
		for name, call := range map[string]func() error{
			"SaveRegistration": func() error { _, err := w.s.SaveRegistration(ctx, &r, onramp.IdempotencyKey{}, true); return err },
			"Settle": func() error {
				_, err := w.s.Settle(ctx, []onramp.Settlement{w.settlement(d, delivered, 0)})
				return err
			},
			"Park":              func() error { _, err := w.s.Park(ctx, []int64{1}); return err },
			"SavePosition":      func() error { return w.s.SavePosition(ctx, 1, 1, 1) },
			"RetryDelivery":     func() error { return w.s.RetryDelivery(ctx, w.id("ana.1"), false) },
			"DiscardDelivery":   func() error { return w.s.DiscardDelivery(ctx, w.id("ana.1"), "a test") },
			"SaveToken":         func() error { return w.s.SaveToken(ctx, nil) },
			"RegisterForms":     func() error { _, err := w.s.RegisterForms(ctx, nil); return err },
			"Ping":              func() error { return w.s.Ping(ctx) },
			"LoadToken":         func() error { _, err := w.s.LoadToken(ctx); return err },
			"Resume":            func() error { _, _, err := w.s.Resume(ctx, onramp.Destination{ID: 1}); return err },
			"ListFresh":         func() error { _, _, _, err := w.s.ListFresh(ctx, 2, 0, 1); return err },
			"ListDue":           func() error { _, _, err := w.s.ListDue(ctx, 1, 1, begin, 1); return err },
			"ListFreshOf":       func() error { _, _, err := w.s.ListFreshOf(ctx, []int64{1}); return err },
			"FindRegistration":  func() error { _, err := w.s.FindRegistration(ctx, w.ids["ana"]); return err },
			"FindDelivery":      func() error { _, err := w.s.FindDelivery(ctx, w.id("ana.1")); return err },
			"ListRegistrations": func() error { _, _, _, err := w.s.ListRegistrations(ctx, onramp.Filter{}); return err },
			"ListDeliveries":    func() error { _, _, _, err := w.s.ListDeliveries(ctx, onramp.Filter{}); return err },
			"Oldest":            func() error { _, err := w.s.Oldest(ctx, "journey:y"); return err },
			"Late":              func() error { _, _, _, err := w.s.Late(ctx, "journey:y"); return err },
			"Behind":            func() error { _, _, _, err := w.s.Behind(ctx, "journey:y"); return err },
			"Timeline":          func() error { _, err := w.s.Timeline(ctx, w.ids["ana"]); return err },
		} {
			wantKind(t, name, call(), onramp.Unavailable)
		}
		w.open()
	})
}

// A SQLite file has one owner.
func TestLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	wantOpenError(t, w.url, "is in use by another onramp; stop that process, or use another file")
	w.reopen()
}

// Nor does another name of the file let a second process in.
func TestLockByOtherNames(t *testing.T) {
	t.Parallel()
	const inUse = "is in use by another onramp"
	for name, link := range map[string]func(path, folder string) (string, error){
		"symbolic link beside it": func(path, folder string) (string, error) {
			return filepath.Dir(path) + "/link.db", os.Symlink("onramp.db", filepath.Dir(path)+"/link.db")
		},
		"symbolic link elsewhere": func(path, folder string) (string, error) {
			return folder + "/link.db", os.Symlink(path, folder+"/link.db")
		},
		"symbolic link to a symbolic link": func(path, folder string) (string, error) {
			return folder + "/two.db", errors.Join(os.Symlink(path, folder+"/one.db"), os.Symlink("one.db", folder+"/two.db"))
		},
		"link to the folder": func(path, folder string) (string, error) {
			return folder + "/link/onramp.db", os.Symlink(filepath.Dir(path), folder+"/link")
		},
		"another way to write the path": func(path, _ string) (string, error) {
			return filepath.Dir(path) + "/../" + filepath.Base(filepath.Dir(path)) + "/./onramp.db", nil
		},
		"hard link": func(path, folder string) (string, error) {
			return folder + "/hard.db", os.Link(path, folder+"/hard.db")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sqliteEngine)
			other, err := link(w.url, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			want := inUse
			if name == "hard link" {
				want = "has 2 names (hard links)"
			}
			wantOpenError(t, other, want)
			w.save("one", "ana")
			if name == "hard link" {
				if err := os.Remove(other); err != nil {
					t.Fatal(err)
				}
			}
			w.reopen()
		})
	}
}

// A symbolic link to a file that is still to be made leads there, and the write-ahead
// log lies beside that.
func TestDanglingLink(t *testing.T) {
	t.Parallel()
	folder, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(filepath.Join(elsewhere, "real.db"), filepath.Join(folder, "onramp.db")); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{URL: filepath.Join(folder, "onramp.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, side := range []string{"", "-wal", ".lock"} {
		if _, err := os.Stat(filepath.Join(elsewhere, "real.db"+side)); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, content []byte) string {
		path := filepath.Join(t.TempDir(), "onramp.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		url  func(t *testing.T) string
		want string
	}{
		"no name":     {func(*testing.T) string { return "" }, "the file name is missing"},
		"no folder":   {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none", "onramp.db") }, "its folder must exist and be writable"},
		"a folder":    {func(t *testing.T) string { return t.TempDir() }, "is a directory"},
		"no database": {func(t *testing.T) string { return file(t, []byte(strings.Repeat("hello ", 1000))) }, "is damaged or not a SQLite database"},
		"damaged":     {damagedFile, "the database file is damaged"},
		"cut off":     {cutOffFile, "is damaged or not a SQLite database"},
		"bad URL":     {func(*testing.T) string { return "postgres://host:port/" }, "invalid PostgreSQL URL"},
		"no server":   {func(t *testing.T) string { return "postgres:///none?user=none&host=" + t.TempDir() }, "open database: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantOpenError(t, c.url(t), c.want)
		})
	}
}

// populated is the file of a database with some pages.
func populated(t *testing.T) string {
	w := &world{t: t, e: sqliteEngine, url: sqliteEngine.newURL(t), clock: &clock{at: begin}, forms: map[string]*onramp.Form{}, ids: map[string]string{}, names: map[string]string{}}
	w.open()
	for range 50 {
		w.save("both", "ana")
	}
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	return w.url
}

func damagedFile(t *testing.T) string {
	path := populated(t)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := int64(1); page < 60; page++ { // all but the first
		if _, err := f.WriteAt([]byte(strings.Repeat("\xee", 64)), page*4096); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// A file that is too large to be checked at the start is checked in the
// background.
func TestDamagedLater(t *testing.T) {
	t.Parallel()
	path := populated(t)
	large := func() *store.Store {
		s, err := store.Open(t.Context(), store.WithLargestCheck(store.Config{URL: path}, 1))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole := large()
	if err := whole.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := whole.Close(); err != nil { // also while it is being looked through
		t.Error(err)
	}
	spoilIndex(t, path)
	s := large()
	defer s.Close()
	select {
	case err := <-s.Damaged():
		if !strings.Contains(err.Error(), "the database file is damaged") || !strings.Contains(err.Error(), "move "+path+" and its -wal file away together") {
			t.Errorf("got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the damage was not found")
	}
}

// spoilIndex writes over a page of the index of registrations' ids, which nobody
// reads at a start.
func spoilIndex(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`0[0-9a-v]{35}`)
	for page := range slices.Chunk(content, 4096) {
		if len(id.FindAll(page, -1)) > 10 && !bytes.Contains(page, []byte("EmailAddress")) {
			copy(page[8:64], bytes.Repeat([]byte{0xee}, 56)) // where its cells are
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func cutOffFile(t *testing.T) string {
	path := populated(t)
	if err := os.Truncate(path, 3*4096+100); err != nil {
		t.Fatal(err)
	}
	return path
}

// The file holds personal data.
func TestFileMode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	w.save("one", "ana")
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(w.url + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", suffix, mode)
		}
	}
}

// A path may hold what means something in a URL.
func TestOddPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c%20#d.db")
	s, err := store.Open(t.Context(), store.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// Durability is a promise, so nothing may soften it, on any connection.
func TestDurable(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if w.e.driver == "sqlite" {
			// 2 is FULL
			if err := w.s.WriterQuery(t.Context(), "PRAGMA synchronous", "2"); err != nil {
				t.Error(err)
			}
			if err := w.s.WriterQuery(t.Context(), "PRAGMA journal_mode", "wal"); err != nil {
				t.Error(err)
			}
			return
		}
		if _, err := w.db.Exec(`DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END $$`); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		if err := w.s.WriterQuery(t.Context(), "SHOW synchronous_commit", "on"); err != nil {
			t.Error(err)
		}
		if _, err := w.db.Exec(`DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' RESET synchronous_commit'; END $$`); err != nil {
			t.Fatal(err)
		}
	})
}

// Open gives up when its caller does.
func TestOpenCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgEngine)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	// the lease is the other's, so this waits
	if s, err := store.Open(ctx, store.Config{URL: w.url, Now: w.clock.now}); err == nil {
		s.Close()
		t.Error("opened a database that another owns")
	}
	var n int
	if err := w.db.QueryRow(`SELECT COUNT(*) FROM lease WHERE epoch = 1`).Scan(&n); err != nil || n != store.Partitions {
		t.Errorf("%d partitions under the first epoch, %v", n, err)
	}
}
