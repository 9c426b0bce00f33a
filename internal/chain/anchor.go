package chain

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Key signs the heads of chains.
type Key struct {
	ID      string
	Private ed25519.PrivateKey
}

// NewKey makes a key from its seed of ed25519.SeedSize bytes.
func NewKey(id string, seed []byte) (Key, error) {
	if len(seed) != ed25519.SeedSize {
		return Key{}, fmt.Errorf("the seed of signing key %s has %d bytes", id, len(seed))
	}
	return Key{ID: id, Private: ed25519.NewKeyFromSeed(seed)}, nil
}

// Public is the half that verifies.
func (k Key) Public() ed25519.PublicKey { return k.Private.Public().(ed25519.PublicKey) }

// Guard authenticates the head that is stored with a chain: nobody without the key can
// move it to where he has cut the chain.
func (k Key) Guard(log Log, chain int, h Head) string {
	seed := sha256.Sum256(append([]byte("onramp head guard 1"), k.Private.Seed()...))
	mac := hmac.New(sha256.New, seed[:])
	for _, text := range []string{string(log), strconv.Itoa(chain), strconv.FormatInt(h.Number, 10), h.Hash} {
		writeText(mac, text)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// IsGuarded says whether a guard is that of a head.
func (k Key) IsGuarded(log Log, chain int, h Head, guard string) bool {
	return hmac.Equal([]byte(guard), []byte(k.Guard(log, chain, h)))
}

// Anchor is a signed head: whoever keeps it can show that the chain was rewritten or cut since.
type Anchor struct {
	Log       Log       `json:"log"`
	Chain     int       `json:"chain"`
	Number    int64     `json:"number"`
	Hash      string    `json:"hash"`
	At        time.Time `json:"at"` // to the microsecond
	Key       string    `json:"key"`
	Signature string    `json:"signature"` // Ed25519, in base64url
}

// Sign makes the anchor of a head.
func (k Key) Sign(log Log, chain int, h Head, at time.Time) Anchor {
	a := Anchor{Log: log, Chain: chain, Number: h.Number, Hash: h.Hash, At: at.UTC().Truncate(time.Microsecond), Key: k.ID}
	a.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.Private, a.message()))
	return a
}

// IsSignedBy says whether the signature is that of a key.
func (a *Anchor) IsSignedBy(public ed25519.PublicKey) bool {
	signature, err := base64.RawURLEncoding.DecodeString(a.Signature)
	return err == nil && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, a.message(), signature)
}

// message is what is signed: the label and every part with its length.
func (a *Anchor) message() []byte {
	h := sha256.New()
	for _, text := range []string{
		"onramp anchor 1", string(a.Log), strconv.Itoa(a.Chain), strconv.FormatInt(a.Number, 10), a.Hash,
		strconv.FormatInt(a.At.UnixMicro(), 10), a.Key,
	} {
		writeText(h, text)
	}
	return h.Sum(nil)
}

// maxAnchors is how many anchors a file may have: those of more than a hundred years.
const maxAnchors = 100_000

// ReadAnchors reads a file of anchors, one in a line as JSON. The error names the line, and says
// nothing of what stands there.
func ReadAnchors(data []byte) ([]Anchor, error) {
	var all []Anchor
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var a Anchor
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&a); err != nil || decoder.More() {
			return nil, fmt.Errorf("line %d is no anchor", number)
		}
		if all = append(all, a); len(all) > maxAnchors {
			return nil, fmt.Errorf("there are more than %d anchors", maxAnchors)
		}
	}
	return all, nil
}

// Line is how an anchor stands in a file.
func (a *Anchor) Line() ([]byte, error) {
	line, err := json.Marshal(a)
	return append(line, '\n'), err
}
