package crash_test

import (
	"bytes"
	crand "crypto/rand"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cutLog cuts the write-ahead log of a killed gateway anywhere behind the last
// commit that was answered, as a file system does that kept a part of the rest.
func cutLog(t *testing.T) []tally {
	w := newWorld(t)
	folder := t.TempDir()
	release := w.recorder.hold() // so that nothing is written but registrations
	t.Cleanup(release)
	g := start(t, w.configure(folder))
	send := func() {
		if err := w.send(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 { // one after the other: the last one that is answered is the last in the log
		send()
	}
	answered := len(readFile(t, filepath.Join(folder, "onramp.db-wal")))
	send()
	g.kill()
	release()
	delete(w.accepted, visitor(w.sent)) // as if its answer had not come
	database, log := readFile(t, filepath.Join(folder, "onramp.db")), readFile(t, filepath.Join(folder, "onramp.db-wal"))
	const frame = 4096 + 24
	if len(log) <= answered || len(log) > 1000*frame {
		t.Fatalf("the log had %d bytes and now has %d: not grown, or restarted", answered, len(log))
	}
	cut := func(end int) tally {
		w.recorder.forget()
		copied := t.TempDir()
		writeFile(t, filepath.Join(copied, "onramp.db"), database)
		writeFile(t, filepath.Join(copied, "onramp.db-wal"), log[:end])
		for _, keys := range []string{"onramp.db.key", "onramp.db.persons"} {
			writeFile(t, filepath.Join(copied, keys), readFile(t, filepath.Join(folder, keys)))
		}
		g := start(t, w.configure(copied))
		defer g.kill()
		return w.tally(g, row, 1)
	}
	if cut(answered-1).lost == 0 {
		t.Error("a log that is cut one byte further in front has everything, too: this shows nothing")
	}
	ends := []int{answered, answered + 1, answered + 24, answered + frame - 1, len(log) - frame, len(log) - 1}
	for n := rounds(8, 200); len(ends) < n; {
		ends = append(ends, answered+rand.IntN(len(log)-answered))
	}
	total := tally{}
	for _, end := range ends {
		total.add(cut(end))
	}
	return []tally{total}
}

// damagePages destroys one page of a database: the gateway doesn't start, and
// says why and what to do. A backup then has everything.
func damagePages(t *testing.T) []tally {
	w := newWorld(t)
	folder := t.TempDir()
	config := w.configure(folder)
	path := filepath.Join(folder, "onramp.db")
	w.block(true)
	g := start(t, config)
	w.fill(g, 400)
	g.stop()
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Fatal("a clean stop left a log, so the damage may hit a page that is in there")
	}
	backup := readFile(t, path)
	pages := map[string][]int{"table": leaves(t, path, "registration"), "index": leaves(t, path, "registration_id"), "header": {1}}
	n := 0
	for range rounds(1, 10) {
		for part, numbers := range pages {
			for content, fill := range map[string]func([]byte){"zeroes": func(b []byte) { clear(b) }, "random": func(b []byte) { _, _ = crand.Read(b) }} {
				damaged, page := bytes.Clone(backup), numbers[rand.IntN(len(numbers))]
				fill(damaged[(page-1)*4096:][:4096])
				writeFile(t, path, damaged)
				if err := wantDamageReported(t, config, path); err != nil {
					t.Errorf("%s in page %d, %s: %v", content, page, part, err)
				}
				n++
			}
		}
	}
	_ = os.Remove(path + "-wal") // those of the damaged one, if any
	_ = os.Remove(path + "-shm")
	writeFile(t, path, backup)
	w.block(false)
	return []tally{w.tally(start(t, config), row, n)}
}

// wantDamageReported starts a gateway on a damaged database.
func wantDamageReported(t *testing.T, config, path string) error {
	g, ready := launch(t, config)
	defer g.kill()
	select {
	case started := <-ready:
		if started {
			return fmt.Errorf("it starts, and says nothing of it: %s", g.said())
		}
	case <-time.After(time.Minute):
		return fmt.Errorf("it hangs: %s", g.said())
	}
	if exit := g.await(); exit != 1 {
		return fmt.Errorf("exit status %d: %s", exit, g.said())
	}
	said := g.said()
	for _, part := range []string{"damaged", path, "backup", ".recover"} {
		if !strings.Contains(said, part) {
			return fmt.Errorf("it doesn't say %q: %s", part, said)
		}
	}
	return nil
}

// leaves lists the pages of a table or an index that hold its rows.
func leaves(t *testing.T, path, name string) (pages []int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT pageno FROM dbstat WHERE name = $1 AND pagetype = 'leaf' ORDER BY pageno`, name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var page int
		if err := rows.Scan(&page); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page)
	}
	if err := rows.Err(); err != nil || len(pages) < 3 {
		t.Fatalf("%s has pages %v, %v; want some", name, pages, err)
	}
	return pages
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
