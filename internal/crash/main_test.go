package crash_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	_ "modernc.org/sqlite"

	"onramp/internal/cli"
)

// TestMain lets the test binary be what a test starts and kills: by the name
// that it is called by it is onramp, or one of the programs below.
func TestMain(m *testing.M) {
	programs := map[string]func(args []string) error{"crash-write": runWrite, "crash-sqlite": runSQLite}
	name := filepath.Base(os.Args[0])
	switch program := programs[name]; {
	case name == "onramp":
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(cli.Main(ctx, os.Args[1:], cli.OS()))
	case program != nil:
		if err := program(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runWrite writes its last argument into the file that the first one names, and
// syncs what the second one says: nothing, file, or both (the folder, too).
func runWrite(args []string) error {
	path, syncs, text := args[0], args[1], args[2]
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.WriteString(file, text); err != nil || syncs == "nothing" {
		return err
	}
	if err := file.Sync(); err != nil || syncs == "file" {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// runSQLite commits rows to the database that its first argument names, with
// synchronous as the second one says, prints the number of each row that is
// committed, and never ends by itself.
func runSQLite(args []string) error {
	db, err := sql.Open("sqlite", "file:"+args[0]+"?_pragma=journal_mode(wal)&_pragma=synchronous("+args[1]+")")
	if err != nil {
		return err
	}
	if _, err := db.Exec(`CREATE TABLE written (n INTEGER PRIMARY KEY)`); err != nil {
		return err
	}
	for n := range 200 {
		if _, err := db.Exec(`INSERT INTO written (n) VALUES ($1)`, n); err != nil {
			return err
		}
		fmt.Println(n)
	}
	fmt.Println("done")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
