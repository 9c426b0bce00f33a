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
	// of errors that last, and other sentences may follow, such as "The statement has
	// been terminated." (asynchronous rows: pull request 3967 of
	// segmentio/action-destinations, and its review).
	sayDeadlock = phrase{"rerun the transaction", containsFold}
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
	// The data extension has no primary key at all, so that nothing can be upserted
	// (reports of users of the asynchronous route).
	sayNoKeys = phrase{"does not have any primary keys", strings.Contains}
	// There is no event with this key: vendor page "Fire Entry Event" names the case
	// and status 400; the words are those of users' guides.
	sayNoEventDefinition = phrase{"Event Definition not found", strings.Contains}
	sayNoEventKey        = phrase{"EventDefinitionKey not found", strings.Contains}
	// None of a row's columns is known (comment in sfmc-operations.ts of
	// segmentio/action-destinations). Where one is, the others are passed over.
	sayNoKnownColumn = phrase{"At least one existing field is required", strings.HasPrefix}
	// A column must have a value and got none (answer recorded in the tests of
	// segmentio/action-destinations, asynchronous route).
	sayNull = phrase{"does not allow null value", strings.Contains}
	// The same of an event's data (vendor's guide to the Interaction API, "a validation
	// exception is returned in the response").
	sayNoField = phrase{"Required Event Data fields are missing:", strings.HasPrefix}
	// There is no such column. The vendor names the class "data validation error" for
	// events without the words; these are inferred, and count only beside the name of a
	// column that was sent. The second is SQL Server's, whose errors the asynchronous
	// route passes on.
	sayUnknown       = phrase{"does not exist", strings.Contains}
	sayInvalidColumn = phrase{"Invalid column name", strings.Contains}
)

func containsFold(message, text string) bool { return strings.Contains(strings.ToLower(message), text) }

// in reports whether one of the messages says so.
func (p phrase) in(messages ...string) bool {
	return slices.ContainsFunc(messages, func(m string) bool { return p.at(strings.TrimSpace(m), p.text) })
}
