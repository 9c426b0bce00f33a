package crash_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

const doubted = "not as new as what Onramp has written here last"

// TestLeftByKill starts a gateway on what a killed one has left, after something was
// done to it: what is missing is told, and what is whole raises no alarm.
func TestLeftByKill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happens func(t *testing.T, path string)
		says    []string // nil: nothing
	}{
		"nothing": {func(*testing.T, string) {}, nil},
		"the log is deleted": {func(t *testing.T, path string) {
			remove(t, path+"-wal", path+"-shm")
		}, []string{doubted, "registrations or other changes are missing", "onramp.db-wal was deleted", "deliveries list --state unknown"}},
		"the log is emptied": {func(t *testing.T, path string) {
			writeFile(t, path+"-wal", nil)
		}, []string{doubted, "are missing"}},
		"another program has opened and closed it": {func(t *testing.T, path string) {
			db, err := sql.Open("sqlite", "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var n int
			if err := db.QueryRow(`SELECT COUNT(*) FROM registration`).Scan(&n); err != nil || n == 0 {
				t.Fatal(n, err)
			}
		}, nil},
		"the note is deleted": {func(t *testing.T, path string) { remove(t, path+".state") }, []string{doubted, "onramp.db.state was deleted"}},
		"the shared memory is deleted": {func(t *testing.T, path string) {
			remove(t, path+"-shm")
		}, nil},
		"the file is deleted": {func(t *testing.T, path string) {
			remove(t, path)
		}, []string{"was moved to", doubted}},
		"another file is moved there, and the log stays": {func(t *testing.T, path string) {
			other := filepath.Join(filepath.Dir(path), "other.db")
			db, err := sql.Open("sqlite", "file:"+other)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(`CREATE TABLE theirs (x)`); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(other, path); err != nil {
				t.Fatal(err)
			}
		}, []string{"did not belong to the database file", "or another database"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			release := w.recorder.hold() // so that nothing is written but registrations
			t.Cleanup(release)
			folder := t.TempDir()
			config := w.configure(folder)
			g := start(t, config)
			for range 20 {
				if err := w.send(t.Context(), g); err != nil {
					t.Fatal(err)
				}
			}
			g.kill()
			c.happens(t, filepath.Join(folder, "onramp.db"))
			g = start(t, config)
			said := g.said()
			for _, part := range c.says {
				if !strings.Contains(said, part) {
					t.Errorf("it doesn't say %q: %s", part, said)
				}
			}
			if c.says == nil && strings.Contains(said, "not as Onramp left it") {
				t.Errorf("a false alarm: %s", said)
			}
			g.kill()
			// it is told once, and is no reason to tell it again
			if said := start(t, config).said(); strings.Contains(said, doubted) {
				t.Errorf("told again: %s", said)
			}
		})
	}
}

// A start that is killed once the database bears its stamp, but before the note says
// so, leaves the write-ahead log where it is: all is in there.
func TestKilledBeforeNote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := w.recorder.hold() // so that nothing is written but registrations
	t.Cleanup(release)
	folder := t.TempDir()
	config, note := w.configure(folder), filepath.Join(folder, "onramp.db.state")
	for range 3 { // one start after the other is killed there
		g := start(t, config)
		if err := w.send(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		g.kill()
		if _, err := os.Stat(note + ".kept"); err == nil {
			rename(t, note+".kept", note)
		}
		if err := os.Link(note, note+".kept"); err != nil {
			t.Fatal(err)
		}
	}
	remove(t, note+".kept")
	release()
	g := start(t, config)
	if said := g.said(); strings.Contains(said, "did not belong") || strings.Contains(said, doubted) {
		t.Errorf("a false alarm: %s", said)
	}
	if result := w.tally(g, row, 1); result.lost != 0 || result.accepted != 3 {
		t.Errorf("lost: %+v", result)
	}
}

// Kills one after the other raise no alarm, whatever the moment.
func TestKillsRaiseNoAlarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.route = journeyStep
	config := w.configure(t.TempDir())
	for range rounds(6, 100) {
		g := start(t, config)
		stop := w.busy(g)
		g.kill()
		stop()
		if said := g.said(); strings.Contains(said, "not as Onramp left it") {
			t.Fatalf("a false alarm: %s", said)
		}
	}
}

func remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
