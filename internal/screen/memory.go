package screen

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/email"
	"onramp/internal/onramp"
)

// Keeper keeps what was used, over a restart and for other nodes.
type Keeper interface {
	// LoadScreenKey returns the key that SaveScreenKey was given first, nil if there is none.
	LoadScreenKey(ctx context.Context) ([]byte, error)
	// SaveScreenKey keeps a key unless there is one, and returns the one that is kept.
	SaveScreenKey(ctx context.Context, key []byte) ([]byte, error)
	// SaveUses adds uses of a node, and removes what can be forgotten.
	SaveUses(ctx context.Context, node string, uses []onramp.Use) error
	// ListUses lists what nodes have saved after a place, the oldest first, and how far
	// that is; without leaves out those of one node, "": of none.
	ListUses(ctx context.Context, after int64, without string) (uses []onramp.Use, to int64, err error)
}

// Memory is what screening remembers whatever the configuration: it is made once in a
// process, and bounded. It is safe for concurrent use.
type Memory struct {
	kept Keeper
	log  *slog.Logger
	now  func() time.Time
	node string // by which other nodes know what is from here

	hashing  [16]byte // before what is hashed
	stamping []byte   // key of the MAC of times; nil until open
	proving  []byte   // key of the MAC of challenges

	addresses, persons, forms buckets

	spent     spent
	identical identical
	domains   domains

	opened atomic.Bool
	merged int64 // how far the uses of the others are known

	mu     sync.Mutex
	meters map[string]*meter // by form
}

const (
	longestPeriod = 24 * time.Hour // of a limit
	saveEvery     = 5 * time.Second
	mostSaved     = 200 // buckets, of each kind, each time
	saveWithin    = 3 * time.Second
)

// NewMemory makes an empty memory. Its key and what was used before the process began are
// read when the first Gate needs them.
func NewMemory(kept Keeper, log *slog.Logger, now func() time.Time) *Memory {
	return &Memory{
		kept: kept, log: log, now: now, node: rand.Text(), meters: map[string]*meter{},
		addresses: buckets{sets: manySets}, persons: buckets{sets: manySets}, forms: buckets{sets: fewSets},
	}
}

// open reads the key, or makes one, and what was used before. Once is enough.
func (m *Memory) open(ctx context.Context) error {
	if m.stamping != nil {
		return nil
	}
	key, err := m.kept.LoadScreenKey(ctx)
	if err == nil && key == nil {
		fresh := make([]byte, sha256.Size)
		_, _ = rand.Read(fresh) // never fails
		key, err = m.kept.SaveScreenKey(ctx, fresh)
	}
	if err != nil {
		return err
	}
	if err := m.merge(ctx, ""); err != nil {
		return err
	}
	copy(m.hashing[:], derive(key, "hash"))
	m.proving, m.stamping = derive(key, "proof of work"), derive(key, "time")
	m.opened.Store(true)
	return nil
}

// derive makes a key for one purpose.
func derive(key []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("onramp screen: " + purpose))
	return mac.Sum(nil)
}

// Run saves what was used every few seconds, and takes in what other nodes have saved,
// until ctx ends. The last save is made then.
func (m *Memory) Run(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.exchange(ctx)
		case <-ctx.Done():
			m.exchange(context.WithoutCancel(ctx))
			return
		}
	}
}

// exchange saves and merges once. What can't be saved now is told by the store's own
// trouble; its loss makes limits laxer for a moment.
func (m *Memory) exchange(ctx context.Context) {
	if !m.opened.Load() {
		return // nothing is screened
	}
	ctx, stop := context.WithTimeout(ctx, saveWithin)
	defer stop()
	now := m.now()
	uses := slices.Concat(m.addresses.collect(onramp.UseAddress, mostSaved, now), m.persons.collect(onramp.UsePerson, mostSaved, now), m.forms.collect(onramp.UseForm, mostSaved, now))
	var err error
	if uses = append(uses, m.spent.collect()...); len(uses) > 0 {
		err = m.kept.SaveUses(ctx, m.node, uses)
	}
	if err == nil {
		err = m.merge(ctx, m.node)
	}
	if err != nil {
		m.log.DebugContext(ctx, "what screening has counted could not be exchanged", "err", err)
	}
}

// merge takes in what was saved since the last time.
func (m *Memory) merge(ctx context.Context, without string) error {
	for {
		uses, to, err := m.kept.ListUses(ctx, m.merged, without)
		if err != nil {
			return err
		}
		m.Merge(uses)
		if m.merged = to; len(uses) == 0 {
			return nil
		}
	}
}

// Merge takes in what was used elsewhere, or before a restart.
func (m *Memory) Merge(uses []onramp.Use) {
	now := m.now()
	for _, u := range uses {
		switch u.Kind {
		case onramp.UseAddress:
			m.addresses.merge(u, now)
		case onramp.UsePerson:
			m.persons.merge(u, now)
		case onramp.UseForm:
			m.forms.merge(u, now)
		case onramp.UseSpent:
			m.spent.merge(u, now)
		}
	}
}

// hash is the keyed hash of texts, never 0.
func (m *Memory) hash(purpose byte, parts ...string) uint64 {
	room := [256]byte{}
	b := append(append(room[:0], m.hashing[:]...), purpose)
	for _, part := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	sum := sha256.Sum256(b)
	return max(binary.BigEndian.Uint64(sum[:8]), 1)
}

// What is hashed, so that equal texts of different kinds are different.
const (
	hashAddress byte = iota
	hashNetwork
	hashPerson
	hashForm
	hashSpent
	hashOwner
	hashValue
)

// meter counts what comes to a form.
func (m *Memory) meter(form string) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.meters[form]
	if one == nil {
		one = &meter{form: form}
		m.meters[form] = one
	}
	return one
}

// mailbox is the address by which a person is limited: without what is after a +, and for
// Gmail without the dots, so that all the addresses of one mailbox are one. It is never
// written to.
func mailbox(address string) string {
	address = email.Fold(address)
	at := lastAt(address)
	if at < 0 {
		return address
	}
	local, domain := address[:at], address[at+1:]
	for i := 1; i < len(local); i++ {
		if local[i] == '+' {
			local = local[:i]
			break
		}
	}
	if domain == "googlemail.com" {
		domain = "gmail.com"
	}
	if domain == "gmail.com" {
		local = withoutDots(local)
	}
	return local + "@" + domain
}

func lastAt(address string) int {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return i
		}
	}
	return -1
}

func withoutDots(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != '.' {
			b = append(b, s[i])
		}
	}
	return string(b)
}

var errLimited = &onramp.Error{Kind: onramp.Limited, Message: "too many requests from this address: try again later"}
