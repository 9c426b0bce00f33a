package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"
)

// freeze says when recent keys are moved to disk. Zero values mean the defaults.
type freeze struct {
	keys          int   // so many together; default 8192
	registrations int64 // so many at most are read at a start to find the recent keys; default 16384
}

func (f freeze) withDefaults() freeze {
	if f.keys == 0 {
		f.keys = 8192
	}
	if f.registrations == 0 {
		f.registrations = 16384
	}
	return f
}

// idempotency finds registrations by the keys of their requests.
//
// Keys are random, so an index over them would dirty one page for each, the
// largest single cost of an acceptance. Instead a registration carries its key
// in its own row; the recent ones are also in memory, and are moved to the
// indexed table in sorted order, a slice with each commit, so that neighbours
// share a page. Only the writer uses it.
type idempotency struct {
	freeze freeze
	recent map[int64]int64 // key to registration, not yet in a table
	frozen map[int64]int64 // the same, on their way into it
	sorted []int64         // keys of frozen that are not there yet

	frozenTo int64         // registrations up to here are in the tables once frozen is
	mergedTo int64         // registrations up to here are in the tables
	day      int64         // goes up by one each time the older table is emptied; the table of this day takes the keys
	aged     time.Duration // of this day so far, as far as the writer saw it pass
	agedOn   time.Duration // of that, what is on disk
	seen     time.Time     // the last commit; zero: none since the start

	insert [2]insertion // by day
	find   together     // in both
}

const mergedTo = "idempotency_merged_to"

func loadIdempotency(ctx context.Context, q queryer, d dialect, f freeze) (*idempotency, error) {
	const again = `ON CONFLICT (hash) DO UPDATE SET registration_seq = excluded.registration_seq`
	i := &idempotency{freeze: f, recent: map[int64]int64{}, insert: [2]insertion{
		newInsertion(d, `INSERT INTO idempotency_even (hash, registration_seq)`, 2, again),
		newInsertion(d, `INSERT INTO idempotency_odd (hash, registration_seq)`, 2, again),
	}, find: newTogether(d, `SELECT hash, registration_seq FROM (SELECT hash, registration_seq FROM idempotency_even
		UNION ALL SELECT hash, registration_seq FROM idempotency_odd) AS k WHERE hash IN (`, `)`)}
	value, err := findMeta(ctx, q, mergedTo)
	if err != nil {
		return nil, err
	}
	i.mergedTo, _ = strconv.ParseInt(value, 10, 64) // never written: 0
	value, err = findMeta(ctx, q, idempotencyDay)
	if err != nil {
		return nil, err
	}
	i.day, _ = strconv.ParseInt(value, 10, 64)
	if value, err = findMeta(ctx, q, idempotencyAge); err != nil {
		return nil, err
	}
	seconds, _ := strconv.ParseInt(value, 10, 64)
	i.aged = time.Duration(seconds) * time.Second
	i.agedOn = i.aged
	rows, err := q.QueryContext(ctx, `SELECT seq, idempotency_hash FROM registration WHERE seq > $1 AND idempotency_hash IS NOT NULL`, i.mergedTo)
	type keyed struct{ seq, hash int64 }
	recent, err := collect(rows, err, func(rows *sql.Rows) (k keyed, err error) {
		err = rows.Scan(&k.seq, &k.hash)
		return k, err
	})
	for _, k := range recent {
		i.recent[k.hash] = k.seq
	}
	return i, err
}

// findIdempotency finds the registrations that the keys of a group stand for.
func (t *tx) findIdempotency(group []*op) (known map[int64]int64, err error) {
	i := t.store.idempotency
	known = map[int64]int64{}
	var sought []int64 // in the tables
	for _, o := range group {
		if o.acceptance == nil {
			continue
		}
		key := &o.acceptance.key
		for _, hash := range [...]int64{key.Hash, key.OlderHash, key.Once} {
			if hash == 0 {
				continue
			}
			if seq, ok := i.recent[hash]; ok {
				known[hash] = seq
			} else if seq, ok := i.frozen[hash]; ok {
				known[hash] = seq
			} else {
				sought = append(sought, hash)
			}
		}
	}
	for len(sought) > 0 {
		text, length := i.find.fit(len(sought))
		part := sought[:min(length, len(sought))]
		sought = sought[len(part):]
		err := t.each(text, i.find.arguments(length, part, nil, nil), func(scan func(...any) error) error {
			var hash, seq int64
			err := scan(&hash, &seq)
			known[hash] = max(known[hash], seq) // what stands for equal submissions may stand in both tables
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return known, t.forgetRemoved(known)
}

const (
	idempotencyDay = "idempotency_day"
	idempotencyAge = "idempotency_day_age" // in seconds
)

// advanceIdempotency takes in the keys of a group, writes those that have no other
// place, and moves some older ones on to their table.
func (t *tx) advanceIdempotency(fresh []*acceptance, noted map[int64]int64) error {
	i := t.store.idempotency
	if err := t.noteKeys(noted); err != nil {
		return err
	}
	if err := t.turnDay(i); err != nil {
		return err
	}
	// twice the pace at which keys come in: a batch is through before the next one is full
	n := min(max(2*len(fresh), 64), len(i.sorted))
	if n > 0 {
		values := make([]any, 0, 2*n)
		for _, hash := range i.sorted[:n] {
			values = append(values, hash, i.frozen[hash])
		}
		if err := t.insert(i.insert[i.day%2], values); err != nil {
			return err
		}
		if n == len(i.sorted) {
			if err := t.exec(saveMeta, mergedTo, strconv.FormatInt(i.frozenTo, 10)); err != nil {
				return err
			}
		}
	}
	seq := t.registrationSeq
	t.after = append(t.after, func() { i.advanced(fresh, n, seq) })
	return nil
}

// advanced brings the memory up to what was committed.
func (i *idempotency) advanced(fresh []*acceptance, merged int, seq int64) {
	for _, a := range fresh {
		if a.key.Given() {
			i.recent[a.key.Hash] = a.registration.Seq
		}
	}
	i.sorted = i.sorted[merged:]
	if len(i.sorted) > 0 {
		return
	}
	if i.frozen != nil {
		i.frozen, i.mergedTo = nil, i.frozenTo
	}
	if len(i.recent) >= i.freeze.keys || len(i.recent) > 0 && seq-i.mergedTo >= i.freeze.registrations {
		i.frozen, i.recent, i.frozenTo = i.recent, map[int64]int64{}, seq
		i.sorted = make([]int64, 0, len(i.frozen))
		for hash := range i.frozen {
			i.sorted = append(i.sorted, hash)
		}
		slices.SortFunc(i.sorted, cmp.Compare)
	}
}

const (
	dayLength = 25 * time.Hour // a day, and what the last of it may have been wrong by
	// longestStep is how much of a day may pass between two commits. No clock that is
	// set ahead can make a day pass, and when nothing is committed nothing is to be
	// forgotten.
	longestStep  = time.Hour
	saveAgeEvery = 10 * time.Minute
)

// turnDay forgets the keys of the day before when a day has passed. A day is the time
// that passed while the writer was looking, whatever the clock says: a clock that is
// set back or ahead forgets nothing, and keys that live longer do no harm.
//
// When nobody uses keys it also keeps the mark from falling behind.
func (t *tx) turnDay(i *idempotency) error {
	day, aged, agedOn := i.day, i.aged, i.agedOn
	if !i.seen.IsZero() {
		aged += min(max(t.now.Sub(i.seen), 0), longestStep)
	}
	if aged >= dayLength {
		day, aged = day+1, 0
		if err := t.exec(`DELETE FROM ` + [2]string{"idempotency_even", "idempotency_odd"}[day%2]); err != nil {
			return err
		}
		if err := t.exec(saveMeta, idempotencyDay, strconv.FormatInt(day, 10)); err != nil {
			return err
		}
	}
	if day != i.day || aged-agedOn >= saveAgeEvery {
		if err := t.exec(saveMeta, idempotencyAge, strconv.FormatInt(int64(aged.Seconds()), 10)); err != nil {
			return err
		}
		agedOn = aged
	}
	now := t.now
	t.after = append(t.after, func() { i.day, i.aged, i.agedOn, i.seen = day, aged, agedOn, now })
	if len(i.recent)+len(i.frozen) == 0 && t.registrationSeq-i.mergedTo >= i.freeze.registrations {
		// this group's keys are not in memory yet, so the mark stops before it
		mark := t.store.writer.registrationSeq
		if err := t.exec(saveMeta, mergedTo, strconv.FormatInt(mark, 10)); err != nil {
			return err
		}
		t.after = append(t.after, func() { i.mergedTo = mark })
	}
	return nil
}
