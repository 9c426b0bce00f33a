package app_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"onramp/internal/app"
	"onramp/internal/keyset"
	"onramp/internal/pgtest"
	"onramp/internal/sandbox"
)

// While the database hangs each of many clients has its answer in time, and those
// who were told "not stored" find nothing stored afterwards.
func TestHungDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.end()
	url := pgtest.URL(t)
	key, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	w.start(func(cfg string) string { return "encryption_key: '" + key.Reveal() + "'\n" + cfg }, url)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lock, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), `LOCK TABLE registration IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	const clients = 600
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	begin := time.Now()
	var waiting sync.WaitGroup
	var slowest atomic.Int64
	var notStored, uncertain atomic.Int64
	for i := range clients {
		waiting.Go(func() {
			body := strings.Replace(app.DemoRegistration, "user@", fmt.Sprintf("user%d@", i), 1)
			r, err := client.Post(w.gateway.PublicURL()+app.DemoPath, "application/json", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			answer, _ := io.ReadAll(r.Body)
			if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
				t.Errorf("answered %s: %s", r.Status, answer)
			}
			if strings.Contains(string(answer), "not certain") {
				uncertain.Add(1)
			} else {
				notStored.Add(1)
			}
			for took := int64(time.Since(begin)); ; {
				if old := slowest.Load(); old >= took || slowest.CompareAndSwap(old, took) {
					return
				}
			}
		})
	}
	waiting.Wait()
	if took := time.Duration(slowest.Load()); took > 20*time.Second { // of which ten are the bound
		t.Errorf("the slowest was answered after %v", took)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	w.until("registrations are taken again", func() bool {
		a, err := w.tryPost(app.DemoRegistration, nil)
		return err == nil && a.Code == 202
	})
	var stored int64
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM registration`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if stored > 1+uncertain.Load() {
		t.Errorf("%d are stored, though only %d could be", stored-1, uncertain.Load())
	}
	t.Logf("%d told that nothing was stored, %d that it is not certain, the slowest after %v", notStored.Load(), uncertain.Load(), time.Duration(slowest.Load()))
}

// At a stop every client that is just sending has an answer, and what was
// accepted is all that is stored.
func TestStopAnswersAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.end()
	database := filepath.Join(t.TempDir(), "onramp.db")
	w.start(nil, database)
	const clients = 32
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		app.DemoPath, len(app.DemoRegistration), app.DemoRegistration)
	var ready, ended sync.WaitGroup
	ready.Add(clients)
	var accepted atomic.Int64
	for range clients {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.gateway.PublicURL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		ended.Go(func() {
			for n := 0; ; n++ {
				if n == 3 {
					ready.Done()
				}
				if _, err := io.WriteString(conn, request); err != nil {
					t.Errorf("could not send: %v", err)
					return
				}
				r, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Errorf("no answer: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
				switch {
				case r.StatusCode == 202:
					accepted.Add(1)
				case r.StatusCode == 503 && r.Close && r.Header.Get("Retry-After") != "":
					return
				default:
					t.Errorf("answered %s", r.Status)
					return
				}
			}
		})
	}
	ready.Wait()
	w.end()
	ended.Wait()
	w.start(nil, database)
	var status struct{ Accepted int64 }
	w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
	if status.Accepted != accepted.Load() {
		t.Errorf("%d are stored, %d were accepted", status.Accepted, accepted.Load())
	}
}

// Not everyone can wait for an outcome at once; whoever is too many is answered as
// if it had not asked.
func TestWaiters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg string) string {
		return strings.Replace(cfg, "public: {", "public: { max_connections: 16,", 1) // of which four may wait
	})
	if err := w.sandbox.SetFaults([]sandbox.Fault{{Match: "/v2/token", Status: 503}}); err != nil {
		t.Fatal(err)
	}
	answers := make(chan time.Duration, 10)
	for i := range 5 {
		go func() {
			begin := time.Now()
			body := strings.Replace(app.DemoRegistration, "user@", fmt.Sprintf("user%d@", i), 1)
			if a, err := w.tryPost(body, map[string]string{"Prefer": "wait=30"}); err == nil && a.Code != 202 {
				t.Errorf("answered %d", a.Code)
			}
			answers <- time.Since(begin)
		}()
	}
	if took := <-answers; took > 15*time.Second {
		t.Errorf("the one too many was answered after %v", took)
	}
}
