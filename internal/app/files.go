package app

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"

	"onramp/internal/config"
)

// WarnOfReadable logs which of the files are readable by other users of this
// machine: each is one that holds secrets or personal data. Files that are not there
// are left out.
func WarnOfReadable(log *slog.Logger, files ...string) {
	for _, file := range readable(files) {
		log.Warn("other users of this machine can read a file with secrets or personal data: run chmod 600 on it",
			"file", file.path, "mode", fmt.Sprintf("%04o", file.mode))
	}
}

// readableFile is one that other users can read.
type readableFile struct {
	path string
	mode fs.FileMode
}

// readable gives those of the files that are there and that other users can read.
func readable(files []string) []readableFile {
	if runtime.GOOS == "windows" {
		return nil // the mode says nothing there
	}
	var all []readableFile
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
			all = append(all, readableFile{file, info.Mode().Perm()})
		}
	}
	return all
}

// files are what the gateway keeps on this machine, beside the configuration.
func (a *App) files(cfg *config.Config) []string { return keptFiles(a.store.File(), cfg) }

// keptFiles are those of a database, "" where it is no file, and of the sinks.
func keptFiles(database string, cfg *config.Config) []string {
	var all []string
	if database != "" {
		all = append(all, database, database+"-wal", database+"-shm", database+".key", database+".persons")
	}
	for _, s := range cfg.Sinks {
		if s.File != nil {
			all = append(all, s.File.Path)
		}
	}
	return all
}
