package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
)

// State is everything that a sandbox holds, as GET /_sandbox/state shows it.
type State struct {
	// Clock is the time on the sandbox's clock.
	Clock time.Time `json:"clock"`
	// DataExtensions, Journeys and MessageDefinitions are those of the business unit at
	// the top, as in BusinessUnit.
	DataExtensions     map[string]DataExtension     `json:"data_extensions"`
	Journeys           map[string]Journey           `json:"journeys"`
	MessageDefinitions map[string]MessageDefinition `json:"message_definitions"`
	// BusinessUnits are the others, by MID.
	BusinessUnits map[string]BusinessUnit `json:"business_units,omitempty"`
	// Subscribers are those of the business unit at the top, oldest first.
	Subscribers []account.Subscriber `json:"subscribers"`
	// Messages are those that were sent, oldest first.
	Messages []Message `json:"messages"`
	// Contacts are the persons of the enterprise, oldest first, and ContactOperations what
	// deletes them or restricts their processing.
	Contacts          []account.Contact   `json:"contacts"`
	ContactOperations []account.Operation `json:"contact_operations"`
	// Jobs are the asynchronous inserts and upserts that are remembered, oldest
	// first. Rows of a job that is not complete are in no data extension yet.
	Jobs []Job `json:"jobs"`
	// Tokens are the access tokens given out, oldest first; tokens that expired
	// ten minutes before the newest was given out are left out.
	Tokens []Token `json:"tokens"`
	// Callbacks and Subscriptions are those of the Event Notification Service, in
	// order of creation; Deliveries are the requests with events, oldest first, of
	// which the newest 500 or more are remembered.
	Callbacks     []Callback     `json:"callbacks"`
	Subscriptions []Subscription `json:"subscriptions"`
	Deliveries    []Delivery     `json:"deliveries"`
	// Calls counts the calls by route, as "POST /v2/token"; calls to no route
	// are together under "(unknown route)". Calls that a fault hit count too.
	Calls map[string]int `json:"calls"`
	// Faults are those still set, with the calls and the time that they have
	// left.
	Faults []Fault `json:"faults"`
	// Totals count everything, also what a limit left out of the lists.
	Totals Totals `json:"totals"`
}

// Totals are the numbers of things in a sandbox.
type Totals struct {
	Rows     map[string]int `json:"rows"`     // by the data extension's external key
	Contacts map[string]int `json:"contacts"` // entries, by event definition key
	Persons  int            `json:"persons"`  // contacts of the enterprise
	Messages int            `json:"messages"`
	Jobs     int            `json:"jobs"`
	Tokens   int            `json:"tokens"`

	Callbacks     int `json:"callbacks"`
	Subscriptions int `json:"subscriptions"`
	Deliveries    int `json:"deliveries"` // requests with events, also those forgotten
	Coming        int `json:"coming"`     // events that are still to happen
	Late          int `json:"late"`       // calls that were taken and are still to be carried out
}

// Job is an asynchronous insert or upsert in a State.
type Job struct {
	RequestID     string    `json:"request_id"`
	DataExtension string    `json:"data_extension"` // external key
	Insert        bool      `json:"insert"`         // else an upsert
	Status        string    `json:"status"`         // Pending, Executing or Complete
	Rows          int       `json:"rows"`
	FailedRows    int       `json:"failed_rows"` // 0 until it is complete
	SubmittedAt   time.Time `json:"submitted_at"`
	CompleteAt    time.Time `json:"complete_at"`
}

// view is the job as a State shows it.
func (j *job) view(now time.Time) Job {
	return Job{
		RequestID: j.id, DataExtension: j.extension.Key, Insert: j.insert, Status: j.state(now), Rows: j.count,
		FailedRows: len(j.failures), SubmittedAt: j.submitted, CompleteAt: j.done,
	}
}

// BusinessUnit is one of an account's in a State.
type BusinessUnit struct {
	// DataExtensions are the tables, by external key.
	DataExtensions map[string]DataExtension `json:"data_extensions"`
	// Journeys are the journeys, by event definition key.
	Journeys map[string]Journey `json:"journeys"`
	// MessageDefinitions are the transactional messages that can be sent, by
	// definition key.
	MessageDefinitions map[string]MessageDefinition `json:"message_definitions"`
	// Subscribers are those in the list of all subscribers, oldest first.
	Subscribers []account.Subscriber `json:"subscribers,omitempty"`
	// Totals count everything, also what a limit left out of the lists.
	Totals UnitTotals `json:"totals"`
}

// UnitTotals are the numbers of things in a business unit.
type UnitTotals struct {
	Rows     map[string]int `json:"rows"`     // by the data extension's external key
	Contacts map[string]int `json:"contacts"` // entries, by event definition key
}

// Column is one column of a data extension.
type Column = table.Column

// DataExtension is a table in a State.
type DataExtension struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	// Rows are in order of insertion. A row has the columns that have a value,
	// under their exact names. Values are as they were sent: string, bool, or
	// json.Number.
	Rows []map[string]any `json:"rows"`
}

// Journey is a journey in a State.
type Journey struct {
	// Contacts are the entries, oldest first; a contact can enter many times.
	Contacts []Contact `json:"contacts"`
}

// MessageDefinition is a transactional message in a State.
type MessageDefinition struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// Token is an access token in a State.
type Token struct {
	Token     string    `json:"token"` // its end only
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Scope     string    `json:"scope"` // space-separated
	ClientID  string    `json:"client_id"`
}

// State returns a copy of everything, which the caller may keep and change.
func (s *Sandbox) State() State {
	return s.state(-1)
}

// state is State with at most limit rows, contacts, messages, jobs, tokens,
// callbacks, subscriptions and deliveries, the newest; negative means all. Rows
// become maps after the mutex is released: there may be a million of them.
func (s *Sandbox) state(limit int) State {
	s.carryOut()
	now := s.lock()
	w := s.world
	events := s.ens.View()
	st := State{
		Clock:         now,
		BusinessUnits: map[string]BusinessUnit{},
		Contacts:      make([]account.Contact, 0, len(w.account.Contacts)), ContactOperations: []account.Operation{},
		Messages: []Message{}, Jobs: []Job{}, Tokens: []Token{},
		Callbacks: newest(events.Callbacks, limit), Subscriptions: newest(events.Subscriptions, limit), Deliveries: newest(events.Deliveries, limit),
		Calls:  maps.Clone(w.calls),
		Faults: w.faultList(now),
		Totals: Totals{
			Rows: map[string]int{}, Contacts: map[string]int{}, Persons: len(w.account.Contacts),
			Messages: len(w.messages.sent), Jobs: len(w.jobs.list), Tokens: len(w.tokens.issued),
			Callbacks: len(events.Callbacks), Subscriptions: len(events.Subscriptions), Deliveries: events.Sent, Coming: events.Coming, Late: len(w.deferred),
		},
	}
	units := map[string]unitCopy{}
	for mid, u := range w.account.Units {
		units[mid] = copyUnit(u, limit)
	}
	sent := newest(w.messages.sent, limit) // these do not change
	for _, c := range w.account.Contacts {
		st.Contacts = append(st.Contacts, *c)
	}
	for _, o := range newest(w.account.Operations, limit) {
		view := *o
		view.Keys = slices.Clone(o.Keys)
		st.ContactOperations = append(st.ContactOperations, view)
	}
	for _, j := range newest(w.jobs.list, limit) {
		st.Jobs = append(st.Jobs, j.view(now))
	}
	for _, t := range newest(w.tokens.issued, limit) {
		st.Tokens = append(st.Tokens, tokenView(t))
	}
	s.mu.Unlock()

	slices.SortFunc(st.Contacts, func(a, b account.Contact) int { return cmp.Compare(a.ID, b.ID) })
	st.Contacts = newest(st.Contacts, limit)
	for mid, u := range units {
		if mid != AccountID {
			st.BusinessUnits[mid] = u.view()
		}
	}
	first := units[AccountID].view()
	st.Totals.Rows, st.Totals.Contacts = first.Totals.Rows, first.Totals.Contacts
	st.DataExtensions, st.Journeys, st.MessageDefinitions = first.DataExtensions, first.Journeys, first.MessageDefinitions
	st.Subscribers = append([]account.Subscriber{}, first.Subscribers...)
	for _, m := range sent {
		st.Messages = append(st.Messages, m.view())
	}
	return st
}

// unitCopy is what a State shows of a business unit, copied under the mutex. What it
// refers to does not change.
type unitCopy struct {
	extensions  map[string]extensionCopy
	journeys    map[string][]account.Entry
	definitions map[string]MessageDefinition
	subscribers []account.Subscriber
	totals      UnitTotals
}

type extensionCopy struct {
	view  DataExtension // but for its rows
	table *table.Table
	rows  []table.Row
}

// copyUnit needs the sandbox's mutex.
func copyUnit(u *account.Unit, limit int) unitCopy {
	c := unitCopy{map[string]extensionCopy{}, map[string][]account.Entry{}, map[string]MessageDefinition{}, nil, UnitTotals{map[string]int{}, map[string]int{}}}
	for key, e := range u.Extensions {
		c.totals.Rows[key] = len(e.Rows)
		c.extensions[key] = extensionCopy{
			DataExtension{ID: e.ID, Name: e.Name, Columns: slices.Clone(e.Columns)}, e.Table, slices.Clone(newest(e.Rows, limit)),
		}
	}
	for key, j := range u.Journeys {
		c.journeys[key], c.totals.Contacts[key] = newest(j.Entries, limit), len(j.Entries)
	}
	for key, d := range u.Definitions {
		c.definitions[key] = MessageDefinition{Name: d.Name, Status: d.Status}
	}
	for _, s := range u.Subscribers {
		c.subscribers = append(c.subscribers, *s)
	}
	slices.SortFunc(c.subscribers, func(a, b account.Subscriber) int { return cmp.Compare(a.ID, b.ID) })
	c.subscribers = newest(c.subscribers, limit)
	return c
}

func (c unitCopy) view() BusinessUnit {
	u := BusinessUnit{map[string]DataExtension{}, map[string]Journey{}, c.definitions, c.subscribers, c.totals}
	for key, e := range c.extensions {
		e.view.Rows = make([]map[string]any, len(e.rows))
		for i, r := range e.rows {
			e.view.Rows[i] = e.table.AsMap(r)
		}
		u.DataExtensions[key] = e.view
	}
	for key, entries := range c.journeys {
		contacts := make([]Contact, len(entries))
		for i, e := range entries {
			contacts[i] = viewEntry(e)
		}
		u.Journeys[key] = Journey{contacts}
	}
	return u
}

// faultList is the faults that are set. It needs the sandbox's mutex.
func (w *world) faultList(now time.Time) []Fault {
	list := []Fault{}
	for _, f := range w.faults {
		if f.over(now) {
			continue
		}
		view := f.Fault
		view.Count = max(f.left, 0)
		if !f.ends.IsZero() {
			view.For = f.ends.Sub(now).String()
		}
		list = append(list, view)
	}
	return list
}

// newest is the end of a list; negative limit means all of it.
func newest[T any](list []T, limit int) []T {
	if limit < 0 || len(list) <= limit {
		return list
	}
	return list[len(list)-limit:]
}
