// Package durable makes changes to a file system survive a power cut.
package durable

import (
	"os"
	"runtime"
)

// SyncFolder returns once the names in a folder are on disk: of the files that were
// created in it, renamed or removed. To sync a file itself is not enough for that.
// Windows has no way to ask for it, and there it does nothing.
func SyncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
