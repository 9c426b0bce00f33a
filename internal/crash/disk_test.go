package crash_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// disk is a folder on a disk with a cache in front of it: what was written is
// safe once it was synced, and a power cut takes the rest. It lives in memory;
// mount makes it a folder that processes can use.
//
// It keeps to the letter of POSIX, which asks for more than ext4 does: a name is
// safe once its folder was synced, and syncing the file does not help it.
type disk struct {
	mu      sync.Mutex
	names   map[string]*file // as processes see them
	safe    map[string]*file // as they were when the folder was last synced
	renamed []nameChange     // since then
	used    uint64           // inode numbers given out

	off     bool          // the power is cut: every call fails
	deaf    bool          // syncing is answered and not done, to show what a test is worth
	refusal syscall.Errno // what writing fails with; 0: it doesn't
	limit   int           // bytes on the disk; 0: no limit
}

// nameChange gives a name to a file, or takes it away where file is nil; a rename
// takes the old name away in the same moment.
type nameChange struct {
	name string
	file *file
	old  string
}

func (c nameChange) apply(names map[string]*file) {
	if names[c.name] = c.file; c.file == nil {
		delete(names, c.name)
	}
	delete(names, c.old)
}

// file is what a disk knows about one. The disk's mutex guards it.
type file struct {
	inode    uint64
	mode     uint32
	scratch  bool     // mapped memory that is worth nothing after a restart: never refused
	content  []byte   // as processes see it
	safe     []byte   // as it was when it was last synced
	unsynced []change // since then
}

// change is one write, or with data nil the new end of the file.
type change struct {
	at   int
	data []byte
}

func newDisk() *disk { return &disk{names: map[string]*file{}, safe: map[string]*file{}} }

// find returns nil when there is no such file.
func (d *disk) find(name string) *file {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[name]
}

func (d *disk) create(name string, mode uint32) (*file, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &file{inode: d.used + 2, mode: mode, scratch: strings.HasSuffix(name, "-shm")} // 1 is the folder
	if errno := d.mayChange(f, 0); errno != 0 {
		return nil, errno
	}
	d.used++
	d.name(nameChange{name: name, file: f})
	return f, 0
}

// name changes a name for the processes; the mutex is held.
func (d *disk) name(c nameChange) {
	c.apply(d.names)
	d.renamed = append(d.renamed, c)
}

// link gives a file a further name.
func (d *disk) link(f *file, name string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.mayChange(f, 0); errno != 0 {
		return errno
	}
	if d.names[name] != nil {
		return syscall.EEXIST
	}
	d.name(nameChange{name: name, file: f})
	return 0
}

// rename takes the place of what has the new name.
func (d *disk) rename(old, name string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[old]
	if f == nil {
		return syscall.ENOENT
	}
	if errno := d.mayChange(f, 0); errno != 0 {
		return errno
	}
	d.name(nameChange{name: name, file: f, old: old})
	return 0
}

// links counts the names of a file.
func (d *disk) links(f *file) (n uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, named := range d.names {
		if named == f {
			n++
		}
	}
	return n
}

func (d *disk) remove(name string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[name]
	if f == nil {
		return syscall.ENOENT
	}
	if errno := d.mayChange(f, 0); errno != 0 {
		return errno
	}
	d.name(nameChange{name: name})
	return 0
}

func (d *disk) read(f *file, into []byte, at int) (int, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return 0, syscall.EIO
	}
	return copy(into, f.content[min(at, len(f.content)):]), 0
}

func (d *disk) size(f *file) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(f.content)
}

func (d *disk) write(f *file, data []byte, at int) syscall.Errno {
	return d.change(f, change{at, append([]byte{}, data...)})
}

func (d *disk) truncate(f *file, size int) syscall.Errno {
	return d.change(f, change{at: size})
}

func (d *disk) change(f *file, c change) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.mayChange(f, c.at+len(c.data)-len(f.content)); errno != 0 {
		return errno
	}
	f.content = c.apply(f.content)
	f.unsynced = append(f.unsynced, c)
	return 0
}

// mayChange says whether a file may change, and grow by growth bytes.
func (d *disk) mayChange(f *file, growth int) syscall.Errno {
	switch {
	case d.off:
		return syscall.EIO
	case f.scratch:
		return 0
	case d.refusal != 0:
		return d.refusal
	case d.limit > 0 && growth > 0 && d.usage()+growth > d.limit:
		return syscall.ENOSPC
	}
	return 0
}

func (d *disk) usage() int {
	n := 0
	for _, f := range d.names {
		if !f.scratch {
			n += len(f.content)
		}
	}
	return n
}

// sync makes a file's content safe, but not its name.
func (d *disk) sync(f *file) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.off:
		return syscall.EIO
	case d.refusal != 0 && len(f.unsynced) > 0:
		return d.refusal
	case d.deaf:
		return 0
	}
	for _, c := range f.unsynced {
		f.safe = c.apply(f.safe)
	}
	f.unsynced = nil
	return 0
}

// syncNames makes the names in the folder safe.
func (d *disk) syncNames() syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return syscall.EIO
	}
	if !d.deaf {
		d.safe, d.renamed = maps.Clone(d.names), nil
	}
	return 0
}

// apply returns the content after a change.
func (c change) apply(content []byte) []byte {
	if c.data == nil {
		return resize(content, c.at)
	}
	if end := c.at + len(c.data); end > len(content) {
		content = resize(content, end)
	}
	copy(content[c.at:], c.data)
	return content
}

func resize(content []byte, size int) []byte {
	if size <= len(content) {
		return content[:size:size] // what grows again begins with zeroes
	}
	return append(content, make([]byte, size-len(content))...)
}

// cut ends the power: from now on every call fails.
func (d *disk) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
}

// wreck says what of the unsynced is on the disk after a power cut.
type wreck struct {
	random *rand.Rand
	piece  int // bytes that get there whole or not at all; 0: nothing gets there
}

// restore brings the power back. The processes that used the disk must have
// ended, and it must be mounted again.
func (d *disk) restore(w wreck) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = false
	if w.piece > 0 {
		// file systems keep names in a journal, so only the first of their changes got there, in order
		for _, c := range d.renamed[:w.random.IntN(len(d.renamed)+1)] {
			c.apply(d.safe)
		}
	}
	left := map[*file]*file{} // by what they were: a file may have several names
	for name, f := range d.safe {
		if left[f] == nil {
			if w.piece > 0 {
				f.safe = w.tear(f.safe, f.unsynced)
			}
			// a new one: what the kernel still writes to the old one comes too late
			left[f] = &file{inode: f.inode, mode: f.mode, scratch: f.scratch, content: bytes.Clone(f.safe), safe: f.safe}
		}
		d.safe[name] = left[f]
	}
	d.names, d.renamed = maps.Clone(d.safe), nil
}

// tear applies a random choice of pieces of the changes.
func (w wreck) tear(content []byte, changes []change) []byte {
	share := w.random.Float64()
	for _, c := range changes {
		if c.data == nil {
			if w.random.Float64() < share {
				content = c.apply(content)
			}
			continue
		}
		for from := 0; from < len(c.data); {
			to := min(from+w.piece-(c.at+from)%w.piece, len(c.data))
			if w.random.Float64() < share {
				content = change{c.at + from, c.data[from:to]}.apply(content)
			}
			from = to
		}
	}
	return content
}

// refuse has every write fail, until it is called with 0.
func (d *disk) refuse(errno syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusal = errno
}

// fill leaves room for that many more bytes; emptied makes it endless again.
func (d *disk) fill(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = d.usage() + room
}

func (d *disk) emptied() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = 0
}

// copyTo writes the files into a folder of the machine.
func (d *disk) copyTo(t *testing.T, folder string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, f := range d.names {
		if err := os.WriteFile(filepath.Join(folder, name), f.content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
