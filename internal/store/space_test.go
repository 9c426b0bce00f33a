package store_test

import (
	"bytes"
	"os"
	"testing"

	"onramp/internal/onramp"
	"onramp/internal/retention"
)

// What was removed is overwritten, and its space is given back: neither the file nor its log
// holds it any more.
func TestReleaseSpace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	padding := bytes.Repeat([]byte("x"), 4000)
	for i := range 3000 / 2 {
		r := w.registration("one", "ana")
		r.Values = []byte(`{"EmailAddress":"marked@example.org","padding":"` + string(padding) + `"}`)
		if _, err := w.s.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
			t.Fatal(i, err)
		}
	}
	w.exec(`UPDATE delivery SET state = 5, settled_at = $1`, begin.UnixMicro())
	w.exec(`DELETE FROM tally`)
	w.save("one", "zoe1")
	if err := w.s.EmptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := w.sizes()
	w.clock.advance(31 * day)
	w.retain(&retention.Policies{Policy: retention.Policy{Delivered: 30 * day}})
	if err := w.s.EmptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{w.url, w.url + "-wal"} {
		if data, err := os.ReadFile(name); err != nil || bytes.Contains(data, []byte("marked@example.org")) {
			t.Errorf("%s still holds what was removed: %v", name, err)
		}
	}
	writes := 0
	for more := true; more; writes++ {
		var err error
		if more, err = w.s.ReleaseSpace(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.s.EmptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := w.sizes(); after*2 > before || writes < 3 {
		t.Errorf("the files have %d bytes, before %d: %d writes", after, before, writes)
	}
	free, releasable, err := w.s.FreeSpace(t.Context())
	if err != nil || !releasable || free > 256*4096 {
		t.Error(free, releasable, err)
	}
	w.exec(`DELETE FROM tally`)
	w.reopen()
	w.reset()
}

// sizes adds up the file and its log.
func (w *world) sizes() (n int64) {
	w.t.Helper()
	for _, name := range []string{w.url, w.url + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			w.t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// A file of an older version gives nothing back until it was vacuumed once.
func TestVacuum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	w.saveMany("one", 500)
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	w.exec(`PRAGMA auto_vacuum = NONE`)
	w.exec(`VACUUM`)
	w.open()
	if _, releasable, err := w.s.FreeSpace(t.Context()); releasable || err != nil {
		t.Fatal(releasable, err)
	}
	w.exec(`CREATE TABLE filler AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i, hex(randomblob(200)) AS a FROM n`)
	w.exec(`DROP TABLE filler`)
	if more, err := w.s.ReleaseSpace(t.Context()); more || err != nil {
		t.Error(more, err)
	}
	before, after, err := w.s.Vacuum(t.Context())
	if err != nil || after*2 > before {
		t.Errorf("%d bytes before, %d after: %v", before, after, err)
	}
	if _, releasable, err := w.s.FreeSpace(t.Context()); !releasable || err != nil {
		t.Error(releasable, err)
	}
	w.save("one", "zoe1")
	w.reopen()
	if notices := w.s.Notices(); len(notices) > 0 {
		t.Error(notices)
	}
}
