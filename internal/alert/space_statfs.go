//go:build linux || darwin || freebsd

package alert

import (
	"fmt"
	"syscall"
)

// FreeSpace returns how many bytes are free for us where path is, and of how many.
// It works on Linux, macOS and FreeBSD; elsewhere the error is
// errors.ErrUnsupported.
func FreeSpace(path string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	// what is free beyond Bavail is root's; it is signed in places, and below zero when that is used
	return uint64(max(s.Bavail, 0)) * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}
