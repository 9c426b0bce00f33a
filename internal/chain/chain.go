// Package chain is the arithmetic of append-only logs: every entry has a hash over itself
// and the hash of the entry before it, so that whoever holds a later hash can tell that
// nothing up to there was changed, removed, added or moved. Signed hashes, the anchors, are
// what somebody else can hold.
//
// What is personal in an entry stands beside it, and the chain covers only its commitment, a
// hash with a salt: it can be erased, and the chain still verifies.
package chain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"time"
)

// Log names a kind of log, such as "consent". It is part of every hash, so that an entry of one
// log is none of another.
type Log string

// The logs.
const (
	Consent Log = "consent"
	Audit   Log = "audit"
)

// Entry is one entry of a chain.
type Entry struct {
	Chain      int    // several nodes have a chain each; the first one is 1
	Number     int64  // from 1, without gaps
	At         int64  // µs since 1970, UTC
	Kind       string // what happened
	Ref        int64  // number of the entry that it completes; 0: none
	Payload    string // JSON; nothing personal
	Commitment string // of the personal part, see Commit; "": there is none
	Personal   string // see Seal; "": there is none, or it was erased
	Unreadable bool   // there is a personal part that can't be decrypted
	Hash       string // in hexadecimal
}

// Time is when it happened.
func (e *Entry) Time() time.Time { return time.UnixMicro(e.At).UTC() }

// Head is where a chain ends: the number and hash of its newest entry. The zero value is that
// of an empty chain.
type Head struct {
	Number int64  `json:"number"`
	Hash   string `json:"hash"`
}

// Sum is the hash of an entry that follows previous: SHA-256 over the label of its log, the
// previous hash, and every part of the entry, each with its length.
func (e *Entry) Sum(log Log, previous string) string {
	h := sha256.New()
	writeText(h, "onramp "+string(log)+" entry 1")
	writeText(h, previous)
	for _, n := range [...]int64{int64(e.Chain), e.Number, e.At, e.Ref} {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		_, _ = h.Write(b[:]) // a hash takes everything
	}
	for _, text := range [...]string{e.Kind, e.Payload, e.Commitment} {
		writeText(h, text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// writeText writes a text with its length: no two lists of texts look the same.
func writeText(h hash.Hash, text string) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(len(text)))
	_, _ = h.Write(b[:])
	_, _ = h.Write([]byte(text))
}

// Append makes an entry the next one of a chain: it gets its number and hash, and becomes
// the head.
func (h *Head) Append(log Log, e *Entry) {
	e.Number = h.Number + 1
	e.Hash = e.Sum(log, h.Hash)
	h.Number, h.Hash = e.Number, e.Hash
}

// sealed is a personal part with its salt, without which a hash of an address can be guessed.
type sealed struct {
	Salt string          `json:"salt"`
	Data json.RawMessage `json:"data"`
}

// Seal salts what is personal, a value that encodes as JSON, and returns the text that is stored
// and its commitment.
func Seal(data any) (personal, commitment string, err error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return "", "", err
	}
	text, err := json.Marshal(sealed{rand.Text(), raw})
	return string(text), Commit(string(text)), err
}

// Open reads what was sealed.
func Open(personal string, into any) error {
	var s sealed
	if err := json.Unmarshal([]byte(personal), &s); err != nil {
		return err
	}
	return json.Unmarshal(s.Data, into)
}

// Commit is the commitment of a personal part.
func Commit(personal string) string {
	h := sha256.New()
	writeText(h, "onramp personal part 1")
	writeText(h, personal)
	return hex.EncodeToString(h.Sum(nil))
}
