package onramp

import "time"

// Pause is that an operator has paused a destination: nothing is sent to it until
// it is resumed.
type Pause struct {
	Since  time.Time // zero: it is not paused
	Reason string
	Ended  time.Time // when it was last resumed; zero: never
}

// Lasts says that the destination is paused now.
func (p *Pause) Lasts() bool { return !p.Since.IsZero() }
