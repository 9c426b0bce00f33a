package crash_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// replaceFile takes the database file away under a gateway that is at work: another
// one is moved there, or nothing is. The operator then continues with what the
// gateway has rescued, as the manual says; where nothing has taken the file's
// place, the gateway does it.
func replaceFile(t *testing.T) []tally {
	w := newCrowd(t)
	folder := t.TempDir()
	path, config := filepath.Join(folder, "onramp.db"), w.configure(folder)
	stranger := bytes.Repeat([]byte("what another program keeps here "), 512)
	g := start(t, config)
	refused := func() int { n, _ := w.refusals(); return n }
	n := rounds(4, 60)
	for round := range n {
		stop := w.busy(g)
		replaced := round%2 == 0
		if replaced {
			writeFile(t, path+".new", stranger)
			rename(t, path+".new", path)
		} else {
			remove(t, path)
		}
		goal := refused() + 20
		eventually(t, "registrations are refused", patience, func() bool { return refused() >= goal })
		stop()
		begin := time.Now()
		g.stop()
		if took := time.Since(begin); took > drain/2 {
			t.Errorf("it took %v to stop without a file", took)
		}
		rescued, err := filepath.Glob(path + ".rescued-*")
		if err != nil || len(rescued) != 1 {
			t.Fatalf("rescued: %q, %v; it said: %s", rescued, err, g.said())
		}
		if replaced {
			if !bytes.Equal(readFile(t, path), stranger) {
				t.Error("it wrote into the file of another program")
			}
			rename(t, rescued[0], path)
		}
		g = start(t, config)
		if said := g.said(); strings.Contains(said, doubted) {
			t.Errorf("a false alarm: %s", said)
		}
	}
	return []tally{w.tally(g, row, n)}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
