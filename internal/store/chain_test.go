package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/chain"
	"onramp/internal/onramp"
)

// act appends a number of actions to the audit log.
func (w *world) act(n int) {
	w.t.Helper()
	for i := range n {
		a := onramp.Action{By: "admin", What: "deliveries.retry", Object: fmt.Sprint("d", i), Reason: "a test"}
		if _, err := w.s.BeginAction(w.t.Context(), a); err != nil {
			w.t.Fatal(err)
		}
	}
}

// anchor signs where the chains end, and returns what was published.
func (w *world) anchor() (published []chain.Anchor) {
	w.t.Helper()
	err := w.s.AnchorChains(w.t.Context(), func(all []chain.Anchor) error {
		published = all
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return published
}

// signed gives the store a key, so that it can sign.
func (w *world) signed() {
	w.t.Helper()
	w.cipher = reversing{}
	w.reopen()
}

// problems verifies the audit log, and writes what is wrong in short.
func (w *world) problems(kept ...chain.Anchor) []string {
	w.t.Helper()
	report, err := w.s.VerifyLog(w.t.Context(), chain.Audit, kept)
	if err != nil {
		w.t.Fatal(err)
	}
	short := []string{}
	for _, p := range report.Problems {
		short = append(short, fmt.Sprintf("%d: %s", p.Number, p.Detail))
	}
	return short
}

// Whatever is changed in a log is found, by the number of the entry.
func TestVerify(t *testing.T) {
	const head = "what is stored of the end of this chain was changed"
	const wrongHash = "this entry was changed: its hash does not fit"
	tamperings := []struct {
		name string
		sql  []string
		want []string // each is the beginning of one problem
	}{
		{"nothing", nil, nil},
		{"an erased personal part", []string{`UPDATE audit_entry SET personal = NULL WHERE seq = 2`}, nil},
		{"a time", []string{`UPDATE audit_entry SET at = at + 1 WHERE seq = 2`}, []string{"2: " + wrongHash}},
		{"a kind", []string{`UPDATE audit_entry SET kind = 'deliveries.retrY' WHERE seq = 4`}, []string{"4: " + wrongHash}},
		{"a reference", []string{`UPDATE audit_entry SET ref = 1 WHERE seq = 3`}, []string{"3: " + wrongHash}},
		{"a payload", []string{`UPDATE audit_entry SET payload = replace(payload, 'd0', 'd1') WHERE seq = 3`}, []string{"3: " + wrongHash}},
		{"a commitment", []string{`UPDATE audit_entry SET commitment = '' WHERE seq = 1`}, []string{"1: " + wrongHash, "1: the personal part"}},
		{"a personal part", []string{`UPDATE audit_entry SET personal = replace(personal, 'test', 'tesT') WHERE seq = 5`}, []string{"5: the personal part of this entry was changed"}},
		{"a personal part of another entry", []string{`UPDATE audit_entry SET personal = (SELECT personal FROM audit_entry WHERE seq = 1) WHERE seq = 5`}, []string{"5: the personal part of this entry was changed"}},
		{"a hash", []string{`UPDATE audit_entry SET hash = replace(hash, SUBSTR(hash, 1, 1), 'x') WHERE seq = 2`}, []string{"2: " + wrongHash, "3: " + wrongHash}},
		{"a number", []string{`UPDATE audit_entry SET seq = 9 WHERE seq = 5`}, []string{"5: entries 5 to 8 are missing", "5: the anchor of", "6: entries were added"}},
		{"one less", []string{`DELETE FROM audit_entry WHERE seq = 3`}, []string{"3: entry 3 is missing"}},
		{"the first less", []string{`DELETE FROM audit_entry WHERE seq = 1`}, []string{"1: entry 1 is missing"}},
		{
			"two swapped",
			[]string{`UPDATE audit_entry SET seq = 99 WHERE seq = 2`, `UPDATE audit_entry SET seq = 2 WHERE seq = 3`, `UPDATE audit_entry SET seq = 3 WHERE seq = 99`},
			[]string{"2: " + wrongHash, "3: " + wrongHash, "4: " + wrongHash},
		},
		{
			"one more at the end",
			[]string{`INSERT INTO audit_entry SELECT 6, at, kind, ref, payload, commitment, personal, hash FROM audit_entry WHERE seq = 5`},
			[]string{"6: " + wrongHash, "6: entries were added"},
		},
		{
			"one more before the first",
			[]string{`INSERT INTO audit_entry SELECT 0, at, kind, ref, payload, commitment, personal, hash FROM audit_entry WHERE seq = 5`},
			[]string{"0: this entry follows entry 0: it was added or moved", "1: " + wrongHash},
		},
		{
			"one more in another chain",
			[]string{`INSERT INTO audit_entry SELECT 1099511627777, at, kind, ref, payload, commitment, personal, hash FROM audit_entry WHERE seq = 1`},
			[]string{"1: " + wrongHash, "0: it is not known any more where this chain ends"},
		},
		{"the tail", []string{`DELETE FROM audit_entry WHERE seq > 3`}, []string{"4: the chain was cut: it ends with entry 3, and 5 were written", "5: the chain was cut: the anchor"}},
		{"everything", []string{`DELETE FROM audit_entry`}, []string{"1: the chain was cut: it ends with entry 0, and 5 were written", "5: the chain was cut: the anchor"}},
		{"the end that is stored", []string{`UPDATE chain_head SET number = 4 WHERE log = 'audit'`}, []string{"0: " + head}},
		{"its hash", []string{`UPDATE chain_head SET hash = (SELECT hash FROM audit_entry WHERE seq = 4) WHERE log = 'audit'`}, []string{"0: " + head}},
		{"its guard", []string{`UPDATE chain_head SET guard = '' WHERE log = 'audit'`}, []string{"0: " + head}},
		{"its row", []string{`DELETE FROM chain_head WHERE log = 'audit'`}, []string{"0: it is not known any more where this chain ends"}},
		{"the tail with the end that is stored", []string{
			`DELETE FROM audit_entry WHERE seq > 3`,
			`UPDATE chain_head SET number = 3, hash = (SELECT hash FROM audit_entry WHERE seq = 3) WHERE log = 'audit'`,
		}, []string{"0: " + head, "5: the chain was cut: the anchor"}},
		{"an anchor's number", []string{`UPDATE chain_anchor SET number = 4 WHERE log = 'audit'`}, []string{"4: the signature of the anchor"}},
		{"an anchor's hash", []string{`UPDATE chain_anchor SET hash = (SELECT hash FROM audit_entry WHERE seq = 1)`}, []string{"5: the signature of the anchor"}},
		{"an anchor's time", []string{`UPDATE chain_anchor SET at = at - 1`}, []string{"5: the signature of the anchor"}},
		{"an anchor's key", []string{`UPDATE chain_anchor SET signer = 'x'`}, []string{"5: the anchor of 2026-01-05 12:00:00 UTC was signed with a key that this database does not have"}},
		{"an anchor's signature", []string{`UPDATE chain_anchor SET signature = 'x'`}, []string{"5: the signature of the anchor"}},
	}
	onBoth(t, func(t *testing.T, w *world) {
		w.act(2)
		w.signed()
		w.act(3)
		if published := w.anchor(); len(published) != 1 || published[0].Number != 5 {
			t.Fatal(published)
		}
		tables := []string{"audit_entry", "chain_head", "chain_anchor"}
		for _, table := range tables {
			w.exec(`CREATE TABLE kept_` + table + ` AS SELECT * FROM ` + table)
		}
		for _, c := range tamperings {
			w.execAll(c.sql...)
			got := w.problems()
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("%s: problems:\n%s\nwant:\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			for _, table := range tables {
				w.execAll(`DELETE FROM `+table, `INSERT INTO `+table+` SELECT * FROM kept_`+table)
			}
		}
	})
}

// execAll changes the database past the store.
func (w *world) execAll(statements ...string) {
	w.t.Helper()
	for _, statement := range statements {
		if _, err := w.db.Exec(statement); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A chain that was written anew from an entry on, with everything that stands in the database, fits
// together; what somebody has kept elsewhere does not.
func TestVerifyKeptAnchor(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.signed()
		w.act(3)
		kept := w.anchor()
		w.execAll(`DELETE FROM audit_entry`, `DELETE FROM chain_head`, `DELETE FROM chain_anchor`)
		w.reopen()
		w.clock.advance(time.Second)
		w.act(4)
		if got := w.problems(); len(got) > 0 {
			t.Error(got)
		}
		want := []string{"3: the anchor of 2026-01-05 12:00:00 UTC has signed another hash: the chain up to here was rewritten"}
		if diff := cmp.Diff(want, w.problems(kept...)); diff != "" {
			t.Error(diff)
		}
	})
}

// The chain goes on over a restart, and over a commit whose outcome is not known; there is an
// anchor for each day on which it has grown.
func TestChainGoesOn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.signed()
		w.act(2)
		w.reopen()
		w.act(1)
		if got := w.anchor(); len(got) != 1 || got[0].Number != 3 {
			t.Error(got)
		}
		w.act(1)
		if got := w.anchor(); got != nil {
			t.Error("a second anchor of the day", got)
		}
		w.clock.advance(24 * time.Hour)
		if got := w.anchor(); len(got) != 1 || got[0].Number != 4 {
			t.Error(got)
		}
		w.clock.advance(24 * time.Hour)
		if got := w.anchor(); got != nil {
			t.Error("an anchor of a day without entries", got)
		}
		report, err := w.s.VerifyLog(t.Context(), chain.Audit, nil)
		want := chain.Report{Log: chain.Audit, Entries: 4, Anchors: 2, Newest: begin.Add(24 * time.Hour), Problems: []chain.Problem{}}
		if diff := cmp.Diff(want, report); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// An anchor that could not be published is none: the next call tries again.
func TestAnchorUnpublished(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.signed()
		w.act(1)
		full := fmt.Errorf("the disk is full")
		if err := w.s.AnchorChains(t.Context(), func([]chain.Anchor) error { return full }); err != full {
			t.Error(err)
		}
		if got := w.anchor(); len(got) != 1 {
			t.Error(got)
		}
	})
}

// The audit log lists each action with its result, the newest first.
func TestListActions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, object := range []string{"a", "b", "c"} {
			number, err := w.s.BeginAction(ctx, onramp.Action{By: "ana", What: "deliveries.discard", Object: object, Reason: "a \x00test"})
			if err != nil {
				t.Fatal(err)
			}
			if object == "b" {
				continue // as after a crash
			}
			if err := w.s.EndAction(ctx, number, "deliveries.discard", onramp.ActionResult{Kind: onramp.ActionDone, Count: 2}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.s.BeginAction(ctx, onramp.Action{By: "anabel", What: "clients.make"}); err != nil {
			t.Fatal(err)
		}
		list := func(f onramp.ActionFilter) []string {
			var all []string
			for pages := 0; ; pages++ {
				page, next, err := w.s.ListActions(ctx, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range page {
					all = append(all, fmt.Sprintf("%d %s %s %s %q %s %d", a.Number, a.By, a.What, a.Object, a.Reason, a.Result.Kind, a.Result.Count))
				}
				if f.Cursor = next; next == "" {
					return all
				}
			}
		}
		newest, discards := `6 anabel clients.make  ""  0`, []string{`4 ana deliveries.discard c "a �test" done 2`, `3 ana deliveries.discard b "a �test"  0`, `1 ana deliveries.discard a "a �test" done 2`}
		if diff := cmp.Diff(append([]string{newest}, discards...), list(onramp.ActionFilter{Limit: 2})); diff != "" {
			t.Error(diff)
		}
		for _, f := range []onramp.ActionFilter{{By: "ana"}, {What: "deliveries.discard"}, {What: "deliveries.discard", Since: begin, Until: begin.Add(time.Hour)}} {
			if diff := cmp.Diff(discards, list(f)); diff != "" {
				t.Error(diff)
			}
		}
		if got := list(onramp.ActionFilter{Until: begin}); got != nil {
			t.Error(got)
		}
		if got := w.problems(); len(got) > 0 {
			t.Error(got)
		}
	})
}
