package quota

import "onramp/internal/onramp"

// What something takes in the database beside its own bytes: rows, index entries, ids and
// the outcomes of its deliveries. Measured with SQLite, and rounded up: 553 bytes for a
// registration of 250 with two steps, delivered.
const (
	registrationBytes = 256
	deliveryBytes     = 128
	eventBytes        = 256
)

// SizeOf is how many bytes a registration takes in the database, with its deliveries:
// never less than it does when it is delivered, and rarely twice as many.
func SizeOf(r *onramp.Registration) int64 {
	return registrationBytes + inPages(len(r.Values)+len(r.SubscriberKey)) + int64(len(r.Route))*deliveryBytes
}

// SizeOfEvents is how many bytes the events of a batch take, with their deliveries to sinks.
func SizeOfEvents(events []onramp.Event) (total int64) {
	for i := range events {
		e := &events[i]
		total += eventBytes + inPages(len(e.Body)) + int64(len(e.Sinks))*deliveryBytes
	}
	return total
}

// inPages is what bytes take in the pages of a database, which are never quite full.
func inPages(bytes int) int64 { return int64(bytes) + int64(bytes)/4 }
