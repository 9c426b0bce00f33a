package store_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
)

// lines is a log that can be waited for.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func (l lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-time.After(time.Minute):
		t.Fatal("nothing was logged")
		return ""
	}
}

// A database in which deliveries wait for others that are settled, as lost commits
// have left it, is put in order after a start, and the log says so. Those that
// wait rightly go on waiting.
func TestStranded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.save("both", "ana1", "ana2", "bob1", "cid1", "dan1", "eve1", "eve2")
		w.settle("eve1.1", pending, time.Minute)
		w.park("eve2.1", "eve2.2")
		w.settle("cid1.1", delivered, 0)
		w.settle("dan1.1", dead, 0)
		never := onramp.Never.UnixMicro()
		w.exec(`UPDATE delivery SET due_at = $1 WHERE seq = $2`, never, w.find("ana1.1").Seq)
		w.exec(`UPDATE delivery SET due_at = $1 WHERE seq = $2`, never, w.find("ana2.1").Seq)
		w.exec(`UPDATE delivery SET due_at = $1, state = $2 WHERE seq = $3`, never, onramp.DeliveryWaiting, w.find("cid1.2").Seq)
		w.exec(`UPDATE delivery SET due_at = $1, state = $2 WHERE seq = $3`, never, onramp.DeliveryWaiting, w.find("dan1.2").Seq)
		w.exec(`UPDATE tally SET n = n - 1 WHERE destination_id = $1 AND state IN ($2, $3)`, w.destination("y"), pending, onramp.DeliveryOutOfReach)
		w.exec(`UPDATE tally SET n = n + 2 WHERE destination_id = $1 AND state = $2`, w.destination("y"), onramp.DeliveryWaiting)
		log := make(lines, 10)
		w.log = slog.New(slog.NewTextHandler(log, nil))
		w.reopen()
		const text = `level=WARN msg="deliveries were waiting for others that had been settled already; they go on now" destination=%s deliveries=%d`
		for _, want := range []string{fmt.Sprintf(text, "data_extension:x", 1), fmt.Sprintf(text, "journey:y", 2)} {
			if got := log.next(t); !strings.Contains(got, want) {
				t.Errorf("logged %s, want %s", got, want)
			}
		}
		w.wantRows("ana1.1 pending due 0s", "ana1.2 waiting", "ana2.1 pending due never", "ana2.2 waiting",
			"bob1.1 pending", "bob1.2 waiting", "cid1.1 delivered tries 1 settled 0s", "cid1.2 pending due 0s",
			"dan1.1 dead tries 1 settled 0s reason answered; correct it", "dan1.2 out of reach",
			"eve1.1 pending tries 1 due 1m0s", "eve1.2 waiting due never", "eve2.1 pending due never", "eve2.2 waiting due never")
	})
}

// More than are looked at together are found, wherever among others that wait.
func TestManyStranded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const n = 1700
		for i := range n {
			w.save("one", fmt.Sprint("p", i, "x"))
		}
		never := onramp.Never.UnixMicro()
		w.exec(`UPDATE delivery SET due_at = $1`, never)
		w.exec(`UPDATE delivery SET ordering_key = 1 WHERE seq > 50 AND seq <= 1500`)
		log := make(lines, 10)
		w.log = slog.New(slog.NewTextHandler(log, nil))
		w.reopen()
		if got, want := log.next(t), "deliveries=251"; !strings.Contains(got, want) {
			t.Errorf("logged %s, want %s", got, want)
		}
	})
}

// What a commit has settled that was thought to have failed is told those who wait
// for it, and found by those who read, though nobody writes anything more.
func TestLostCommitIsNoticed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := w.registration("one", "ana")
		accepted, err := w.s.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, true)
		if err != nil {
			t.Fatal(err)
		}
		w.ids["ana"], w.names[r.ID] = r.ID, "ana"
		w.silence()
		ana := []onramp.Settlement{w.settlement(w.find("ana.1"), delivered, 0)}
		w.faults.during(lost, func() { _, err = w.s.Settle(t.Context(), ana) })
		wantKind(t, "settle", err, onramp.Unavailable)
		select {
		case state := <-accepted.Outcome:
			if state != onramp.RegistrationDelivered {
				t.Errorf("was told %s", state)
			}
		case <-time.After(time.Minute):
			t.Error("who waits was told nothing")
		}
		w.wantBells()
		other := w.registration("one", "bob")
		w.faults.during(lost, func() { _, err = w.s.SaveRegistration(t.Context(), &other, onramp.IdempotencyKey{}, false) })
		wantKind(t, "save", err, onramp.Unavailable)
		bell, _ := w.s.Wake(w.destination("y"))
		for {
			fresh, to, _, err := w.s.ListFresh(t.Context(), w.destination("y"), 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(fresh) == 1 && to == 2 {
				break
			}
			w.wantBell(bell, "what was saved is not noticed")
		}
		w.checkCounts()
	})
}
