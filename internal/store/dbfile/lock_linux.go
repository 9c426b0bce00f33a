package dbfile

import (
	"errors"
	"os"
	"syscall"
)

// The file systems on which flock(2) is carried out as locks on byte ranges, which
// would keep SQLite's own locks out: there the lock file must do.
var shared = map[int64]bool{
	0x6969:     true, // NFS
	0x517b:     true, // SMB
	0xff534d42: true, // CIFS
	0xfe534d42: true, // SMB 2
	0x01021997: true, // 9P
}

// lockFile locks the file itself, by whatever name it was opened. On Linux such a
// lock has nothing to do with those that SQLite takes.
func lockFile(f *os.File) (locked bool, err error) {
	var system syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &system); err != nil || shared[int64(uint32(system.Type))] {
		return true, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOLCK) {
		return true, nil // the file system has none
	}
	return err == nil, err
}

func unlockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
