package watch

import (
	"context"
	"time"
)

// rate is how long a form usually is without a registration, by the hours of the last weeks,
// and when the last one came. It is kept over a restart.
type rate struct {
	Last  time.Time     // registration
	Away  time.Duration // of the time since then, how long there was no Onramp that it could have come to
	Hour  int64         // the newest hour that Quiet knows, since 1970
	Quiet []uint16      // by hour: the longest time without a registration at any moment in it, in minutes and one more; 0: not known
	Busy  []uint16      // by hour: the most registrations in a minute of it
	Since time.Time     // when it became unusually quiet; zero: it is not
	Usual time.Duration // what was usual then
}

const (
	weeks        = 4
	week         = 7 * 24
	keptHours    = (weeks + 1) * week
	fewestWeeks  = 2           // of which must be known how it was
	usualBefore  = 2           // hours of the week that are looked at before the present one
	usualAfter   = 1           // and after it: habits are not that exact
	usualFactor  = 3           // of the longest usual time
	shortest     = time.Hour   // nothing shorter is unusual
	usualEvery   = time.Minute // looks
	usualSaved   = 10 * time.Minute
	pauseReading = 50 * time.Millisecond // between two portions of a long history
)

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// runUsual follows the registrations of all forms until ctx ends, and notes which forms are
// without any for unusually long.
func (w *Watch) runUsual(ctx context.Context, cfg Config) {
	var saved time.Time
	for pause := time.Duration(0); sleep(ctx, pause); pause = usualEvery {
		if !w.mayRun() {
			continue
		}
		if !w.readArrivals(ctx) {
			continue // what came since is not known yet
		}
		now := time.Now()
		if changed := w.judgeRates(cfg, now); changed || now.Sub(saved) >= usualSaved {
			saved = now
			w.save(ctx)
		}
	}
}

// readArrivals takes in what came since it was last called, and says whether that is all.
func (w *Watch) readArrivals(ctx context.Context) bool {
	for {
		w.mu.Lock()
		after, accepting := w.state.ReadTo, false
		var canaries []string
		for _, c := range w.state.Canaries {
			canaries = append(canaries, c.Recent...)
			accepting = accepting || c.UnderWay != nil && c.UnderWay.ID == ""
		}
		w.mu.Unlock()
		if accepting {
			return false // a canary may be among them whose id is not known yet
		}
		to, err := w.from.Registrations.ListArrivals(ctx, after, time.Now().AddDate(0, 0, -7*weeks), canaries, w.noteArrival)
		if err != nil {
			return false
		}
		w.mu.Lock()
		w.state.ReadTo = to
		w.mu.Unlock()
		if to == after {
			return true
		}
		if !sleep(ctx, pauseReading) {
			return false
		}
	}
}

func (w *Watch) noteArrival(form string, first, last time.Time, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.state.Rates[form]
	if r == nil {
		r = &rate{}
		w.state.Rates[form] = r
	}
	r.note(first, last)
	r.noteBusy(first, n)
}

// note takes in registrations that came between two times, not a minute apart.
func (r *rate) note(first, last time.Time) {
	if r.Quiet == nil {
		r.Quiet = make([]uint16, keptHours)
		r.Hour, r.Last = hourOf(first)-1, first
	}
	if last.Before(r.Last) {
		return // a clock was set back
	}
	from, to := hourOf(r.Last), hourOf(first)
	for hour := max(r.Hour+1, to-keptHours+1); hour <= to; hour++ {
		r.Quiet[hour%keptHours] = 0
		if r.Busy != nil {
			r.Busy[hour%keptHours] = 0
		}
	}
	r.Hour = max(r.Hour, to)
	if r.Since.IsZero() { // what was unusual does not become usual
		for hour := max(from, to-keptHours+1); hour <= to; hour++ {
			end := time.Unix((hour+1)*3600, 0)
			if first.Before(end) {
				end = first
			}
			minutes := min(max(int64(end.Sub(r.Last)/time.Minute), 0), 1<<16-2)
			r.Quiet[hour%keptHours] = max(r.Quiet[hour%keptHours], uint16(minutes)+1)
		}
	}
	r.Last, r.Away, r.Since = last, 0, time.Time{}
}

// usual is the longest time that the form was without a registration at about this hour of
// the week in the last weeks; known is false when too few are known.
func (r *rate) usual(now time.Time) (longest time.Duration, known bool) {
	n := 0
	for k := int64(1); k <= weeks; k++ {
		seen := false
		at := hourOf(now) - k*week
		for hour := at - usualBefore; hour <= at+usualAfter; hour++ {
			if hour > r.Hour || hour <= r.Hour-keptHours || hour < 0 || r.Quiet[hour%keptHours] == 0 {
				continue
			}
			seen = true
			longest = max(longest, time.Duration(r.Quiet[hour%keptHours]-1)*time.Minute)
		}
		if seen {
			n++
		}
	}
	return longest, n >= fewestWeeks
}

// judge notes whether the form is unusually quiet, until a registration comes. It says
// whether that has changed.
func (r *rate) judge(now time.Time) bool {
	if !r.Since.IsZero() || r.Quiet == nil {
		return false
	}
	longest, known := r.usual(now)
	if !known || now.Sub(r.Last)-r.Away <= max(usualFactor*longest, shortest) {
		return false
	}
	r.Since, r.Usual = now, longest
	return true
}

// judgeRates judges the forms that there are, and forgets the others.
func (w *Watch) judgeRates(cfg Config, now time.Time) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, r := range w.state.Rates {
		if cfg.form(name) == nil {
			delete(w.state.Rates, name)
			continue
		}
		changed = r.judge(now) || changed
	}
	return changed
}

// noteBusy takes in how many registrations came in a minute. What is unusual does not
// become usual.
func (r *rate) noteBusy(at time.Time, n int) {
	if r.Busy == nil {
		r.Busy = make([]uint16, keptHours)
	}
	hour := hourOf(at)
	if most, known := r.busiest(at); hour > r.Hour || hour <= r.Hour-keptHours || known && n > unusuallyBusy*max(most, 1) {
		return
	}
	r.Busy[hour%keptHours] = max(r.Busy[hour%keptHours], uint16(min(n, 1<<16-1)))
}

// unusuallyBusy is how many times the usual is remembered of a minute at most.
const unusuallyBusy = 5

// busiest is the most registrations that came in a minute at about this hour of the week in
// the last weeks; known is false when too few are known.
func (r *rate) busiest(now time.Time) (most int, known bool) {
	if r.Busy == nil {
		return 0, false
	}
	n := 0
	for k := int64(1); k <= weeks; k++ {
		seen := false
		at := hourOf(now) - k*week
		for hour := at - usualBefore; hour <= at+usualAfter; hour++ {
			if hour > r.Hour || hour <= r.Hour-keptHours || hour < 0 || r.Quiet[hour%keptHours] == 0 {
				continue
			}
			seen = true
			most = max(most, int(r.Busy[hour%keptHours]))
		}
		if seen {
			n++
		}
	}
	return most, n >= fewestWeeks
}

// MostPerMinute tells how many registrations a form has at most in a minute at about this
// hour of the week, if that is known.
func (w *Watch) MostPerMinute(form string) (most int, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.state.Rates[form]; r != nil {
		return r.busiest(time.Now())
	}
	return 0, false
}
