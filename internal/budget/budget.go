// Package budget counts the calls to Marketing Cloud, compares them with what the
// contract allots for a year, and decides how calls are saved when that runs short.
//
// A [Meter] counts, by day and [Kind], and has a [Keeper] keep the counts. [Decide] is
// the decision, from the figures alone. The package makes no calls and stops none.
package budget

import (
	"net/http"
	"strings"
	"time"
)

// Contract is what the contract with the vendor says.
type Contract struct {
	PerYear int64      // calls; 0: nothing is known, and calls are only counted
	Month   time.Month // in which the contract's year begins; 0: January
	Day     int        // of the month; 0: the first
}

// Year returns the contract's year that a time is in, from midnight to midnight UTC.
func (c Contract) Year(now time.Time) (from, to time.Time) {
	start := func(year int) time.Time {
		return time.Date(year, max(c.Month, time.January), max(c.Day, 1), 0, 0, 0, 0, time.UTC)
	}
	year := now.UTC().Year()
	if start(year).After(now) {
		year--
	}
	return start(year), start(year + 1)
}

// Day is a day of UTC, counted from 1 January 1970.
type Day int64

// DayOf returns the day of a time.
func DayOf(t time.Time) Day { return Day(t.Unix() / (24 * 60 * 60)) }

// Kind is what a call is for. The names are stored and shown: never change them.
type Kind string

// The kinds of calls.
const (
	Token     Kind = "token"      // requests for an access token
	Rows      Kind = "rows"       // rows of data extensions, by the synchronous route
	AsyncRows Kind = "async_rows" // the same by the asynchronous route
	AsyncPoll Kind = "async_poll" // status and results of the asynchronous route
	Journey   Kind = "journey"    // entries into journeys
	Message   Kind = "message"    // transactional messages
	ENS       Kind = "ens"        // set-up of the Event Notification Service
	Read      Kind = "read"       // rows read back, and checks of what the configuration names
	Other     Kind = "other"
)

// Kinds are all kinds, in the order in which they are shown.
func Kinds() []Kind {
	return []Kind{Token, Rows, AsyncRows, AsyncPoll, Journey, Message, ENS, Read, Other}
}

// KindOf tells the kind of a call from its method and path.
func KindOf(method, path string) Kind {
	path = strings.ToLower(path)
	under := func(prefix string) bool { return strings.HasPrefix(path, prefix) }
	reads := method == http.MethodGet
	switch {
	case under("/v2/token"):
		return Token
	case under("/platform/v1/ens-"):
		return ENS
	case under("/data/v1/async/") && reads:
		return AsyncPoll
	case reads, under("/service.asmx"): // by SOAP nothing is changed here but by other processes
		return Read
	case under("/data/v1/async/"), under("/hub/v1/dataeventsasync"):
		return AsyncRows
	case under("/hub/v1/dataevents"):
		return Rows
	case under("/interaction/v1/events"), under("/interaction/v1/async/events"):
		return Journey
	case under("/messaging/v1/"):
		return Message
	}
	return Other
}
