// Package contact is the sandbox's side of the contacts API: contacts are made, changed,
// searched, deleted and restricted.
//
// It is a part of the sandbox, which is its [Host]: the host owns the account and the
// lock that guards it. Begin with [New].
package contact

import (
	"net/http"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// Host is what a Service needs of the sandbox that it is a part of. All fields are
// required.
type Host struct {
	// Lock takes the lock that guards the account, does what is due on the host's clock,
	// and returns the time on it. Unlock releases it. No handler holds it while it waits.
	Lock   func() time.Time
	Unlock func()
	// Account is the whole of it, and Unit the business unit that a call's token is for, or
	// the refusal of a call whose was taken away since. Both need the lock.
	Account func() *account.Account
	Unit    func(*wire.Call) (*account.Unit, error)
}

// Service answers the routes. It keeps nothing itself.
type Service struct{ host Host }

// New makes a Service for a host.
func New(host Host) *Service { return &Service{host} }

// call is a call under the lock.
type call struct {
	*wire.Call
	now     time.Time
	unit    *account.Unit
	account *account.Account
}

// Routes are the operations. Scopes: vendor page "REST API Permission IDs and Scopes".
// Undocumented: of those for which it lists both scopes, a search needs that to read, and a
// change that to write; the scope that it names for preferences is none of a token's.
func (s *Service) Routes() []wire.Route {
	const read, write = "list_and_subscribers_read", "list_and_subscribers_write"
	const contacts = "/contacts/v1/contacts"
	type operation struct {
		method, pattern, scope string
		handle                 func(*call) (wire.Answer, error)
	}
	operations := []operation{
		{"POST", contacts, write, upsert},
		{"PATCH", contacts, write, upsert},
		{"POST", "/contacts/v1/addresses/email/search", read, searchEmail},
		{"GET", contacts + "/{contact}/preferences", read, preferences},
		{"POST", contacts + "/actions/delete", write, begin(false)},
		{"GET", contacts + "/actions/delete/status", read, status(false)},
		{"POST", contacts + "/actions/delete/configSettings", write, configure},
		{"POST", contacts + "/actions/restrict", write, begin(true)},
		{"GET", contacts + "/actions/restrict/status", read, status(true)},
		{"GET", contacts + "/analytics/deleterequests", read, deleteRequests},
		{"GET", contacts + "/deleteOperations", read, deleteOperations},
		{"POST", "/contacts/v1/operations/delete/{operationId}/retry", write, retry(false)},
		{"POST", "/contacts/v1/operations/restrict/{operationId}/retry", write, retry(true)},
	}
	list := make([]wire.Route, len(operations))
	for i, o := range operations {
		list[i] = wire.Route{
			Method: o.method, Pattern: o.pattern, Scopes: []string{o.scope}, Handle: s.locked(o.handle),
			JSON: o.method != http.MethodGet && !strings.HasSuffix(o.pattern, "/retry"),
		}
	}
	return list
}

// locked runs a handler under the host's lock.
func (s *Service) locked(handle func(*call) (wire.Answer, error)) func(*wire.Call) (wire.Answer, error) {
	return func(c *wire.Call) (wire.Answer, error) {
		now := s.host.Lock()
		defer s.host.Unlock()
		u, err := s.host.Unit(c)
		if err != nil {
			return wire.Answer{}, err
		}
		return handle(&call{c, now, u, s.host.Account()})
	}
}

// answer is the body of an answer of this API, with what all of them have.
func (c *call) answer(body map[string]any) (wire.Answer, error) {
	for name, value := range map[string]any{
		"requestServiceMessageID": wire.NewGUID(), "serviceMessageID": wire.NewGUID(), "resultMessages": []any{},
		"responseDateTime": c.now.Format("2006-01-02T15:04:05.9999999Z07:00"),
	} {
		body[name] = value
	}
	return wire.JSON(http.StatusOK, body), nil
}

// refusal is a call that this API refuses, in its own shape.
type refusal struct{ code, message string }

func (r refusal) Error() string { return r.code + ": " + r.message }

// Answer is a 400. Undocumented: the status and the words; the shape is that of the API's
// answers.
func (r refusal) Answer() wire.Answer {
	return wire.JSON(http.StatusBadRequest, map[string]any{
		"operationStatus": "Error", "hasErrors": true, "requestServiceMessageID": wire.NewGUID(), "serviceMessageID": wire.NewGUID(),
		"resultMessages": []any{map[string]any{"resultType": "Validation", "resultClass": "Error", "resultCode": r.code, "message": r.message}},
	})
}

func missing(name string) error {
	return refusal{"MissingParameter", "The parameter " + name + " is required."}
}

func invalid(name, what string) error {
	return refusal{"InvalidParameter", "The parameter " + name + " " + what + "."}
}
