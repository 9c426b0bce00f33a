package onramp

import (
	"strings"
	"time"
)

// Hold is why a registration is stored and not yet to be sent. The zero value: it is to be
// sent.
type Hold struct {
	Reason HoldReason
	Detail string    // for operators: what it is suspected of
	Since  time.Time // given by the store
	Until  time.Time // when it expires; zero: never
}

// HoldReason is what a held registration waits for.
type HoldReason uint8

// The reasons. The numbers are stored: never change them.
const (
	HoldConfirmation HoldReason = 1 // that the person confirms it: double opt-in
	HoldSuspicion    HoldReason = 2 // that an operator releases or discards it
)

var holdReasons = []string{"", "confirmation", "suspicion"}

// String gives the reason's public name; "" of none.
func (r HoldReason) String() string { return holdReasons[r] }

// ParseHoldReason finds a reason by its public name.
func ParseHoldReason(name string) (HoldReason, bool) {
	i := index(holdReasons, name)
	return HoldReason(max(i, 0)), i > 0
}

// SuspicionMore stands between what a registration is suspected of, as it is counted and
// filtered, and what more is said of it.
const SuspicionMore = ": "

// SuspicionOf is what a registration is suspected of, without what more is said of it.
func SuspicionOf(detail string) string {
	reason, _, _ := strings.Cut(detail, SuspicionMore)
	return reason
}
