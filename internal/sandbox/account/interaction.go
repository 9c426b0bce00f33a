package account

import (
	"slices"
	"time"
)

// Interactions are the journeys of a business unit, by the vendor's word for them: those
// of its event definitions, and those without one. Event definitions that no journey
// uses are not among them.
func (u *Unit) Interactions() []*Journey {
	var list []*Journey
	for _, j := range append(u.AllJourneys(), sorted(u.Drafts)...) {
		if j.Status != NoJourney {
			list = append(list, j)
		}
	}
	return list
}

// AddInteraction makes a journey that is a draft: one without an event definition, or
// that of one which no journey uses yet.
func (u *Unit) AddInteraction(event *Journey, key, name string, now time.Time) *Journey {
	j := event
	if j == nil {
		j = newJourney(u, "", nil, Draft, now)
		j.EventID, j.EventName = "", ""
		u.Drafts[key] = j
	}
	j.Key, j.Name, j.Status, j.Modified = key, name, Draft, now
	return j
}

// Holds reports whether a contact is in the journey: it has entered since it left.
func (j *Journey) Holds(contactKey string, now time.Time) bool {
	left, has := j.exits[contactKey]
	return slices.ContainsFunc(j.Entries, func(e Entry) bool {
		return e.ContactKey == contactKey && (!has || now.Before(left) || e.At.After(left))
	})
}

// Exit has a contact leave the journey at a time. It does nothing, and returns false, when
// the contact is not in it.
func (j *Journey) Exit(contactKey string, at, now time.Time) bool {
	if !j.Holds(contactKey, now) {
		return false
	}
	if j.exits == nil {
		j.exits = map[string]time.Time{}
	}
	if left, has := j.exits[contactKey]; !has || !now.Before(left) {
		j.exits[contactKey] = at
	}
	return true
}

// ExitOf is when a contact has left, or will leave; ok is false when it was never asked to.
func (j *Journey) ExitOf(contactKey string) (at time.Time, ok bool) {
	at, ok = j.exits[contactKey]
	return at, ok
}
