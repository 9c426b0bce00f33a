package crash_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"onramp/internal/sandbox"
)

// longestCall is delivery.longest_call of these worlds; what is carried out late is
// carried out within it.
const longestCall = 3 * time.Second

// people register again and again, each time with a higher number: it shows in
// Marketing Cloud whose older registration stands where a newer one was answered.
// One person's requests come one after the other.
type people struct {
	free chan *person
	all  []*person
}

type person struct {
	address        string
	sent, answered int // the last number
}

// newCrowd is a world of few people who register often.
func newCrowd(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.settings = "delivery: { longest_call: " + longestCall.String() + ", timeout: 1s }"
	w.people = &people{free: make(chan *person, 40)}
	for n := range cap(w.people.free) {
		p := &person{address: visitor(n)}
		w.people.all = append(w.people.all, p)
		w.people.free <- p
	}
	return w
}

// next is somebody's next registration, and is called back with whether it was
// answered 2xx. It is nil when ctx has ended.
func (p *people) next(ctx context.Context) (address, number string, done func(accepted bool)) {
	select {
	case <-time.After(rand.N(20 * time.Millisecond)):
	case <-ctx.Done():
		return "", "", nil
	}
	someone := <-p.free
	someone.sent++
	n := someone.sent
	return someone.address, strconv.Itoa(n), func(accepted bool) {
		if accepted {
			someone.answered = n
		}
		p.free <- someone
	}
}

// awaitQuiet waits until Marketing Cloud has carried out all that it will, and the
// gateway has sent what it wants to send once more.
func (w *world) awaitQuiet() {
	w.t.Helper()
	driver, source := "sqlite", "file:"+w.lookInto+"?mode=ro"
	if strings.HasPrefix(w.lookInto, "postgres") {
		driver, source = "pgx", w.lookInto
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	eventually(w.t, "nothing is carried out late, or sent once more", patience, func() bool {
		var n int
		if err := db.QueryRow(`SELECT (SELECT COUNT(*) FROM late_call) + (SELECT COUNT(*) FROM resend)`).Scan(&n); err != nil {
			w.t.Fatal(err)
		}
		return n == 0 && w.sandbox.State().Totals.Late == 0
	})
}

// judge counts of how many people something older stands than what was answered
// last. A registration without an answer may have been stored: it may stand, too.
func (p *people) judge(w *world) (people, old int) {
	w.t.Helper()
	standing := map[string]int{}
	for _, row := range w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows {
		address, _ := row["SubscriberKey"].(string)
		number, _ := row["FirstName"].(string)
		standing[address], _ = strconv.Atoi(number)
	}
	for _, person := range p.all {
		if n := standing[person.address]; n < person.answered {
			old++
			w.t.Logf("%s: %d stands, %d was answered", person.address, n, person.answered)
		}
	}
	newest := map[string]int{}
	for _, row := range w.recorder.order() {
		address, text, _ := strings.Cut(row, " ")
		n, _ := strconv.Atoi(text)
		if n < newest[address] {
			w.t.Errorf("%s: %d was delivered after %d", address, n, newest[address])
		}
		newest[address] = max(newest[address], n)
	}
	return len(p.all), old
}
