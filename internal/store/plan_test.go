package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// fill brings the tables to a size at which a bad plan is a slow one: most is
// delivered, some is parked.
func (w *world) fill(n int) {
	w.t.Helper()
	number := `WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ` + fmt.Sprint(n) + `) `
	for _, statement := range []string{
		`INSERT INTO registration (seq, id, form_id, subscriber_key, received_at, data, delivery_seq, steps) ` + number +
			`SELECT i, 'id' || i, 2, 'key', 0, '{}', i, 1 FROM number`,
		`INSERT INTO delivery (seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries, due_at) ` + number +
			`SELECT i, i, 1, 1 + i % 2, 0, i % 1000, CASE WHEN i % 100 < 2 THEN 2 ELSE 5 END, 0, CASE WHEN i % 100 < 2 THEN 1000000 + i ELSE NULL END FROM number`,
		`INSERT INTO attempt (delivery_seq, number, started_at, took, verdict, status, code, detail, hint, request, answer) ` + number +
			`SELECT i, 1, i, 0, 3, 500, 0, '', '', '', '' FROM number`,
		`INSERT INTO late_call (destination_id, ordering_key, seq, until_at) ` + number + `SELECT 1 + i % 2, i, i, 1000000 + i FROM number`,
		`INSERT INTO resend (destination_id, ordering_key, seq, form_id, due_at) ` + number + `SELECT 1 + i % 2, i, i, 1, 1000000 + i FROM number`,
		`INSERT INTO event (seq, at, hash, callback_id, received_at, type, body) ` + number + `SELECT i, i, i, 1, 0, 'type', '{}' FROM number`,
	} {
		if _, err := w.db.Exec(statement); err != nil {
			w.t.Fatal(err)
		}
	}
}

// filling is how many rows fill writes.
func filling() int {
	if raceDetector {
		return 5_000 // the plans are the same
	}
	return 50_000
}

// No statement looks through a table that grows, and none sorts: each one finds
// its rows by the key of the table or by a partial index.
func TestPlans(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	w.exercise()
	statements, err := w.s.WriterStatements(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.reset()
	w.fill(filling())
	for _, query := range append(statements, store.ListFreshQuery, store.ListDueQuery, store.ListStrayQuery, store.NextDueQuery, store.ListWaitingQuery, store.ListedQuery) {
		switch verb, _, _ := strings.Cut(query, " "); verb {
		case "SELECT", "UPDATE", "DELETE":
			if strings.HasPrefix(query, "DELETE FROM idempotency_") {
				continue // of a whole day's keys
			}
		default:
			continue // INSERT, BEGIN, COMMIT
		}
		plan := w.plan(query)
		for _, line := range plan {
			scans := strings.HasPrefix(line, "SCAN ") && line != "SCAN CONSTANT ROW" && line != "SCAN lease" && line != "SCAN l" && line != "SCAN unjoined" // which are small
			if scans || strings.Contains(line, "TEMP B-TREE") {
				t.Errorf("%q in the plan of\n%s\n%s", line, query, strings.Join(plan, "\n"))
			}
		}
	}
	for query, want := range map[string]string{
		store.ListFreshQuery:   "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
		store.ListedQuery:      "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)",
		store.ListDueQuery:     "SEARCH d USING INDEX delivery_due (destination_id=? AND due_at<?)",
		store.ListStrayQuery:   "SEARCH d USING INDEX delivery_due (destination_id=? AND due_at>? AND due_at<?)",
		store.NextDueQuery:     "SEARCH delivery USING COVERING INDEX delivery_due (destination_id=? AND due_at>?)",
		store.ListWaitingQuery: "SEARCH d USING INDEX delivery_due (destination_id=? AND due_at=? AND seq>?)",
		store.EventsQuery:      "SEARCH k USING PRIMARY KEY (hash=?)",
	} {
		if plan := strings.Join(w.plan(query), "\n"); !strings.Contains(plan, want) {
			t.Errorf("no %q in the plan of\n%s\n%s", want, query, plan)
		}
	}
	for _, head := range []string{"UPDATE delivery SET state = 5, tries = 1", "UPDATE delivery SET state = 2 WHERE", "UPDATE delivery SET state = $1, tries = $2"} {
		at := slices.IndexFunc(statements, func(s string) bool { return strings.HasPrefix(s, head) })
		if at < 0 {
			t.Errorf("no statement begins with %s", head)
		} else if plan := w.plan(statements[at]); !strings.HasPrefix(plan[0], "SEARCH delivery USING INTEGER PRIMARY KEY (rowid=?)") {
			t.Errorf("deliveries are not settled by their seq: %v of\n%s", plan, statements[at])
		}
	}
	earlier := "SEARCH p USING INDEX delivery_key (destination_id=? AND ordering_key=?"
	found := strings.Contains(strings.Join(w.plan(store.ListFreshQuery), "\n"), earlier)
	if !found {
		t.Errorf("the earlier one is not found by its index: %v", w.plan(store.ListFreshQuery))
	}
	w.reset()
}

// No INSERT fills a temporary table for each of its rows, as the condition of a
// partial index can have it do: that would cost more than the row itself.
func TestInsertPrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	w.exercise()
	statements, err := w.s.WriterStatements(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	statements = slices.DeleteFunc(statements, func(s string) bool { return !strings.HasPrefix(s, "INSERT INTO ") })
	if len(statements) == 0 {
		t.Fatal("the writer has no INSERT")
	}
	for _, insert := range statements {
		if slices.Contains(w.opcodes(insert), "OpenEphemeral") {
			t.Errorf("a temporary table is filled by\n%s", insert)
		}
	}
}

// The queries repeat the condition of the partial index in its very words, and
// no other query has a state's number in it.
func TestNumberedStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	var index string
	if err := w.db.QueryRow(`SELECT sql FROM sqlite_master WHERE name = 'delivery_failed'`).Scan(&index); err != nil {
		t.Fatal(err)
	}
	if want := " WHERE " + strings.ReplaceAll(store.InFailedIndex, "d.", ""); !strings.HasSuffix(index, want) {
		t.Errorf("the index is %q, and the queries ask for %q", index, want)
	}
	bare := regexp.MustCompile(`(state|verdict)\s*(=|<>|IN \()\s*[0-9]`)
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if source == "migration.go" || strings.HasSuffix(source, "_test.go") {
			continue // released steps stay as they are
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range bare.FindAll(text, -1) {
			t.Errorf("%s: %q has a number where a state should be named, see numbered", source, found)
		}
	}
}

// exercise has the writer use all of its statements.
func (w *world) exercise() {
	w.t.Helper()
	ctx := context.Background()
	w.save("both", "ana1", "ana2", "ana3", "bob1")
	w.settle("ana1.1", pending, time.Minute)
	w.park("ana2.1", "ana3.1")
	w.settle("ana1.1", dead, 0)
	w.retry("ana1.1")
	w.settle("ana1.1", delivered, 0)
	w.settle("ana2.1", pending, time.Minute)
	d := w.find("ana2.1")
	w.retry("ana2.1")
	w.settleRead(d, delivered, 0)
	w.settleRead(d, delivered, 0)
	w.discard("bob1.1")
	w.save("both", "cid1", "cid2")
	both := []onramp.Delivery{w.find("cid1.1"), w.find("bob1.1")}
	w.call(both) // one of them is settled already
	w.call([]onramp.Delivery{w.find("cid2.1")})
	w.operate()
	w.exerciseEvents()
	key := onramp.NewIdempotencyKey("one", "key", nil)
	for range 2 {
		r := w.registration("one", "ana")
		w.names[r.ID] = "keyed"
		if _, err := w.s.SaveRegistration(ctx, &r, key, false); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, hash := range []int64{0, 0, 3} {
		id, _ := w.submission(once(hash, "ana"))
		w.names[id] = "once"
	}
	if err := w.s.SavePosition(ctx, 1, 1, 1); err != nil {
		w.t.Fatal(err)
	}
	w.clock.advance(400 * day)
	w.endLate()
	if err := w.s.IndexEvents(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.suspect("gus1", onramp.HoldSuspicion)
	w.clock.advance(10 * day)
	if w.retain(keeping()) == 0 {
		w.t.Fatal("nothing was removed")
	}
}

// exerciseEvents has the writer use its statements for events.
func (w *world) exerciseEvents() {
	w.t.Helper()
	sink := w.withEvents()
	w.receive([]int{sink}, sent("ana", 1, "m"), sent("bob", 2, "m"))
	w.receive([]int{sink}, sent("ana", 1, "m"), sent("ana", 3, "m"))
	events, err := w.s.ListEventsAfter(context.Background(), 0, 10)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := w.s.FindRegistrationOf(context.Background(), "ana", "both", &events[0], nil); err != nil {
		w.t.Fatal(err)
	}
	change := onramp.RowChange{Event: 1, RegistrationSeq: 1, SubscriberKey: "ana", Destination: w.destination("x"), Values: []byte("{}")}
	if err := w.s.SaveRuling(context.Background(), onramp.Ruling{To: 3, Changes: []onramp.RowChange{change}, Unjoined: events, Joined: []int64{1}}); err != nil {
		w.t.Fatal(err)
	}
}

// plan asks SQLite how it would run a query.
func (w *world) plan(query string) []string {
	w.t.Helper()
	return w.explain("EXPLAIN QUERY PLAN "+query, 4, 3)
}

// opcodes are the names of the instructions that SQLite makes of a statement.
func (w *world) opcodes(statement string) []string {
	w.t.Helper()
	return w.explain("EXPLAIN "+statement, 8, 1)
}

// explain returns one column, counted from 0, of what a statement yields.
func (w *world) explain(statement string, columns, column int) []string {
	w.t.Helper()
	rows, err := w.db.Query(statement, make([]any, highest(statement))...)
	if err != nil {
		w.t.Fatalf("%v in %s", err, statement)
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var text string
		into := make([]any, columns)
		for i := range into {
			into[i] = new(any)
		}
		into[column] = &text
		if err := rows.Scan(into...); err != nil {
			w.t.Fatal(err)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return texts
}

// highest is the number of a query's last parameter.
func highest(query string) (n int) {
	if n = strings.Count(query, "?"); n > 0 {
		return n
	}
	for i := 1; i < 20; i++ {
		if strings.Contains(query, fmt.Sprint("$", i)) {
			n = i
		}
	}
	return n
}

// PostgreSQL makes its own plans; none of them reads a whole table.
func TestPostgresPlans(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgEngine)
	w.fill(filling())
	if _, err := w.db.Exec("ANALYZE"); err != nil { // as PostgreSQL does by itself, and SQLite does not
		t.Fatal(err)
	}
	for query, arguments := range map[string][]any{
		store.ListFreshQuery:   {filling() - 1000, filling(), 2, 100},
		store.ListDueQuery:     {2, 1_000_500, 50_000, 100},
		store.NextDueQuery:     {2, 1_000_500},
		store.ListWaitingQuery: {2, onramp.Never.UnixMicro(), 0, 500},
	} {
		var plan []string
		rows, err := w.db.Query("EXPLAIN "+query, arguments...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		if strings.Contains(text, "Seq Scan") {
			t.Errorf("a whole table is read by\n%s\n%s", query, text)
		}
	}
	w.reset()
}
