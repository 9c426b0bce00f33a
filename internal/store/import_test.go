package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/importer"
	"onramp/internal/onramp"
	"onramp/internal/resend"
)

// portion makes rows of registrations of form both: each name is a person, made so long ago.
func (w *world) portion(to int64, ago map[string]time.Duration, names ...string) importer.Checked {
	p := importer.Checked{To: to, Forms: []string{"both"}}
	for i, name := range names {
		r := w.registration("both", name[:3])
		r.Route = r.Route[:1]
		w.ids[name], w.names[r.ID] = r.ID, name
		p.Accepted = append(p.Accepted, importer.Accepted{Line: to - int64(len(names)-1-i), Registration: &r, OriginalAt: w.clock.now().Add(-ago[name])})
	}
	return p
}

// What is imported keeps its place among what is stored: nothing that is newer is written
// over, and a portion that comes twice is stored once.
func TestImport(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.save("both", "bob1")
		w.clock.advance(time.Hour)
		start := importer.Start{Spec: importer.Spec{Form: "both", SHA256: strings.Repeat("a", 64)}}
		run, err := w.s.StartImport(ctx, start)
		if err != nil || run.Position != 0 {
			t.Fatal(run, err)
		}
		ago := map[string]time.Duration{"ana1": 40 * day, "ana2": 30 * day, "ana3": 35 * day, "bob2": 30 * day, "bob3": time.Minute}
		p := w.portion(6, ago, "ana1", "ana2", "ana3", "bob2", "bob3")
		p.Refused = []importer.Refusal{{Line: 1, Field: "email", Reason: "is not valid"}}
		after, err := w.s.SaveImport(ctx, run, p)
		if err != nil || after.Position != 6 || after.Accepted != 3 || after.Refused != 3 {
			t.Fatal(after, err)
		}
		if again, err := w.s.SaveImport(ctx, run, p); err != nil || again.Accepted != 3 || again.Position != 6 {
			t.Error("the portion was stored twice:", again, err)
		}
		if diff := cmp.Diff("ana1 ana2 bob1 bob3", w.stored()); diff != "" {
			t.Error(diff)
		}
		w.reopen()
		if found, err := w.s.StartImport(ctx, start); err != nil || found.ID != run.ID || found.Position != 6 {
			t.Error("the same file does not go on:", found, err)
		}
		refused, err := w.s.ListRefusals(ctx, run.ID, "")
		want := []importer.Refusal{{Line: 1, Field: "email", Reason: "is not valid"}, {Line: 4, Reason: importer.Superseded}, {Line: 5, Reason: importer.Superseded}}
		if diff := cmp.Diff(want, refused.Items); diff != "" || err != nil {
			t.Error(diff, err)
		}
		end := importer.Checked{To: 6, End: true}
		if after, err = w.s.SaveImport(ctx, after, end); err != nil || after.State != importer.Done {
			t.Error(after, err)
		}
		for _, d := range []string{"bob1.1", "bob1.2", "ana1.1", "ana2.1", "bob3.1"} {
			w.settle(d, delivered, 0)
		}
		w.wantState("ana2", onramp.RegistrationDelivered)
		// sent again, it does not trigger the journey either, unless that is wanted
		found, err := w.s.PlanRegistrationResend(ctx, resend.RegistrationFilter{ID: w.ids["ana2"]}, w.forms)
		if err != nil || found.Destinations["journey:y"] != 0 || found.Destinations["data_extension:x"] != 1 {
			t.Error(found.Destinations, err)
		}
	})
}

// Too many that are to be sent hold the next portion up, and nothing of it is stored.
func TestImportWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		run, err := w.s.StartImport(t.Context(), importer.Start{Spec: importer.Spec{Form: "both"}})
		if err != nil {
			t.Fatal(err)
		}
		portions := 0
		for ; portions < 20 && !run.Waits; portions++ {
			var p importer.Checked
			for i := range 250 {
				r := w.registration("both", strings.Repeat("k", portions+1)+strings.Repeat("i", i))
				r.Route, w.names[r.ID] = r.Route[:1], "one"
				p.To, p.Accepted = run.Position+int64(i)+1, append(p.Accepted, importer.Accepted{Line: run.Position + int64(i) + 1, Registration: &r, OriginalAt: begin})
			}
			if run, err = w.s.SaveImport(t.Context(), run, p); err != nil {
				t.Fatal(err)
			}
		}
		if portions != 6 || run.Accepted != 1250 {
			t.Errorf("%d portions were taken, and %d registrations", portions, run.Accepted)
		}
		fresh, _, _, err := w.s.ListFresh(t.Context(), w.destination("x"), 0, 300)
		if err != nil || len(fresh) != 300 {
			t.Fatal(len(fresh), err)
		}
		w.call(fresh)
		run.Waits = false
		if run, err = w.s.SaveImport(t.Context(), run, importer.Checked{To: run.Position + 1}); err != nil || run.Waits {
			t.Error(run, err)
		}
	})
}

// A person has left when an event says so, also one that names only the send. One who has
// registered again since is taken.
func TestLeftAt(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if at, err := w.s.LeftAt(t.Context(), "ana"); err != nil || !at.IsZero() {
			t.Error(at, err)
		}
		w.withEvents()
		w.receive(nil, sent("ana", 1, "m1"), sent("bob", 2, "m2"), opened(2, 9),
			strings.Replace(opened(1, 7), "EmailOpen", "EmailUnsubscribe", 1))
		if err := w.s.IndexEvents(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := time.UnixMilli(1767614400007).UTC()
		if at, err := w.s.LeftAt(t.Context(), "Ana"); err != nil || !at.Equal(left) {
			t.Error(at, err)
		}
		if at, err := w.s.LeftAt(t.Context(), "bob"); err != nil || !at.IsZero() {
			t.Error(at, err)
		}
	})
}
