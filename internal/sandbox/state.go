package sandbox

import (
	"maps"
	"slices"
	"time"
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
	// definition key; Messages are those that were sent. The sandbox cannot
	// send yet, so there are none.
	MessageDefinitions map[string]MessageDefinition `json:"message_definitions"`
	Messages           []any                        `json:"messages"`
	// Tokens are the access tokens given out, oldest first; tokens that expired
	// ten minutes before the newest was given out are left out.
	Tokens []Token `json:"tokens"`
	// Callbacks and Subscriptions are those of the Event Notification Service,
	// which the sandbox does not play yet, so there are none.
	Callbacks     []any `json:"callbacks"`
	Subscriptions []any `json:"subscriptions"`
	// Calls counts the calls by route, as "POST /v2/token"; calls to no route
	// are together under "(unknown route)". Calls that a fault hit count too.
	Calls map[string]int `json:"calls"`
	// Faults are those still set, with the calls that they have left.
	Faults []Fault `json:"faults"`
}

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

// state is State with at most the newest so many rows, contacts and tokens of
// each kind; negative means all.
func (s *Sandbox) state(limit int) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.world
	st := State{
		Clock:              s.now(),
		DataExtensions:     make(map[string]DataExtension, len(w.extensions)),
		Journeys:           make(map[string]Journey, len(w.journeys)),
		MessageDefinitions: map[string]MessageDefinition{WelcomeMessageKey: {Name: WelcomeMessageKey, Status: "Active"}},
		Messages:           []any{}, Callbacks: []any{}, Subscriptions: []any{},
		Tokens: []Token{},
		Calls:  maps.Clone(w.calls),
		Faults: w.faultList(),
	}
	for key, d := range w.extensions {
		rows := newest(d.rows, limit)
		view := DataExtension{
			ID: d.id, Name: d.name, Columns: slices.Clone(d.columns), Rows: make([]map[string]any, len(rows)),
		}
		for i, row := range rows {
			view.Rows[i] = d.asMap(row)
		}
		st.DataExtensions[key] = view
	}
	for key, j := range w.journeys {
		contacts := slices.Clone(newest(j.contacts, limit))
		for i := range contacts {
			contacts[i].Data = maps.Clone(contacts[i].Data)
		}
		st.Journeys[key] = Journey{Contacts: append([]Contact{}, contacts...)}
	}
	for _, t := range newest(w.tokens.issued, limit) {
		st.Tokens = append(st.Tokens, t.view())
	}
	return st
}

// faultList is the faults that are set. It needs the sandbox's mutex.
func (w *world) faultList() []Fault {
	list := make([]Fault, len(w.faults))
	for i, f := range w.faults {
		list[i] = f.Fault
		list[i].Count = max(f.left, 0)
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
