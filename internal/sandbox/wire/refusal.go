package wire

import (
	"fmt"
	"net/http"
)

// Refusal is an error that knows its own answer. Handlers return it.
type Refusal interface {
	error
	Answer() Answer
}

// errorDocumentation is where the vendor's errors of the API layer point.
const errorDocumentation = "https://developer.salesforce.com/docs/atlas.en-us.mc-apis.meta/mc-apis/error-handling.htm"

// The vendor's errorcodes. Vendor page error-handling; rate limits from vendor
// page rate-limiting-errors.
const (
	NoCode                     = -1 // an answer without errorcode: 413, 415, gateways
	CodeNotAuthorized          = 0
	CodeInternal               = 500
	CodeGeneric                = 10000
	CodeInvalidType            = 10001
	CodeMissingField           = 10002
	CodeIncorrectFormat        = 10003
	CodeInvalidFormat          = 10004
	CodeInvalidValue           = 10005
	CodeAggregate              = 10006
	CodeForbidden              = 20000
	CodeInsufficientPrivileges = 20002
	CodeInvalidOperation       = 30001
	CodeInvalidTransition      = 30002
	CodeNotFound               = 30003
	CodeExists                 = 30004
	CodeRateLimit              = 50100
	CodeBlocked                = 50200
	CodeUnavailable            = 50300
)

// StatusServiceNotFound is the API gateway's own status for a route that it
// does not know.
const StatusServiceNotFound = 596

// Error is a refusal in the REST API's ordinary shape.
type Error struct {
	Status        int     `json:"-"`
	Message       string  `json:"message"`
	Code          *int    `json:"errorcode,omitempty"`
	RetryAfter    int     `json:"retryAfter,omitempty"` // seconds; in 50100 only
	Documentation string  `json:"documentation"`
	Additional    []Error `json:"additionalErrors,omitempty"`
	Validation    []Error `json:"validationErrors,omitempty"` // of an event's data, in their place
}

// Error gives status, code and message, for logs.
func (e *Error) Error() string {
	if e.Code == nil {
		return fmt.Sprintf("%d: %s", e.Status, e.Message)
	}
	return fmt.Sprintf("%d (errorcode %d): %s", e.Status, *e.Code, e.Message)
}

// challenge goes with a 401 (RFC 6750, section 3). A client of the vendor renews its
// token only if it is there. Undocumented: the realm.
const challenge = `Bearer realm="marketingcloudapis.com", error="invalid_token", error_description="The access token is missing, invalid or expired"`

// Answer is the error as the body of its status.
func (e *Error) Answer() Answer {
	a := JSON(e.Status, e)
	if e.Status == http.StatusUnauthorized {
		a.Challenge = challenge
	}
	return a
}

// Failure makes a refusal with the message that the vendor uses, or is likely
// to use, for the code; with NoCode the message is the status's name.
func Failure(status, code int) *Error {
	e := &Error{Status: status, Message: codeMessages[code]}
	if code != NoCode {
		e.Code = &code
	}
	if e.Message == "" {
		e.Message = StatusText(status)
	}
	switch code {
	case CodeNotAuthorized, CodeForbidden, CodeInsufficientPrivileges, CodeRateLimit, CodeBlocked, CodeUnavailable:
		e.Documentation = errorDocumentation
	}
	return e
}

// Failuref is Failure with another message.
func Failuref(status, code int, format string, args ...any) *Error {
	e := Failure(status, code)
	e.Message = fmt.Sprintf(format, args...)
	return e
}

// codeMessages are the messages that go with the errorcodes.
var codeMessages = map[int]string{
	CodeNotAuthorized:   "Not Authorized",
	CodeInternal:        "Internal Server Error",
	CodeGeneric:         "Invalid request.",
	CodeInvalidType:     "Invalid data type.",
	CodeMissingField:    "Missing required field.",
	CodeIncorrectFormat: "Incorrect format.",
	// The vendor's own words, reported for bodies that do not fit.
	CodeInvalidFormat:          "JSON Deserialization Exception: Location Unknown",
	CodeInvalidValue:           "Invalid value.",
	CodeForbidden:              "Forbidden",
	CodeInsufficientPrivileges: "Insufficient Privileges",
	CodeInvalidTransition:      "Invalid state transition.",
	CodeNotFound:               "Object Not Found",
	CodeExists:                 "Object already exists.",
	CodeRateLimit:              "Rate limit exceeded",
	CodeBlocked:                "Your requests are temporarily blocked.",
	CodeUnavailable:            "Service Unavailable",
}

// StatusText is http.StatusText with the gateway's 596.
func StatusText(status int) string {
	if status == StatusServiceNotFound {
		return "Service Not Found"
	}
	return http.StatusText(status)
}

// ServiceNotFound is what the API gateway in front of Marketing Cloud can answer to a
// route that it does not know; a fault makes it so. It is not JSON.
type ServiceNotFound struct{}

// Error says what it is.
func (ServiceNotFound) Error() string { return "service not found" }

// Answer is the gateway's page.
func (ServiceNotFound) Answer() Answer {
	return Answer{Status: StatusServiceNotFound, ContentType: "text/xml", Body: []byte("<h1>596 Service Not Found</h1>")}
}
