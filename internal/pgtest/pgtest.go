// Package pgtest gives tests an empty PostgreSQL database each, from one
// cluster that the test process starts for itself. Only tests import it.
//
// The cluster listens on a Unix socket in a temporary folder and is not
// durable. It ends with the test process, however that ends. A Proxy in front of it is
// a network whose faults a test chooses.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onramp/internal/tooltest"
)

// URL returns the URL of an empty database, which is the test's own until it
// ends. Without PostgreSQL on the machine the test is skipped, unless
// ONRAMP_TEST_REQUIRE, a comma-separated list, names postgres: then it fails.
func URL(t testing.TB) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		tooltest.Missing(t, "postgres", err)
	}
	name, err := c.take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.giveBack(name); err != nil {
			t.Error(err)
		}
	})
	return c.url(name)
}

// Server starts a server that is the test's own, with settings such as
// "wal_level=logical", and returns the URL of an empty database on it.
func Server(t testing.TB, settings ...string) string {
	t.Helper()
	URL(t) // skips the test where there is no PostgreSQL
	c, err := start(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.keepAlive.Close() })
	return c.url("postgres")
}

// shared starts the process's cluster on first use.
var shared = sync.OnceValues(func() (*cluster, error) { return start() })

// cluster is a running PostgreSQL.
type cluster struct {
	socket    string   // folder of its socket
	keepAlive *os.File // the cluster ends when this end of the pipe is closed

	mu      sync.Mutex
	created int
	free    []string // databases that are empty again
}

// take finds an empty database: emptying one is ten times as fast as making one.
func (c *cluster) take() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		name := c.free[n-1]
		c.free = c.free[:n-1]
		return name, nil
	}
	c.created++
	name := fmt.Sprintf("test%d", c.created)
	return name, c.exec("postgres", "CREATE DATABASE "+name)
}

func (c *cluster) giveBack(name string) error {
	err := c.exec(name,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
		"DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, name)
	return nil
}

// watch runs the server until the pipe at its standard input is closed, which
// the kernel does for a test process that is killed, too; then it clears up.
const watch = `"$@" & server=$!; read -r _; kill -QUIT $server; wait $server; rm -rf "$FOLDER"`

func start(settings ...string) (*cluster, error) {
	initdb, err := find("initdb")
	if err != nil {
		return nil, err
	}
	server, err := find("postgres")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(shortTemp(), "pg")
	if err != nil {
		return nil, err
	}
	c, err := startIn(folder, initdb, server, settings)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return c, nil
}

func startIn(folder, initdb, server string, settings []string) (*cluster, error) {
	data := filepath.Join(folder, "data")
	create := exec.Command(initdb, "--pgdata", data, "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	if err := isolate(create, folder); err != nil {
		return nil, err
	}
	create.Dir = folder
	if output, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(output))
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	pipe, keepAlive, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pipe.Close()
	arguments := []string{"-c", watch, "sh", server, "-D", data, "-k", folder}
	for _, setting := range append([]string{"listen_addresses=", "fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=200"}, settings...) {
		arguments = append(arguments, "-c", setting)
	}
	run := exec.Command("/bin/sh", arguments...)
	if err := isolate(run, folder); err != nil {
		return nil, errors.Join(err, keepAlive.Close())
	}
	run.Dir, run.Env = folder, append(os.Environ(), "FOLDER="+folder)
	run.Stdin, run.Stdout, run.Stderr = pipe, log, log
	if err := run.Start(); err != nil {
		return nil, errors.Join(err, keepAlive.Close())
	}
	c := &cluster{socket: folder, keepAlive: keepAlive}
	if err := c.await(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("%w: %s", err, bytes.TrimSpace(said)), keepAlive.Close())
	}
	return c, nil
}

// await waits until the server answers.
func (c *cluster) await() (err error) {
	limit := time.After(30 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if err = c.exec("postgres", "SELECT 1"); err == nil {
			return nil
		}
		select {
		case <-limit:
			return fmt.Errorf("the server does not answer: %w", err)
		case <-again.C:
		}
	}
}

func (c *cluster) exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (c *cluster) url(database string) string {
	query := url.Values{"host": {c.socket}, "user": {"postgres"}}
	return "postgres:///" + database + "?" + query.Encode()
}

// find looks for a program of PostgreSQL where distributions put it.
func find(program string) (string, error) {
	if folder := os.Getenv("PG_BIN"); folder != "" {
		return exec.LookPath(filepath.Join(folder, program))
	}
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	var folders []string
	if output, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, string(bytes.TrimSpace(output)))
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // Debian keeps its versions out of the PATH
	for _, folder := range append(folders, installed...) {
		if path, err := exec.LookPath(filepath.Join(folder, program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is neither in $PG_BIN nor in the PATH nor in /usr/lib/postgresql", program)
}

// shortTemp is a temporary folder whose name leaves room for that of a socket,
// which may have some hundred characters at most.
func shortTemp() string {
	if temp := os.TempDir(); len(temp) < 60 {
		return temp
	}
	return "/tmp"
}
