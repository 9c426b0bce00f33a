// Package dbfile looks after the file of a SQLite database: it keeps every other
// process out, whatever name that opens the file by; it notices when the file
// goes away under this one; and it remembers, in a small file beside it, how far
// the database had come, so that an older one in its place is recognised.
//
// It never opens the database itself: to close a file's descriptor drops the
// locks that SQLite holds on that file in this process. The one that it holds is
// closed last.
package dbfile

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"onramp/internal/durable"
)

// sides are the names of the files that SQLite keeps beside a database.
var sides = []string{"-wal", "-shm"}

// File is the file of a database that this process has for itself.
type File struct {
	Path string // without symbolic links: SQLite names the files beside it after this

	lock    *flock.Flock
	held    *os.File
	adopted string // the file was missing, and what an earlier run had saved to this one took its place

	own   os.FileInfo
	sides []os.FileInfo // as they were when the run began; nil: it hasn't
	stamp uint32        // in the header, as its user version
	size  atomic.Int64  // a database in WAL mode grows only

	written atomic.Int64 // time of the last change to the file after which the stamp was there

	stampBefore uint32
	hasLog      bool // a write-ahead log lay beside it before SQLite opened it

	opened time.Time
	seen   atomic.Int64 // when the file was last found intact, in nanoseconds since it was opened

	last   *Note      // of the run before this one; nil: there was none
	noting sync.Mutex // guards what follows
	now    Note       // of this run
	note   *os.File   // where it stands
	mapped []byte     // its content; nil: it must be written by calls

	keeper *sql.Conn // open from the beginning to the end: through it the content can be saved, whatever becomes of the file
	meta   Meta
	begun  atomic.Bool

	gone   atomic.Pointer[error] // what Trouble says
	saving sync.WaitGroup
	told   chan struct{}
	tell   sync.Once
	ending chan struct{}
	stop   sync.Once
}

// Open creates the file if there is none, and takes the locks. Its errors say what
// an operator can do.
func Open(path string) (*File, error) {
	f, err := lockName(path)
	if err != nil {
		return nil, err
	}
	err = f.adopt()
	if err == nil {
		err = f.hold(path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockName takes the lock that is named after the path.
func lockName(path string) (_ *File, err error) {
	if path == "" {
		return nil, errors.New("database: the file name is missing")
	}
	f := &File{opened: time.Now(), told: make(chan struct{}), ending: make(chan struct{})}
	if f.Path, err = resolve(path); err != nil {
		return nil, fmt.Errorf("database %s: %w; its folder must exist and be writable", path, err)
	}
	f.lock = flock.New(f.Path + ".lock")
	locked, err := f.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("database %s: %w; its folder must exist and be writable", path, err)
	}
	if !locked {
		return nil, inUse(path)
	}
	return f, nil
}

// adopt puts what was saved last in the place of a file that is missing.
func (f *File) adopt() error {
	saved, err := f.saved()
	if _, missing := os.Lstat(f.Path); err != nil || len(saved) == 0 || !errors.Is(missing, fs.ErrNotExist) {
		return err
	}
	f.adopted = saved[len(saved)-1]
	if err := os.Rename(f.adopted, f.Path); err != nil {
		return fmt.Errorf("database %s is missing, and its saved copy can't be moved there: %w", f.Path, err)
	}
	return durable.SyncFolder(filepath.Dir(f.Path))
}

// saved lists the files that content of this database was saved to, oldest first.
func (f *File) saved() (saved []string, err error) {
	folder, err := os.ReadDir(filepath.Dir(f.Path))
	if err != nil {
		return nil, fmt.Errorf("list the files beside the database: %w", err)
	}
	for _, entry := range folder { // by name, and so by time
		if name := entry.Name(); strings.HasPrefix(name, filepath.Base(f.Path)+".rescued-") && strings.HasSuffix(name, "Z") {
			saved = append(saved, filepath.Join(filepath.Dir(f.Path), name))
		}
	}
	return saved, nil
}

// ErrInUse is in the chain of an error of Open and Lock when another process has the
// file.
var ErrInUse = errors.New("in use by another onramp; stop that process, or use another file")

func inUse(path string) error { return fmt.Errorf("database %s is %w", path, ErrInUse) }

// hold opens the file and locks it: the lock file alone is named after one path,
// of which a file can have several.
func (f *File) hold(path string) (err error) {
	// it holds personal data: create it for its owner only, before SQLite would
	if f.held, err = os.OpenFile(f.Path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("database %s: %w", path, err)
	}
	if f.own, err = f.held.Stat(); err != nil {
		return fmt.Errorf("database %s: %w", path, err)
	}
	if n := links(f.own); n > 1 {
		return fmt.Errorf("database %s has %d names (hard links): under each of them SQLite would keep a write-ahead log of its own, "+
			"and what is written under one would be missing under the other; remove all names but one, or copy the file", path, n)
	}
	locked, err := lockFile(f.held)
	if err != nil {
		return fmt.Errorf("database %s: lock: %w", path, err)
	}
	if !locked {
		return inUse(path)
	}
	return nil
}

// resolve follows symbolic links, also one to a file that is still to be made.
func resolve(path string) (string, error) {
	for range 40 { // as many as Linux follows
		resolved, err := filepath.EvalSymlinks(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return resolved, err
		}
		target, err := os.Readlink(path)
		if err != nil {
			folder, err := filepath.EvalSymlinks(filepath.Dir(path))
			return filepath.Join(folder, filepath.Base(path)), err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", errors.New("too many symbolic links")
}

// check compares what bears the names now with what was opened. The error is of
// type *Gone. It costs a few microseconds.
func (f *File) check() error {
	before := f.size.Load()
	info, err := os.Lstat(f.Path)
	if gone := differs("the database file "+f.Path, f.own, info, err); gone != nil {
		return gone
	}
	if f.sides == nil || err != nil {
		return nil
	}
	if size := info.Size(); size < before {
		return &Gone{What: fmt.Sprintf("the database file %s was cut off, from %d bytes to %d,", f.Path, before, size), Left: Shrunk}
	}
	f.size.Store(max(before, info.Size()))
	if written := info.ModTime().UnixNano(); written != f.written.Load() {
		if !f.isStamped(f.header()) {
			return &Gone{What: "the database file " + f.Path + " was overwritten with other content", Left: Nothing}
		}
		f.written.Store(written)
	}
	info, err = os.Lstat(f.Path + sides[0])
	if gone := differs("the write-ahead log "+f.Path+sides[0], f.sides[0], info, err); gone != nil {
		gone.Left = Database
		return gone
	}
	return nil
}

// userVersion is where the header of a database has the number that stamps it.
const userVersion = 60

// header reads the stamp of the file; 0 when it has none.
func (f *File) header() uint32 {
	var stamp [4]byte
	if _, err := f.held.ReadAt(stamp[:], userVersion); err != nil {
		return 0
	}
	return binary.BigEndian.Uint32(stamp[:])
}

// isStamped recognises the content. The stamp of the run before stays in the header
// for as long as something keeps SQLite from moving a new one there.
func (f *File) isStamped(stamp uint32) bool { return stamp == f.stamp || stamp == f.stampBefore }

func differs(what string, own, now os.FileInfo, err error) *Gone {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Gone{What: what + " was deleted or moved away"}
	case err != nil:
		return nil // that it can't be looked at is no proof: the commit itself will tell
	case !os.SameFile(own, now):
		return &Gone{What: what + " was replaced by another file"}
	}
	return nil
}

// Gone is what happened to a file under the process that had it open.
type Gone struct {
	What string // a clause
	Left Left
}

// Left is what is left of a database that is gone.
type Left uint8

// What can be left.
const (
	Unnamed  Left = iota // the content, without its name: the connections that are open read it
	Database             // the file itself, in its place; one beside it is gone
	Shrunk               // less; or all of it, if another program has tidied it up
	Nothing              // nothing
)

// Error says what happened.
func (g *Gone) Error() string { return g.What }

// clearSides removes the files beside the database once their content is saved, as
// far as they are still its own: applied to what now bears its name, they would
// damage that.
func (f *File) clearSides() error {
	for i, own := range f.sides {
		path := f.Path + sides[i]
		if info, err := os.Lstat(path); err != nil || !os.SameFile(own, info) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return durable.SyncFolder(filepath.Dir(f.Path))
}

// Unlock gives the locks back.
func (f *File) Unlock() error {
	if f.held == nil {
		return f.lock.Unlock()
	}
	return errors.Join(unlockFile(f.held), f.lock.Unlock())
}

// Close gives the locks back and closes the file. SQLite must have closed it before.
func (f *File) Close() error {
	err := errors.Join(f.closeNote(), f.Unlock())
	if f.held != nil {
		err = errors.Join(err, f.held.Close())
	}
	return err
}
