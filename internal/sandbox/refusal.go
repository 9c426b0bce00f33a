package sandbox

import (
	"fmt"
	"net/http"
)

// refusal is an error that knows its own answer. Handlers return it; process
// answers it.
type refusal interface {
	error
	answer() answer
}

// errorDocumentation is where the vendor's errors of the API layer point.
const errorDocumentation = "https://developer.salesforce.com/docs/atlas.en-us.mc-apis.meta/mc-apis/error-handling.htm"

// The vendor's errorcodes. Vendor page error-handling; rate limits from vendor
// page rate-limiting-errors.
const (
	noCode                     = -1 // an answer without errorcode: 413, 415, gateways
	codeNotAuthorized          = 0
	codeInternal               = 500
	codeGeneric                = 10000
	codeInvalidType            = 10001
	codeMissingField           = 10002
	codeIncorrectFormat        = 10003
	codeInvalidFormat          = 10004
	codeInvalidValue           = 10005
	codeAggregate              = 10006
	codeForbidden              = 20000
	codeInsufficientPrivileges = 20002
	codeInvalidTransition      = 30002
	codeNotFound               = 30003
	codeExists                 = 30004
	codeRateLimit              = 50100
	codeBlocked                = 50200
	codeUnavailable            = 50300
)

// statusServiceNotFound is the API gateway's own status for a route that it
// does not know.
const statusServiceNotFound = 596

// apiError is a refusal in the REST API's ordinary shape.
type apiError struct {
	Status        int        `json:"-"`
	Message       string     `json:"message"`
	Code          *int       `json:"errorcode,omitempty"`
	RetryAfter    int        `json:"retryAfter,omitempty"` // seconds; in 50100 only
	Documentation string     `json:"documentation"`
	Additional    []apiError `json:"additionalErrors,omitempty"`
}

func (e *apiError) Error() string {
	if e.Code == nil {
		return fmt.Sprintf("%d: %s", e.Status, e.Message)
	}
	return fmt.Sprintf("%d (errorcode %d): %s", e.Status, *e.Code, e.Message)
}

func (e *apiError) answer() answer {
	return jsonAnswer(e.Status, e)
}

// failure makes a refusal with the message that the vendor uses, or is likely
// to use, for the code; with noCode the message is the status's name.
func failure(status, code int) *apiError {
	e := &apiError{Status: status, Message: codeMessage(code)}
	if code != noCode {
		e.Code = &code
	}
	if e.Message == "" {
		e.Message = statusText(status)
	}
	switch code {
	case codeNotAuthorized, codeForbidden, codeInsufficientPrivileges, codeRateLimit, codeBlocked, codeUnavailable:
		e.Documentation = errorDocumentation
	}
	return e
}

// failuref is failure with a message of its own.
func failuref(status, code int, format string, args ...any) *apiError {
	e := failure(status, code)
	e.Message = fmt.Sprintf(format, args...)
	return e
}

// codeMessage is the message that goes with an errorcode, or "".
func codeMessage(code int) string {
	switch code {
	case codeNotAuthorized:
		return "Not Authorized"
	case codeInternal:
		return "Internal Server Error"
	case codeGeneric:
		return "Invalid request."
	case codeInvalidType:
		return "Invalid data type."
	case codeMissingField:
		return "Missing required field."
	case codeIncorrectFormat:
		return "Incorrect format."
	case codeInvalidFormat:
		// The vendor's own words, reported for bodies that do not fit.
		return "JSON Deserialization Exception: Location Unknown"
	case codeInvalidValue:
		return "Invalid value."
	case codeForbidden:
		return "Forbidden"
	case codeInsufficientPrivileges:
		return "Insufficient Privileges"
	case codeInvalidTransition:
		return "Invalid state transition."
	case codeNotFound:
		return "Object Not Found"
	case codeExists:
		return "Object already exists."
	case codeRateLimit:
		return "Rate limit exceeded"
	case codeBlocked:
		return "Your requests are temporarily blocked."
	case codeUnavailable:
		return "Service Unavailable"
	}
	return ""
}

// statusText is http.StatusText with the gateway's 596.
func statusText(status int) string {
	if status == statusServiceNotFound {
		return "Service Not Found"
	}
	return http.StatusText(status)
}

// unsavable is the refusal of rows of a data extension. Without messages it is
// the bare 10006 that the vendor gives for a lock, for load, and for null.
func unsavable(extensionID string, messages []string) *apiError {
	e := failuref(http.StatusBadRequest, codeAggregate, "Unable to save rows for data extension ID %s", extensionID)
	for _, m := range messages {
		e.Additional = append(e.Additional, *failuref(http.StatusBadRequest, codeGeneric, "%s", m))
	}
	return e
}

// gatewayRefusal is the answer of the API gateway in front of Marketing Cloud
// to a route or method that it does not know. It is not JSON.
type gatewayRefusal struct{}

func (gatewayRefusal) Error() string { return "service not found" }

func (gatewayRefusal) answer() answer {
	return answer{status: statusServiceNotFound, contentType: "text/xml", body: []byte("<h1>596 Service Not Found</h1>")}
}

// oauthError is a refusal of the token route, in the shape of RFC 6749.
type oauthError struct {
	Status      int    `json:"-"`
	Name        string `json:"error"`
	Description string `json:"error_description"`
	URI         string `json:"error_uri"`
}

func (e *oauthError) Error() string {
	return e.Name + ": " + e.Description
}

func (e *oauthError) answer() answer {
	a := jsonAnswer(e.Status, e)
	a.noStore = true
	return a
}

// refuseToken makes an oauthError. Only invalid_client is a 401. Undocumented:
// the vendor's bodies for 400 are not published; the names are RFC 6749's.
func refuseToken(name, description string) *oauthError {
	e := &oauthError{
		Status: http.StatusBadRequest, Name: name, Description: description,
		URI: "https://developer.salesforce.com/docs",
	}
	if name == "invalid_client" {
		e.Status = http.StatusUnauthorized
	}
	return e
}
