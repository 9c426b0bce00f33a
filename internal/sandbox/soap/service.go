// Package soap is the sandbox's side of the SOAP API: Create, Retrieve, Update, Delete,
// Perform and Describe for data extensions, their fields, rows and folders, subscribers
// and business units.
//
// Answers look as recorded ones of the vendor do, down to the order of elements. What no
// recording shows is marked "Undocumented:" at the line that decides it.
//
// It is a part of the sandbox, which is its [Host]. Begin with [New].
package soap

import (
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// Path is where the SOAP API is.
const Path = "/Service.asmx"

// Host is what a Service needs of the sandbox that it is a part of. All fields are
// required.
type Host struct {
	// Lock takes the lock that guards the account and what the Service holds, and
	// returns the time on the host's clock, in UTC.
	Lock func() time.Time
	// Unlock gives it back.
	Unlock func()
	// Account is the account of now. It is called with the lock held.
	Account func() *account.Account
	// Token finds an access token, unless it is unknown or has expired. It takes the lock
	// itself.
	Token func(value string) (wire.Token, bool)
	// Address is where who has sent a request reaches the host of an API, such as "soap",
	// without a slash at the end.
	Address func(r *http.Request, api string) string
}

// Service is the SOAP API of one account.
type Service struct {
	host       Host
	kinds      map[string]kind
	operations map[string]operation
	readings   *readings // the host's lock guards it
}

// New makes a Service.
func New(host Host) *Service {
	return &Service{host: host, kinds: kinds(), operations: operations(), readings: &readings{}}
}

// Reset forgets what can be paged on. It needs the host's lock.
func (s *Service) Reset() { s.readings = &readings{} }

// Route is the one route of the API.
func (s *Service) Route() wire.Route {
	return wire.Route{Method: http.MethodPost, Pattern: Path, Admit: s.admit, Handle: s.handle}
}

// operation is what a call can ask for.
type operation struct {
	request  string // the name of the body's element
	response string // that of the answer's
	do       func(k *call, request, response *node) error
}

func operations() map[string]operation {
	return map[string]operation{
		"Create":   {"CreateRequest", "CreateResponse", (*call).create},
		"Retrieve": {"RetrieveRequestMsg", "RetrieveResponseMsg", (*call).retrieve},
		"Update":   {"UpdateRequest", "UpdateResponse", (*call).update},
		"Delete":   {"DeleteRequest", "DeleteResponse", (*call).remove},
		"Perform":  {"PerformRequestMsg", "PerformResponseMsg", (*call).perform},
		"Describe": {"DefinitionRequestMsg", "DefinitionResponseMsg", (*call).describe},
		// nothing of the account can be scheduled, executed or configured
		"Schedule":  {"ScheduleRequestMsg", "ScheduleResponseMsg", (*call).refuseAll},
		"Execute":   {"ExecuteRequestMsg", "ExecuteResponseMsg", (*call).refuseAll},
		"Configure": {"ConfigureRequestMsg", "ConfigureResponseMsg", (*call).refuseAll},
	}
}

// call is one call while it is carried out, with the host's lock held.
type call struct {
	*Service
	account *account.Account
	unit    *account.Unit
	token   wire.Token
	now     time.Time
}

// admit checks what a call must have whatever it asks for, and finds its token.
func (s *Service) admit(c *wire.Call) error {
	media, _, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if err != nil || !slices.Contains([]string{"text/xml", "application/xml", "application/soap+xml"}, media) {
		return wire.Failure(http.StatusUnsupportedMediaType, wire.NoCode)
	}
	r, err := read(c)
	if err != nil {
		return s.fault(c, err)
	}
	if r.token == "" {
		return s.fault(c, loginFailed())
	}
	t, ok := s.host.Token(r.token)
	if !ok {
		return s.fault(c, expired())
	}
	c.Token = t
	return nil
}

// handle answers POST /Service.asmx.
func (s *Service) handle(c *wire.Call) (wire.Answer, error) {
	r, err := read(c)
	if err != nil {
		return wire.Answer{}, s.fault(c, err)
	}
	o, known := s.operations[r.action]
	if !known {
		return wire.Answer{}, s.NotRecognized(c)
	}
	if r.body.name != o.request {
		return wire.Answer{}, s.fault(c, unreadable("the body of "+r.action+" is no "+o.request))
	}
	response := elem(o.response)
	response.attrs = ` xmlns="` + partnerAPI + `"`
	now, err := s.carryOut(c, func(k *call) error { return o.do(k, r.body, response) })
	if err != nil {
		return wire.Answer{}, s.fault(c, err)
	}
	return answer(http.StatusOK, header{r.action + "Response", r.message, now}, response), nil
}

// carryOut does something with the lock held.
func (s *Service) carryOut(c *wire.Call, do func(*call) error) (time.Time, error) {
	now := s.host.Lock()
	defer s.host.Unlock()
	a := s.host.Account()
	u := a.Units[c.Token.Unit]
	if u == nil { // it was taken away since
		return now, loginFailed()
	}
	return now, do(&call{s, a, u, c.Token, now})
}

// fault completes a fault with what its envelope says of the API and the time.
func (s *Service) fault(c *wire.Call, err error) error {
	f, ok := errors.AsType[fault](err)
	if !ok {
		return err
	}
	return s.complete(c, f)
}

func (s *Service) complete(c *wire.Call, f fault) fault {
	f.actor = s.host.Address(c.Request, "soap") + Path
	f.at = s.host.Lock()
	s.host.Unlock()
	return f
}

// NotRecognized refuses a call with an unknown action, or with another method than POST:
// with what ASP.NET says.
func (s *Service) NotRecognized(c *wire.Call) wire.Refusal {
	action := strings.Trim(c.Request.Header.Get("SOAPAction"), `"`)
	return s.complete(c, fault{code: clientCode, text: "Server did not recognize the value of HTTP Header SOAPAction: " + action + "."})
}

// Planted is the refusal of a call that a fault chooses, with the status that the fault
// has for REST: 401 is an expired token. Undocumented: the words of all others; the vendor
// says that the SOAP API has status 500 also for what is throttled.
func (s *Service) Planted(c *wire.Call, status int, text string) wire.Refusal {
	if status == http.StatusUnauthorized {
		return s.complete(c, expired())
	}
	return s.complete(c, fault{code: serverCode, text: text})
}

// Serves reports whether a request is for the SOAP API: by its path in any case, and with
// slashes too many.
func Serves(r *http.Request) bool {
	return strings.EqualFold(strings.Trim(r.URL.Path, "/"), strings.Trim(Path, "/"))
}

// units are the business units that the call's package is enabled for.
func (k *call) units() []*account.Unit {
	p := k.account.Packages[k.token.Client]
	if p == nil {
		return []*account.Unit{k.unit}
	}
	var list []*account.Unit
	for _, mid := range slices.Sorted(slices.Values(p.Units)) {
		if u := k.account.Units[mid]; u != nil {
			list = append(list, u)
		}
	}
	return list
}

// unitWith is the business unit with a MID if the call's package is enabled for it; ""
// is the token's.
func (k *call) unitWith(mid string) (*account.Unit, bool) {
	if mid == "" {
		return k.unit, true
	}
	units := k.units()
	i := slices.IndexFunc(units, func(u *account.Unit) bool { return u.MID == mid })
	if i < 0 {
		return nil, false
	}
	return units[i], true
}

// unsupported is what is said of an object type that there is not. Recorded for Retrieve.
func unsupported(kind string) string {
	return "Unable to find a handler for object type: " + kind + ". Object types are case-sensitive, check spelling."
}

// lacksPermission is what is said to a token without the scope. Recorded for Retrieve,
// after "Error: ".
const lacksPermission = "API Permission Failed."
