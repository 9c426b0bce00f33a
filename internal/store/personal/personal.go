// Package personal encrypts what a database holds of persons, with a key of each person's
// own that can be destroyed: see package personkey.
//
// A text is encrypted with AES-256-GCM under the person's key, which encrypts nothing else,
// and a random nonce of 96 bits. One key may encrypt some 2³² texts before two nonces are
// likely enough to meet (NIST SP 800-38D, section 8.3); of one person there are some
// thousands, which leaves a chance below 2⁻⁷⁰, so that longer nonces would only cost time.
// The place of a text, such as "registration/0f…/data", is authenticated with it: no text
// can be put in another's place.
package personal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"onramp/internal/personkey"
)

// ErrErased says that a text can't be read any more, since its person was erased.
var ErrErased = personkey.ErrDestroyed

// errDamaged says nothing of the text.
var errDamaged = errors.New("it is damaged, or was encrypted with other keys or for another record")

// Cipher encrypts the state of the keys; see the store's Cipher.
type Cipher interface {
	Encrypt(plain []byte, about string) (string, error)
	Decrypt(text, about string) ([]byte, error)
}

// stateAs ties an encrypted state to its purpose.
const stateAs = "persons"

// ReadState decrypts the state of the keys as [Vault.State] gives it.
func ReadState(c Cipher, text string) (*personkey.State, error) {
	plain, err := c.Decrypt(strings.TrimSpace(text), stateAs)
	if err != nil {
		return nil, err
	}
	return personkey.Decode(plain)
}

// WriteState encrypts the state of the keys.
func WriteState(c Cipher, s *personkey.State) (string, error) {
	return c.Encrypt(s.Encode(), stateAs)
}

// Vault encrypts and decrypts texts of persons. It can be used by several goroutines at
// once.
type Vault struct {
	text bool // the database takes no binary values in columns of texts

	mu    sync.RWMutex
	state *personkey.State
	keys  cache
}

// NewVault makes a vault. With text, what it encrypts is base64, for databases whose columns
// of texts hold nothing else.
func NewVault(s *personkey.State, text bool) *Vault {
	return &Vault{text: text, state: s}
}

// State is the present state, which nobody changes any more.
func (v *Vault) State() *personkey.State {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state
}

// SetState has the vault go on with another state, and forget the keys of the one before.
func (v *Vault) SetState(s *personkey.State) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state = s
	v.keys.forget()
}

// Leaf is that of a person's present key. Letters count in any case, as in subscriber keys.
func (v *Vault) Leaf(person string) personkey.Leaf {
	return v.State().Leaf(Fold(person))
}

// Fold is what stands for a person: Marketing Cloud compares subscriber keys, and addresses,
// without regard to case.
func Fold(person string) string { return strings.ToLower(person) }

// An encrypted value is a header, the nonce, and what AES-GCM makes of the text: of a zero,
// which no text in the database begins with, the version, the number of the tree, and the
// leaf. Where only texts can be stored, it is textMark and base64 of the same.
const (
	version    = 1
	headerSize = 1 + 1 + 4 + 8
	nonceSize  = 12
	tagSize    = 16
	overhead   = headerSize + nonceSize + tagSize
)

const (
	textMark  = "\x01onramp1"
	encrypted = textMark + ":"
	verbatim  = textMark + "=" // what follows is a clear text that began like an encrypted one
)

// Seal encrypts a text for its place in the database. The value is for a column of texts. The
// error is [ErrErased] when the person's key was destroyed.
func (v *Vault) Seal(leaf personkey.Leaf, plain []byte, place string) (any, error) {
	v.mu.RLock()
	tree := v.state.Newest()
	v.mu.RUnlock()
	key, err := v.key(tree, leaf)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, overhead+len(plain))
	b = append(b, 0, version)
	b = binary.BigEndian.AppendUint32(b, tree)
	b = binary.BigEndian.AppendUint64(b, uint64(leaf))
	b = b[:headerSize+nonceSize]
	_, _ = rand.Read(b[headerSize:]) // it never fails: since Go 1.24 it ends the program instead
	b = key.Seal(b, b[headerSize:], plain, about(b[:headerSize], place))
	if !v.text {
		return b, nil
	}
	return encrypted + base64.StdEncoding.EncodeToString(b), nil
}

// about is what is authenticated beside a text.
func about(header []byte, place string) []byte {
	return append(append(make([]byte, 0, headerSize+len(place)), header...), place...)
}

// Clear is the value for a text that is not to be encrypted.
func Clear(text string) string {
	if strings.HasPrefix(text, textMark) {
		return verbatim + text
	}
	return text
}

// IsSealed says whether a value from the database is an encrypted one.
func IsSealed(value []byte) bool {
	return len(value) > 0 && (value[0] == 0 || bytes.HasPrefix(value, []byte(encrypted)))
}

// Open decrypts a value, or returns one that is a clear text as it is. The leaf is that of
// its person's key, 0 of a clear text; it is known also when the text can't be read. The error is
// [ErrErased] when the person's key was destroyed.
func (v *Vault) Open(value []byte, place string) (plain []byte, leaf personkey.Leaf, err error) {
	if rest, found := bytes.CutPrefix(value, []byte(verbatim)); found {
		return rest, 0, nil
	}
	if !IsSealed(value) {
		return value, 0, nil
	}
	if value[0] != 0 {
		if value, err = base64.StdEncoding.Strict().AppendDecode(nil, value[len(encrypted):]); err != nil {
			return nil, 0, fmt.Errorf("decrypt %s: %w", place, errDamaged)
		}
	}
	if len(value) < overhead || value[1] != version {
		return nil, 0, fmt.Errorf("decrypt %s: %w", place, errDamaged)
	}
	if v == nil {
		return nil, 0, fmt.Errorf("decrypt %s: %w", place, errNoKeys)
	}
	header, nonce, sealed := value[:headerSize], value[headerSize:headerSize+nonceSize], value[headerSize+nonceSize:]
	leaf = personkey.Leaf(binary.BigEndian.Uint64(header[6:]))
	key, err := v.key(binary.BigEndian.Uint32(header[2:]), leaf)
	if err != nil {
		return nil, leaf, fmt.Errorf("decrypt %s: %w", place, err)
	}
	if plain, err = key.Open(make([]byte, 0, len(sealed)), nonce, sealed, about(header, place)); err != nil {
		return nil, leaf, fmt.Errorf("decrypt %s: %w", place, errDamaged)
	}
	return plain, leaf, nil
}

var errNoKeys = errors.New("the database was opened without the keys of persons")

// Tree is the number of the tree that a value was encrypted with; 0: it is a clear text.
func Tree(value []byte) uint32 {
	tree, _ := readHeader(value)
	return tree
}

// LeafOf is the leaf of the person's key that a value was encrypted with, of which its first 48
// bytes are enough; 0: it is a clear text.
func LeafOf(value []byte) personkey.Leaf {
	_, leaf := readHeader(value)
	return leaf
}

func readHeader(value []byte) (tree uint32, leaf personkey.Leaf) {
	if rest, isText := bytes.CutPrefix(value, []byte(encrypted)); isText {
		var head [15]byte
		if n, err := base64.StdEncoding.Decode(head[:], rest[:min(len(rest), 20)]); err != nil || n < headerSize {
			return 0, 0
		}
		value = head[:]
	}
	if len(value) < headerSize || value[0] != 0 {
		return 0, 0
	}
	return binary.BigEndian.Uint32(value[2:]), personkey.Leaf(binary.BigEndian.Uint64(value[6:]))
}

// place is where a key stands in the trees.
type place struct {
	tree uint32
	leaf personkey.Leaf
}

// cacheSize is how many keys are remembered, twice: a registration's is used again when it
// is sent, some milliseconds later. A key with its tables takes about a kilobyte.
const cacheSize = 1024

// cache remembers the keys that were used last, of two generations.
type cache struct {
	mu         sync.Mutex
	young, old map[place]cipher.AEAD
}

func (c *cache) find(at place) cipher.AEAD {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := c.young[at]
	if key == nil {
		if key = c.old[at]; key != nil {
			c.add(at, key)
		}
	}
	return key
}

func (c *cache) add(at place, key cipher.AEAD) {
	if c.young == nil || len(c.young) >= cacheSize {
		c.young, c.old = make(map[place]cipher.AEAD, cacheSize), c.young
	}
	c.young[at] = key
}

func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = nil, nil
}

// key derives a person's key, unless it is remembered.
func (v *Vault) key(tree uint32, leaf personkey.Leaf) (cipher.AEAD, error) {
	at := place{tree, leaf}
	v.mu.RLock() // also while it is remembered: a key that is destroyed meanwhile must not be
	defer v.mu.RUnlock()
	if key := v.keys.find(at); key != nil {
		return key, nil
	}
	secret, err := v.state.Key(tree, leaf)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		return nil, err
	}
	key, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	v.keys.mu.Lock()
	v.keys.add(at, key)
	v.keys.mu.Unlock()
	return key, nil
}

// Has says whether something can be encrypted for the key at a leaf.
func (v *Vault) Has(leaf personkey.Leaf) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Has(leaf)
}
