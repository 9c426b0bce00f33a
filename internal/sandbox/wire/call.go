// Package wire holds what all parts of the sandbox share: a route, a call to it
// as it was read, the answer, and the refusals in the shape and with the codes
// that Marketing Cloud has for them. It keeps no state and knows no part.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// TimeLayout is how times, in UTC, are written for people.
const TimeLayout = "2006-01-02 15:04:05 UTC"

// Route is one operation of Marketing Cloud's API.
type Route struct {
	Method  string
	Pattern string   // of the path; segments in braces match any one segment
	Scopes  []string // the token needs all of them
	Open    bool     // no token is needed
	JSON    bool     // the body must be JSON
	// Admit checks what Scopes, Open and JSON say of other routes, and sets the call's
	// Token; nil is those. An error is as one of Handle.
	Admit func(*Call) error
	// Handle does what a call asks for. An error that is a Refusal is the answer
	// to the caller; any other one is a mistake in the sandbox.
	Handle func(*Call) (Answer, error)
}

// Call is one request, read to its end.
type Call struct {
	Request *http.Request
	Body    []byte
	Params  map[string]string // segments in braces by name, still percent-encoded
	Token   Token             // set when the route needs one
}

// Param is a segment of the path, decoded; "" when the route has none of the
// name. A segment that cannot be decoded never gets here: net/url refuses it.
func (c *Call) Param(name string) string {
	raw := c.Params[name]
	if s, err := url.PathUnescape(raw); err == nil {
		return s
	}
	return raw
}

// Query is a parameter of the query, by its name in any case, with or without a $ before
// it; "" when there is none.
func (c *Call) Query(name string) string {
	query, _ := url.ParseQuery(c.Request.URL.RawQuery) // what can be read of it
	for _, sent := range slices.Sorted(maps.Keys(query)) {
		if strings.EqualFold(strings.TrimPrefix(sent, "$"), name) {
			return query[sent][0]
		}
	}
	return ""
}

// Part is the page of a list with that number and size; both are 1 or more.
func Part[T any](list []T, number, size int) []T {
	if number-1 > len(list)/size { // a page number is any integer: compare before multiplying
		return list[:0]
	}
	from := min((number-1)*size, len(list))
	return list[from:min(from+min(size, len(list)), len(list))]
}

// Token is one access token that was given out. It does not change.
type Token struct {
	Value   string
	Client  string // id
	Unit    string // MID of the business unit
	Scopes  []string
	Issued  time.Time
	Expires time.Time
}

// Allows reports whether the token has the scope.
func (t Token) Allows(scope string) bool {
	return slices.Contains(t.Scopes, scope)
}

// Decode reads a JSON body into v. Trailing bytes and wrong types are refused
// like broken JSON.
func Decode(body []byte, v any) error {
	if json.Unmarshal(body, v) != nil {
		return Failure(http.StatusBadRequest, CodeInvalidFormat)
	}
	return nil
}

// DecodeObject reads a JSON object into v. Fields that are not known are ignored.
// Undocumented: the words for a field of another type.
func DecodeObject(raw []byte, v any) error {
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return Failure(http.StatusBadRequest, CodeInvalidFormat)
	}
	err := json.Unmarshal(raw, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Failuref(http.StatusBadRequest, CodeInvalidType, "The parameter %s is not of the expected type.", wrong.Field)
	}
	if err != nil {
		return Failure(http.StatusBadRequest, CodeInvalidFormat)
	}
	return nil
}

// Text reads a string; absent and null are "". It is not ok when it is of
// another type.
func Text(raw json.RawMessage) (text string, ok bool) {
	return text, len(raw) == 0 || json.Unmarshal(raw, &text) == nil
}
