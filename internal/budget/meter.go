package budget

import (
	"context"
	"crypto/rand"
	"maps"
	"sync"
	"time"
)

// saveEvery is how often counts are kept: as much is lost at most when the process is
// killed.
const saveEvery = time.Minute

// Count is how many calls of one kind there were on a day.
type Count struct {
	Day  Day
	Kind Kind
	N    int64
}

// Batch is what was counted since the batch before.
type Batch struct {
	ID     string // its own
	Counts []Count
}

// Keeper keeps counts. Several processes may add to the same ones.
type Keeper interface {
	// AddCalls adds a batch to what is kept; the same one once more changes nothing,
	// and an empty one only reads. It returns all that is kept from a day on.
	AddCalls(ctx context.Context, b Batch, from Day) ([]Count, error)
}

// Meter counts calls. It is safe for concurrent use. A nil one counts nothing, and
// saves no calls.
type Meter struct {
	keeper Keeper
	now    func() time.Time

	saves sync.Mutex // held while a batch is being kept

	mu       sync.Mutex
	contract Contract
	n        map[Day]map[Kind]int64 // all of them, those of other processes as of the last save
	batch    Batch                  // on its way to the keeper
	fresh    map[Count]int64        // not in a batch yet, by day and kind
	sums     sums
}

// sums are what is asked for with each call, as of a day.
type sums struct {
	day   Day
	used  int64 // in the contract's year
	today int64
	week  int64 // in the last seven days, with today
	first Day   // the first of these days with a call
}

// Open makes a meter that goes on from what is kept. now is the clock.
func Open(ctx context.Context, k Keeper, c Contract, now func() time.Time) (*Meter, error) {
	m := &Meter{keeper: k, now: now, contract: c, fresh: map[Count]int64{}}
	return m, m.Save(ctx)
}

// Change replaces the contract. The counts stay.
func (m *Meter) Change(c Contract) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contract = c
	m.sum(m.now())
}

// Count counts one call.
func (m *Meter) Count(k Kind) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	day := m.sums.day
	m.fresh[Count{Day: day, Kind: k}]++
	m.add(Count{day, k, 1})
	m.sums.used++
	m.sums.today++
	m.sums.week++
}

// add adds to the counts of all days.
func (m *Meter) add(c Count) {
	if m.n[c.Day] == nil {
		m.n[c.Day] = map[Kind]int64{}
	}
	m.n[c.Day][c.Kind] += c.N
}

// turn begins a new day, if it is one.
func (m *Meter) turn() {
	if now := m.now(); DayOf(now) != m.sums.day {
		m.sum(now)
	}
}

// sum makes the sums anew.
func (m *Meter) sum(now time.Time) {
	today := DayOf(now)
	from, _ := m.contract.Year(now)
	s := sums{day: today, first: today}
	for day, kinds := range m.n {
		for _, n := range kinds {
			if day >= DayOf(from) {
				s.used += n
			}
			if day == today {
				s.today += n
			}
			if day > today-paceDays {
				s.week += n
				s.first = min(s.first, day)
			}
		}
	}
	m.sums = s
}

// figures are as of now. The pace is over the time since the first call of the last
// seven days, and over a day at least: what a first hour shows says little.
func (m *Meter) figures(now time.Time) Figures {
	_, end := m.contract.Year(now)
	since := time.Unix(int64(m.sums.first)*24*60*60, 0)
	return Figures{
		PerYear: m.contract.PerYear, Used: m.sums.used, Today: m.sums.today, Now: now, End: end,
		Pace: float64(m.sums.week) / max(now.Sub(since).Hours()/24, 1),
	}
}

// Saving says how calls are saved now. It answers at once.
func (m *Meter) Saving() Saving {
	if m == nil {
		return Saving{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.contract.PerYear == 0 {
		return Saving{}
	}
	m.turn()
	return Decide(m.figures(m.now()))
}

// Run keeps the counts once a minute until ctx ends; failed gets why that could not be
// done, and then it is done a minute later. What is counted afterwards is kept by Save.
func (m *Meter) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := m.Save(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Save keeps what was counted, and reads what others have. What an earlier save could
// not keep, or perhaps has, goes first, as the batch that it was.
func (m *Meter) Save(ctx context.Context) error {
	m.saves.Lock()
	defer m.saves.Unlock()
	for again := true; again; {
		var from Day
		again, from = m.pack()
		kept, err := m.keeper.AddCalls(ctx, m.batch, from)
		if err != nil {
			return err
		}
		m.take(kept)
	}
	return nil
}

// pack makes a batch of what is in none, unless an earlier one is still on its way.
// from is the first day of which counts are needed.
func (m *Meter) pack() (earlier bool, from Day) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if earlier = len(m.batch.Counts) > 0; !earlier {
		m.batch = Batch{ID: rand.Text()}
		for c, n := range m.fresh {
			m.batch.Counts = append(m.batch.Counts, Count{c.Day, c.Kind, n})
		}
		clear(m.fresh)
	}
	now := m.now()
	begin, _ := m.contract.Year(now)
	return earlier, min(DayOf(begin), DayOf(now)-paceDays)
}

// take goes on from what is kept, the batch included, and what was counted since.
func (m *Meter) take(kept []Count) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batch, m.n = Batch{}, map[Day]map[Kind]int64{}
	for _, c := range kept {
		m.add(c)
	}
	for c, n := range m.fresh {
		m.add(Count{c.Day, c.Kind, n})
	}
	m.sum(m.now())
}

// year counts those of the contract's year by kind.
func (m *Meter) year(from time.Time) map[Kind]int64 {
	byKind := map[Kind]int64{}
	for day, kinds := range m.n {
		for kind, n := range kinds {
			if day >= DayOf(from) {
				byKind[kind] += n
			}
		}
	}
	return byKind
}

// Usage tells how it stands with the calls.
func (m *Meter) Usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	now := m.now()
	f := m.figures(now)
	from, to := m.contract.Year(now)
	today := map[Kind]int64{}
	maps.Copy(today, m.n[m.sums.day])
	return newUsage(f, Usage{Today: today, Year: m.year(from), From: from, To: to})
}
