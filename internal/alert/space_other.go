//go:build !(linux || darwin || freebsd)

package alert

import (
	"errors"
	"fmt"
)

// FreeSpace returns how many bytes are free for us where path is, and of how many.
// It works on Linux, macOS and FreeBSD; elsewhere the error is
// errors.ErrUnsupported.
func FreeSpace(path string) (free, total uint64, err error) {
	return 0, 0, fmt.Errorf("free space of %s: %w", path, errors.ErrUnsupported)
}
