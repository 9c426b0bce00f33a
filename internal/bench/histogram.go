package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"
)

// An octave (a doubling) is cut into equal buckets. With 32 of them the middle
// of a bucket is at most 1/64 (1.6 %) from anything inside it.
const (
	octaveBits  = 5
	firstOctave = 9  // starts at 512 ns, so that 1 µs lies well inside
	lastOctave  = 35 // ends at 68 s
	bucketCount = (lastOctave - firstOctave + 1) << octaveBits
)

// Histogram counts durations from 1 µs to 60 s, each within 2 %, in a fixed
// 7 kB and without allocating. Durations outside that range are counted at its
// ends; the smallest and the largest are kept exactly. The zero value is empty
// and ready. It is not safe for concurrent use: give each goroutine its own and
// Merge them.
type Histogram struct {
	counts   [bucketCount]int64
	count    int64
	min, max time.Duration
}

// Record counts one duration. A negative one counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)]++
	h.widen(d, d)
	h.count++
}

// Merge adds what other has counted. other is not changed and may be nil.
func (h *Histogram) Merge(other *Histogram) {
	if other == nil || other.count == 0 {
		return
	}
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.widen(other.min, other.max)
	h.count += other.count
}

// widen must be called before the count grows: an empty histogram has no
// extremes to compare with.
func (h *Histogram) widen(low, high time.Duration) {
	if h.count == 0 {
		h.min, h.max = low, high
		return
	}
	h.min, h.max = min(h.min, low), max(h.max, high)
}

// Count says how many durations were recorded.
func (h *Histogram) Count() int64 { return h.count }

// Max is the largest duration recorded, exactly; zero when there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration that the share q (0 to 1) of all durations did
// not exceed: of n sorted ones the one at rank ceil(q·n), within 2 %. Outside 0
// to 1 it returns the smallest or the largest, and zero when nothing was
// recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(math.Ceil(q * float64(h.count)))
	switch {
	case rank <= 1:
		return h.min
	case rank >= h.count:
		return h.max
	}
	var seen int64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(max(middleOf(i), h.min), h.max)
		}
	}
	return h.max
}

func bucketOf(d time.Duration) int {
	v := uint64(d)
	octave := bits.Len64(v) - 1
	if octave < firstOctave {
		return 0
	}
	if octave > lastOctave {
		return bucketCount - 1
	}
	within := int(v>>(octave-octaveBits)) & (1<<octaveBits - 1)
	return (octave-firstOctave)<<octaveBits | within
}

func middleOf(bucket int) time.Duration {
	octave := firstOctave + bucket>>octaveBits
	within := bucket & (1<<octaveBits - 1)
	width := 1 << (octave - octaveBits)
	return time.Duration(1<<octave + within*width + width/2)
}

// histogramJSON names only the buckets in use: a run fills about a quarter.
type histogramJSON struct {
	Min     time.Duration `json:"min_ns"`
	Max     time.Duration `json:"max_ns"`
	Buckets [][2]int64    `json:"buckets"` // number of the bucket, count
}

// MarshalJSON writes the counts so that UnmarshalJSON of the same version of
// this program restores them without loss.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	out := histogramJSON{Min: h.min, Max: h.max, Buckets: [][2]int64{}}
	for i, n := range h.counts {
		if n > 0 {
			out.Buckets = append(out.Buckets, [2]int64{int64(i), n})
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON replaces the counts. It refuses what MarshalJSON cannot have
// written and then leaves h as it was.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var in histogramJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	if in.Min < 0 || in.Max < in.Min {
		return fmt.Errorf("histogram from %d to %d ns", in.Min, in.Max)
	}
	read := Histogram{min: in.Min, max: in.Max}
	for _, b := range in.Buckets {
		if b[0] < 0 || b[0] >= bucketCount {
			return fmt.Errorf("histogram has no bucket %d", b[0])
		}
		if b[1] < 1 || b[1] > math.MaxInt64-read.count {
			return fmt.Errorf("histogram counts %d in bucket %d", b[1], b[0])
		}
		read.counts[b[0]] += b[1]
		read.count += b[1]
	}
	if read.count == 0 && in.Max > 0 {
		return errors.New("histogram has a maximum but no counts")
	}
	*h = read
	return nil
}
