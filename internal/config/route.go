package config

import (
	"strings"

	"onramp/internal/onramp"
)

// keyColumn is the column for the subscriber key unless the step says another.
const keyColumn = "SubscriberKey"

// step is a destination with what its delivery needs besides.
type step struct {
	destination onramp.Destination
	mode        string // data_extension only
	line        int
}

// route reads the steps of a form.
func (r *reader) route(v value) []onramp.Destination {
	before := len(r.problems)
	items, ok := r.list(v)
	if ok && len(items) == 0 && len(r.problems) == before {
		r.report(v.place, "a form needs at least one step, such as data_extension: { key: Web_Registrations }")
	}
	var route []onramp.Destination
	here := map[string]int{}
	for _, item := range items {
		s, ok := r.step(item)
		if !ok {
			continue
		}
		name := s.destination.Name()
		if line, twice := here[name]; twice {
			r.report(item.place, "%s is in this route already, in line %d: leave one out", name, line)
			continue
		}
		here[name] = item.line
		route = append(route, s.destination)
		r.compareStep(item.place, s)
	}
	return route
}

// compareStep reports a destination whose settings differ between forms: it
// is one queue, and has one set of them.
func (r *reader) compareStep(at place, s step) {
	name := s.destination.Name()
	first, known := r.steps[name]
	if !known {
		s.line = at.line
		r.steps[name] = s
		return
	}
	if s.destination != first.destination || s.mode != first.mode {
		r.report(at, "%s has other settings in line %d: write the same in both", name, first.line)
	}
}

// step reads one step of a route. It is false when the step has a mistake
// after which nothing can be said about its destination.
func (r *reader) step(v value) (step, bool) {
	before := len(r.problems)
	keys, ok := r.mapping(v, "data_extension", "journey", "message")
	if !ok {
		return step{}, false
	}
	var kinds []string
	for _, kind := range []string{"data_extension", "journey", "message"} {
		// journey: with nothing below it is a step too
		if keys[kind].node != nil {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) > 1 {
		r.report(v.place, "a step has one kind, and this has %s: make a step of each", strings.Join(kinds, " and "))
	}
	var s step
	for _, kind := range kinds {
		switch kind {
		case "data_extension":
			s = r.dataExtension(keys[kind])
		case "journey":
			s = r.journey(keys[kind])
		case "message":
			r.report(keys[kind].place, "is not available in this version yet; use data_extension or journey")
		}
	}
	if len(kinds) == 0 && len(r.problems) == before {
		r.report(v.place, "a step needs a kind: data_extension or journey")
	}
	return s, len(kinds) == 1 && s.destination.Key != ""
}

func (r *reader) dataExtension(v value) step {
	keys, ok := r.mapping(v, "key", "key_column", "mode")
	if !ok {
		return step{}
	}
	s := step{mode: "auto"}
	s.destination = onramp.Destination{
		Kind:      onramp.DataExtension,
		Key:       r.needed(keys["key"], "give the external key of the data extension"),
		KeyColumn: keyColumn,
	}
	if keys["key_column"].isSet() {
		s.destination.KeyColumn = r.needed(keys["key_column"], "name the column that holds the subscriber key")
	}
	if mode, ok := r.scalar(keys["mode"]); ok {
		s.mode = mode.text
		if mode.text == "async" {
			r.report(mode.place, "async is not available in this version yet; use sync or auto")
		} else if err := mode.oneOf("auto", "sync"); err != nil {
			r.report(mode.place, "%v", err)
		}
	}
	return s
}

func (r *reader) journey(v value) step {
	keys, ok := r.mapping(v, "event_definition_key", "establish_contact_key", "key_column")
	if !ok {
		return step{}
	}
	s := step{destination: onramp.Destination{
		Kind:                onramp.Journey,
		Key:                 r.needed(keys["event_definition_key"], "copy it from the journey's API event"),
		KeyColumn:           keyColumn,
		EstablishContactKey: r.boolean(keys["establish_contact_key"], true),
	}}
	if strings.Contains(s.destination.Key, ".") {
		r.report(keys["event_definition_key"].place, "must not contain a period: Marketing Cloud finds no such event definition")
	}
	if keys["key_column"].isSet() {
		s.destination.KeyColumn = r.text(keys["key_column"])
	}
	return s
}
