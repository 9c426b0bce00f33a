//go:build unix

package web

import "syscall"

// OpenFiles is how many files and connections this process may have open. Go has
// raised the soft limit to the hard one at the start.
func OpenFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return unknownOpenFiles
	}
	return int(min(limit.Cur, mostOpenFiles))
}
