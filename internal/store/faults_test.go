package store_test

import (
	"errors"
	"sync/atomic"
)

// fault is what becomes of a COMMIT.
type fault int

const (
	none   fault = iota
	lost         // it is on disk, and its answer is an error
	undone       // it is not on disk
)

var errCommit = errors.New("the connection was lost at COMMIT")

// faults decides what becomes of commits.
type faults struct{ what atomic.Int32 }

func (f *faults) set(what fault) { f.what.Store(int32(what)) }

// during has every commit end with a fault while a function runs.
func (f *faults) during(what fault, do func()) {
	f.set(what)
	defer f.set(none)
	do()
}

func (f *faults) commit(commit func() error) error {
	what := fault(f.what.Load())
	if what == undone {
		return errCommit
	}
	if err := commit(); err != nil || what == none {
		return err
	}
	return errCommit
}
