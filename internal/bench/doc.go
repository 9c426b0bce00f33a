// Package bench measures how much of this machine's speed the product keeps:
// it drives a bare net/http handler and the product's own route with the same
// load, in turns, and compares the two.
//
// Load is the generator. Run it in a process of its own: in the server's
// process the two would share a scheduler and a collector, and the ratio would
// say little. Bare is the handler to compare with, Alternate runs the rounds,
// NewReport judges them. MemoryOf and CPUOf read what a server spends.
//
// The package starts no process and knows nothing of the product's routes or
// storage; whoever calls it does. Absolute figures drift by the minute on a
// shared machine, so the report is about ratios within a round.
package bench
