package dbfile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// watchEvery is how often Watch looks at the file.
const watchEvery = time.Second

// saveAgain is when saving is tried again that has failed, on a full disk for example.
const saveAgain = 15 * time.Second

// Intact says why nothing may be written any more: the file that this process has
// open no longer bears its name. From then on it says so always, and what was
// accepted before is saved.
func (f *File) Intact() error {
	if err := f.Trouble(); err != nil {
		return err
	}
	gone, ok := errors.AsType[*Gone](f.check())
	if !ok {
		f.seen.Store(int64(time.Since(f.opened)))
		return nil
	}
	if gone.Left == Shrunk && f.isTidied() {
		return nil
	}
	f.lose(gone)
	return f.Trouble()
}

// Recently is Intact for the beginning of a commit: when commits follow one another,
// the end of the last one has just looked.
func (f *File) Recently() error {
	if err := f.Trouble(); err != nil || time.Since(f.opened)-time.Duration(f.seen.Load()) < recently {
		return err
	}
	return f.Intact()
}

const recently = 5 * time.Millisecond

// Trouble is what Intact has found, without another look: for operators.
func (f *File) Trouble() error {
	if err := f.gone.Load(); err != nil {
		return *err
	}
	return nil
}

// Told is closed when the file went away and Trouble says what became of its
// content.
func (f *File) Told() <-chan struct{} { return f.told }

// Watch looks at the file until ctx ends, for the time when nobody writes.
func (f *File) Watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if f.Intact() == nil { // which remembers
				f.checkShared()
			}
		case <-ctx.Done():
			return
		}
	}
}

// isTidied says that the file has become smaller by SQLite's own hand, as by a VACUUM
// in another process.
func (f *File) isTidied() bool {
	var pages, size int64
	ctx := context.Background()
	if f.keeper.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages) != nil ||
		f.keeper.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&size) != nil {
		return false
	}
	info, err := f.held.Stat()
	if err != nil || info.Size() < pages*size {
		return false
	}
	f.size.Store(info.Size())
	return true
}

// checkShared looks at the file that SQLite shares between processes. This process
// has it in its memory, so no commit depends on it.
func (f *File) checkShared() {
	info, err := os.Lstat(f.Path + sides[1])
	if gone := differs("the file "+f.Path+sides[1]+", which belongs to the database,", f.sides[1], info, err); gone != nil {
		gone.Left = Database
		f.lose(gone)
	}
}

func (f *File) lose(gone *Gone) {
	err := fmt.Errorf("%w while Onramp was running; its content is being saved", gone)
	if !f.gone.CompareAndSwap(nil, &err) {
		return
	}
	f.saving.Go(func() {
		for {
			way, saved := f.rescue(gone)
			var err error = &remedied{fmt.Errorf("%w while Onramp was running: nothing is accepted or sent until it is started again", gone), way}
			f.gone.Store(&err)
			f.tell.Do(func() { close(f.told) })
			if saved {
				return
			}
			select {
			case <-time.After(saveAgain):
			case <-f.ending:
				return
			}
		}
	})
}

// rescue brings the content of a database whose file went away to where it is not
// lost, and says what an operator has to do. It is done, or is to be tried again.
func (f *File) rescue(gone *Gone) (way string, done bool) {
	if gone.Left == Database && f.checkpointAll() == nil && f.End(Saved, "") == nil {
		return "Everything accepted before is in the database file: restart Onramp", true
	}
	if gone.Left == Shrunk || gone.Left == Nothing {
		// its log stays until the next start moves it away: should another process have opened the file rightly, it needs that
		_ = f.End(Spoiled, "")
		return fmt.Sprintf("What it held is lost, but for the newest part in %s-wal, which the next start moves aside. Restore a backup, and restart Onramp", f.Path), true
	}
	if !f.begun.Load() {
		return "It was still being opened: put it back, and start Onramp again", true
	}
	saved, err := f.save(f.keeper)
	if err == nil {
		err = f.End(Saved, saved)
	}
	if err != nil {
		return fmt.Sprintf("Its content could not be saved (%v), which is tried again every %v. Do not stop Onramp before: only this process can still read it",
			Explain(err), saveAgain), false
	}
	way = fmt.Sprintf("Everything accepted before is saved in %s. To continue with it, stop Onramp, move that file to %s and start Onramp; "+
		"if there is no file of that name, starting Onramp does it", saved, f.Path)
	if err := f.clearSides(); err != nil {
		way += fmt.Sprintf(". Delete %s-wal and %s-shm before that (%v)", f.Path, f.Path, err)
	}
	return way, true
}

// checkpointAll moves what is in the write-ahead log to the database itself.
func (f *File) checkpointAll() error {
	var busy, log, moved int
	err := f.keeper.QueryRowContext(context.Background(), `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved)
	if err == nil && busy != 0 {
		err = errors.New("the log is in use")
	}
	return err
}

// Abandon ends the use of a file that is gone. The connections to it must stay as
// they are: to close the last one would write to whatever bears the name now.
func (f *File) Abandon() error {
	f.stop.Do(func() { close(f.ending) })
	f.saving.Wait()
	return f.Close()
}

// Leftovers says what an earlier run has left beside the database that an operator
// should know. It is called before SQLite opens the file.
func (f *File) Leftovers() (notices []string, err error) {
	if f.adopted != "" {
		notices = append(notices, fmt.Sprintf("the database file %s was missing. Onramp continues with the copy %s, which it had made when the file went away. "+
			"If you meant to begin with an empty database, stop Onramp, delete %s and start it again", f.Path, f.adopted, f.Path))
	}
	aside, err := f.inspect()
	if err != nil {
		return nil, err
	}
	if aside != "" {
		notices = append(notices, fmt.Sprintf("the write-ahead log %s-wal did not belong to the database file: it would have damaged it, and was moved to %s. "+
			"The last registrations of the database that was there before are only in that log", f.Path, aside))
	}
	saved, err := f.saved()
	if len(saved) > 0 {
		notices = append(notices, fmt.Sprintf("what was accepted before the database file went away under a running Onramp is saved in %s. "+
			"To continue with it, stop Onramp, move the file to %s and start it again; else delete it", strings.Join(saved, ", "), f.Path))
	}
	return notices, err
}

// The names of what the database says about its runs.
const (
	metaRun    = "run"
	metaBefore = "run_before"
	metaClosed = "run_closed"
)

// Meta reads and writes the named texts of a database.
type Meta struct {
	Find func(name string) (string, error) // "" when there is none
	// Save writes all of them in one commit, with the header's user version unless
	// that is 0.
	Save func(texts map[string]string, userVersion uint32) error
	// Doubted is told why the database may be older than what was last written under
	// its name, before that commit.
	Doubted func(why string)
}

// Begin stamps the database, so that it is known from every other, and notes
// that it is in use. commits says how far it has come; keeper is a connection that
// stays open.
func (f *File) Begin(ctx context.Context, meta Meta, commits func() int64, keeper *sql.Conn) (err error) {
	known := known{Commits: commits()}
	closed := ""
	for name, into := range map[string]*string{metaRun: &known.Run, metaBefore: &known.Before, metaClosed: &closed, MetaBackup: &known.Backup} {
		if *into, err = meta.Find(name); err != nil {
			return err
		}
	}
	known.Closed = closed == known.Run
	if why := f.doubt(known); why != "" {
		meta.Doubted(why)
	}
	run, stamp := newRun()
	var seen uint32
	if err := keeper.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&seen); err != nil {
		return err
	}
	if err := f.announce(seen, stamp); err != nil {
		return fmt.Errorf("write %s.state: %w", f.Path, err)
	}
	if err := meta.Save(map[string]string{metaRun: run, metaBefore: f.previous(known)}, stamp); err != nil {
		return err
	}
	// the header is looked at in the file itself, not in the log
	if _, err := keeper.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
		return err
	}
	f.keeper, f.meta = keeper, meta
	if err := f.takeNote(run, stamp, commits()); err != nil {
		return err
	}
	f.begun.Store(true)
	return nil
}

// Closing has the database say that it is being closed. The error is that of Intact.
func (f *File) Closing() error {
	if f.begun.Load() {
		// if it can't be written, the next start has to do without
		_ = f.meta.Save(map[string]string{metaClosed: f.now.Run}, 0)
	}
	return f.Intact()
}

// Closed gives everything back after SQLite has closed the database.
func (f *File) Closed() error { return errors.Join(f.End(Closed, ""), f.Close()) }
