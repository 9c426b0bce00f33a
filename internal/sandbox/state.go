package sandbox

import (
	"maps"
	"slices"
	"time"

	"onramp/internal/sandbox/table"
)

// State is everything that a sandbox holds, as GET /_sandbox/state shows it.
type State struct {
	// Clock is the time on the sandbox's clock.
	Clock time.Time `json:"clock"`
	// DataExtensions are the tables, by external key.
	DataExtensions map[string]DataExtension `json:"data_extensions"`
	// Journeys are the running journeys, by event definition key.
	Journeys map[string]Journey `json:"journeys"`
	// MessageDefinitions are the transactional messages that can be sent, by
	// definition key; Messages are those that were sent, oldest first.
	MessageDefinitions map[string]MessageDefinition `json:"message_definitions"`
	Messages           []Message                    `json:"messages"`
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

// Journey is a running journey in a State.
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
		Clock:              now,
		DataExtensions:     make(map[string]DataExtension, len(w.extensions)),
		Journeys:           make(map[string]Journey, len(w.journeys)),
		MessageDefinitions: map[string]MessageDefinition{},
		Messages:           []Message{}, Jobs: []Job{}, Tokens: []Token{},
		Callbacks: newest(events.Callbacks, limit), Subscriptions: newest(events.Subscriptions, limit), Deliveries: newest(events.Deliveries, limit),
		Calls:  maps.Clone(w.calls),
		Faults: w.faultList(now),
		Totals: Totals{
			Rows: map[string]int{}, Contacts: map[string]int{},
			Messages: len(w.messages.sent), Jobs: len(w.jobs.list), Tokens: len(w.tokens.issued),
			Callbacks: len(events.Callbacks), Subscriptions: len(events.Subscriptions), Deliveries: events.Sent, Coming: events.Coming, Late: len(w.deferred),
		},
	}
	rows, entries := map[string][]table.Row{}, map[string][]entry{}
	extensions, journeys := maps.Clone(w.extensions), maps.Clone(w.journeys)
	for key, status := range w.definitions {
		st.MessageDefinitions[key] = MessageDefinition{Name: key, Status: status}
	}
	for key, d := range extensions {
		st.Totals.Rows[key] = len(d.Rows)
		rows[key] = slices.Clone(newest(d.Rows, limit))
	}
	for key, j := range journeys {
		st.Totals.Contacts[key] = len(j.entries)
		entries[key] = newest(j.entries, limit) // these do not change
	}
	sent := newest(w.messages.sent, limit) // nor do these
	for _, j := range newest(w.jobs.list, limit) {
		st.Jobs = append(st.Jobs, j.view(now))
	}
	for _, t := range newest(w.tokens.issued, limit) {
		st.Tokens = append(st.Tokens, tokenView(t))
	}
	s.mu.Unlock()

	for key, d := range extensions {
		view := DataExtension{
			ID: d.ID, Name: d.Name, Columns: slices.Clone(d.Columns), Rows: make([]map[string]any, len(rows[key])),
		}
		for i, r := range rows[key] {
			view.Rows[i] = d.AsMap(r)
		}
		st.DataExtensions[key] = view
	}
	for key, j := range journeys {
		view := Journey{Contacts: make([]Contact, len(entries[key]))}
		for i, e := range entries[key] {
			view.Contacts[i] = contact(j.extension, e)
		}
		st.Journeys[key] = view
	}
	for _, m := range sent {
		st.Messages = append(st.Messages, m.view())
	}
	return st
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
