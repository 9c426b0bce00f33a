package personkey

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
)

// magic begins each encoded state; the last character is the version of the format.
const magic = "onramp-persons-1"

// Encode writes a state. The result is as secret as the keys: encrypt it.
func (s *State) Encode() []byte {
	b := append([]byte(magic), s.id[:]...)
	b = append(b, s.names[:]...)
	b = binary.AppendUvarint(b, uint64(s.first))
	b = binary.AppendUvarint(b, uint64(len(s.trees)))
	for _, t := range s.trees {
		b = binary.AppendUvarint(b, uint64(len(t.nodes)))
		for i := range t.nodes {
			n := &t.nodes[i]
			b = append(binary.BigEndian.AppendUint64(b, n.first), n.level)
			b = append(b, n.secret[:]...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.erased)))
	for _, d := range s.sortedErased() {
		b = binary.AppendUvarint(append(b, d[:]...), uint64(s.erased[d]))
	}
	return b
}

func (s *State) sortedErased() []digest {
	all := make([]digest, 0, len(s.erased))
	for d := range s.erased {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	return all
}

var errNotState = errors.New("these are not the keys of persons, or they are damaged")

// Decode reads what Encode has written, and nothing else: the error quotes nothing.
func Decode(b []byte) (*State, error) {
	r := reader{rest: b}
	s := &State{erased: map[digest]uint32{}}
	if string(r.take(len(magic))) != magic {
		return nil, errNotState
	}
	copy(s.id[:], r.take(len(s.id)))
	copy(s.names[:], r.take(len(s.names)))
	s.first = uint32(r.number(1<<32 - 1))
	for range r.number(1 << 16) {
		s.trees = append(s.trees, r.tree())
		if r.failed {
			return nil, errNotState
		}
	}
	var last digest
	for i := range r.number(uint64(len(r.rest) / digestSize)) {
		var d digest
		copy(d[:], r.take(digestSize))
		times := uint32(r.number(1<<32 - 1))
		if r.failed || times == 0 || i > 0 && bytes.Compare(last[:], d[:]) >= 0 {
			return nil, errNotState
		}
		s.erased[d], last = times, d
	}
	newest := uint64(s.first) + uint64(len(s.trees)) - 1
	if r.failed || len(r.rest) > 0 || s.first == 0 || len(s.trees) == 0 || newest >= 1<<32 {
		return nil, errNotState
	}
	return s, nil
}

// reader reads from a slice; once it has failed it gives zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || len(r.rest) < n {
		r.failed = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// number reads one that is at most so large.
func (r *reader) number(most uint64) uint64 {
	n, size := binary.Uvarint(r.rest)
	if r.failed || size <= 0 || n > most || size > 1 && r.rest[size-1] == 0 { // the last: not in its shortest form
		r.failed = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// nodeSize is how many bytes a node takes.
const nodeSize = 8 + 1 + len(Key{})

// tree reads a tree, and fails unless its nodes are in order and none is above another.
func (r *reader) tree() *Tree {
	n := r.number(uint64(len(r.rest) / nodeSize))
	t := &Tree{nodes: make([]node, n)}
	for i := range t.nodes {
		one := &t.nodes[i]
		b := r.take(nodeSize)
		if b == nil {
			return t
		}
		one.first, one.level = binary.BigEndian.Uint64(b), b[8]
		copy(one.secret[:], b[9:])
		below := uint64(1)<<(depth-min(one.level, depth)) - 1 // all leaves' bits below it; at the root 1<<64 is 0
		overlaps := i > 0 && (t.nodes[i-1].first >= one.first || t.nodes[i-1].covers(one.first))
		if one.level > depth || one.first&below != 0 || overlaps {
			r.failed = true
		}
	}
	return t
}
