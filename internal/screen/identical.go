package screen

import (
	"math"
	"math/bits"
	"sync"
	"time"
	"unicode/utf8"
)

// identical counts with how many different persons a value came within an hour, in a memory
// of fixed size. A count is a bitmap (linear counting, Whang et al. 1990), exact enough up
// to a few hundred.
type identical struct {
	mu  sync.Mutex
	all []valueCount // nil until the first use
}

type valueCount struct {
	key   uint64
	since int64 // hour since 1970
	seen  [4]uint64
}

const (
	valueWays = 4
	valueSets = 1 << 11 // 8,192 values, 384 KiB
	seenBits  = 256
	// MaxIdentical is the largest number of addresses that is told apart.
	MaxIdentical = 300
	// shortestIdentical is the length of the shortest value that is looked at, in
	// characters: many people are called Ana.
	shortestIdentical = 10
)

func isLong(value string) bool { return utf8.RuneCountInString(value) >= shortestIdentical }

// note notes that a value came with a person, and returns with how many it came in this
// hour and the one before.
func (i *identical) note(value, person uint64, now time.Time) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	one := i.place(value, now.Unix()/3600)
	bit := person % seenBits
	one.seen[bit/64] |= 1 << (bit % 64)
	return one.count()
}

// place finds the count of a value. To make room, that of the fewest persons goes: a
// stranger who brings many values doesn't drive out the one that is repeated.
func (i *identical) place(value uint64, hour int64) *valueCount {
	if i.all == nil {
		i.all = make([]valueCount, valueSets*valueWays)
	}
	at := int(value%valueSets) * valueWays
	set := i.all[at : at+valueWays]
	least := &set[0]
	for k := range set {
		one := &set[k]
		if one.since != hour && one.since != hour-1 {
			*one = valueCount{}
		}
		if one.key == value {
			return one
		}
		if one.count() < least.count() {
			least = one
		}
	}
	*least = valueCount{key: value, since: hour}
	return least
}

func (v *valueCount) count() int {
	ones := 0
	for _, word := range v.seen {
		ones += bits.OnesCount64(word)
	}
	if ones == seenBits {
		return math.MaxInt32
	}
	return int(math.Round(-seenBits * math.Log(1-float64(ones)/seenBits)))
}
