package chain_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"onramp/internal/chain"
)

// An anchor reads back as it was written, and is signed by its key alone.
func TestAnchorLine(t *testing.T) {
	t.Parallel()
	key, other := newKey(t, "a", 1), newKey(t, "a", 2)
	a := key.Sign(chain.Audit, 1, chain.Head{Number: 7, Hash: "ab"}, time.Date(2026, 6, 1, 0, 0, 0, 1999, time.UTC))
	line, err := a.Line()
	if err != nil {
		t.Fatal(err)
	}
	read, err := chain.ReadAnchors(append([]byte("\n"), line...))
	if err != nil || len(read) != 1 || read[0] != a {
		t.Fatal(read, err)
	}
	if !read[0].IsSignedBy(key.Public()) || read[0].IsSignedBy(other.Public()) || read[0].IsSignedBy(nil) {
		t.Error("the signature does not tell the keys apart")
	}
}

func newKey(t testing.TB, id string, fill byte) chain.Key {
	t.Helper()
	key, err := chain.NewKey(id, bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The parts of an entry can't be shifted into each other, and an entry of one log is none of another.
func TestSum(t *testing.T) {
	t.Parallel()
	entries := []chain.Entry{{Kind: "a", Payload: "b"}, {Kind: "ab"}, {Payload: "ab"}, {Commitment: "ab"}, {Number: 1}, {At: 1}, {Ref: 1}, {Chain: 1}}
	var sums []string
	for _, e := range entries {
		sums = append(sums, e.Sum(chain.Audit, ""), e.Sum(chain.Consent, ""), e.Sum(chain.Audit, "x"))
	}
	slices.Sort(sums)
	if all := len(sums); len(slices.Compact(sums)) != all {
		t.Error("two entries have the same hash")
	}
}

// Two personal parts that are equal have commitments that tell nothing of that.
func TestSeal(t *testing.T) {
	t.Parallel()
	type person struct{ Name string }
	one, first, err := chain.Seal(person{"Ana"})
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := chain.Seal(person{"Ana"})
	if err != nil || first == second || strings.Contains(first, "Ana") {
		t.Error(first, second, err)
	}
	var read person
	if err := chain.Open(one, &read); err != nil || read.Name != "Ana" {
		t.Error(read, err)
	}
}

// FuzzReadAnchors: what is read of a file can be written and read again.
func FuzzReadAnchors(f *testing.F) {
	f.Add([]byte(`{"log":"audit","chain":1,"number":7,"hash":"ab","at":"2026-06-01T00:00:00Z","key":"a","signature":"x"}`))
	f.Add([]byte("{}\n\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		anchors, err := chain.ReadAnchors(data)
		for i := range anchors {
			anchors[i].IsSignedBy(nil)
			line, lineErr := anchors[i].Line()
			if lineErr != nil {
				continue // a year that JSON does not have
			}
			again, readErr := chain.ReadAnchors(line)
			if readErr != nil || len(again) != 1 || err == nil && !again[0].At.Equal(anchors[i].At) {
				t.Fatal(again, readErr)
			}
		}
	})
}
