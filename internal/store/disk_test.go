package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// On a full disk a registration is refused and asked for again later; nothing is
// half written, and the next one is taken when there is space.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	w.save("both", "ana")
	var pages int
	if err := w.db.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	// stands for the disk's end; the connection is the writer's only one
	if err := w.s.WriterExec(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
	big := w.registration("both", "big")
	big.Values = append(append([]byte(`{"Text":"`), make([]byte, 100_000)...), `"}`...)
	for i := range big.Values {
		if big.Values[i] == 0 {
			big.Values[i] = 'x'
		}
	}
	key := onramp.NewIdempotencyKey("both", "key", nil)
	rows := w.rows()
	for range 3 {
		_, err := w.s.SaveRegistration(t.Context(), &big, key, true)
		wantKind(t, "full disk", err, onramp.Unavailable)
		if diff := cmp.Diff(rows, w.rows()); diff != "" {
			t.Error(diff)
		}
		w.checkCounts()
	}
	if err := w.s.WriterExec(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	accepted, err := w.s.SaveRegistration(t.Context(), &big, key, false)
	if err != nil || accepted.Repeated {
		t.Errorf("with space again: %v, repeated %v", err, accepted.Repeated)
	}
	w.names[big.ID] = "big"
	w.wantRows(append(rows, "big.1 pending", "big.2 waiting")...)
}

// A folder that can't be written is told at the start.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	wantOpenError(t, filepath.Join(folder, "onramp.db"), "its folder must exist and be writable")
}

// A database that nobody writes to is tried all the same: that it takes nothing is
// known before the first registration, and so is its end.
func TestPingTriesToWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	w.faults.set(undone)
	await(t, func() bool { return w.s.Ping(t.Context()) != nil })
	if w.s.Trouble() == nil {
		t.Error("nothing was written in vain")
	}
	w.faults.set(none)
	await(t, func() bool { return w.s.Ping(t.Context()) == nil && w.s.Trouble() == nil })
}
