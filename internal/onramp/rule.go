package onramp

import (
	"bytes"
	"encoding/json"
	"strings"
)

// EventRule is what a form does when an event comes about one of its
// registrations: a column of its data extensions gets a value.
type EventRule struct {
	Type   string            // pattern, see MatchesType
	Where  map[string]string // what the event's info, or the event itself, must hold, by name; in any case
	Column string
	Value  json.RawMessage // JSON scalar
}

// Matches says whether the rule is for an event.
func (r *EventRule) Matches(e *Event) bool {
	if !MatchesType(r.Type, e.Type) {
		return false
	}
	if len(r.Where) == 0 {
		return true
	}
	var outer map[string]json.RawMessage
	if json.Unmarshal(e.Body, &outer) != nil {
		return false
	}
	var inner map[string]json.RawMessage
	for name, raw := range outer {
		if strings.EqualFold(name, "info") {
			_ = json.Unmarshal(raw, &inner) // what is no object holds nothing
		}
	}
	for name, want := range r.Where {
		if !holds(inner, name, want) && !holds(outer, name, want) {
			return false
		}
	}
	return true
}

func holds(object map[string]json.RawMessage, name, want string) bool {
	for n, raw := range object {
		if !strings.EqualFold(n, name) {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(bytes.TrimSpace(raw))
		}
		return strings.EqualFold(text, want)
	}
	return false
}

// Ruling is what the forms' rules want of the events up to one.
type Ruling struct {
	To       int64 // seq of the last event that was looked at
	Changes  []RowChange
	Unjoined []Event // whose send is not known yet: they wait for it
	Joined   []int64 // seqs of events that wait no longer
}

// RowChange is what an event changes in a row of a data extension.
type RowChange struct {
	Event           int64 // seq
	RegistrationSeq int64 // whose row it is
	SubscriberKey   string
	Destination     int             // id; an event changes at most one row of each
	Values          json.RawMessage // object: column to value
}
