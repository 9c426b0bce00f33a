package pgtest_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onramp/internal/pgtest"
)

// Each fault leaves the server and the client where it says: whether the insert was
// carried out, and whether the client heard of it.
func TestProxyFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fault   pgtest.Fault
		stored  int
		waiting bool // the client hears nothing; else it gets an error
	}{
		{"hold before", pgtest.HoldBefore, 0, true},
		{"hold inside", pgtest.HoldInside, 0, true},
		{"hold answer", pgtest.HoldAnswer, 1, true},
		{"cut before", pgtest.CutBefore, 0, false},
		{"cut answer", pgtest.CutAnswer, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			p := pgtest.NewProxy(t, url)
			direct, through := connect(t, url), connect(t, p.URL())
			execute(t, direct, "CREATE TABLE mine (n INTEGER)")
			happened := p.Once("INSERT", c.fault)
			answered := make(chan error, 1)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			go func() {
				_, err := through.Exec(ctx, "INSERT INTO mine VALUES ($1)", 1)
				answered <- err
			}()
			<-happened
			if !c.waiting {
				if err := <-answered; err == nil {
					t.Error("the client got an answer through a connection that was cut")
				}
			}
			awaitRows(t, direct, c.stored)
			if !c.waiting {
				return
			}
			p.Lose()
			execute(t, connect(t, p.URL()), "SELECT 1") // for new connections the network works
			select {
			case err := <-answered:
				t.Errorf("the client heard %v", err)
			default:
			}
			leave()
			<-answered
		})
	}
}

// What was held arrives once the network works again.
func TestProxyRelease(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	p := pgtest.NewProxy(t, url)
	conn := connect(t, p.URL())
	execute(t, conn, "CREATE TABLE mine (n INTEGER)")
	for n, fault := range []pgtest.Fault{pgtest.HoldBefore, pgtest.HoldInside, pgtest.HoldAnswer} {
		happened := p.Once("INSERT", fault)
		go func() {
			<-happened
			p.Release()
		}()
		execute(t, conn, "INSERT INTO mine VALUES ("+strconv.Itoa(n)+")")
	}
	awaitRows(t, conn, 3)
	p.Cut()
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a connection works after it was cut")
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// awaitRows waits until a number of rows is stored, and looks that it stays at that.
func awaitRows(t *testing.T, conn *pgx.Conn, want int) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT COUNT(*) FROM mine").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == want {
			return
		}
		select {
		case <-limit:
			t.Fatalf("%d rows, want %d", n, want)
		default:
		}
	}
}
