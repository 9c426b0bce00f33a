package crash_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPowerCutInstrument shows that the disk can tell a program that syncs from
// one that doesn't.
func TestPowerCutInstrument(t *testing.T) {
	t.Parallel()
	t.Run("files", cutFiles)
	t.Run("torn writes", tearWrites)
	for synchronous, keeps := range map[string]bool{"full": true, "off": false} {
		t.Run("SQLite with synchronous="+synchronous, func(t *testing.T) { cutSQLite(t, synchronous, keeps) })
	}
	t.Run("gateway on a disk that syncs nothing", cutUnheard)
}

// program is the test binary under another name.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = name
	return cmd
}

// A file is there after a cut when it and its folder were synced, and at no
// other time.
func cutFiles(t *testing.T) {
	d := newDisk()
	folder, unmount := d.mount(t)
	want := map[string]string{"nothing": "none", "file": "none", "both": "text"}
	for syncs := range want {
		out, err := program(t, "crash-write", filepath.Join(folder, syncs), syncs, "text").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if syncs == "both" { // written over, and not synced again
			if out, err := program(t, "crash-write", filepath.Join(folder, syncs), "nothing", "TE").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		d.cut()
		unmount()
		d.restore(wreck{})
		left := t.TempDir()
		d.copyTo(t, left)
		got, err := os.ReadFile(filepath.Join(left, syncs))
		if os.IsNotExist(err) {
			got = []byte("none")
		} else if err != nil {
			t.Fatal(err)
		}
		if string(got) != want[syncs] {
			t.Errorf("with %s synced the file holds %q, want %q", syncs, got, want[syncs])
		}
		folder, unmount = d.mount(t)
	}
}

// Pieces of unsynced writes are there or not, each by itself.
func tearWrites(t *testing.T) {
	const piece = 512
	d := newDisk()
	f, _ := d.create("file", 0o600)
	old, fresh := bytes.Repeat([]byte("o"), 8*piece), bytes.Repeat([]byte("n"), 8*piece)
	seen := map[byte]int{}
	for seed := range uint64(100) {
		f.content, f.safe, f.unsynced = bytes.Clone(old), bytes.Clone(old), nil
		d.write(f, fresh[100:], 100) // begins within a piece
		d.syncNames()
		d.cut()
		d.restore(wreck{rand.New(rand.NewPCG(seed, 0)), piece})
		f = d.find("file")
		for at := 0; at < len(f.content); at += piece {
			part := f.content[at : at+piece]
			if at == 0 {
				part = part[100:]
			}
			if len(bytes.Trim(part, string(part[:1]))) > 0 {
				t.Fatalf("the piece at %d is torn in itself: %q", at, part)
			}
			seen[part[0]]++
		}
	}
	if seen['o'] < 100 || seen['n'] < 100 {
		t.Errorf("pieces after 100 cuts: %v", seen)
	}
}

// cutSQLite cuts the power after 200 commits.
func cutSQLite(t *testing.T, synchronous string, keeps bool) {
	d := newDisk()
	folder, unmount := d.mount(t)
	cmd := program(t, "crash-sqlite", filepath.Join(folder, "test.db"), synchronous)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // which stays open
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	committed := 0
	for lines := bufio.NewScanner(stdout); lines.Scan() && lines.Text() != "done"; committed++ {
		if lines.Text() != strconv.Itoa(committed) {
			t.Errorf("got line %q, want %d", lines.Text(), committed)
		}
	}
	d.cut()
	_ = cmd.Process.Kill() // it may have failed already
	_ = cmd.Wait()
	unmount()
	d.restore(wreck{})
	left := t.TempDir()
	d.copyTo(t, left)
	found := countRows(t, filepath.Join(left, "test.db"))
	t.Logf("synchronous=%s: %d committed, %d found", synchronous, committed, found)
	if committed != 200 || keeps != (found == committed) {
		t.Errorf("%d committed, %d found; want all of them: %v", committed, found, keeps)
	}
}

// countRows counts what is left; a database without the table has none.
func countRows(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables int
	if err := db.QueryRow(`SELECT COUNT(*) FROM sqlite_master WHERE name = 'written'`).Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if tables == 0 {
		return 0
	}
	if err := db.QueryRow(`SELECT COUNT(*) FROM written`).Scan(&n); err != nil {
		t.Fatal(fmt.Errorf("count: %w", err))
	}
	return n
}

// cutPower cuts the power of disks under gateways.
func cutPower(t *testing.T) []tally {
	disks := make([]tally, rounds(1, 8))
	together(t, len(disks), func(t *testing.T, i int) {
		disks[i] = cutOften(t, newDisk(), rounds(6, 250), func() wreck {
			return wreck{rand.New(rand.NewPCG(rand.Uint64(), 0)), []int{0, 0, 512, 4096}[rand.IntN(4)]}
		})
	})
	total := tally{}
	for _, result := range disks {
		total.add(result)
	}
	if total.rounds == 0 && !t.Failed() {
		t.Skip("no disk could be mounted")
	}
	return []tally{total}
}

// cutOften cuts a gateway's power n times, each of which leaves a wreck.
func cutOften(t *testing.T, d *disk, n int, wreck func() wreck) tally {
	t.Helper()
	w := newWorld(t)
	for range n {
		w.block(either())
		folder, unmount := d.mount(t)
		g := start(t, w.configure(folder))
		stop := w.busy(g)
		d.cut()
		g.kill()
		stop()
		unmount()
		d.restore(wreck())
		if said := g.said(); !d.deaf && strings.Contains(said, doubted) {
			t.Errorf("a false alarm: %s", said)
		}
	}
	w.block(false)
	folder, _ := d.mount(t)
	return w.tally(start(t, w.configure(folder)), row, n)
}

// cutUnheard has the row itself fail: a gateway whose syncing does nothing
// loses what it answered.
func cutUnheard(t *testing.T) {
	d := newDisk()
	d.deaf = true
	if result := cutOften(t, d, 1, func() wreck { return wreck{} }); result.lost == 0 {
		t.Errorf("nothing is lost on a disk that syncs nothing: %+v", result)
	}
}
