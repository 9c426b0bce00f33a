package config

import (
	"fmt"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// The most deliveries in one call, by the vendor's limits. A rowset may have
// more than the 50 rows that are recommended.
const (
	maxRowset   = 500
	maxRows     = 30_000
	maxEvents   = 100
	maxMessages = 500
)

// step is a destination and where it is described.
type step struct {
	destination onramp.Destination
	when        onramp.Condition
	line        int
}

// around is what a step takes from its form.
type around struct {
	set        fieldSet
	key        int // field that the subscriber key comes from; −1: none
	onExisting onramp.OnExisting
}

// route reads the steps of a form, and their conditions; none when no step has one.
func (r *reader) route(form map[string]value, set fieldSet, key onramp.KeyStrategy) (route []onramp.Destination, when []onramp.Condition) {
	from := around{set, key.Field, r.onExisting(form["on_existing"], onramp.Update)}
	if key.From == onramp.KeyUUID {
		from.key = -1
	}
	v := form["route"]
	before := len(r.problems)
	items, ok := r.list(v)
	if ok && len(items) == 0 && len(r.problems) == before {
		r.report(v.position, "a form needs at least one step, such as data_extension: { key: Web_Registrations }")
	}
	here := map[string]int{}
	for _, item := range items {
		s, ok := r.step(item, from)
		if !ok {
			continue
		}
		name := s.destination.Name()
		if line, twice := here[name]; twice {
			r.report(item.position, "%s is already in this route, on line %d: remove one", name, line)
			continue
		}
		here[name] = item.line
		route, when = append(route, s.destination), append(when, s.when)
		r.compareStep(item.position, s)
	}
	isRow := func(d onramp.Destination) bool { return d.Kind == onramp.DataExtension }
	if at := form["on_existing"]; at.isSet() && len(r.problems) == before && !slices.ContainsFunc(route, isRow) {
		r.report(at.position, "has no effect without a data_extension step; remove it")
	}
	if !slices.ContainsFunc(when, func(c onramp.Condition) bool { return c != nil }) {
		when = nil
	}
	return route, when
}

// compareStep reports a destination whose settings differ between forms: it
// is one queue, and has one set of them.
func (r *reader) compareStep(at position, s step) {
	name := s.destination.Name()
	first, known := r.steps[name]
	if !known {
		s.line = at.line
		r.steps[name] = s
		return
	}
	if keys := differences(s.destination, first.destination); len(keys) > 0 {
		r.report(at, "%s has a different %s on line %d: use the same in both", name, strings.Join(keys, " and a different "), first.line)
	}
}

// differences names the keys in which two steps to one destination differ. It
// says so of what a step left to its form as well.
func differences(a, b onramp.Destination) []string {
	var keys []string
	for _, c := range []struct {
		key  string
		same bool
	}{
		{"key_column", slices.Equal(a.KeyColumns, b.KeyColumns)},
		{"mode", a.Mode == b.Mode},
		{"on_existing", a.OnExisting == b.OnExisting},
		// on_existing: skip changes it too
		{"async_method", a.InsertOnly == b.InsertOnly || a.OnExisting != b.OnExisting},
		{"establish_contact_key", a.EstablishContactKey == b.EstablishContactKey},
		{"on_unknown", a.OnUnknown == b.OnUnknown},
		{"to", a.ToColumn == b.ToColumn},
		{"batch", a.Batch == b.Batch},
	} {
		if !c.same {
			keys = append(keys, c.key)
		}
	}
	return keys
}

// step reads one step of a route. It is false when the step has a mistake
// after which nothing can be said about its destination.
func (r *reader) step(v value, from around) (step, bool) {
	before := len(r.problems)
	keys, ok := r.mapping(v, setting.Step().Names()...)
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
		r.report(v.position, "a step has exactly one kind, but this one has %s: split it into one step of each", strings.Join(kinds, " and "))
	}
	var s step
	var inside value // the condition, where it stands among the settings of the kind
	for _, kind := range kinds {
		switch kind {
		case "data_extension":
			s.destination, inside = r.dataExtension(keys[kind], from)
		case "journey":
			s.destination, inside = r.journey(keys[kind], from)
		case "message":
			s.destination, inside = r.message(keys[kind], from)
		}
	}
	when := keys["when"]
	if inside.isSet() && when.isSet() {
		r.report(inside.position, "is set twice, also on line %d: remove one", when.line)
	} else if inside.isSet() {
		when = inside
	}
	s.when = r.when(when, from.set)
	if len(kinds) == 0 && len(r.problems) == before {
		r.report(v.position, "a step needs a kind: data_extension, journey or message")
	}
	return s, len(kinds) == 1 && s.destination.Key != ""
}

func (r *reader) dataExtension(v value, from around) (d onramp.Destination, when value) {
	keys, ok := r.mapping(v, setting.DataExtension().Names()...)
	if !ok {
		return d, when
	}
	d = onramp.Destination{
		Kind:       onramp.DataExtension,
		Key:        r.needed(keys["key"], "set it to the external key of the data extension"),
		KeyColumns: r.keyColumns(keys["key_column"], false),
		OnExisting: r.onExisting(keys["on_existing"], from.onExisting),
	}
	r.checkKeyColumns(keys["key_column"], d, from)
	modeKnown := true
	if mode, ok := r.word(keys["mode"], "auto", "sync", "async"); ok {
		d.Mode, _ = onramp.ParseMode(mode)
	} else {
		modeKnown = !keys["mode"].isSet()
	}
	r.asyncMethod(&d, keys)
	limit, with := maxRowset, fmt.Sprintf(" with mode: %s", d.Mode)
	if !modeKnown {
		limit, with = maxRows, ""
	} else if d.Mode == onramp.Async {
		limit = maxRows
	}
	d.Batch = r.batch(keys["batch"], limit, with)
	return d, keys["when"]
}

// asyncMethod reads whether the asynchronous route inserts, and checks what
// goes with it.
func (r *reader) asyncMethod(d *onramp.Destination, keys map[string]value) {
	at := keys["async_method"].position
	method, given := r.word(keys["async_method"], "put", "post")
	d.InsertOnly = method == "post" || d.OnExisting == onramp.Skip
	switch {
	case d.OnExisting == onramp.Skip && d.Mode == onramp.Sync:
		r.report(keys["mode"].position, "Marketing Cloud has no synchronous insert: use mode: async or auto with on_existing: skip")
	case d.OnExisting == onramp.Skip && method == "put":
		r.report(at, "put would update rows that on_existing: skip must not change: remove it, or use post")
	case given && d.Mode == onramp.Sync:
		r.report(at, "has no effect with mode: sync; remove it")
	}
}

func (r *reader) journey(v value, from around) (d onramp.Destination, when value) {
	keys, ok := r.mapping(v, setting.Journey().Names()...)
	if !ok {
		return d, when
	}
	d = onramp.Destination{
		Kind:                onramp.Journey,
		Key:                 r.needed(keys["event_definition_key"], "copy it from the journey's API event"),
		KeyColumns:          r.keyColumns(keys["key_column"], true),
		EstablishContactKey: r.boolean(keys["establish_contact_key"], true),
	}
	if strings.Contains(d.Key, ".") {
		r.report(keys["event_definition_key"].position, "must not contain a period: Marketing Cloud can't find such an event definition")
	}
	r.checkKeyColumns(keys["key_column"], d, from)
	if word, ok := r.word(keys["on_unknown"], "hold", "retry"); ok {
		d.OnUnknown, _ = onramp.ParseOnUnknown(word)
	}
	d.Batch = r.batch(keys["batch"], maxEvents, "")
	return d, keys["when"]
}

func (r *reader) message(v value, from around) (d onramp.Destination, when value) {
	keys, ok := r.mapping(v, setting.Message().Names()...)
	if !ok {
		return d, when
	}
	return onramp.Destination{
		Kind:     onramp.Message,
		Key:      r.needed(keys["definition_key"], "set it to the definition key of the transactional message"),
		ToColumn: r.toColumn(keys["to"], from.set),
		Batch:    r.batch(keys["batch"], maxMessages, ""),
	}, keys["when"]
}

// toColumn reads the column of the field with the address to send to. When a
// field could not be read it doesn't complain about one that isn't there.
func (r *reader) toColumn(v value, set fieldSet) string {
	s, given := r.scalar(v)
	if v.isSet() && !given {
		return ""
	}
	at := slices.IndexFunc(set.fields, func(f onramp.Field) bool {
		if given {
			return strings.EqualFold(f.Column, s.text)
		}
		return f.From == onramp.Submitted && f.Type == onramp.Email
	})
	switch {
	case at < 0 && !set.complete():
	case at < 0 && !given:
		r.report(v.position, "is missing, and the form has no field with type: email: add one")
	case at < 0:
		r.report(s.position, "no field has this column: use the column of a field with type: email")
	case !set.clear[at]:
	case set.fields[at].From != onramp.Submitted || set.fields[at].Type != onramp.Email:
		r.report(s.position, "must be the column of a field with type: email, which holds the address")
	case !set.fields[at].Required:
		r.report(set.positions[at].key("required"), "messages are sent to this email address: add required: true")
	}
	if at < 0 {
		return s.text
	}
	return set.fields[at].Column
}

func (r *reader) onExisting(v value, otherwise onramp.OnExisting) onramp.OnExisting {
	word, ok := r.word(v, "update", "skip", "new")
	if !ok {
		return otherwise
	}
	o, _ := onramp.ParseOnExisting(word)
	return o
}

// batch reads the most deliveries in one call; 0 for what suits it.
func (r *reader) batch(v value, limit int, with string) int {
	s, ok := r.scalar(v)
	if !ok {
		return 0
	}
	n, ok := s.integer()
	if !ok || n < 0 || n > limit {
		r.report(s.position, "must be a whole number from 1 to %d%s, without quotes", limit, with)
		return 0
	}
	return n
}
