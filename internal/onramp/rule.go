package onramp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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
	At              time.Time       // when the event happened, at the latest when it came; zero: it is never late
	Withdraws       *ConsentEntry   // that is recorded with it; nil: it takes no consent back
	WithdrawsBy     string          // column by which it does
	Forms           []string        // that write the destination, too: what they have registered since is newer
}

// grace is how far Marketing Cloud's clock may be behind ours.
const grace = 5 * time.Second

// InTime leaves out of a change what something newer has decided: everything, if the
// person has registered since the event happened; a column, if a newer event has set
// it. late says what was left out and why; values are nil when nothing is left.
func (c *RowChange) InTime(registered time.Time, set map[string]time.Time) (values json.RawMessage, late string) {
	if c.At.IsZero() {
		return c.Values, ""
	}
	if c.At.Add(grace).Before(registered) {
		return nil, fmt.Sprintf("the event happened at %s, before the registration of %s", second(c.At), second(registered))
	}
	columns := map[string]json.RawMessage{}
	_ = json.Unmarshal(c.Values, &columns) // the rules have made it
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		if set[name].After(c.At) {
			delete(columns, name)
			reasons = append(reasons, fmt.Sprintf("%s was set by an event of %s, and this one happened at %s", name, second(set[name]), second(c.At)))
		}
	}
	if late = strings.Join(reasons, "; "); len(columns) == 0 {
		return nil, late
	}
	values, _ = json.Marshal(columns)
	return values, late
}

// Sets says whether the values that are left of a change set a column.
func (c *RowChange) Sets(values json.RawMessage, column string) bool {
	taken, _ := TakeColumns(values, []string{column})
	return taken[column] != nil
}

func second(t time.Time) string { return t.UTC().Format(time.RFC3339) }
