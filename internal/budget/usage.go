package budget

import (
	"fmt"
	"math"
	"time"
)

// The states of the calls.
const (
	stateOK     = "ok"
	stateSaving = "saving calls"
)

// Usage is how it stands with the calls to Marketing Cloud.
type Usage struct {
	State  string         `json:"state"`            // ok, or saving calls
	Reason string         `json:"reason,omitempty"` // why calls are saved, or will be
	Today  map[Kind]int64 `json:"today"`            // by kind, since midnight UTC
	Year   map[Kind]int64 `json:"year"`             // by kind, in the contract's year
	Used   int64          `json:"used"`             // in the contract's year

	PerYear int64     `json:"per_year,omitempty"` // by the contract; left out: not configured
	Percent int64     `json:"percent,omitempty"`  // of these that are used, rounded down
	Share   int64     `json:"share,omitempty"`    // of today, when calls must be saved
	Wait    float64   `json:"wait_seconds,omitempty"`
	PerDay  int64     `json:"per_day"`          // the pace of the last seven days
	From    time.Time `json:"from"`             // when the contract's year began
	To      time.Time `json:"to"`               // when it ends
	EndsAt  time.Time `json:"ends_at,omitzero"` // when the calls are used up at that pace, if before the year ends
}

// newUsage completes a usage by what follows from the figures.
func newUsage(f Figures, u Usage) Usage {
	saving, reason := Decide(f), f.reason()
	u.State, u.Used, u.PerYear, u.Percent = stateOK, f.Used, f.PerYear, f.percent()
	u.PerDay, u.EndsAt = int64(math.Round(f.Pace)), f.Ends()
	if reason == nothingSaved {
		return u
	}
	u.Share, u.Reason = f.Share(), u.explain(reason)
	if saving.Wait > 0 {
		u.State, u.Wait = stateSaving, saving.Wait.Seconds()
		u.Reason += fmt.Sprintf("; today's share (%d calls) is used up, so deliveries wait up to %g min to share a call", u.Share, saving.Wait.Minutes())
	}
	return u
}

// explain says why calls are saved.
func (u *Usage) explain(reason Reason) string {
	if reason == AlmostUsed {
		return fmt.Sprintf("%d%% of the calls of the contract's year are used", u.Percent)
	}
	return u.Forecast()
}

// Forecast says how long the calls last; "" when no number is configured.
func (u *Usage) Forecast() string {
	const pace = "at the pace of the last seven days"
	switch {
	case u.PerYear == 0:
		return ""
	case u.Used >= u.PerYear:
		return "all calls of the contract's year are used"
	case u.EndsAt.IsZero():
		return pace + " the calls last until the contract's year ends"
	}
	return pace + " the calls of the contract's year are used up on " + u.EndsAt.UTC().Format(time.DateOnly)
}
