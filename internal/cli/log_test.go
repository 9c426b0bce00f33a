package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"onramp/internal/cli"
	"onramp/internal/sandbox"
)

// What the log says at the start, of a request and at the end: the addresses as they
// are bound, and durations with their unit.
func TestLog(t *testing.T) {
	t.Parallel()
	cloud := httptest.NewServer(sandbox.New(sandbox.Config{}))
	t.Cleanup(cloud.Close)
	config := filepath.Join(t.TempDir(), "onramp.yaml")
	text := fmt.Sprintf(killConfig, filepath.Join(t.TempDir(), "onramp.db"), cloud.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Main(ctx, []string{"serve", "--config", config}, cli.System{
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: writer, Environ: []string{"ONRAMP_PUBLIC_LISTEN=:0"},
		})
		writer.Close()
	}()
	said := map[string]map[string]any{}
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Error(lines.Text())
			continue
		}
		said[line["msg"].(string)] = line
		switch line["msg"] {
		case "ready":
			go func() { // the line of the request holds up its answer
				response, err := http.Get(strings.Replace(line["public"].(string), "*", "127.0.0.1", 1) + "/healthz")
				if err != nil {
					t.Error(err)
					stop()
					return
				}
				response.Body.Close()
			}()
		case "request":
			stop()
		}
	}
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("serve ended with %d", status)
	}
	for _, row := range []struct{ line, field, want string }{
		{"ready", "public", `^http://\*:[0-9]+$`},
		{"ready", "admin", `^http://127\.0\.0\.1:[0-9]+$`},
		{"request", "took", `^[0-9.]+(ns|µs|ms|s)$`},
		{"draining", "limit", `^25s$`},
	} {
		got, _ := said[row.line][row.field].(string)
		if !regexp.MustCompile(row.want).MatchString(got) {
			t.Errorf("%s: %s is %v, want %s", row.line, row.field, said[row.line][row.field], row.want)
		}
	}
}
