package onramp

import (
	"fmt"
	"hash/fnv"
	"regexp"
)

// CauseGroup is all dead or unknown deliveries to one destination that failed
// alike.
type CauseGroup struct {
	Cause       string
	Destination string // name
	State       DeliveryState
	Reason      string // of the newest
	Count       int64
	Oldest      string // id of the delivery that was accepted first
	Newest      string // and of the one that was accepted last
}

// varying are the parts of an answer that differ between deliveries which fail
// alike: numbers, ids, quoted and bracketed values with a digit or an @.
var varying = regexp.MustCompile(`(?i)\([^()]*[0-9@][^()]*\)|'[^']*'|"[^"]*"|[0-9a-f]{8}-[0-9a-f-]{27}|\S+@\S+|[0-9]+`)

// Cause names what a failed outcome has in common with others that failed alike:
// eight hexadecimal digits over verdict, status, code and the detail without what
// varies. It says nothing of the destination.
func (o *Outcome) Cause() string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%d %d %d %s", o.Verdict, o.Status, o.Code, varying.ReplaceAllString(o.Detail, "#"))
	return fmt.Sprintf("%08x", h.Sum32())
}
