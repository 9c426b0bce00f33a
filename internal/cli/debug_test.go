package cli_test

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// debugged is a bundle that a test has unpacked: its files by name.
type debugged map[string]string

func unpackBundle(t *testing.T, path string) debugged {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Mode() != 0o600 {
		t.Errorf("the bundle's mode is %v, %v; want 0600", info.Mode(), err)
	}
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := debugged{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(content)
	}
}

// The bundle of a running gateway has what only it knows, that of a stopped one what its
// files say; neither replaces a file, and without the admin token there is none.
func TestDebugBundle(t *testing.T) {
	t.Parallel()
	cloud := httptest.NewServer(sandbox.New(sandbox.Config{}))
	defer cloud.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "onramp.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, killConfig, filepath.Join(dir, "onramp.db"), cloud.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, config)
	id, err := register(t.Context(), g, "ana@example.org")
	if err != nil {
		t.Fatal(err)
	}
	g.awaitDelivered(t, id)
	bundle := func(name string, environ ...string) (status int, stdout, stderr string) {
		return onramp(t.Context(), environ, "debug", "bundle", "--config", config, "--admin", g.admin, "--offline", "--file", filepath.Join(dir, name))
	}

	if status, stdout, stderr := bundle("running.tar.gz"); status != 0 || !strings.Contains(stdout, "heap.pb.gz") || stderr != "" {
		t.Fatalf("status %d, %s%s", status, stdout, stderr)
	}
	running := unpackBundle(t, filepath.Join(dir, "running.tar.gz"))
	for name, text := range map[string]string{
		"README.txt": "debug bundle of Onramp", "log.jsonl": `"message":"ready"`, "status.json": `"accepted": 1`, "failures.json": "[]",
		"check.json": `"name": "database"`, "program.json": `"version"`, "database.json": `"integrity": "ok"`,
	} {
		if !strings.Contains(running["onramp-debug/"+name], text) {
			t.Errorf("%s has no %s:\n%s", name, text, running["onramp-debug/"+name])
		}
	}
	if text := running["onramp-debug/check.json"]; strings.Contains(text, "credentials") {
		t.Errorf("a check offline has asked for a token:\n%s", text)
	}

	if status, stdout, stderr := bundle("running.tar.gz"); status != 1 || !strings.Contains(stderr, "exists already") {
		t.Errorf("a second bundle under the same name: status %d, %s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := bundle("stranger.tar.gz", "ONRAMP_ADMIN_TOKEN=not-the-token-of-this"); status != 1 || !strings.Contains(stderr, "the admin token is missing or wrong") {
		t.Errorf("with a wrong token: status %d, %s%s", status, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "stranger.tar.gz")); !os.IsNotExist(err) {
		t.Errorf("with a wrong token there is a file: %v", err)
	}

	g.kill()
	before := listFolder(t, dir)
	status, stdout, stderr := bundle("stopped.tar.gz")
	if status != 0 || !strings.Contains(stderr, "No gateway answers") || !strings.Contains(stdout, "configuration.json") {
		t.Fatalf("without a gateway: status %d, %s%s", status, stdout, stderr)
	}
	stopped := unpackBundle(t, filepath.Join(dir, "stopped.tar.gz"))
	for name, text := range map[string]string{"database.json": `"registration": 1`, "configuration.json": `"client_secret": "redacted"`, "check.json": `"name": "database"`} {
		if !strings.Contains(stopped["onramp-debug/"+name], text) {
			t.Errorf("%s has no %s:\n%s", name, text, stopped["onramp-debug/"+name])
		}
	}
	if err := os.Remove(filepath.Join(dir, "stopped.tar.gz")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, listFolder(t, dir)); diff != "" {
		t.Errorf("it has changed the database's folder (-before +after):\n%s", diff)
	}
	for name, content := range stopped {
		if strings.Contains(content, "ana@") || strings.Contains(content, "sandbox-secret") || strings.Contains(content, "operator-of-the-test") {
			t.Errorf("%s has what nobody may see:\n%s", name, content)
		}
	}
}

// listFolder gives the names and sizes of the files in a folder.
func listFolder(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		files = append(files, fmt.Sprintf("%s %d", d.Name(), info.Size()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
