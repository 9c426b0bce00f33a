package onramp

import "time"

// SuspectFilter narrows the registrations that are held under suspicion. Zero values do not
// narrow it.
type SuspectFilter struct {
	Form   string
	Not    []string  // forms that are left out
	Reason string    // what they are suspected of, see SuspicionOf
	Since  time.Time // received then or later
	Until  time.Time // received before
}

// Suspicion is how many registrations were held under one suspicion, and what became of them.
type Suspicion struct {
	Reason    string
	Held      int64 // ever
	Released  int64
	Discarded int64
	Waiting   int64 // held now; what was erased or has expired is none of the three
}

// Use is something that was used up, by the keyed hash of what used it: without the key it
// tells nothing of an address or a person.
type Use struct {
	Kind   UseKind
	Key    uint64
	At     time.Time
	Amount int64     // of a limit: of its time, in µs; of what is spent: whose submission it was
	Until  time.Time // when it can be forgotten
}

// UseKind is what was used.
type UseKind uint8

// What was used. The numbers are stored: never change them.
const (
	UseAddress UseKind = 1 // the limit of an address
	UsePerson  UseKind = 2 // the limit of a person
	UseSpent   UseKind = 3 // a proof of work, or the answer of a captcha
	UseForm    UseKind = 4 // the limit of a form
)
