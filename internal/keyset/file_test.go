package keyset_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"onramp/internal/keyset"
)

func TestOpenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "onramp.db.key")
	k, err := keyset.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed := encrypt(t, k, "kept")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("the file has the mode %v, want -rw-------", info.Mode())
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyset.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantPlain(t, again, sealed, "kept")
	after, err := os.ReadFile(path)
	if err != nil || string(before) != string(after) {
		t.Errorf("the file was changed, or can't be read: %v", err)
	}
	wantAlone(t, path)
}

// wantAlone checks that the file's folder has nothing else.
func wantAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("there is %s, too", e.Name())
		}
	}
}

// Of several processes that start together the first creates the key, and the
// others use it.
func TestOpenFileTogether(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "onramp.db.key")
		keys := make([]*keyset.Keyset, 8)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() {
				<-start
				k, err := keyset.OpenFile(path)
				if err != nil {
					t.Error(err)
					return
				}
				keys[i] = k
			})
		}
		close(start)
		all.Wait()
		if t.Failed() {
			return
		}
		sealed := encrypt(t, keys[0], "kept")
		for _, k := range keys {
			wantPlain(t, k, sealed, "kept")
		}
		wantAlone(t, path)
	}
}

// What stands there already is never replaced.
func TestOpenDamagedFile(t *testing.T) {
	t.Parallel()
	text, _ := open(t)
	for name, content := range map[string]string{
		"empty":     "",
		"blank":     "\n",
		"cut":       text.Reveal()[:100],
		"something": "hunter2",
		"huge":      strings.Repeat(" ", 1<<20) + text.Reveal(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "onramp.db.key")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := keyset.OpenFile(path)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "left unchanged") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error with the path and the hint", err)
			}
			after, err := os.ReadFile(path)
			if err != nil || string(after) != content {
				t.Errorf("the file was changed, or can't be read: %v", err)
			}
			wantAlone(t, path)
		})
	}
}

func TestOpenFileElsewhere(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := keyset.OpenFile(folder); err == nil {
		t.Error("a folder was opened as a file")
	}
	missing := filepath.Join(folder, "missing", "onramp.db.key")
	if _, err := keyset.OpenFile(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("without the folder: got %v, want an error with the path", err)
	}
	nowhere := filepath.Join(folder, "link")
	if err := os.Symlink(missing, nowhere); err != nil {
		t.Fatal(err)
	}
	if _, err := keyset.OpenFile(nowhere); err == nil {
		t.Error("a link to nowhere was opened")
	}
	if target, err := os.Readlink(nowhere); err != nil || target != missing {
		t.Errorf("the link is now to %s, %v", target, err)
	}
	entries, err := fs.Glob(os.DirFS(folder), ".onramp-*")
	if err != nil || len(entries) > 0 {
		t.Errorf("there is left %v, %v", entries, err)
	}
}
