package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/cli"
)

// Files with secrets that other users can read are named in the log at the start;
// those that Onramp makes itself are for their owner only.
func TestReadableFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a file's mode says nothing on Windows")
	}
	for name, row := range map[string]struct {
		secret string
		mode   fs.FileMode
		want   []string
	}{
		"for all": {"sandbox-secret", 0o644, []string{
			"onramp.db 0644", "onramp.db.key 0644", "onramp.db.persons 0644", "onramp.yaml 0644 [admin.token marketing_cloud.client_secret]",
		}},
		"for the group, and references": {"${env:SECRET}", 0o640, []string{"onramp.db 0640", "onramp.db.key 0640", "onramp.db.persons 0640"}},
		"for the owner":                 {"sandbox-secret", 0o600, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			config := filepath.Join(folder, "onramp.yaml")
			text := fmt.Sprintf(killConfig, filepath.Join(folder, "onramp.db"), "http://127.0.0.1:1")
			text = strings.NewReplacer("client_secret: sandbox-secret", `client_secret: "`+row.secret+`"`, "token: operator-of-the-test", `token: "`+strings.Replace(row.secret, "sandbox-secret", "operator-of-the-test", 1)+`"`).Replace(text)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := warnings(t, config); len(got) > 0 {
				t.Errorf("at the first start: %v", got)
			}
			made, err := filepath.Glob(filepath.Join(folder, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range made {
				if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s has the mode %v, %v", filepath.Base(file), info.Mode(), err)
				}
				if err := os.Chmod(file, row.mode); err != nil {
					t.Fatal(err)
				}
			}
			got := warnings(t, config)
			for i := range got { // the write-ahead log is there or not, as SQLite likes
				if strings.HasPrefix(got[i], "onramp.db-") {
					got[i] = ""
				}
			}
			if diff := cmp.Diff(row.want, nonEmpty(got)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func nonEmpty(all []string) (some []string) {
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

// warnings starts a gateway, stops it once it is ready, and gives the files that it
// has warned of.
func warnings(t *testing.T, config string) (files []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Main(ctx, []string{"serve", "--config", config}, cli.System{
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: writer, Environ: []string{"SECRET=long-enough-for-a-token"},
		})
		writer.Close()
	}()
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		var line struct {
			Msg, File, Mode string
			Settings        []string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Error(lines.Text())
		}
		switch {
		case line.Msg == "ready":
			stop()
		case line.File != "":
			text := filepath.Base(line.File) + " " + line.Mode
			if line.Settings != nil {
				text += fmt.Sprint(" ", line.Settings)
			}
			files = append(files, text)
		}
	}
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("serve ended with %d", status)
	}
	return files
}
