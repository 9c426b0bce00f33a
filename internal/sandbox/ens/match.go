package ens

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxPatterns bounds the compiled expressions that are kept.
const maxPatterns = 1000

// patterns are the values of filters that are regular expressions, compiled; nil
// for one that is none.
type patterns map[string]*regexp.Regexp

// find compiles a value, or remembers it.
func (ps patterns) find(value string) *regexp.Regexp {
	p, ok := ps[value]
	if !ok {
		if len(ps) >= maxPatterns {
			clear(ps)
		}
		p, _ = regexp.Compile(`^(?:` + value + `)$`) // nil when it is no expression: it equals itself alone
		ps[value] = p
	}
	return p
}

// match reports whether an event passes a filter "name=value". A name that the
// event does not have does not let it pass: "all must match". The vendor's
// newest page says that values may be RE2 expressions, which Go's are too.
// Undocumented: a value that equals the event's passes before it is read as an
// expression, and an expression must match the whole of it.
func (ps patterns) match(e *event, filter string) bool {
	name, want, _ := strings.Cut(filter, "=")
	got, ok := e.text(name)
	if !ok || got == want {
		return ok
	}
	if regexp.QuoteMeta(want) == want {
		return false
	}
	p := ps.find(want)
	return p != nil && p.MatchString(got)
}

// takes reports whether a subscription takes an event at the time when it happens.
// What was given by hand and names no known type goes to every subscription that
// is active. It needs the host's lock.
func (w *world) takes(sub *subscription, e *event, now time.Time) bool {
	types, filters, active := w.effective(sub, now)
	if !active {
		return false
	}
	if e.raw != nil {
		if _, known := findEventKind(e.kind); !known {
			return true
		}
	}
	if !slices.ContainsFunc(types, func(t string) bool { return strings.EqualFold(t, e.kind) }) {
		return false
	}
	for _, f := range filters {
		if !w.sender.patterns.match(e, f) {
			return false
		}
	}
	return true
}

// taker is the first subscription of a callback that takes an event, or nil.
// Undocumented: an event that two subscriptions of one callback take is sent to
// it once.
func (w *world) taker(callbackID string, e *event, now time.Time) *subscription {
	for _, sub := range w.subscriptions {
		if sub.callbackID == callbackID && w.takes(sub, e, now) {
			return sub
		}
	}
	return nil
}

// listens reports whether any subscription of a callback is active.
func (w *world) listens(callbackID string, now time.Time) bool {
	for _, sub := range w.subscriptionsOf(callbackID) {
		if _, _, active := w.effective(sub, now); active {
			return true
		}
	}
	return false
}
