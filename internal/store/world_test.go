package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"onramp/internal/onramp"
	"onramp/internal/pgtest"
	"onramp/internal/store"
)

// engine is one of the two databases.
type engine struct {
	name   string
	driver string
	newURL func(t testing.TB) string
	cipher store.Cipher // from the start; nil: none
}

var (
	sqliteEngine = engine{"sqlite", "sqlite", func(t testing.TB) string { return filepath.Join(t.TempDir(), "onramp.db") }, nil}
	pgEngine     = engine{"postgres", "pgx", pgtest.URL, nil}

	// with a key, and so encrypted
	sealedEngines = []engine{{"sqlite", "sqlite", sqliteEngine.newURL, reversing{}}, {"postgres", "pgx", pgtest.URL, reversing{}}}
)

// onBoth runs a test on both databases, in which personal data are encrypted.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	onEach(t, sealedEngines, test)
}

// onBothClear does so where nothing is.
func onBothClear(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	onEach(t, []engine{sqliteEngine, pgEngine}, test)
}

func onEach(t *testing.T, engines []engine, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, e))
		})
	}
}

// begin is when the tests' clock starts: noon, so that no day ends by chance.
var begin = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// clock is the time that a store is told.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a store with two forms: "both" goes to the data extension x and then
// the journey y, "one" to y only.
type world struct {
	t        testing.TB
	e        engine
	url      string
	clock    *clock
	cipher   store.Cipher
	keys     int           // that are moved to their table together; 0: the default
	life     time.Duration // of the lease; 0: the default
	backup   bool          // an operator says that the database is one
	within   time.Duration // that a registration may wait; 0: the default
	s        *store.Store
	forms    map[string]*onramp.Form
	db       *sql.DB   // for looking at the tables
	began    time.Time // when the last attempt did: each one has a time of its own
	faults   faults    // of commits
	log      *slog.Logger
	clear    bool              // personal data are stored in clear text though there is a cipher
	destroys bool              // the keys of persons: registrations are erased that are not counted as such yet
	alone    bool              // nothing goes on in the background
	left     []onramp.Left     // by the last change of the routes
	first    string            // the key of the data extension of "both"; "": x
	ids      map[string]string // of registrations, by the test's name for them
	names    map[string]string // and back
}

func newWorld(t testing.TB, e engine) *world {
	t.Helper()
	w := &world{
		t: t, e: e, url: e.newURL(t), cipher: e.cipher, clock: &clock{at: begin}, forms: map[string]*onramp.Form{},
		ids: map[string]string{}, names: map[string]string{},
	}
	w.open()
	t.Cleanup(w.end)
	source := w.url
	if e.driver == "sqlite" {
		source += "?_pragma=busy_timeout(10000)"
	}
	var err error
	if w.db, err = sql.Open(e.driver, source); err != nil {
		t.Fatal(err)
	}
	return w
}

func forms() []onramp.Form {
	x := onramp.Destination{Kind: onramp.DataExtension, Key: "x"}
	y := onramp.Destination{Kind: onramp.Journey, Key: "y"}
	return []onramp.Form{
		{Name: "both", Route: []onramp.Destination{x, y}}, {Name: "one", Route: []onramp.Destination{y}},
	}
}

func (w *world) open() {
	w.t.Helper()
	cfg := store.Config{URL: w.url, Now: w.clock.now, Cipher: w.cipher, Commit: w.faults.commit, Log: w.log, Restored: w.backup, Clear: w.clear}
	if w.alone {
		cfg = store.Alone(cfg)
	}
	cfg = store.WithAcceptWithin(cfg, w.within)
	s, err := store.Open(context.Background(), store.WithLease(store.WithFreeze(cfg, w.keys, int64(2*w.keys)), w.life))
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
	all := forms()
	if w.first != "" {
		all[0].Route[0].Key = w.first
	}
	registered, err := s.RegisterForms(context.Background(), all)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range registered {
		w.forms[f.Name] = f
	}
}

// reopen closes the store and opens it again.
func (w *world) reopen() {
	w.t.Helper()
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// end checks what must be true of every database, whatever was done to it.
func (w *world) end() {
	if !w.t.Failed() && !w.destroys {
		w.checkCounts()
	}
	if w.s == nil { // the test has said why
		w.t.Fail()
	} else if err := w.s.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
}

// destination gives the id of x or y.
func (w *world) destination(key string) int {
	for _, d := range w.forms["both"].Route {
		if d.Key == key {
			return d.ID
		}
	}
	w.t.Fatalf("there is no destination %s", key)
	return 0
}

// destinationNamed gives the id of a destination; 0 when there is none.
func (w *world) destinationNamed(name string) (id int) {
	w.t.Helper()
	err := w.db.QueryRow(`SELECT COALESCE(MAX(id), 0) FROM destination WHERE name = $1`, name).Scan(&id)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) registration(form, key string) onramp.Registration {
	at := w.clock.now()
	return onramp.Registration{
		ID: onramp.NewID(at), Form: form, SubscriberKey: key, ReceivedAt: at,
		Values: []byte(`{"EmailAddress":"` + key + `@example.org"}`), Route: w.forms[form].Route,
	}
}

// save stores registrations of a form; their subscriber keys are their names up
// to the first digit.
func (w *world) save(form string, names ...string) {
	w.t.Helper()
	for _, name := range names {
		r := w.registration(form, strings.TrimRight(name, "0123456789"))
		if _, err := w.s.SaveRegistration(context.Background(), &r, onramp.IdempotencyKey{}, false); err != nil {
			w.t.Fatal(err)
		}
		w.ids[name], w.names[r.ID] = r.ID, name
	}
}

// id turns "ana1.2" into the id of that delivery.
func (w *world) id(delivery string) string {
	name, step, _ := strings.Cut(delivery, ".")
	return w.ids[name] + "." + step
}

// find reads a delivery.
func (w *world) find(delivery string) onramp.Delivery {
	w.t.Helper()
	d, err := w.s.FindDelivery(context.Background(), w.id(delivery))
	if err != nil {
		w.t.Fatalf("%s: %v", delivery, err)
	}
	return d
}

var verdicts = map[onramp.DeliveryState]onramp.Verdict{
	onramp.DeliveryDelivered: onramp.Delivered, onramp.DeliveryDead: onramp.Rejected,
	onramp.DeliveryUnknown: onramp.Unknown, onramp.DeliveryPending: onramp.Retry,
}

// settlement is what the pump makes of an attempt; with pending the delivery is
// due after a time, or at the time it had when that is zero.
func (w *world) settlement(d onramp.Delivery, state onramp.DeliveryState, after time.Duration) onramp.Settlement {
	at := w.clock.now()
	if w.began = w.began.Add(time.Microsecond); w.began.Before(at.Add(-time.Second)) {
		w.began = at.Add(-time.Second)
	}
	s := onramp.Settlement{
		Delivery: &d, State: state, Tries: d.Tries + 1, At: at,
		Attempt: &onramp.Attempt{StartedAt: w.began, Took: time.Second, Outcome: onramp.Outcome{Verdict: verdicts[state], Detail: "answered"}},
	}
	switch {
	case state == onramp.DeliverySkipped:
		s.Tries, s.Attempt, s.Reason = d.Tries, nil, "opt_in is not true"
	case state == onramp.DeliveryPending && after == 0:
		s.Tries, s.DueAt, s.Attempt.Verdict = d.Tries, d.DueAt, onramp.Throttled
	case state == onramp.DeliveryPending:
		s.DueAt = at.Add(after)
	case state != onramp.DeliveryDelivered:
		s.Attempt.Hint = "correct it"
	}
	return s
}

// settle settles a delivery as it is stored and returns the followers.
func (w *world) settle(delivery string, state onramp.DeliveryState, after time.Duration) []string {
	w.t.Helper()
	return w.settleRead(w.find(delivery), state, after)
}

// settleRead settles a delivery as it was read.
func (w *world) settleRead(d onramp.Delivery, state onramp.DeliveryState, after time.Duration) []string {
	w.t.Helper()
	followers, err := w.s.Settle(context.Background(), []onramp.Settlement{w.settlement(d, state, after)})
	if err != nil {
		w.t.Fatal(err)
	}
	var texts []string
	for _, f := range followers {
		texts = append(texts, fmt.Sprintf("%d: %s%s", f.Seq, storedState(f.State), w.due(f.DueAt)))
	}
	return texts
}

// park parks deliveries, as far as the store finds it right.
func (w *world) park(deliveries ...string) map[int64]bool {
	w.t.Helper()
	var seqs []int64
	for _, d := range deliveries {
		seqs = append(seqs, w.find(d).Seq)
	}
	parked, err := w.s.Park(context.Background(), seqs)
	if err != nil {
		w.t.Fatal(err)
	}
	return parked
}

func (w *world) retry(delivery string) {
	w.t.Helper()
	if err := w.s.RetryDelivery(context.Background(), w.id(delivery), false); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) discard(delivery string) {
	w.t.Helper()
	if err := w.s.DiscardDelivery(context.Background(), w.id(delivery), "a test"); err != nil {
		w.t.Fatal(err)
	}
}

func storedState(s onramp.DeliveryState) string {
	if s == onramp.DeliveryOutOfReach {
		return "out of reach"
	}
	return s.String()
}

// due tells a due time relative to the clock's.
func (w *world) due(at time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case at.Equal(onramp.Never):
		return " due never"
	}
	return " due " + at.Sub(w.clock.now()).String()
}

// rows tells how all deliveries stand in the table.
func (w *world) rows() []string {
	w.t.Helper()
	rows, err := w.db.Query(`SELECT r.id, d.step, d.state, d.tries, d.due_at, d.settled_at, d.reason, d.seq
		FROM delivery d JOIN registration r ON r.seq = d.registration_seq ORDER BY d.seq`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var id string
		var step, tries int
		var state onramp.DeliveryState
		var due, settled sql.NullInt64
		var seq int64
		var reason []byte
		if err := rows.Scan(&id, &step, &state, &tries, &due, &settled, &reason, &seq); err != nil {
			w.t.Fatal(err)
		}
		text := fmt.Sprintf("%s.%d %s", w.names[id], step, storedState(state))
		if tries > 0 {
			text += fmt.Sprintf(" tries %d", tries)
		}
		if due.Valid {
			text += w.due(time.UnixMicro(due.Int64).UTC())
		}
		if settled.Valid {
			text += " settled " + time.UnixMicro(settled.Int64).Sub(w.clock.now()).String()
		}
		if reason != nil {
			text += " reason " + w.s.Reason(seq, reason)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return texts
}

// wantRows compares the deliveries' table with what is wanted.
func (w *world) wantRows(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.rows()); diff != "" {
		w.t.Error(diff)
	}
}

// checkCounts compares the counts with a recount, and each registration's state
// with the one that its deliveries give.
func (w *world) checkCounts() {
	w.t.Helper()
	want := onramp.Counts{
		Registrations: map[onramp.RegistrationState]int64{}, Deliveries: w.eventDeliveries(),
		Events: w.countBy(`SELECT c.name, COUNT(*) FROM event e JOIN callback c ON c.id = e.callback_id GROUP BY c.name`),
	}
	looked := 0
	for id, deliveries := range w.registrations() {
		state := recount(deliveries)
		want.Registrations[state]++
		for _, d := range deliveries {
			if want.Deliveries[d.Destination] == nil {
				want.Deliveries[d.Destination] = map[onramp.DeliveryState]int64{}
			}
			want.Deliveries[d.Destination][d.State]++
		}
		if looked++; looked > 200 { // the others are like these
			continue
		}
		r, err := w.s.FindRegistration(context.Background(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if r.State != state {
			w.t.Errorf("registration %s is %s, want %s", w.names[id], r.State, state)
		}
	}
	got := w.s.Count()
	got.Repeated = nil // nothing is left of those
	delete(got.Registrations, onramp.RegistrationRemoved)
	for _, counts := range got.Deliveries {
		delete(counts, onramp.DeliveryRemoved)
	}
	for _, n := range w.countBy(`SELECT what, n FROM removed WHERE what = 'events'`) {
		want.Events["events"] += n // the only callback
	}
	maps.DeleteFunc(got.Events, func(_ string, n int64) bool { return n == 0 })
	maps.DeleteFunc(got.Registrations, func(_ onramp.RegistrationState, n int64) bool { return n == 0 })
	for name, counts := range got.Deliveries {
		maps.DeleteFunc(counts, func(_ onramp.DeliveryState, n int64) bool { return n == 0 })
		if len(counts) == 0 {
			delete(got.Deliveries, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Error("counts differ from a recount:", diff)
	}
}

// eventDeliveries counts what events have brought, and what sends registrations again.
func (w *world) eventDeliveries() map[string]map[onramp.DeliveryState]int64 {
	w.t.Helper()
	counts := map[string]map[onramp.DeliveryState]int64{}
	for state := onramp.DeliveryWaiting; state <= onramp.DeliverySkipped; state++ {
		for name, n := range w.countBy(fmt.Sprintf(`SELECT n.name, COUNT(*) FROM delivery d JOIN destination n ON n.id = d.destination_id
			WHERE (d.event_seq IS NOT NULL OR d.steps IS NOT NULL) AND d.state = %d GROUP BY n.name`, state)) {
			if counts[name] == nil {
				counts[name] = map[onramp.DeliveryState]int64{}
			}
			counts[name][state] = n
		}
	}
	return counts
}

// countBy reads names with their counts.
func (w *world) countBy(query string) map[string]int64 {
	w.t.Helper()
	rows, err := w.db.Query(query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			w.t.Fatal(err)
		}
		counts[name] = n
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return counts
}

// registrations reads the deliveries of all registrations from the tables.
func (w *world) registrations() map[string][]onramp.Delivery {
	rows, err := w.db.Query(`SELECT r.id, d.step, d.state, d.tries, n.name FROM delivery d
		JOIN registration r ON r.seq = d.registration_seq JOIN destination n ON n.id = d.destination_id WHERE d.event_seq IS NULL AND d.steps IS NULL ORDER BY d.seq`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	all := map[string][]onramp.Delivery{}
	for rows.Next() {
		var id string
		var d onramp.Delivery
		if err := rows.Scan(&id, &d.Step, &d.State, &d.Tries, &d.Destination); err != nil {
			w.t.Fatal(err)
		}
		all[id] = append(all[id], d)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// recount derives a registration's state from its deliveries.
func recount(deliveries []onramp.Delivery) onramp.RegistrationState {
	for _, d := range deliveries {
		switch d.State {
		case onramp.DeliveryDelivered, onramp.DeliverySkipped:
		case onramp.DeliveryDead, onramp.DeliveryDiscarded:
			return onramp.RegistrationFailed
		case onramp.DeliveryUnknown:
			return onramp.RegistrationUnknown
		case onramp.DeliveryHeld:
			return onramp.RegistrationHeld
		case onramp.DeliveryErased:
			return onramp.RegistrationErased
		default:
			if d.Step == 1 && d.Tries == 0 {
				return onramp.RegistrationQueued
			}
			return onramp.RegistrationDelivering
		}
	}
	return onramp.RegistrationDelivered
}

// wantKind checks an error's kind.
func wantKind(t testing.TB, what string, err error, want onramp.Kind) {
	t.Helper()
	if e, ok := errors.AsType[*onramp.Error](err); !ok || e.Kind != want {
		t.Errorf("%s: got error %v, want one of kind %d", what, err, want)
	}
}
