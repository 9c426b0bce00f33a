package account

import (
	"slices"
	"time"
)

// due is what happens at a time.
type due struct {
	at time.Time
	do func()
}

// Later has something happen once it is that time: [Account.Settle] does it.
func (u *Unit) Later(at time.Time, do func()) {
	a := u.account
	a.later = append(a.later, due{at, do})
	slices.SortStableFunc(a.later, func(x, y due) int { return x.at.Compare(y.at) })
}

// Settle does what is due by now, in order of time.
func (a *Account) Settle(now time.Time) {
	for len(a.later) > 0 && !a.later[0].at.After(now) {
		next := a.later[0]
		a.later = a.later[1:]
		next.do()
	}
}
