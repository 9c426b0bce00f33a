package postgres_test

import (
	"database/sql"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/pgtest"
	"onramp/internal/postgres"
)

var limits = postgres.Limits{
	Connect: 5 * time.Second, Check: time.Second, Lock: 7 * time.Second, Idle: 5 * time.Second, Unacked: 10 * time.Second,
}

func pool(t *testing.T, url string, statement time.Duration, warned func()) *sql.DB {
	t.Helper()
	d, err := postgres.Parse(url, limits)
	if err != nil {
		t.Fatal(err)
	}
	p := d.Pool(statement, warned)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

var names = []string{
	"application_name", "synchronous_commit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
	"client_connection_check_interval", "tcp_user_timeout", "tcp_keepalives_idle",
}

func show(t *testing.T, p *sql.DB) map[string]string {
	t.Helper()
	shown := map[string]string{}
	for _, name := range names {
		var value string
		if err := p.QueryRowContext(t.Context(), "SHOW "+name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		shown[name] = value
	}
	return shown
}

// The server gives up what is lost, by limits that the URL can change. A migration
// takes as long as it takes.
func TestSessionSettings(t *testing.T) {
	t.Parallel()
	usual := map[string]string{
		"application_name": "onramp", "synchronous_commit": "on", "statement_timeout": "10s", "lock_timeout": "7s",
		"idle_in_transaction_session_timeout": "5s", "client_connection_check_interval": "2s", "tcp_user_timeout": "10s", "tcp_keepalives_idle": "5",
	}
	for _, c := range []struct {
		name      string
		query     string
		statement time.Duration
		want      map[string]string // where it differs
	}{
		{name: "usual", statement: 10 * time.Second},
		{name: "migration", want: map[string]string{"statement_timeout": "0", "lock_timeout": "0"}},
		{
			name: "given", statement: 10 * time.Second, query: "statement_timeout=3000&application_name=mine&synchronous_commit=off",
			want: map[string]string{"statement_timeout": "3s", "application_name": "mine"},
		},
		{
			name: "given as options", statement: 10 * time.Second,
			query: "options=" + strings.ReplaceAll(url.QueryEscape("-c lock_timeout=1s --idle-in-transaction-session-timeout=2s -ctcp_user_timeout=3000 -c client_connection_check_interval=4s -c tcp_keepalives_idle=60"), "+", "%20"),
			want: map[string]string{
				"lock_timeout": "1s", "idle_in_transaction_session_timeout": "2s", "tcp_user_timeout": "3s",
				"client_connection_check_interval": "4s", "tcp_keepalives_idle": "60",
			},
		},
		{
			name: "more durable", statement: 10 * time.Second, query: "synchronous_commit=remote_apply",
			want: map[string]string{"synchronous_commit": "remote_apply"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := pgtest.NewProxy(t, pgtest.URL(t)) // by TCP, which some of them are about
			want := map[string]string{}
			for _, name := range names {
				want[name] = usual[name]
				if other, differs := c.want[name]; differs {
					want[name] = other
				}
			}
			got := show(t, pool(t, p.URL()+"&"+c.query, c.statement, nil))
			if got["tcp_user_timeout"] == "0" { // the server's end of the proxy is a Unix socket
				got["tcp_user_timeout"], got["tcp_keepalives_idle"] = want["tcp_user_timeout"], want["tcp_keepalives_idle"]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Poolers refuse parameters of a connection that they do not know; so none is sent
// but the name.
func TestStartupParameters(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sent := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		packet := make([]byte, 1024)
		n, _ := conn.Read(packet)
		sent <- string(packet[8:max(n, 8)])
	}()
	p := pool(t, "postgres://me@"+listener.Addr().String()+"/mine?sslmode=disable", time.Second, nil)
	if err := p.PingContext(t.Context()); err == nil {
		t.Error("there is an answer from nobody")
	}
	const want = "application_name=onramp database=mine user=me"
	if got := sorted(<-sent); got != want {
		t.Errorf("parameters %q, want %q", got, want)
	}
}

// A connection that was lost while it was idle is replaced, soon.
func TestLostWhileIdle(t *testing.T) {
	t.Parallel()
	p := pgtest.NewProxy(t, pgtest.URL(t))
	db := pool(t, p.URL(), 10*time.Second, nil)
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Lose()
	idle := time.After(limits.Check)
	<-idle
	begun := time.Now()
	if _, err := db.ExecContext(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > limits.Connect {
		t.Errorf("it took %v", took)
	}
}

// Warnings are told, and nothing less.
func TestWarned(t *testing.T) {
	t.Parallel()
	warned := 0
	p := pool(t, pgtest.URL(t), 10*time.Second, func() { warned++ })
	for _, c := range []struct {
		statement string
		want      int
	}{
		{"DO $$ BEGIN RAISE NOTICE 'by the way'; END $$", 0},
		{"DO $$ BEGIN RAISE WARNING 'mind you'; END $$", 1},
	} {
		if _, err := p.ExecContext(t.Context(), c.statement); err != nil || warned != c.want {
			t.Errorf("%s: warned %d times, want %d; %v", c.statement, warned, c.want, err)
		}
	}
}

// sorted puts a packet's parameters in order.
func sorted(packet string) string {
	fields := strings.Split(strings.TrimRight(packet, "\x00"), "\x00")
	var pairs []string
	for pair := range slices.Chunk(fields, 2) {
		pairs = append(pairs, strings.Join(pair, "="))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

func TestInvalidURL(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Parse("postgres://me:secret@host:port/mine", limits); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}
