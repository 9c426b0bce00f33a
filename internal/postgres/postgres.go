// Package postgres opens connections to PostgreSQL on which nothing waits for ever:
// a connection can be lost without either side being told, and then both give up.
// Use Parse, and then Pool for each kind of work.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// IsURL says whether a database's URL is that of a server, which several processes
// can reach, and not the path of a file.
func IsURL(rawURL string) bool {
	return strings.HasPrefix(rawURL, "postgres://") || strings.HasPrefix(rawURL, "postgresql://")
}

// Limits are how long one may wait.
type Limits struct {
	Connect time.Duration // for a connection
	Check   time.Duration // for a sign that one from the pool still works
	Lock    time.Duration // the server, for a lock
	Idle    time.Duration // the server, for the next statement of a transaction
	Unacked time.Duration // for the other side to acknowledge what was sent
}

// Silence is how long one waits for any answer, where no statement's limit is shorter.
const Silence = time.Minute

var errSilent = fmt.Errorf("no answer from the database within %v", Silence)

// Database is where to connect to.
type Database struct {
	cfg    *pgx.ConnConfig
	limits Limits
}

// Parse reads the URL of a database. Its error does not quote the URL.
func Parse(rawURL string, l Limits) (*Database, error) {
	cfg, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, errors.New("database: invalid PostgreSQL URL; the format is postgres://user:password@host:5432/name")
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "onramp"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = l.Connect
	}
	return &Database{cfg, l}, nil
}

// Pool makes a pool for statements that take so long at most; 0: as long as they
// take. warned is called when the server warns of something; it may be nil.
func (d *Database) Pool(statement time.Duration, warned func()) *sql.DB {
	cfg, begin := d.cfg.Copy(), d.sessionSettings(statement)
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		return d.dial(ctx, network, address, statement > 0)
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if warned != nil && n.Code == "01000" { // warning
			warned()
		}
	}
	return stdlib.OpenDB(*cfg,
		stdlib.OptionAfterConnect(begin.set),
		stdlib.OptionShouldPing(func(context.Context, stdlib.ShouldPingParams) bool { return false }), // checkIdle does, with a limit
		stdlib.OptionResetSession(d.checkIdle))
}

func (d *Database) dial(ctx context.Context, network, address string, impatient bool) (net.Conn, error) {
	dialer := net.Dialer{
		// keepalives notice that a connection is dead on which we wait, the other limit one on which we send
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control:         limitUnacked(d.limits.Unacked),
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || !impatient {
		return conn, err
	}
	return &impatientConn{Conn: conn}, nil
}

// settings are what a session sets at its begin. Optional ones a server may refuse.
type settings struct{ all, optional string }

// sessionSettings make the server end what a lost connection has left, and
// statements that take longer than a limit; 0: however long they take. What the
// database's URL sets stays. They are not among the parameters of the connection,
// since poolers refuse those that they do not know.
func (d *Database) sessionSettings(statement time.Duration) settings {
	given := givenSettings(d.cfg)
	set := func(name string, value int64) string {
		if given[name] {
			return ""
		}
		return fmt.Sprintf("SET %s = %d;", name, value)
	}
	return settings{
		all: "SET synchronous_commit = " + d.Durability() + ";" +
			set("statement_timeout", statement.Milliseconds()) +
			set("lock_timeout", min(d.limits.Lock, statement).Milliseconds()) +
			set("idle_in_transaction_session_timeout", d.limits.Idle.Milliseconds()) +
			set("tcp_user_timeout", d.limits.Unacked.Milliseconds()) +
			set("tcp_keepalives_idle", 5) + set("tcp_keepalives_interval", 2) + set("tcp_keepalives_count", 3),
		optional: set("client_connection_check_interval", 2000),
	}
}

func (s settings) set(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.PgConn().Exec(ctx, s.all).ReadAll(); err != nil {
		return fmt.Errorf("set the session's limits: %w", err)
	}
	_, err := conn.PgConn().Exec(ctx, s.optional).ReadAll()
	if _, refused := errors.AsType[*pgconn.PgError](err); refused {
		return nil // an older server, or one on another system
	}
	return err
}

// settingOption finds the names in -c name=value and --name=value.
var settingOption = regexp.MustCompile(`(?:-c\s*|--)([A-Za-z_-]+)=`)

// givenSettings are those that the database's URL sets.
func givenSettings(cfg *pgx.ConnConfig) map[string]bool {
	given := map[string]bool{}
	for name := range cfg.RuntimeParams {
		given[strings.ToLower(name)] = true
	}
	for _, found := range settingOption.FindAllStringSubmatch(cfg.RuntimeParams["options"], -1) {
		given[strings.ToLower(strings.ReplaceAll(found[1], "-", "_"))] = true
	}
	return given
}

// Durability is the server's synchronous_commit. An answer promises that the data
// are on disk, whatever the server's default is; the URL can ask for more.
func (d *Database) Durability() string {
	if d.cfg.RuntimeParams["synchronous_commit"] == "remote_apply" {
		return "remote_apply"
	}
	return "on"
}

// checkIdle has a connection from the pool replaced that does not answer at once.
func (d *Database) checkIdle(ctx context.Context, conn *pgx.Conn) error {
	const lastUsed = "last used"
	data, now := conn.PgConn().CustomData(), time.Now()
	last, _ := data[lastUsed].(time.Time)
	data[lastUsed] = now
	if now.Sub(last) < d.limits.Check {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.limits.Check)
	defer cancel()
	if conn.Ping(ctx) != nil {
		return driver.ErrBadConn
	}
	return nil
}

// impatientConn fails a read to which nothing has come for too long.
type impatientConn struct {
	net.Conn

	mu       sync.Mutex
	deadline time.Time // the driver's
}

// SetDeadline sets the driver's limit; zero: none.
func (c *impatientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetDeadline(t)
}

func (c *impatientConn) Read(b []byte) (int, error) {
	if err := c.arm(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && c.isOwnLimit() {
		err = errSilent
	}
	return n, err
}

func (c *impatientConn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := time.Now().Add(Silence)
	if !c.deadline.IsZero() && c.deadline.Before(limit) {
		limit = c.deadline
	}
	return c.SetReadDeadline(limit)
}

func (c *impatientConn) isOwnLimit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deadline.IsZero()
}
