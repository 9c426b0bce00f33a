package personkey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
)

// digestSize is how many bytes stand for a person: two persons share a digest as good as
// never.
const digestSize = 16

type digest [digestSize]byte

// State is all that is kept of the keys of a database: one tree, or several while what is
// encrypted moves from one to the next; the secret that maps persons to leaves; and who
// was erased, how often. A person who comes back after an erasure gets another leaf.
//
// It may be read by several goroutines at once, while nobody changes it. Clone one to
// change it.
type State struct {
	id     [16]byte
	names  Key               // maps persons to leaves
	first  uint32            // the number of the first tree; older ones are retired
	trees  []*Tree           // by number, from first on
	erased map[digest]uint32 // how often: the next key's generation
}

// NewState makes a state with one tree and nobody erased.
func NewState() *State {
	s := &State{first: 1, trees: []*Tree{NewTree()}, erased: map[digest]uint32{}}
	_, _ = rand.Read(s.id[:])
	_, _ = rand.Read(s.names[:])
	return s
}

// ID tells the states of one database from those of another. It is not secret.
func (s *State) ID() string { return hex.EncodeToString(s.id[:]) }

// Newest is the number of the tree whose keys encrypt.
func (s *State) Newest() uint32 { return s.first + uint32(len(s.trees)) - 1 }

// Oldest is the number of the oldest tree whose keys still decrypt.
func (s *State) Oldest() uint32 { return s.first }

// Erased is how many erasures the state knows.
func (s *State) Erased() (n int) {
	for _, times := range s.erased {
		n += int(times)
	}
	return n
}

// Nodes is how many secrets the trees keep: some 50 for each erased person.
func (s *State) Nodes() (n int) {
	for _, t := range s.trees {
		n += t.Nodes()
	}
	return n
}

func (s *State) digestOf(person string) (d digest) {
	mac := hmac.New(sha256.New, s.names[:])
	mac.Write([]byte("person\x00" + person))
	copy(d[:], mac.Sum(nil))
	return d
}

// leaf is that of a person's key of a generation.
func (s *State) leaf(d digest, generation uint32) Leaf {
	mac := hmac.New(sha256.New, s.names[:])
	mac.Write(binary.BigEndian.AppendUint32(append([]byte("leaf\x00"), d[:]...), generation))
	return Leaf(binary.BigEndian.Uint64(mac.Sum(nil)))
}

// Leaf is the leaf of a person's present key, in each of the trees. Whoever lacks the state
// can't tell whose it is.
func (s *State) Leaf(person string) Leaf {
	d := s.digestOf(person)
	generation := s.erased[d]
	leaf := s.leaf(d, generation)
	for !s.Has(leaf) { // it is that of an erased person: one in some billions
		generation++
		leaf = s.leaf(d, generation)
	}
	return leaf
}

// WasErased says whether a person was ever erased.
func (s *State) WasErased(person string) bool { return s.erased[s.digestOf(person)] > 0 }

var errRetired = errors.New("it was encrypted with a key that was retired")

// Key derives the key of a leaf of a tree. The error is [ErrDestroyed] when it was destroyed.
func (s *State) Key(tree uint32, leaf Leaf) (Key, error) {
	if tree < s.first || tree > s.Newest() {
		return Key{}, errRetired
	}
	return s.trees[tree-s.first].Key(leaf)
}

// Has says whether the newest tree has the key of a leaf.
func (s *State) Has(leaf Leaf) bool { return s.trees[len(s.trees)-1].Has(leaf) }

// Destroy destroys a person's present key, in all trees. The next one is another.
func (s *State) Destroy(person string) {
	leaf := s.Leaf(person)
	for _, t := range s.trees {
		t.Destroy(leaf)
	}
	s.erased[s.digestOf(person)]++
}

// Tombstone says of a person, whom nobody can name without the state, how often they were
// erased.
type Tombstone struct {
	Digest string // hexadecimal
	Times  uint32
}

// Tombstone is that of a person; Times is 0 when they were never erased.
func (s *State) Tombstone(person string) Tombstone {
	d := s.digestOf(person)
	return Tombstone{hex.EncodeToString(d[:]), s.erased[d]}
}

// Bury destroys the keys that a tombstone says were destroyed, and says whether it had to:
// then the state is an older copy than the one that the tombstone was made with.
func (s *State) Bury(t Tombstone) (destroyed bool, err error) {
	var d digest
	if len(t.Digest) != 2*len(d) {
		return false, errNotState
	}
	if _, err := hex.Decode(d[:], []byte(t.Digest)); err != nil {
		return false, errNotState
	}
	for generation := s.erased[d]; generation < t.Times; generation++ {
		for _, tree := range s.trees {
			tree.Destroy(s.leaf(d, generation))
		}
		s.erased[d], destroyed = generation+1, true
	}
	return destroyed, nil
}

// Rotate adds a tree, whose keys encrypt from now on. Nobody is erased in it, and it is as
// small as the first one was.
func (s *State) Rotate() { s.trees = append(s.trees, NewTree()) }

// Retire forgets all trees but the newest: what they have encrypted can't be decrypted any
// more, also in older backups.
func (s *State) Retire() {
	s.first, s.trees = s.Newest(), s.trees[len(s.trees)-1:]
}

// Merge takes in what another copy of the state knows, newer or older: what either has
// destroyed or retired is so, and what either has added stays. Afterwards the state is at
// least as new as both. The state of another database is an error, and changes nothing.
func (s *State) Merge(other *State) error {
	if s.id != other.id || s.names != other.names {
		return errOther
	}
	merged := s.Clone()
	merged.first = max(s.first, other.first)
	merged.trees = nil
	for d, times := range other.erased {
		merged.erased[d] = max(merged.erased[d], times)
	}
	for number := merged.first; number <= max(s.Newest(), other.Newest()); number++ {
		tree, err := merged.mergeTree(number, s, other)
		if err != nil {
			return err
		}
		merged.trees = append(merged.trees, tree)
	}
	*s = *merged
	return nil
}

// mergeTree makes a tree of what one copy or both have of it.
func (s *State) mergeTree(number uint32, one, other *State) (*Tree, error) {
	mine, theirs := one.tree(number), other.tree(number)
	switch {
	case mine == nil:
		return s.destroySince(other, theirs.Clone()), nil
	case theirs == nil:
		return s.destroySince(one, mine.Clone()), nil
	}
	mine = mine.Clone()
	return mine, mine.Intersect(theirs)
}

// destroySince destroys in a tree that only one of the copies had what it did not know yet
// to be destroyed.
func (s *State) destroySince(had *State, t *Tree) *Tree {
	for d, times := range s.erased {
		for generation := had.erased[d]; generation < times; generation++ {
			t.Destroy(s.leaf(d, generation))
		}
	}
	return t
}

// tree is nil when there is none of this number.
func (s *State) tree(number uint32) *Tree {
	if number < s.first || number > s.Newest() {
		return nil
	}
	return s.trees[number-s.first]
}

// Clone copies a state.
func (s *State) Clone() *State {
	c := *s
	c.erased = maps.Clone(s.erased)
	c.trees = slices.Clone(s.trees)
	for i, t := range c.trees {
		c.trees[i] = t.Clone()
	}
	return &c
}
