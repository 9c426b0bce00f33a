package app_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"onramp/internal/operator"
	"onramp/internal/sandbox"
)

// accept submits registrations and gives the ids of those that were answered 202.
func (w *world) accept(n int) (ids []string) {
	w.t.Helper()
	for i := range n {
		response, err := http.Post(w.gateway.PublicURL()+"/v1/forms/registration/registrations", "application/json",
			strings.NewReader(fmt.Sprintf(`{"email":"visitor-%d@example.org"}`, i)))
		if err != nil {
			w.t.Fatal(err)
		}
		var a struct{ ID string }
		err = json.NewDecoder(response.Body).Decode(&a)
		response.Body.Close()
		if response.StatusCode == http.StatusAccepted {
			ids = append(ids, a.ID)
		}
		if err != nil || len(ids) <= i && response.StatusCode != http.StatusServiceUnavailable {
			w.t.Fatalf("%s, %v", response.Status, err)
		}
	}
	return ids
}

// wantAll checks that a database holds registrations.
func wantAll(t *testing.T, path string, ids []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, id := range ids {
		var n int
		if err := db.QueryRow(`SELECT COUNT(*) FROM registration WHERE id = $1`, id).Scan(&n); err != nil || n != 1 {
			t.Fatalf("%s: registration %s is there %d times, %v", path, id, n, err)
		}
	}
}

// stranger makes a database that is not ours, by a gateway of its own.
func stranger(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stranger.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{`PRAGMA journal_mode = wal`, `CREATE TABLE theirs (text TEXT)`, `INSERT INTO theirs VALUES (hex(randomblob(2000000)))`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestFileGone takes the database file away under a running gateway in every way
// that an operator's hand or script can: no registration is answered that isn't
// kept, none that was answered before is lost, and what bears the file's name then
// is left alone.
func TestFileGone(t *testing.T) {
	t.Parallel()
	must := func(t *testing.T, errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		happens func(t *testing.T, path string)
		adopted bool // the next start has everything by itself
		whole   bool // the database file itself has everything
		spoiled bool // what was there was written over: nothing can be saved
		says    string
	}{
		"deleted":           {func(t *testing.T, path string) { must(t, os.Remove(path)) }, true, false, false, "was deleted"},
		"all files deleted": {func(t *testing.T, path string) { removeAll(t, path) }, true, false, false, "was deleted"},
		"moved away":        {func(t *testing.T, path string) { must(t, os.Rename(path, path+".old")) }, true, false, false, "moved away"},
		"folder moved away": {func(t *testing.T, path string) {
			must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".old"), os.Mkdir(filepath.Dir(path), 0o700))
		}, true, false, false, "moved away"},
		"replaced by a stranger's": {func(t *testing.T, path string) { must(t, os.Rename(stranger(t), path)) }, false, false, false, "was replaced"},
		"replaced by an empty file": {func(t *testing.T, path string) {
			must(t, os.Remove(path), os.WriteFile(path, nil, 0o600))
		}, false, false, false, "was replaced"},
		"truncated":   {func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) }, false, false, true, "was cut off"},
		"copied over": {func(t *testing.T, path string) { must(t, os.WriteFile(path, read(t, stranger(t)), 0o600)) }, false, false, true, "was overwritten"},
		"log deleted": {func(t *testing.T, path string) { must(t, os.Remove(path+"-wal")) }, false, true, false, "onramp.db-wal"},
		"log replaced": {func(t *testing.T, path string) {
			must(t, os.Remove(path+"-wal"), os.WriteFile(path+"-wal", []byte(strings.Repeat("x", 5000)), 0o600))
		}, false, true, false, "onramp.db-wal"},
		"shared memory deleted": {func(t *testing.T, path string) { must(t, os.Remove(path+"-shm")) }, false, true, false, "onramp.db-shm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "data")
			must(t, os.Mkdir(folder, 0o700))
			path := filepath.Join(folder, "onramp.db")
			w := &world{t: t, sandbox: sandbox.New(sandbox.Config{}), cloud: "http://127.0.0.1:1"}
			w.start(nil, path)
			ids := w.accept(30)
			if len(ids) != 30 {
				t.Fatalf("%d of 30 were accepted", len(ids))
			}
			key := read(t, path+".key")
			c.happens(t, path)
			before, _ := os.ReadFile(path)
			if c.says == "onramp.db-shm" {
				w.awaitNotice() // commits don't depend on it
			}
			if more := w.accept(20); len(more) > 0 {
				t.Errorf("%d registrations were accepted into a file that is gone", len(more))
			}
			w.wantUnready()
			notice := w.awaitNotice()
			if !strings.Contains(notice, c.says) || !strings.Contains(notice, path) {
				t.Errorf("status says %q, want %q and the file in it", notice, c.says)
			}
			w.end()
			if c.whole { // SQLite in this process still has the old files open: it can't open them as another process would
				must(t, os.WriteFile(filepath.Join(folder, "copy.db"), read(t, path), 0o600))
				wantAll(t, filepath.Join(folder, "copy.db"), ids)
				return
			}
			if !c.adopted {
				if after := read(t, path); !bytes.Equal(before, after) {
					t.Errorf("what bears the name now was changed: %d bytes, then %d", len(before), len(after))
				}
				for _, side := range []string{"-wal", "-shm"} {
					if _, err := os.Stat(path + side); err == nil && !c.spoiled {
						t.Errorf("%s was left to what bears the name now", side)
					}
				}
			}
			if c.spoiled {
				return
			}
			rescued, err := filepath.Glob(path + ".rescued-*")
			if err != nil {
				t.Fatal(err)
			}
			if len(rescued) == 1 {
				wantAll(t, rescued[0], ids)
			}
			if !c.adopted { // as the notice says
				must(t, os.Rename(rescued[0], path))
			}
			must(t, os.WriteFile(path+".key", key, 0o600))
			w.start(nil, path)
			w.wantAccepted(int64(len(ids)))
			if unknown := w.status().Deliveries["unknown"]; unknown != 0 {
				t.Errorf("%d deliveries are unknown: nothing went out", unknown)
			}
			w.end()
			wantAll(t, path, ids)
		})
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	all, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if err := os.Remove(one); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) status() (s operator.Status) {
	w.t.Helper()
	w.getJSON(w.gateway.AdminURL()+"/api/status", &s)
	return s
}

func (w *world) wantAccepted(n int64) {
	w.t.Helper()
	if s := w.status(); s.Accepted < n { // what was refused last may be there, too
		w.t.Errorf("%d registrations are there after the start, want %d", s.Accepted, n)
	}
}

func (w *world) wantUnready() {
	w.t.Helper()
	for _, url := range []string{w.gateway.AdminURL() + "/readyz", w.gateway.PublicURL() + "/healthz"} {
		response, err := http.Get(url)
		if err != nil {
			w.t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			w.t.Errorf("%s answers %s", url, response.Status)
		}
	}
}

// awaitNotice waits until the status says what became of the file.
func (w *world) awaitNotice() string {
	w.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		response, err := http.Get(w.gateway.AdminURL() + "/api/status")
		if err != nil {
			w.t.Fatal(err)
		}
		var s operator.Status
		err = json.NewDecoder(response.Body).Decode(&s)
		response.Body.Close()
		if err == nil && len(s.Notices) > 0 {
			return strings.Join(s.Notices, "\n")
		}
		select {
		case <-limit:
			w.t.Fatal("status says nothing")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
