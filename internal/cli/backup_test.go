package cli_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	_ "modernc.org/sqlite"

	"onramp/internal/keyset"
	"onramp/internal/sandbox"
	"onramp/internal/store"
)

// place is where a gateway lives: a folder with its configuration.
type place struct {
	t       *testing.T
	config  string
	environ []string
}

const backupConfig = `
database: %s
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "%s", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
forms:
  registration:
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
    route:
      - data_extension: { key: Web_Registrations }
`

// newPlace writes a configuration; more of it can be added.
func newPlace(t *testing.T, cloud string, more ...string) *place {
	t.Helper()
	p := &place{t: t, config: filepath.Join(t.TempDir(), "onramp.yaml")}
	text := fmt.Sprintf(backupConfig, p.database(), cloud) + strings.Join(more, "\n")
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) database() string { return filepath.Join(filepath.Dir(p.config), "onramp.db") }

// run runs a command that succeeds.
func (p *place) run(args ...string) (stdout string) {
	p.t.Helper()
	status, stdout, stderr := onramp(p.t.Context(), p.environ, append(args, "--config", p.config)...)
	if status != 0 {
		p.t.Fatalf("onramp %v: status %d: %s", args, status, stderr)
	}
	return stdout
}

// fail runs a command that fails, and says so.
func (p *place) fail(says string, args ...string) {
	p.t.Helper()
	status, stdout, stderr := onramp(p.t.Context(), p.environ, append(args, "--config", p.config)...)
	if status != 1 || !strings.Contains(stderr, says) {
		p.t.Errorf("onramp %v: status %d, %s%s; want 1 and %q", args, status, stdout, stderr, says)
	}
}

// closed has a gateway accept one registration and end.
func (p *place) closed() {
	p.t.Helper()
	g := startGateway(p.t, p.config)
	if _, err := register(p.t.Context(), g, "ana@example.org"); err != nil {
		p.t.Fatal(err)
	}
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	<-g.ended
	if err := g.cmd.Wait(); err != nil {
		p.t.Fatal(err)
	}
}

// status is what onramp status prints about a gateway.
func (p *place) status(g *gateway) string {
	p.t.Helper()
	p.environ = []string{"ONRAMP_ADMIN_LISTEN=" + strings.TrimPrefix(g.admin, "http://")}
	return p.run("status")
}

// files lists the names in a folder.
func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// load has several senders register until the test ends them.
type load struct {
	mu       sync.Mutex
	answered []string
	stop     func()
}

// startLoad returns once so many registrations were answered.
func startLoad(t *testing.T, g *gateway, enough int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{}
	var senders sync.WaitGroup
	reached, failed := make(chan struct{}), make(chan error, 8)
	for sender := range 8 {
		senders.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id, err := register(ctx, g, fmt.Sprintf("s%d-%d@example.org", sender, i))
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					failed <- err
					return
				}
				l.mu.Lock()
				if l.answered = append(l.answered, id); len(l.answered) == enough {
					close(reached)
				}
				l.mu.Unlock()
			}
		})
	}
	l.stop = func() {
		cancel()
		senders.Wait()
	}
	t.Cleanup(l.stop)
	select {
	case <-reached:
	case err := <-failed:
		t.Fatal(err)
	}
	return l
}

// soFar lists what was answered.
func (l *load) soFar() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.answered)
}

// newCloud is a sandbox that refuses rows until it is opened.
func newCloud(t *testing.T) (url string, open func()) {
	t.Helper()
	cloud := sandbox.New(sandbox.Config{})
	server := httptest.NewServer(cloud)
	t.Cleanup(server.Close)
	set := func(faults []sandbox.Fault) {
		t.Helper()
		if err := cloud.SetFaults(faults); err != nil {
			t.Fatal(err)
		}
	}
	set([]sandbox.Fault{{Match: "/hub/", Status: http.StatusServiceUnavailable}})
	return server.URL, func() { t.Helper(); set(nil) }
}

// TestBackupUnderLoad saves a gateway that accepts registrations all the time, and
// restores it elsewhere: all that was answered before the command began is there, and
// is delivered; the start says what it is.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	cloud, open := newCloud(t)
	here := newPlace(t, cloud)
	g := startGateway(t, here.config)
	l := startLoad(t, g, 300)
	folder := t.TempDir()
	file := filepath.Join(folder, "backup.db")
	before := l.soFar()
	printed := here.run("backup", file)
	after := len(l.soFar())
	l.stop()
	g.kill()
	if after == len(before) {
		t.Error("nothing was accepted while the backup was made")
	}
	find(t, `^(Saved) \d+ registrations, the newest of 20.* UTC \(\d+\.\d MB\) to `+file, printed)
	if got := files(t, folder); !slices.Equal(got, []string{"backup.db", "backup.db.key", "persons.key"}) {
		t.Errorf("the backup is %q", got)
	}
	for _, name := range files(t, folder) {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}

	there := newPlace(t, cloud)
	find(t, `(?m)^(The backup was made at 20.* UTC, \d+s ago)`, there.run("restore", file))
	open()
	g = startGateway(t, there.config)
	for _, id := range before {
		g.awaitDelivered(t, id)
	}
	find(t, `(NOTICE: .*it was restored from a backup that was made at 20.* UTC, (a moment|\d+ (seconds|minutes)) before this start\. `+
		`Its newest registration was accepted at 20.* UTC; what was accepted since is missing)`, there.status(g))
	id, err := register(t.Context(), g, "new@example.org")
	if err != nil {
		t.Fatal(err)
	}
	g.awaitDelivered(t, id)
	g.kill()
	g = startGateway(t, there.config)
	if status := there.status(g); strings.Contains(status, "NOTICE") {
		t.Errorf("the second start says, too: %s", status)
	}
}

// TestEncryptedBackup saves database and key in one file, and opens it with nothing but
// the passphrase.
func TestEncryptedBackup(t *testing.T) {
	t.Parallel()
	here := newPlace(t, "http://127.0.0.1:1")
	here.closed()
	folder := t.TempDir()
	file, right, wrong, empty := filepath.Join(folder, "backup.age"), filepath.Join(t.TempDir(), "right"), filepath.Join(t.TempDir(), "wrong"), filepath.Join(t.TempDir(), "empty")
	for path, text := range map[string]string{right: "correct horse\n", wrong: "battery staple\n", empty: "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	here.fail("the backup's passphrase is missing", "backup", "--encrypt", file)
	here.fail("the passphrase is empty", "backup", "--encrypt", "--passphrase-file", empty, file)
	find(t, `^(Saved) 1 registration, `, here.run("backup", "--encrypt", "--passphrase-file", right, file))
	if got := files(t, folder); !slices.Equal(got, []string{"backup.age", "persons.key"}) {
		t.Errorf("the backup is %q", got)
	}
	sealed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(here.database() + ".key")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"SQLite format", "ana@example.org", string(key)} {
		if bytes.Contains(sealed, []byte(text)) {
			t.Errorf("%q can be read in the encrypted backup", text)
		}
	}

	there := newPlace(t, "http://127.0.0.1:1")
	there.fail("the passphrase is wrong", "restore", "--passphrase-file", wrong, file)
	damaged := filepath.Join(t.TempDir(), "damaged.age")
	if err := os.WriteFile(damaged, sealed[:len(sealed)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	there.fail("the backup is damaged", "restore", "--passphrase-file", right, damaged)
	if got := files(t, filepath.Dir(there.config)); !slices.Equal(got, []string{"onramp.db.lock", "onramp.yaml"}) {
		t.Errorf("what can't be restored has left %q", got)
	}
	there.environ = []string{"ONRAMP_BACKUP_PASSPHRASE=correct horse"}
	there.run("restore", file)
	if restored, err := os.ReadFile(there.database() + ".key"); err != nil || !bytes.Equal(restored, key) {
		t.Errorf("the key is %q, %v", restored, err)
	}
	there.closed() // a start with the key
}

// TestBackupRefused has backup and restore refuse what would lose something; nothing is
// changed by that.
func TestBackupRefused(t *testing.T) {
	t.Parallel()
	here := newPlace(t, "http://127.0.0.1:1")
	here.fail("there is no database to back up", "backup", filepath.Join(t.TempDir(), "backup.db"))
	here.closed()
	good := filepath.Join(t.TempDir(), "backup.db")
	here.run("backup", good)
	saved, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}

	// where something is
	taken := filepath.Join(t.TempDir(), "taken.db")
	for _, path := range []string{taken, taken + ".key"} {
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		here.fail(path+" already exists", "backup", taken)
		if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
			t.Errorf("%s is now %q, %v", path, text, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	here.run("backup", "--force", taken)
	here.fail("belongs to the database itself", "backup", "--force", here.database())
	here.fail("there is a database already: "+here.database(), "restore", good)
	here.fail("is what is there now", "restore", "--force", here.database())

	// what is no good
	change := func(name, statement string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, saved, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	spoiled := slices.Clone(saved)
	copy(spoiled[pageOf(t, good, "registration_id"):], "spoiled") // of which nothing is read but by a check
	there := newPlace(t, "http://127.0.0.1:1")
	there.fail("the file is damaged", "restore", write("text.db", []byte("no database")))
	there.fail("the database file is damaged", "restore", write("spoiled.db", spoiled))
	there.fail("is not a database of Onramp", "restore", change("theirs.db", `DROP TABLE tally`))
	there.fail("use a newer onramp", "restore", change("newer.db", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, 1)`))
	keyless := write("keyless.db", saved)
	there.fail(keyless+".key is missing", "restore", keyless)
	logged := write("logged.db", saved)
	if err := os.WriteFile(logged+"-wal", []byte("more"), 0o600); err != nil {
		t.Fatal(err)
	}
	there.fail("its newest content is in "+logged+"-wal", "restore", logged)
	if got := files(t, filepath.Dir(there.config)); !slices.Equal(got, []string{"onramp.db.lock", "onramp.yaml"}) {
		t.Errorf("what can't be restored has left %q", got)
	}

	// where a gateway runs
	startGateway(t, here.config)
	here.fail("is in use by another onramp", "restore", "--force", good)

	remote := newPlace(t, "http://127.0.0.1:1")
	remote.environ = []string{"ONRAMP_DATABASE=postgres://db/onramp"}
	remote.fail("pg_dump", "backup", filepath.Join(t.TempDir(), "backup.db"))
	remote.fail("onramp serve --restored", "restore", good)
}

// pageOf says where in a database's file an index begins.
func pageOf(t *testing.T, path, index string) (offset int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRow(`SELECT (rootpage - 1) * (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = $1`, index).Scan(&offset)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

// TestRestoreOver has an existing database moved aside: nothing of it is lost.
func TestRestoreOver(t *testing.T) {
	t.Parallel()
	here, other := newPlace(t, "http://127.0.0.1:1"), newPlace(t, "http://127.0.0.1:1")
	here.closed()
	other.closed()
	file := filepath.Join(t.TempDir(), "backup.db")
	other.run("backup", file)
	g := startGateway(t, here.config)
	id, err := register(t.Context(), g, "bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	g.kill() // its newest is in the write-ahead log only
	here.fail("the last one did not close database", "backup", filepath.Join(t.TempDir(), "backup.db"))
	aside := find(t, `(?m)^What was there before is now (\S+), with all that belongs to it\.$`, here.run("restore", "--force", file))
	g = startGateway(t, here.config)
	find(t, `(?m)^accepted +(1)$`, here.status(g))
	g.kill()

	for _, ending := range []string{"", "-wal", "-shm", ".state", ".key", ".persons"} {
		if err := os.Rename(aside+ending, here.database()+ending); err != nil {
			t.Fatal(err)
		}
	}
	g = startGateway(t, here.config)
	find(t, `(?m)^accepted +(2)$`, here.status(g))
	here.run("registrations", "show", id)
}

// TestBackupErased erases a person after a backup was made: the next backup brings the keys of
// persons up to date, and the older one can't be read for that person any more, also where no
// database is left, and can for all others.
func TestBackupErased(t *testing.T) {
	t.Parallel()
	here, there := newPlace(t, "http://127.0.0.1:1"), newPlace(t, "http://127.0.0.1:1")
	g := startGateway(t, here.config)
	ids := map[string]string{}
	for _, email := range []string{"ana@example.org", "bea@example.org"} {
		id, err := register(t.Context(), g, email)
		if err != nil {
			t.Fatal(err)
		}
		ids[email] = id
	}
	folder := t.TempDir()
	old, next := filepath.Join(folder, "old.db"), filepath.Join(folder, "next.db")
	find(t, `(?m)^The keys of persons are in (\S+)/persons.key, for all backups of the folder`, here.run("backup", old))
	g.kill()
	keys, err := keyset.OpenFile(here.database() + ".key")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{URL: here.database(), Cipher: keys})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.DestroyPerson(t.Context(), "ana@example.org"), s.Close()); err != nil {
		t.Fatal(err)
	}
	here.run("backup", next)
	saved, err := os.ReadFile(filepath.Join(folder, "persons.key"))
	if err != nil {
		t.Fatal(err)
	}
	there.fail("the keys of persons are missing", "restore", func() string {
		alone := filepath.Join(t.TempDir(), "old.db")
		for _, ending := range []string{"", ".key"} {
			content, err := os.ReadFile(old + ending)
			if err == nil {
				err = os.WriteFile(alone+ending, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return alone
	}())
	find(t, `(?m)^(The keys of persons are from) .*persons.key: whoever was erased`, there.run("restore", old))
	if restored, err := os.ReadFile(there.database() + ".persons"); err != nil || !bytes.Equal(restored, saved) {
		t.Errorf("the keys of persons are others than those of the folder, %v", err)
	}
	g = startGateway(t, there.config)
	there.status(g)
	shown := map[string]string{}
	for email, id := range ids {
		shown[email] = there.run("registrations", "show", id)
	}
	if strings.Contains(shown["ana@example.org"], "ana@example.org") || !strings.Contains(shown["ana@example.org"], "erased") {
		t.Errorf("she is shown as\n%s", shown["ana@example.org"])
	}
	if !strings.Contains(shown["bea@example.org"], "bea@example.org") {
		t.Errorf("the other one is shown as\n%s", shown["bea@example.org"])
	}
	g.kill()

	// the keys beside the database have destroyed more than an older copy in a folder
	there.run("restore", "--force", next)
	here.run("restore", "--force", old)
	g = startGateway(t, here.config)
	here.status(g)
	if again := here.run("registrations", "show", ids["ana@example.org"]); strings.Contains(again, "ana@example.org") {
		t.Errorf("restored where she was erased, she is shown as\n%s", again)
	}
}

// TestBareCopy copies the file of a running gateway without its write-ahead log, and
// starts with that: registrations are missing, which is told.
func TestBareCopy(t *testing.T) {
	t.Parallel()
	cloud, _ := newCloud(t)
	here, there := newPlace(t, cloud), newPlace(t, cloud)
	g := startGateway(t, here.config)
	l := startLoad(t, g, 120)
	for _, ending := range []string{"", ".key", ".persons"} {
		content, err := os.ReadFile(here.database() + ending)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(there.database()+ending, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.stop()
	g.kill()
	g = startGateway(t, there.config)
	find(t, `(NOTICE: .*The database was not closed, and no write-ahead log `+there.database()+`-wal lies beside it: .*what was accepted last before it is missing, too\. `+
		`Copy a running Onramp's database with onramp backup)`, there.status(g))
}
