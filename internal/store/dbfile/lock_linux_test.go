package dbfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"onramp/internal/store/dbfile"
)

// Under a bind mount of the file alone neither its name nor the number of its links
// shows that another process has it: its lock does.
func TestLockOnFileItself(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "onramp.db")
	other, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if f, err := dbfile.Open(path); err == nil || !strings.Contains(err.Error(), "is in use by another onramp") {
		t.Errorf("opened %v, %v", f, err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	f, err := dbfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		t.Error("the file is not locked")
	}
	if err := f.Closed(); err != nil {
		t.Error(err)
	}
}
