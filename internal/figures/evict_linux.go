package figures

import (
	"errors"
	"os"
	"syscall"
)

// dontNeed is POSIX_FADV_DONTNEED (posix_fadvise(2)).
const dontNeed = 4

// evict takes a file out of the page cache. How large the parts are in which the kernel
// keeps a file there depends on how it came there, and a program that was read as a whole
// before it starts has 10 MB more of itself mapped than one that is read as it starts.
func evict(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync() // only what is on disk can be evicted
	if err == nil {
		if _, _, failed := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0); failed != 0 {
			err = failed
		}
	}
	return errors.Join(err, f.Close())
}
