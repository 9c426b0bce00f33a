package dbfile

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"onramp/internal/durable"
)

// Note is what the small file beside the database says of it: FILE.state. Each
// commit writes it, and none waits until it is on disk: after a power cut it may
// say less than the database, never more.
type Note struct {
	Commits int64  `json:"commits"` // a number that goes up with each; first, so that it can be written alone
	Run     string `json:"run"`     // the last start, as the database has it, too
	State   State  `json:"state"`
	Stamp   uint32 `json:"stamp"` // in the header of the database
	Before  uint32 `json:"stamp_before"`
	Next    uint32 `json:"stamp_next,omitempty"` // of a run that was about to begin
	Inode   uint64 `json:"inode"`                // of the database
	WAL     uint64 `json:"wal"`                  // inode of its write-ahead log
	Self    uint64 `json:"self"`                 // inode of this file: if it is another, inodes tell nothing here
}

// State says how far a run had come.
type State string

// The states of a run.
const (
	Running State = "running"
	Closed  State = "closed"
	Saved   State = "saved"   // the database went away, and was written to another file
	Spoiled State = "spoiled" // the database was written over or cut off
)

// known is what a database says of itself.
type known struct {
	Run     string // the last start; "": it has never been opened by an onramp that takes notes
	Before  string // the one before it
	Commits int64
	Closed  bool   // after the last start it was closed
	Backup  string // see MetaBackup
}

// noteSize is one sector, which a disk writes in whole or not at all.
const noteSize = 512

// readNote gives the note of the last run; nil when there is none that can be read.
func (f *File) readNote() *Note {
	file, err := os.Open(f.Path + ".state")
	if err != nil {
		return nil
	}
	defer file.Close()
	text := make([]byte, noteSize)
	n, _ := file.Read(text)
	var note Note
	if json.Unmarshal(bytes.TrimSpace(text[:n]), &note) != nil || note.Run == "" {
		return nil
	}
	if info, err := file.Stat(); err != nil || inode(info) != note.Self {
		note.Self = 0
	}
	return &note
}

// inspect looks at what a stopped process has left, before SQLite does: a
// write-ahead log that belongs to another database is moved away, since SQLite
// would apply it to this one. It returns where to.
func (f *File) inspect() (aside string, err error) {
	f.last = f.readNote()
	info, err := os.Lstat(f.Path + "-wal")
	f.hasLog = err == nil && info.Size() > 0
	if !f.hasLog || f.last == nil || !f.isForeign(info) {
		return "", nil
	}
	aside = f.Beside("left")
	for _, side := range sides {
		if err := os.Rename(f.Path+side, aside+side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("move the write-ahead log of another database away: %w", err)
		}
	}
	return aside + "-wal", durable.SyncFolder(filepath.Dir(f.Path))
}

// isForeign says that the write-ahead log which was found is not that of the
// database.
func (f *File) isForeign(wal os.FileInfo) bool {
	stamp := f.header()
	same, left := stamp == f.last.Stamp || stamp == f.last.Before, inode(wal) == f.last.WAL
	switch f.last.State {
	case Running:
		same = same || stamp == f.last.Next && stamp != 0
		// when all files were copied, all inodes are others
		return f.last.Self != 0 && left && (!same || inode(f.own) != f.last.Inode)
	case Spoiled:
		return left
	case Saved: // what it held was taken over
		return same && !left
	}
	return false
}

// Beside names a new file after the database, what it holds, and the time.
func (f *File) Beside(what string) string {
	return f.Path + "." + what + "-" + time.Now().UTC().Format("20060102T150405.000000Z")
}

// doubt compares what the database says of itself with the note of the last run;
// "" when nothing speaks against it being the same, and whole.
func (f *File) doubt(known known) string {
	if known.Backup != "" {
		return restoredFrom(known.Backup)
	}
	why := f.older(known)
	// the file itself was there before: it isn't a copy, and why says what it lacks
	isOwn := f.last != nil && f.last.Inode == inode(f.own)
	if why == "" || known.Run == "" || known.Closed || f.hasLog || isOwn {
		return why
	}
	return fmt.Sprintf("%s. The database was not closed, and no write-ahead log %s-wal lies beside it: unless SQLite itself made the copy, "+
		"what was accepted last before it is missing, too. Copy a running Onramp's database with onramp backup", why, f.Path)
}

// older says what speaks for the database being older than what was last written under
// its name.
func (f *File) older(known known) string {
	note := f.last
	switch {
	case note == nil && known.Run == "":
		return "" // a new one, or one of an older onramp
	case note == nil && known.Closed:
		return ""
	case note == nil:
		return fmt.Sprintf("it is a copy of a database that was in use, or %s.state was deleted", f.Path)
	case note.Run != known.Run && note.Run != known.Before:
		return "it is a backup from before the last start, or another database than that of the last start"
	case known.Commits < note.Commits && inode(f.own) == note.Inode:
		return fmt.Sprintf("at least %d registrations or other changes are missing: its write-ahead log %s-wal was deleted or cut off, or the file was overwritten with a backup",
			note.Commits-known.Commits, f.Path)
	case known.Commits < note.Commits:
		return fmt.Sprintf("it is a backup: Onramp has stored at least %d more registrations or other changes since", note.Commits-known.Commits)
	case note.State == Running && note.Inode != inode(f.own):
		return "it is a copy that was made while Onramp was running, or of what a killed Onramp left"
	}
	return ""
}

// previous is the run that the note of the last run may name rightly until this one
// has a note of its own.
func (f *File) previous(known known) string {
	if f.last != nil && f.last.Run == known.Before {
		return known.Before
	}
	return known.Run
}

// newRun gives a run its name, and the database the number that stamps it: one that
// no other has, as far as 31 bits allow.
func newRun() (name string, stamp uint32) {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return rand.Text(), binary.BigEndian.Uint32(b[:])>>1 | 1
}

// announce has the note of the run before know every stamp that the database may bear
// until this run has a note of its own: as SQLite sees it, as it is in the file, and
// the one that this run will give it. A start that is killed in between has its log
// taken for another database's otherwise, and a half-moved one is all that there is.
func (f *File) announce(seen, next uint32) (err error) {
	if f.last == nil || f.last.State != Running {
		return nil // which stamp it bears then decides nothing, or only that it bears the old one
	}
	announced := *f.last
	announced.Stamp, announced.Before, announced.Next = seen, f.header(), next
	note, err := os.OpenFile(f.Path+".state", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, note.Close()) }()
	if err := announced.writeTo(note); err != nil {
		return err
	}
	return note.Sync()
}

// takeNote looks at the files as they are once SQLite has opened them, and notes
// on disk that the database is in use.
func (f *File) takeNote(run string, stamp uint32, commits int64) error {
	found := make([]os.FileInfo, len(sides))
	for i, side := range sides {
		info, err := os.Lstat(f.Path + side)
		if err != nil {
			return fmt.Errorf("file beside the database: %w", err)
		}
		found[i] = info
	}
	f.sides, f.stamp, f.stampBefore = found, stamp, f.header()
	f.now = Note{
		Run: run, Commits: commits, State: Running, Stamp: f.stamp, Before: f.stampBefore, Inode: inode(f.own), WAL: inode(found[0]),
	}
	if err := f.makeNote(); err != nil {
		return fmt.Errorf("write %s.state: %w", f.Path, err)
	}
	return nil
}

// makeNote puts a new file in place of the note of the run before, or of one that
// was deleted.
func (f *File) makeNote() error {
	if f.note != nil {
		_ = f.note.Close() // the mapping, if any, may stay: it does no harm
	}
	made, err := os.CreateTemp(filepath.Dir(f.Path), ".onramp-state-*") // mode 0600
	if err != nil {
		return err
	}
	f.note = made
	info, err := made.Stat()
	if err == nil {
		f.now.Self = inode(info)
		err = f.write()
	}
	if err == nil {
		err = made.Sync()
	}
	// Windows doesn't rename what is open
	if err = errors.Join(err, made.Close()); err == nil {
		err = os.Rename(made.Name(), f.Path+".state")
	}
	if err != nil {
		f.note = nil
		return errors.Join(err, os.Remove(made.Name()))
	}
	if f.note, err = os.OpenFile(f.Path+".state", os.O_RDWR, 0); err != nil {
		return err
	}
	f.mapped = mapFile(f.note, noteSize)
	return durable.SyncFolder(filepath.Dir(f.Path))
}

// closeNote closes the note, if there is one.
func (f *File) closeNote() error {
	f.noting.Lock()
	defer f.noting.Unlock()
	if f.mapped != nil {
		unmapFile(f.mapped)
		f.mapped = nil
	}
	if f.note == nil {
		return nil
	}
	note := f.note
	f.note = nil
	return note.Close()
}

// Committed notes how many commits the database has had.
func (f *File) Committed(commits int64) {
	if !f.begun.Load() {
		return
	}
	f.noting.Lock()
	defer f.noting.Unlock()
	f.now.Commits = commits
	if f.note == nil {
		return
	}
	digits := fmt.Appendf(nil, "%*d", commitDigits, commits)
	if f.mapped == nil || !copyMapped(f.mapped[len(commitsHead):], digits) {
		// an error is no harm: what the note doesn't say can't raise a false alarm
		_, _ = f.note.WriteAt(digits, int64(len(commitsHead)))
	}
}

// A note begins with the number of commits at a fixed width.
const (
	commitsHead  = `{"commits":`
	commitDigits = 20
)

// End has the note say on disk how the run ended: the database was closed, or its
// content was saved to another file.
func (f *File) End(state State, savedTo string) error {
	f.noting.Lock()
	defer f.noting.Unlock()
	if f.note == nil {
		return nil
	}
	if f.now.State = state; savedTo != "" {
		info, err := os.Stat(savedTo)
		if err != nil {
			return err
		}
		f.now.Inode = inode(info)
	}
	if _, err := os.Lstat(f.Path + ".state"); errors.Is(err, fs.ErrNotExist) { // it was deleted with the database
		return f.makeNote()
	}
	return errors.Join(f.write(), f.note.Sync())
}

func (f *File) write() error { return f.now.writeTo(f.note) }

func (n *Note) writeTo(file *os.File) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(text, []byte{','})
	line := fmt.Sprintf("%s%*d,%s", commitsHead, commitDigits, n.Commits, rest)
	_, err = file.WriteAt(fmt.Appendf(nil, "%-*s\n", noteSize-1, line), 0)
	return err
}
