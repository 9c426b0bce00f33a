// Package sfmctest starts the sandbox, which stands in for Marketing Cloud, inside a Go
// test: code that uses package sfmc is tested without an account and without a network.
//
//	server := sfmctest.NewServer(t, sfmctest.DataExtension{
//		Key: "Members", SendableBy: "Id",
//		Columns: []sfmctest.Column{{Name: "Id", Type: "Text", Length: 50, PrimaryKey: true}, {Name: "City", Type: "Text", Nullable: true}},
//	}, sfmctest.Journey{EventDefinition: "Joined", DataExtension: "Members", Status: "Paused"})
//	_, err := server.Client().UpsertRows(ctx, "Members", rows)
//	stored := server.State().DataExtensions["Members"].Rows
//
// Without parts it holds what the constants name. What the sandbox does not emulate
// stands in docs/sandbox.md, and "onramp sandbox --help" shows it.
package sfmctest

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"onramp/internal/sandbox"
	"onramp/internal/sandbox/account"
	"onramp/sfmc"
)

// What a new server holds, beside what it is given.
const (
	ClientID             = sandbox.ClientID          // of the installed package
	ClientSecret         = sandbox.ClientSecret      // of the installed package
	AccountID            = sandbox.AccountID         // MID of its business unit
	DataExtensionKey     = sandbox.RegistrationsKey  // external key; its primary key is SubscriberKey
	EventDefinitionKey   = sandbox.WelcomeEventKey   // of a running journey, bound to that data extension
	MessageDefinitionKey = sandbox.WelcomeMessageKey // a message definition
)

// Server is a sandbox that listens on a free port of this machine until the
// test ends.
type Server struct {
	// URL is the origin of all of Marketing Cloud's hosts, without a slash at the end.
	URL string

	t       testing.TB
	sandbox *sandbox.Sandbox
	client  *sfmc.Client
}

// NewServer starts a server with the state of a new sandbox, and with the parts. Parts
// that do not fit fail the test. The server is stopped when the test and its subtests
// are done.
func NewServer(t testing.TB, parts ...Part) *Server {
	t.Helper()
	var setting account.Setting
	for _, p := range parts {
		p.addTo(&setting)
	}
	s := sandbox.New(sandbox.Config{Account: &setting})
	if err := setting.Check(); err != nil {
		t.Fatalf("sfmctest: %v", err)
	}
	listener := httptest.NewServer(s)
	t.Cleanup(listener.Close)
	t.Cleanup(s.Reset) // ends what is on its way to callbacks
	tokens, err := sfmc.NewTokenRequester(listener.URL, sfmc.Credentials{
		ClientID: ClientID, ClientSecret: ClientSecret, AccountID: AccountID,
	})
	if err != nil {
		t.Fatalf("sfmctest: %v", err)
	}
	client := sfmc.NewClient(sfmc.NewTokenCache(tokens), sfmc.WithOrigin(listener.URL))
	return &Server{URL: listener.URL, t: t, sandbox: s, client: client}
}

// Client returns a client that is ready to call the server. It is the same one
// each time.
func (s *Server) Client() *sfmc.Client { return s.client }

// State returns a copy of everything that the server holds.
func (s *Server) State() State {
	s.t.Helper()
	var state State
	encoded, err := json.Marshal(s.sandbox.State())
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(encoded))
		d.UseNumber()
		err = d.Decode(&state)
	}
	if err != nil {
		s.t.Fatalf("sfmctest: %v", err)
	}
	return state
}

// Fault adds faults to those that the server has. One that it does not know
// fails the test.
func (s *Server) Fault(faults ...Fault) {
	s.t.Helper()
	for _, f := range faults {
		if err := s.sandbox.Fault(sandbox.Fault(f)); err != nil {
			s.t.Fatalf("sfmctest: %v", err)
		}
	}
}

// SendEvents has events happen now and be sent to the callbacks that are
// subscribed to them; the Message of what it returns says why none is, which is
// no failure. What does not exist, a type or a send, fails the test. A new
// subscription is active after two minutes: see Advance.
func (s *Server) SendEvents(e Events) SentEvents {
	s.t.Helper()
	sent, err := s.sandbox.SendEvents(sandbox.Trigger(e))
	if err != nil {
		s.t.Fatalf("sfmctest: %v", err)
	}
	return SentEvents(sent)
}

// Advance moves the server's clock ahead, so that tokens expire, asynchronous
// jobs are complete (after 300 ms), calls are carried out that a fault made late,
// subscriptions are active, events that were not taken are sent again and faults
// with a For end. A negative duration
// fails the test.
func (s *Server) Advance(d time.Duration) {
	s.t.Helper()
	if err := s.sandbox.Advance(d); err != nil {
		s.t.Fatalf("sfmctest: %v", err)
	}
}

// Reset brings the server back to the state that it had when it was new.
func (s *Server) Reset() { s.sandbox.Reset() }
