//go:build unix

package dbfile

import (
	"os"
	"runtime/debug"
	"syscall"
)

// mapFile has the beginning of a file in memory: measured, to write it there costs
// nothing, and a call of the system for each commit costs 3 %. It is nil where the
// file system can't do it.
func mapFile(f *os.File, size int) []byte {
	mapped, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil
	}
	return mapped
}

func unmapFile(mapped []byte) { _ = syscall.Munmap(mapped) }

// copyMapped writes to a mapped file. It fails when someone has cut the file off.
func copyMapped(to []byte, text []byte) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { ok = recover() == nil }()
	copy(to, text)
	return true
}
