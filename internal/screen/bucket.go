package screen

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// buckets are token buckets in a memory of fixed size. A bucket is only the time at which
// it is full again (the generic cell rate algorithm of ATM Forum's Traffic Management 4.0):
// one that is full need not be remembered.
//
// Each key has eight places, which nobody outside can compute since keys are keyed hashes.
// When all are taken, the bucket that is full the soonest makes room: whoever brings many
// keys drives out those that have used least, never the ones that are exhausted.
type buckets struct {
	sets int // of eight buckets

	mu  sync.Mutex
	all []bucket // nil until the first use
}

type bucket struct {
	key   uint64
	full  int64 // when it is full again, in µs since 1970
	taken int64 // of it since it was last saved, in µs
}

const (
	bucketWays = 8
	manySets   = 1 << 12 // 32,768 buckets, 768 KiB
	fewSets    = 1 << 5
)

// place finds the bucket of a key, or makes room for it.
func (b *buckets) place(key uint64) *bucket {
	if b.all == nil {
		b.all = make([]bucket, b.sets*bucketWays)
	}
	at := int(key%uint64(b.sets)) * bucketWays
	set := b.all[at : at+bucketWays]
	soonest := &set[0]
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
		if set[i].full < soonest.full {
			soonest = &set[i]
		}
	}
	*soonest = bucket{key: key}
	return soonest
}

// take takes one token of a key's bucket, or says how long it takes until there is one.
func (b *buckets) take(key uint64, rate Rate, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own, at := b.place(key), now.UnixMicro()
	one := rate.interval().Microseconds()
	full := max(own.full, at) + one
	if over := full - at - one*int64(rate.Count); over > 0 {
		return time.Duration(over) * time.Microsecond
	}
	own.full = full
	own.taken += one
	return 0
}

// merge takes in what was taken of a bucket elsewhere, or before a restart.
func (b *buckets) merge(u onramp.Use, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	latest := now.Add(longestPeriod).UnixMicro()
	full := min(u.At.UnixMicro()+u.Amount, latest)
	if full <= now.UnixMicro() {
		return
	}
	own := b.place(u.Key)
	own.full = max(own.full, min(max(own.full, u.At.UnixMicro())+u.Amount, latest))
}

// collect hands over what was taken since it was last called, of the most used buckets
// first, at most n of them.
func (b *buckets) collect(kind onramp.UseKind, n int, now time.Time) []onramp.Use {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*bucket
	for i := range b.all {
		if b.all[i].taken > 0 {
			found = append(found, &b.all[i])
		}
	}
	slices.SortFunc(found, func(x, y *bucket) int { return cmp.Compare(y.full, x.full) })
	uses := make([]onramp.Use, 0, min(len(found), n))
	for _, one := range found[:min(len(found), n)] {
		uses = append(uses, onramp.Use{Kind: kind, Key: one.key, At: now, Amount: one.taken, Until: time.UnixMicro(one.full)})
		one.taken = 0
	}
	return uses
}
