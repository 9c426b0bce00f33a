// Package ens is what comes in from Marketing Cloud's Event Notification Service
// while the gateway runs: the callback that takes probes and events (Receiver),
// and the rules by which an event changes a row (Rules).
//
// It does not set anything up in Marketing Cloud, which package setup does, nor
// issue tokens, which package oauth does, nor send events on, which package
// sink does.
package ens
