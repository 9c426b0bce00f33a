// Package ens is Onramp's side of Marketing Cloud's Event Notification Service:
// the callback that takes probes and events (Receiver), the rules by which an
// event changes a row (Rules), and the set-up of authentication schemes,
// callbacks and subscriptions (Setup).
//
// It does not give out tokens, which package oauth does, nor send events on,
// which package sink does.
package ens
