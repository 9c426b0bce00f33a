// Package metadata is the sandbox's side of the routes that read and change what an
// account is made of: data extensions with their columns (the vendor calls them custom
// objects), event definitions, journeys (interactions), message definitions; and of those
// that tell what there is: the account's addresses and the list of routes.
//
// It is a part of the sandbox, which is its [Host]: the host owns the account and the
// lock that guards it. Begin with [New].
package metadata

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// Host is what a Service needs of the sandbox that it is a part of. All fields are
// required.
type Host struct {
	// Lock takes the lock that guards the account, does what is due on the host's clock,
	// and returns the time on it. Unlock releases it. No handler holds it while it waits.
	Lock   func() time.Time
	Unlock func()
	// Unit is the business unit that a call's token is for, or the refusal of a call whose
	// was taken away since. It needs the lock.
	Unit func(*wire.Call) (*account.Unit, error)
	// Scopes are those that the package of a call's token has by now. It needs the lock.
	Scopes func(*wire.Call) []string
	// Address is where an API ("auth", "rest" or "soap") is reached by a caller.
	Address func(r *http.Request, api string) string
	// Mails are those of a business unit, oldest first. It needs the lock.
	Mails func(*account.Unit) []Mail
	// Routes are all of the sandbox.
	Routes func() []wire.Route
}

// Mail is a mail that was sent, or not.
type Mail struct {
	Job           string // of the message definition, or of the journey
	DefinitionKey string
	MessageKey    string // "" for mails of journeys
	ContactKey    string
	Subscriber    string // the number that stands for the contact
	To            string
	At            time.Time
	Refusal       string // why it was not sent; "" when it was
}

// Service answers the routes. It keeps nothing itself.
type Service struct{ host Host }

// New makes a Service for a host.
func New(host Host) *Service { return &Service{host} }

// call is a call under the lock.
type call struct {
	*wire.Call
	now  time.Time
	unit *account.Unit
}

// operation is one route: the scope that it needs, and what answers it.
type operation struct {
	method, pattern, scope string
	handle                 func(*call) (wire.Answer, error)
}

// Routes are the operations. Scopes: vendor page "REST API Permission IDs and Scopes";
// those of custom objects are newer than the page, and as on the routes for their rows.
func (s *Service) Routes() []wire.Route {
	operations := slices.Concat(customObjectRoutes(), eventRoutes(), journeyRoutes(), membershipRoutes(), definitionRoutes(), s.mailRoutes(), vacantRoutes())
	var list []wire.Route
	for _, o := range operations {
		list = append(list, wire.Route{
			Method: o.method, Pattern: o.pattern, Scopes: []string{o.scope}, Handle: s.locked(o.handle),
			JSON: o.method == http.MethodPut || o.method == http.MethodPatch || o.method == http.MethodPost && !withoutBody(o.pattern),
		})
	}
	return append(list, s.discoveryRoutes()...)
}

// withoutBody reports whether a POST has nothing to say beside its path.
func withoutBody(pattern string) bool {
	for _, end := range []string{"/cleardata", "/publishAsync/{id}", "/pause/{id}", "/resume/{id}", "/stop/{id}"} {
		if strings.HasSuffix(pattern, end) {
			return true
		}
	}
	return false
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
		return handle(&call{c, now, u})
	}
}

// page is a part of a list, in the frame that the vendor's lists have.
type page struct {
	Count    int      `json:"count"` // of all pages
	Page     int      `json:"page"`
	PageSize int      `json:"pageSize"`
	Links    struct{} `json:"links"`
	Items    []any    `json:"items"`
}

// paged is the page that a call asks for, of so many items; size 0 is what the call asks
// for, or the vendor's usual 50.
func paged[T any](c *call, list []T, size int, view func(T) any) (wire.Answer, error) {
	number, err := c.count("page", 1)
	if err == nil && size == 0 {
		size, err = c.count("pageSize", 50)
	}
	if err != nil {
		return wire.Answer{}, err
	}
	p := page{Count: len(list), Page: number, PageSize: size, Items: []any{}}
	for _, item := range wire.Part(list, number, size) {
		p.Items = append(p.Items, view(item))
	}
	return wire.JSON(http.StatusOK, p), nil
}

// count is a parameter that is a number from 1 up.
func (c *call) count(name string, otherwise int) (int, error) {
	text := c.Query(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > math.MaxInt32 {
		return 0, wire.Failuref(http.StatusBadRequest, wire.CodeIncorrectFormat, "request parameter $%s could not be resolved", name)
	}
	return n, nil
}

// missing refuses a call without a parameter; the words are known from one route of a tenant.
func missing(name string) error {
	return wire.Failuref(http.StatusBadRequest, wire.CodeMissingField, "%s is a required parameter", name)
}

// invalid refuses a parameter for its value; what continues the sentence. Undocumented:
// the words.
func invalid(name, what string) error {
	return wire.Failuref(http.StatusBadRequest, wire.CodeInvalidValue, "%s %s", name, what)
}

// taken refuses what is there already, with the vendor's status and errorcode.
// Undocumented: the words.
func taken(format string, args ...any) error {
	return wire.Failuref(http.StatusConflict, wire.CodeExists, format, args...)
}

// done is the answer to a call whose answer's body is not documented.
func done() (wire.Answer, error) { return wire.JSON(http.StatusOK, struct{}{}), nil }

// shown is a time as the vendor's answers show it; that of what has not happened is the
// beginning of its calendar.
func shown(t time.Time) string {
	if t.IsZero() {
		return "0001-01-01T00:00:00"
	}
	return table.ServerTime(t)
}

// text is the first of two texts that there is.
func text(sent *string, otherwise string) string {
	if sent == nil {
		return otherwise
	}
	return cmp.Or(*sent, otherwise)
}
