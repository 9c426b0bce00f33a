package account

import (
	"strings"
	"time"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// The states of a journey and of a message definition that make a difference here.
// NoJourney is the state of an event definition that no journey uses.
const (
	Published = "Published"
	Paused    = "Paused"
	Draft     = "Draft"
	Stopped   = "Stopped"
	NoJourney = "None"
	Active    = "Active"
	Inactive  = "Inactive"
)

// Journey is an event definition with the journey that listens to it.
type Journey struct {
	EventID, EventKey string // of the event definition
	EventName         string
	ID, Key, Name     string // of the journey
	Description       string
	HasSchema         bool   // the event definition came with a schema, of which its data extension was made
	Publication       string // id of the newest request to publish it; "" when there is none
	Version           int
	Unit              *Unit
	Extension         *Extension
	Status            string  // Published, Paused, Draft, Stopped or NoJourney
	Entries           []Entry // oldest first; they do not change

	Created, Modified time.Time

	exits map[string]time.Time // when a contact has left, by contact key
}

// Entry is a contact in a journey, in little memory.
type Entry struct {
	ContactKey string
	ID         wire.GUID
	At         time.Time
	Data       table.Row    // of Table, without defaults
	Table      *table.Table // the data extension's, as it was then
}

func newJourney(u *Unit, eventKey string, e *Extension, status string, now time.Time) *Journey {
	return &Journey{
		EventID: wire.NewGUID(), EventKey: eventKey, EventName: eventKey, ID: wire.NewGUID(), Key: wire.NewGUID(), Name: "Journey of " + eventKey, Version: 1,
		Unit: u, Extension: e, Status: status, Created: now, Modified: now,
	}
}

// AddEvent makes an event definition that no journey uses.
func (u *Unit) AddEvent(eventKey, name string, e *Extension, now time.Time) *Journey {
	j := newJourney(u, eventKey, e, NoJourney, now)
	j.EventName = name
	u.Journeys[eventKey] = j
	return j
}

// JourneyByEventID finds a journey by the GUID of its event definition, in any case, or
// returns nil.
func (u *Unit) JourneyByEventID(id string) *Journey {
	for _, j := range u.Journeys {
		if strings.EqualFold(j.EventID, id) {
			return j
		}
	}
	return nil
}

// TakesEvents reports whether events are taken: a paused journey takes them, as users
// report.
func (j *Journey) TakesEvents() bool { return j.Status == Published || j.Status == Paused }

// Enter saves the row of an accepted event and enters its contact.
func (j *Journey) Enter(contactKey string, id wire.GUID, at time.Time, r *table.SentRow) {
	d := j.Extension.Table
	stored := d.Save(r, at)
	// often the event has all that the row has
	e := Entry{ID: id, At: at, Data: d.Pack(r.Cells, stored), Table: d}
	if len(d.Primary) == 1 { // nearly always the contact key itself
		e.ContactKey = e.Data.Cell(d.Primary[0]).Text
	}
	if e.ContactKey != contactKey {
		e.ContactKey = strings.Clone(contactKey)
	}
	j.Entries = append(j.Entries, e)
}
