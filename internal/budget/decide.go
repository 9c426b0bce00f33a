package budget

import "time"

// How long a call waits to be filled while calls are saved.
const (
	shortWait = time.Minute     // when today's share is used up
	longWait  = 5 * time.Minute // when it is used up twice, or nothing is left
)

const (
	paceDays = 7  // over which the pace is measured
	almost   = 90 // percent used, from which on calls are saved whatever the pace
)

// Thresholds are the percentages of the year's calls at which operators are alerted.
func Thresholds() []int64 { return []int64{50, 75, almost} }

// Figures are what it is decided by.
type Figures struct {
	PerYear int64     // calls of the contract's year; 0: not known
	Used    int64     // of these, today's included
	Today   int64     // calls since midnight UTC
	Pace    float64   // calls a day, over the last seven days
	Now     time.Time //
	End     time.Time // of the contract's year
}

// Reason is why calls are saved.
type Reason string

// The reasons.
const (
	PaceTooHigh  Reason = "pace"    // at the pace of the last days the calls end before the year
	AlmostUsed   Reason = "almost"  // 90 percent are used
	NothingLeft  Reason = "used_up" // all are used
	nothingSaved Reason = ""        // calls are not saved
)

// Saving is how calls are saved. The zero value is not at all.
type Saving struct {
	Wait   time.Duration // the longest time that a call waits to be filled; 0: calls are not saved
	Reason Reason
}

// Decide says how calls are saved. While there is a reason, each day has its share of
// what is left of the year. Once it is used up, deliveries wait for larger calls; they
// never stop.
func Decide(f Figures) Saving {
	reason := f.reason()
	share := f.Share()
	switch {
	case reason == nothingSaved:
		return Saving{}
	case reason == NothingLeft, f.Today >= 2*share:
		return Saving{longWait, reason}
	case f.Today >= share:
		return Saving{shortWait, reason}
	}
	return Saving{}
}

func (f Figures) reason() Reason {
	switch {
	case f.PerYear <= 0:
		return nothingSaved
	case f.Used >= f.PerYear:
		return NothingLeft
	case f.percent() >= almost:
		return AlmostUsed
	case !f.Ends().IsZero():
		return PaceTooHigh
	}
	return nothingSaved
}

func (f Figures) percent() int64 {
	if f.PerYear <= 0 {
		return 0
	}
	return int64(100 * float64(f.Used) / float64(f.PerYear))
}

// Share is how many calls today has: what was left this morning, spread evenly over
// the days to the end of the year.
func (f Figures) Share() int64 {
	days := max(DayOf(f.End)-DayOf(f.Now), 1)
	return max(f.PerYear-(f.Used-f.Today), 0) / int64(days)
}

// Ends tells when the calls are used up at the pace of the last days; zero when they
// last for the year.
func (f Figures) Ends() time.Time {
	left := f.PerYear - f.Used
	switch {
	case f.PerYear <= 0:
		return time.Time{}
	case left <= 0:
		return f.Now
	}
	days := f.End.Sub(f.Now).Hours() / 24
	if f.Pace*days <= float64(left) {
		return time.Time{}
	}
	return f.Now.Add(time.Duration(float64(left) / f.Pace * float64(24*time.Hour)))
}
