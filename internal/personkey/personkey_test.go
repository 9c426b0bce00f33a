package personkey_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"onramp/internal/personkey"
)

// leaves are some near each other and some far apart.
func leaves() *rapid.Generator[[]personkey.Leaf] {
	return rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) personkey.Leaf {
		if rapid.Bool().Draw(t, "near") {
			return personkey.Leaf(rapid.Uint64Range(0, 31).Draw(t, "leaf"))
		}
		return personkey.Leaf(rapid.Uint64().Draw(t, "leaf"))
	}), func(l personkey.Leaf) personkey.Leaf { return l })
}

func key(t interface{ Fatal(...any) }, tree *personkey.Tree, leaf personkey.Leaf) personkey.Key {
	k, err := tree.Key(leaf)
	if err != nil {
		t.Fatal(leaf, err)
	}
	return k
}

// What is destroyed can't be derived; all else is what it was, in whatever order.
func TestDestroy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := personkey.NewTree()
		all := leaves().Draw(t, "leaves")
		n := rapid.IntRange(0, len(all)).Draw(t, "destroyed")
		one, other := whole.Clone(), whole.Clone()
		for i := range n {
			if !one.Destroy(all[i]) || one.Destroy(all[i]) {
				t.Fatal("the first time destroys, the second one does not")
			}
			other.Destroy(all[n-1-i])
		}
		for i, leaf := range all {
			for _, tree := range []*personkey.Tree{one, other} {
				got, err := tree.Key(leaf)
				switch {
				case i < n && (!errors.Is(err, personkey.ErrDestroyed) || got != personkey.Key{} || tree.Has(leaf)):
					t.Fatalf("leaf %x: got %v, want ErrDestroyed", leaf, err)
				case i >= n && (err != nil || got != key(t, whole, leaf)):
					t.Fatalf("leaf %x has another key, %v", leaf, err)
				}
			}
		}
		if one.Nodes() != other.Nodes() || one.Nodes() > 64*n+1 {
			t.Fatalf("%d and %d nodes after %d", one.Nodes(), other.Nodes(), n)
		}
	})
}

// Two persons' keys differ, and a key is none of the secrets that are kept.
func TestKeysDiffer(t *testing.T) {
	t.Parallel()
	tree, seen := personkey.NewTree(), map[personkey.Key]bool{}
	for leaf := range personkey.Leaf(1000) {
		for _, l := range []personkey.Leaf{leaf, leaf << 40, ^leaf} {
			if k := key(t, tree, l); seen[k] && l != 0 {
				t.Fatalf("leaf %x has the key of another one", l)
			} else {
				seen[k] = true
			}
		}
	}
}

// A tree of one format keeps its keys for ever.
func TestFixedKeys(t *testing.T) {
	t.Parallel()
	b := append([]byte("onramp-persons-1"), bytes.Repeat([]byte{1}, 16+32)...)
	b = append(b, 1, 1, 1)                                                    // first, one tree, one node
	b = append(append(b, make([]byte, 9)...), bytes.Repeat([]byte{2}, 32)...) // the root
	s, err := personkey.Decode(append(b, 0))
	if err != nil {
		t.Fatal(err)
	}
	leaf := s.Leaf("ana@example.org")
	k, err := s.Key(1, leaf)
	got := fmt.Sprintf("%016x %x %v", uint64(leaf), k[:8], err)
	if want := fixedKey; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

const fixedKey = "f6a11657ba85c4ef eb9d020e21f9bbec <nil>"

// Intersected, both know what either has destroyed, whichever way round.
func TestIntersect(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := personkey.NewTree()
		a, b := whole.Clone(), whole.Clone()
		all := leaves().Draw(t, "leaves")
		by := make([]int, len(all))
		for i, leaf := range all {
			by[i] = rapid.IntRange(0, 3).Draw(t, "destroyed by")
			if by[i]&1 != 0 {
				a.Destroy(leaf)
			}
			if by[i]&2 != 0 {
				b.Destroy(leaf)
			}
		}
		ab, ba := a.Clone(), b.Clone()
		if err := errors.Join(ab.Intersect(b), ba.Intersect(a)); err != nil {
			t.Fatal(err)
		}
		for i, leaf := range all {
			for _, tree := range []*personkey.Tree{ab, ba} {
				if tree.Has(leaf) != (by[i] == 0) {
					t.Fatalf("leaf %x, destroyed by %d: it has the key: %v", leaf, by[i], tree.Has(leaf))
				}
				if by[i] == 0 && key(t, tree, leaf) != key(t, whole, leaf) {
					t.Fatalf("leaf %x has another key", leaf)
				}
			}
		}
		if err := ab.Intersect(personkey.NewTree()); err == nil && ab.Nodes() > 0 {
			t.Fatal("trees of different roots were intersected")
		}
	})
}

// step is something that happens to a state.
type step struct {
	what   string
	person string
}

func steps() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			rapid.SampledFrom([]string{"destroy", "destroy", "destroy", "rotate", "retire"}).Draw(t, "what"),
			rapid.SampledFrom([]string{"ana", "bea", "cleo"}).Draw(t, "person"),
		}
	}), 0, 6)
}

func take(s *personkey.State, all []step) {
	for _, one := range all {
		switch one.what {
		case "destroy":
			s.Destroy(one.person)
		case "rotate":
			s.Rotate()
		case "retire":
			s.Retire()
		}
	}
}

// A state is read as it was written.
func TestEncode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := personkey.NewState()
		take(s, steps().Draw(t, "steps"))
		read, err := personkey.Decode(s.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(read.Encode(), s.Encode()) || read.ID() != s.ID() || read.Erased() != s.Erased() {
			t.Fatal("it was read as another one")
		}
		for _, person := range []string{"ana", "bea", "cleo", "dora"} {
			if read.Leaf(person) != s.Leaf(person) || read.WasErased(person) != s.WasErased(person) {
				t.Fatal(person, "has another leaf")
			}
		}
	})
}

// Whatever two copies of a state went through apart, merged they have destroyed what
// either has, and encrypt for who comes back with a key that neither has destroyed.
func TestMerge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := personkey.NewState()
		used := map[string]personkey.Leaf{}
		for _, person := range []string{"ana", "bea", "cleo"} {
			used[person] = s.Leaf(person)
		}
		newer, older := s.Clone(), s.Clone()
		take(newer, steps().Draw(t, "newer"))
		for _, one := range steps().Draw(t, "older") {
			if one.what == "destroy" { // only one place rotates
				older.Destroy(one.person)
			}
		}
		forth, back := newer.Clone(), older.Clone()
		if err := errors.Join(forth.Merge(older), back.Merge(newer)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(forth.Encode(), back.Encode()) {
			t.Fatal("which one is merged into the other makes a difference")
		}
		for tree := s.Oldest(); tree <= newer.Newest(); tree++ {
			for person, leaf := range used {
				_, errNewer := newer.Key(tree, leaf)
				_, errOlder := older.Key(older.Newest(), leaf) // all of its trees have destroyed the same
				_, err := forth.Key(tree, leaf)
				if errNewer == nil && newer.Leaf(person) != leaf {
					continue // destroyed before the tree was added: it has never encrypted anything with this key
				}
				if lost := errNewer != nil || errOlder != nil; (err != nil) != lost {
					t.Fatalf("tree %d, leaf %x: got %v; apart %v, %v", tree, leaf, err, errNewer, errOlder)
				}
			}
		}
		for _, person := range []string{"ana", "bea", "cleo"} {
			if _, err := forth.Key(forth.Newest(), forth.Leaf(person)); err != nil {
				t.Fatal("nothing can be encrypted for", person, err)
			}
			if forth.WasErased(person) != (newer.WasErased(person) || older.WasErased(person)) {
				t.Fatal(person, "was erased, or was not")
			}
		}
	})
}

// The state of another database is refused, and changes nothing.
func TestMergeOther(t *testing.T) {
	t.Parallel()
	s, other := personkey.NewState(), personkey.NewState()
	before := s.Encode()
	if err := s.Merge(other); err == nil || !bytes.Equal(before, s.Encode()) {
		t.Errorf("got %v, and the state is the same: %v", err, bytes.Equal(before, s.Encode()))
	}
}

// Who comes back has a new key; what the old one has encrypted stays unreadable, also
// under the trees that are added later.
func TestComeBack(t *testing.T) {
	t.Parallel()
	s := personkey.NewState()
	ana, bea := s.Leaf("ana"), s.Leaf("bea")
	s.Rotate()
	s.Destroy("ana")
	if _, err := s.Key(1, s.Leaf("ana")); s.Leaf("ana") == ana || err != nil || !s.WasErased("ana") || s.WasErased("bea") {
		t.Errorf("ana's leaf was %x and is %x, %v", ana, s.Leaf("ana"), err)
	}
	for tree := range uint32(2) {
		_, errAna := s.Key(tree+1, ana)
		_, errBea := s.Key(tree+1, bea)
		if !errors.Is(errAna, personkey.ErrDestroyed) || errBea != nil {
			t.Errorf("tree %d: ana %v, bea %v", tree+1, errAna, errBea)
		}
	}
	s.Retire()
	if _, err := s.Key(1, bea); err == nil {
		t.Error("a retired tree has keys")
	}
}

// An older copy learns from a tombstone what the newer one has destroyed.
func TestBury(t *testing.T) {
	t.Parallel()
	s := personkey.NewState()
	ana, bea := s.Leaf("ana"), s.Leaf("bea")
	older := s.Clone()
	s.Destroy("ana")
	s.Destroy("ana")
	stone := s.Tombstone("ana")
	for _, want := range []bool{true, false} {
		if got, err := older.Bury(stone); got != want || err != nil {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	}
	if !bytes.Equal(older.Encode(), s.Encode()) {
		t.Error("the older copy is not what the newer one is")
	}
	_, errAna := older.Key(1, ana)
	_, errBea := older.Key(1, bea)
	if !errors.Is(errAna, personkey.ErrDestroyed) || errBea != nil {
		t.Errorf("ana %v, bea %v", errAna, errBea)
	}
	for _, digest := range []string{"", "ana", stone.Digest + "00", stone.Digest[2:]} {
		if _, err := older.Bury(personkey.Tombstone{Digest: digest, Times: 9}); err == nil {
			t.Errorf("the digest %q was taken", digest)
		}
	}
}

func FuzzDecode(f *testing.F) {
	s := personkey.NewState()
	f.Add(s.Encode())
	take(s, []step{{"destroy", "ana"}, {"rotate", ""}, {"destroy", "bea"}})
	f.Add(s.Encode())
	f.Add([]byte("onramp-persons-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := personkey.Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Encode(), b) {
			t.Error("two texts are read as the same state")
		}
		clone := s.Clone()
		if err := clone.Merge(s); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkKey(b *testing.B) {
	tree := personkey.NewTree()
	for i := 0; b.Loop(); i++ {
		if _, err := tree.Key(personkey.Leaf(i) * 0x9e3779b97f4a7c15); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLeaf(b *testing.B) {
	s := personkey.NewState()
	for b.Loop() {
		_ = s.Leaf("ana.fernandez@example.org")
	}
}
