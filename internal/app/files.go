package app

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"onramp/internal/config"
)

// WarnOfReadable logs which of the files are readable by other users of this
// machine: each is one that holds secrets or personal data. Files that are not there
// are left out.
func WarnOfReadable(log *slog.Logger, files ...string) {
	if runtime.GOOS == "windows" {
		return // the mode says nothing there
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm()&0o077 == 0 {
			continue
		}
		log.Warn("other users of this machine can read a file with secrets or personal data: run chmod 600 on it",
			"file", file, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
}

// files are what the gateway keeps on this machine, beside the configuration.
func (a *App) files(cfg *config.Config) []string {
	var all []string
	if file := a.store.File(); file != "" {
		all = append(all, file, file+"-wal", file+"-shm", file+".key")
	}
	for _, s := range cfg.Sinks {
		if s.File != nil {
			all = append(all, s.File.Path)
		}
	}
	return all
}
