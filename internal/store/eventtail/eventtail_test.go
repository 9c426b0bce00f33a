package eventtail_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/store/eventtail"
)

// events are as many from a seq on, of ten people and a hundred sends.
func events(from, n int64) (all []eventtail.Event) {
	for seq := from; seq < from+n; seq++ {
		all = append(all, eventtail.Event{Seq: seq, Person: seq%10 + 1<<40, Send: -seq % 100})
	}
	return all
}

// The tail finds what was added and not dropped, however it came and however much it is.
func TestTail(t *testing.T) {
	t.Parallel()
	var tail eventtail.Tail
	tail.Begin(50_001)
	check := func(what string, hash, from int64, first, last, n int64) {
		t.Helper()
		seqs, gotFrom := tail.Find(hash)
		got := []int64{gotFrom, int64(len(seqs))}
		if len(seqs) > 0 {
			got = append(got, seqs[0], seqs[len(seqs)-1])
		}
		want := []int64{from, n}
		if n > 0 {
			want = append(want, first, last)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: from, number, first, last (-want +got):\n%s", what, diff)
		}
		for i := 1; i < len(seqs); i++ {
			if seqs[i] <= seqs[i-1] {
				t.Fatalf("%s: %d stands before %d", what, seqs[i-1], seqs[i])
			}
		}
	}
	check("empty", 3+1<<40, 50_001, 0, 0, 0)
	tail.Add(events(50_001, 10_000))
	tail.Add(events(60_001, 1))
	check("a person", 3+1<<40, 50_001, 50_003, 59_993, 1000)
	check("a send", -7, 50_001, 50_007, 59_907, 100)
	check("nobody", 77, 50_001, 0, 0, 0)
	var older eventtail.Older
	older.Add(events(20_001, 25_000))
	older.Add(events(45_001, 5_000))
	tail.Precede(20_001, older)
	check("with older ones", 3+1<<40, 20_001, 20_003, 59_993, 4000)
	tail.DropTo(20_003)
	check("few dropped", 3+1<<40, 20_004, 20_013, 59_993, 3999)
	tail.DropTo(55_555)
	check("many dropped", 3+1<<40, 55_556, 55_563, 59_993, 444)
	tail.Add(events(1<<34, 10))
	check("far apart", 4+1<<40, 55_556, 55_564, 1<<34, 445)
	tail.DropTo(1 << 35)
	check("all dropped", 4+1<<40, 1<<35+1, 0, 0, 0)
	tail.Add(events(1<<35+1, 10))
	check("again", 9+1<<40, 1<<35+1, 1<<35+1, 1<<35+1, 1)
}
