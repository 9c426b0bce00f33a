// Package personkey derives a key for each person from one secret, such that the key of
// one person can be destroyed: afterwards nobody can derive it any more, whatever else
// they have, and all others are what they were.
//
// The keys are the leaves of a binary tree of secrets, in which each secret is a hash of
// the one above it (Goldreich, Goldwasser, Micali: How to Construct Random Functions,
// 1986). At first only the root is kept. To destroy a leaf, the one kept secret above it is
// replaced by those of the siblings along the way down: all other leaves are below
// one of these, and nothing leads to the leaf itself. This is a puncturable pseudorandom
// function, as three papers of 2013 found independently: Boneh and Waters; Boyle,
// Goldwasser and Ivan; Kiayias, Papadopoulos, Triandopoulos and Zacharias.
//
// So what is kept is small, changes only when a key is destroyed, and lives apart from the
// data: a copy of the data holds no keys, and becomes unreadable for a person once the
// newest state, and no older one, is all that is left of the tree.
package personkey

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
)

// depth is how many levels the tree has below its root: leaves have 64 bits.
const depth = 64

// Leaf is the place of a person's key in a tree.
type Leaf uint64

// Key is the secret at a leaf.
type Key [32]byte

// ErrDestroyed says that a key was destroyed, and with it what it encrypts.
var ErrDestroyed = errors.New("the key of this person was destroyed")

// Tree holds what is needed to derive the keys that were not destroyed. The zero value
// has none. It may be read by several goroutines at once, while nobody changes it.
type Tree struct {
	nodes []node // in the order of their leaves; none is above another
}

// node is a secret that is kept: the leaves below it are those that begin with the same
// bits as first, as many as it has levels above it.
type node struct {
	first  uint64 // the lowest leaf below it
	level  uint8  // 0: the root
	secret Key
}

// covers says whether a leaf is below the node.
func (n *node) covers(leaf uint64) bool {
	return (leaf^n.first)>>(depth-n.level) == 0 // Go shifts everything out at the root
}

// NewTree makes a tree with a random root.
func NewTree() *Tree {
	root := node{}
	_, _ = rand.Read(root.secret[:]) // it never fails: since Go 1.24 it ends the program instead
	return &Tree{[]node{root}}
}

// The labels keep apart what is made of a secret. With a label, the input is short enough
// for one block of SHA-256.
const (
	labelChild = "onramp person node 1"
	labelLeaf  = "onramp person leaf 1"
)

// child is the secret one level down, on the left or the right.
func child(secret *Key, right uint64) Key {
	var input [len(labelChild) + len(Key{}) + 1]byte
	copy(input[:], labelChild)
	copy(input[len(labelChild):], secret[:])
	input[len(input)-1] = byte(right)
	return sha256.Sum256(input[:])
}

// find returns the kept node above a leaf; nil: it was destroyed.
func (t *Tree) find(leaf uint64) (i int, n *node) {
	i, found := slices.BinarySearchFunc(t.nodes, leaf, func(n node, leaf uint64) int { return cmp.Compare(n.first, leaf) })
	if !found {
		i-- // the last one that begins before the leaf
	}
	if i < 0 || !t.nodes[i].covers(leaf) {
		return i, nil
	}
	return i, &t.nodes[i]
}

// Key derives the key of a leaf, by at most 65 hashes. The error is [ErrDestroyed].
func (t *Tree) Key(leaf Leaf) (Key, error) {
	_, n := t.find(uint64(leaf))
	if n == nil {
		return Key{}, ErrDestroyed
	}
	secret := n.secret
	for level := n.level; level < depth; level++ {
		secret = child(&secret, uint64(leaf)>>(depth-1-level)&1)
	}
	// not the leaf's secret itself, so that no key is ever also a node
	var input [len(labelLeaf) + len(Key{})]byte
	copy(input[:], labelLeaf)
	copy(input[len(labelLeaf):], secret[:])
	return sha256.Sum256(input[:]), nil
}

// Has says whether the key of a leaf can be derived.
func (t *Tree) Has(leaf Leaf) bool {
	_, n := t.find(uint64(leaf))
	return n != nil
}

// Destroy makes the key of a leaf underivable, and says whether it was not yet. At most
// 64 nodes take the place of one.
func (t *Tree) Destroy(leaf Leaf) bool {
	i, n := t.find(uint64(leaf))
	if n == nil {
		return false
	}
	at := *n
	var left, right []node // siblings on either side of the way down
	for at.level < depth {
		bit := uint64(1) << (depth - 1 - at.level)
		on := uint64(leaf) & bit
		zero := node{at.first, at.level + 1, child(&at.secret, 0)}
		one := node{at.first | bit, at.level + 1, child(&at.secret, 1)}
		if on == 0 {
			at, right = zero, append(right, one)
		} else {
			at, left = one, append(left, zero)
		}
	}
	slices.Reverse(right) // the nearest to the leaf comes first
	next := make([]node, 0, len(t.nodes)-1+len(left)+len(right))
	next = append(append(append(append(next, t.nodes[:i]...), left...), right...), t.nodes[i+1:]...)
	clear(t.nodes) // the old secrets don't stay in memory
	t.nodes = next
	return true
}

// errOther says that two trees have different secrets.
var errOther = errors.New("the states belong to different keys")

// Intersect leaves the keys that both trees can derive: what either has destroyed is
// destroyed. Trees of different roots are an error.
func (t *Tree) Intersect(other *Tree) error {
	var kept []node
	for _, pair := range [2][2]*Tree{{t, other}, {other, t}} {
		for i := range pair[0].nodes {
			n := &pair[0].nodes[i]
			_, above := pair[1].find(n.first)
			if above == nil || above.level > n.level {
				continue // destroyed there, or the nodes below it are kept from there
			}
			if descend(above, n) != n.secret {
				return errOther
			}
			if above.level < n.level || pair[0] == t { // the same node is in both: once
				kept = append(kept, *n)
			}
		}
	}
	slices.SortFunc(kept, func(a, b node) int { return cmp.Compare(a.first, b.first) })
	t.nodes = kept
	return nil
}

// descend derives the secret of a node from one above it.
func descend(from, to *node) Key {
	secret := from.secret
	for level := from.level; level < to.level; level++ {
		secret = child(&secret, to.first>>(depth-1-level)&1)
	}
	return secret
}

// Nodes is how many secrets are kept.
func (t *Tree) Nodes() int { return len(t.nodes) }

// Clone copies a tree, so that one can be changed while the other is read.
func (t *Tree) Clone() *Tree { return &Tree{slices.Clone(t.nodes)} }
