//go:build !linux

package crash_test

import "testing"

func (d *disk) mount(t *testing.T) (folder string, unmount func()) {
	t.Helper()
	t.Skip("the disk is mounted by FUSE, on Linux only")
	return "", nil
}
