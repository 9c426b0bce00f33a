package crash_test

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// fillDisk has the disk run full.
func fillDisk(t *testing.T) []tally {
	return refuseWrites(t, rounds(2, 50), func(d *disk) { d.fill(64 << 10) }, (*disk).emptied)
}

// lockDisk has the file system mounted read-only, as Linux does after an error.
func lockDisk(t *testing.T) []tally {
	return refuseWrites(t, rounds(2, 50), func(d *disk) { d.refuse(syscall.EROFS) }, func(d *disk) { d.refuse(0) })
}

// refuseWrites has a disk take no more for a while: meanwhile the answers are
// 503, and afterwards everything goes on by itself.
func refuseWrites(t *testing.T, n int, begin, end func(*disk)) []tally {
	w, d := newWorld(t), newDisk()
	folder, _ := d.mount(t)
	g := start(t, w.configure(folder))
	stop := w.stream(g, 4)
	refused := func() int { n, _ := w.refusals(); return n }
	for range n {
		moment(50*time.Millisecond, 200*time.Millisecond)
		begin(d)
		// what overwrites the log needs no room: it takes megabytes until more is wanted
		goal := refused() + 20
		eventually(t, "registrations are refused", 2*time.Minute, func() bool { return refused() >= goal })
		moment(0, 300*time.Millisecond)
		end(d)
		goal = w.answered() + 20
		eventually(t, "registrations are accepted again", 2*time.Minute, func() bool { return w.answered() >= goal })
	}
	stop()
	_, kinds := w.refusals()
	for kind, count := range kinds {
		if !strings.HasPrefix(kind, "503") || strings.HasSuffix(kind, `""`) {
			t.Errorf("%d times it answered %s, want 503 with a Retry-After", count, kind)
		}
	}
	t.Log(kinds)
	return []tally{w.tally(g, row, n)}
}
