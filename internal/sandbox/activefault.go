package sandbox

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// activeFault is a fault that is set. The sandbox's mutex guards it.
type activeFault struct {
	Fault
	left int       // calls, or rows, still to hit; negative means no end
	ends time.Time // zero means never
}

// over reports whether the fault hits nothing any more.
func (f *activeFault) over(now time.Time) bool {
	return f.left == 0 || !f.ends.IsZero() && !now.Before(f.ends)
}

// fits reports whether the fault is for a call. For faults of rows and members
// that says nothing yet about their Contains.
func (f *activeFault) fits(c *wire.Call) bool {
	path := c.Request.URL.Path // compared in any case, as routes are found
	return (f.Method == "" || f.Method == c.Request.Method) && len(path) >= len(f.Match) && strings.EqualFold(path[:len(f.Match)], f.Match) &&
		(f.Contains == "" || f.perRow() || bytes.Contains(c.Body, []byte(f.Contains)))
}

// hit uses the fault up by one.
func (f *activeFault) hit() {
	if f.left > 0 {
		f.left--
	}
}

// lateFaults are those of certain names that are for one call. The sandbox's
// mutex guards them.
type lateFaults []*activeFault

// late finds the faults of the names for a call; most often there are none. It
// needs the sandbox's mutex.
func (w *world) late(c *wire.Call, now time.Time, names ...string) lateFaults {
	var list lateFaults
	for _, f := range w.faults {
		if slices.Contains(names, f.Name) && !f.over(now) && f.fits(c) {
			list = append(list, f)
		}
	}
	return list
}

// strike takes the first of the faults that is for a row with the cells, or
// returns nil.
func (fs lateFaults) strike(cells []table.Value, more ...table.Value) *Fault {
	for _, f := range fs {
		has := func(v table.Value) bool { return !v.Empty() && strings.Contains(v.Text, f.Contains) }
		if f.left == 0 || f.perRow() && f.Contains != "" && !slices.ContainsFunc(cells, has) && !slices.ContainsFunc(more, has) {
			continue
		}
		f.hit()
		hit := f.Fault
		return &hit
	}
	return nil
}

// Fault adds faults after those that are set. It refuses all of them when one
// is wrong, and then changes nothing.
func (s *Sandbox) Fault(faults ...Fault) error {
	return s.setFaults(faults, true)
}

// SetFaults replaces the faults that are set; none clears them. It refuses all
// of them when one is wrong, and then changes nothing.
func (s *Sandbox) SetFaults(faults []Fault) error {
	return s.setFaults(faults, false)
}

func (s *Sandbox) setFaults(faults []Fault, keep bool) error {
	for i, f := range faults {
		if err := f.check(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keep {
		s.world.faults = nil
	}
	now := s.now()
	for _, f := range faults {
		if f == (Fault{Name: FaultRevokeTokens, Count: min(f.Count, 1), For: f.For}) {
			s.world.tokens.revoke()
			continue
		}
		if f.Name == FaultRevokeTokens && f.Count == 0 {
			f.Count = 1 // "once"
		}
		left := f.Count
		if left == 0 {
			left = -1
		}
		active := &activeFault{Fault: f, left: left}
		if f.For != "" {
			active.ends = now.Add(f.life())
		}
		s.world.faults = append(s.world.faults, active)
	}
	return nil
}

// faultEffect is what the faults do to one call: after the delay the fault decides,
// which is the zero Fault when none does.
type faultEffect struct {
	Fault
	delay time.Duration
}

// arrive counts the call and takes the faults that hit it.
func (s *Sandbox) arrive(c *call) faultEffect {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.calls[c.name()]++
	var m faultEffect
	if len(s.world.faults) == 0 {
		return m
	}
	now := s.now()
	for _, f := range s.world.faults {
		if f.late() || f.over(now) || !f.fits(&c.Call) {
			continue
		}
		f.hit()
		m.delay += f.delay()
		if f.Name == FaultRevokeTokens {
			s.world.tokens.revoke()
			continue
		}
		if f.Name != "" || f.Status != 0 || f.applies() { // else a delay only
			m.Fault = f.Fault
			break
		}
	}
	s.world.faults = slices.DeleteFunc(s.world.faults, func(f *activeFault) bool { return f.over(now) })
	return m
}
