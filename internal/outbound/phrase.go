package outbound

import (
	"slices"
	"strings"
)

// phrase is a part of the vendor's messages that says what no code says. No other
// text is looked at to decide what an answer means.
type phrase struct {
	text string
	at   func(message, text string) bool
}

var (
	// A deadlock's victim: the same row is stored a moment later. The code is that
	// of errors that last (asynchronous rows: pull request 3967 of
	// segmentio/action-destinations).
	sayDeadlock = phrase{"Rerun the transaction.", strings.HasSuffix}
	// Journey Builder's queue is full: the same entry is taken later (vendor page
	// "Enter Contacts into a Journey in Batches").
	sayQueueFull = phrase{"could not queue", strings.Contains}
	// A row that was to be inserted exists (vendor page "Data Extensions
	// Asynchronous API").
	sayExists = phrase{"Cannot insert duplicate key", strings.Contains}
	// The data extension has no primary key of this name, for whatever row (reports
	// of users; the code is that of every bad value).
	sayNoPrimaryKey = phrase{"Primary key '", strings.HasPrefix}
	// A parameter of the address is wrong, not one of a row, which has the same code
	// (reports of users).
	sayBadAddress = phrase{"Parameter {", strings.HasPrefix}
)

// in reports whether one of the messages says so.
func (p phrase) in(messages ...string) bool {
	return slices.ContainsFunc(messages, func(m string) bool { return p.at(strings.TrimSpace(m), p.text) })
}
