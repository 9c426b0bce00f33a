package dbfile

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	full      = "the disk is full, or a quota is used up: free some space"
	readOnly  = "the file or its folder can't be written: check their owner and permissions, and that the disk is mounted for writing"
	faulty    = "the disk or its file system reports errors: check the system's log and the disk's health, and keep a backup"
	noLocks   = "the file system has no working locks, as is usual for network file systems (NFS, SMB): put the database on a local disk"
	noSharing = "the file system can't share memory between processes, as is usual for network file systems (NFS, SMB): put the database on a local disk"
)

// remedies say in words what a result code of SQLite means for an operator; each
// begins with the cause. An extended code comes before its primary one.
var remedies = map[int]string{
	sqlite3.SQLITE_FULL:     full,
	sqlite3.SQLITE_READONLY: readOnly,
	sqlite3.SQLITE_PERM:     readOnly,
	sqlite3.SQLITE_AUTH:     readOnly,
	sqlite3.SQLITE_CANTOPEN: "a file of the database can't be opened: check that its folder exists, the owner and permissions of both, " +
		"and that the process may open more files (ulimit -n)",
	sqlite3.SQLITE_CANTOPEN_ISDIR:    "it is a folder: name a file",
	sqlite3.SQLITE_NOMEM:             "memory is used up: give the process more",
	sqlite3.SQLITE_BUSY:              "another program holds a lock on the database: end it, for example a sqlite3 shell with an open transaction",
	sqlite3.SQLITE_LOCKED:            "another program holds a lock on the database: end it, for example a sqlite3 shell with an open transaction",
	sqlite3.SQLITE_PROTOCOL:          noLocks,
	sqlite3.SQLITE_NOLFS:             "the file system can't hold files this large: move the database to another disk",
	sqlite3.SQLITE_IOERR:             faulty,
	sqlite3.SQLITE_IOERR_WRITE:       "writing failed: the disk is full, or " + faulty,
	sqlite3.SQLITE_IOERR_FSYNC:       "what was written could not be brought to the disk: the disk is full, or " + faulty,
	sqlite3.SQLITE_IOERR_DIR_FSYNC:   "what was written could not be brought to the disk: the disk is full, or " + faulty,
	sqlite3.SQLITE_IOERR_TRUNCATE:    "the file's size could not be changed: the disk is full, or " + faulty,
	sqlite3.SQLITE_IOERR_SHMSIZE:     "the file named -shm beside the database can't grow: " + full,
	sqlite3.SQLITE_IOERR_SHMOPEN:     "the file named -shm beside the database can't be opened: " + readOnly,
	sqlite3.SQLITE_IOERR_SHMMAP:      "the file named -shm beside the database can't be mapped: " + noSharing,
	sqlite3.SQLITE_IOERR_MMAP:        "the file can't be mapped: " + noSharing,
	sqlite3.SQLITE_IOERR_SHMLOCK:     noLocks,
	sqlite3.SQLITE_IOERR_LOCK:        noLocks,
	sqlite3.SQLITE_IOERR_UNLOCK:      noLocks,
	sqlite3.SQLITE_IOERR_RDLOCK:      noLocks,
	sqlite3.SQLITE_IOERR_BLOCKED:     noLocks,
	sqlite3.SQLITE_IOERR_NOMEM:       "memory is used up: give the process more",
	sqlite3.SQLITE_IOERR_ACCESS:      readOnly,
	sqlite3.SQLITE_IOERR_DELETE:      "a file beside the database can't be deleted: " + readOnly,
	sqlite3.SQLITE_IOERR_GETTEMPPATH: "there is no folder for temporary files: set TMPDIR to one that can be written",
	sqlite3.SQLITE_READONLY_DBMOVED:  "the file was deleted, moved or replaced while it was open: put it back and start Onramp again",
}

// Explain adds to an error of SQLite what it means and what to do about it.
// Other errors it returns as they are.
func Explain(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	remedy, known := remedies[e.Code()]
	if !known {
		if remedy, known = remedies[e.Code()&0xff]; !known {
			return err
		}
	}
	return &remedied{err, remedy}
}

// remedied is an error with what an operator can do about it.
type remedied struct {
	cause  error
	remedy string
}

// Error gives the cause and the remedy.
func (e *remedied) Error() string { return fmt.Sprintf("%v: %s", e.cause, e.remedy) }

func (e *remedied) Unwrap() error { return e.cause }

// Remedy tells the two apart, for alerts.
func (e *remedied) Remedy() (cause, remedy string) { return e.cause.Error(), e.remedy }
