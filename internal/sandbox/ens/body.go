package ens

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"onramp/internal/sandbox/wire"
)

// eachMember decodes the body of a call of the Event Notification Service, does
// the work for each of its members in turn, and answers what they return. The
// vendor's pages show lists for some routes and an object for others, and
// clients send either, so every route takes both and answers in the same form.
//
// Undocumented: a list of several. Here nothing is done when one of them cannot
// be read; else the first that is refused ends the call, and what was done
// before it stays done.
func eachMember[T any](c *wire.Call, status int, do func(T) (any, error)) (wire.Answer, error) {
	raw := []json.RawMessage{c.Body}
	one := bytes.HasPrefix(bytes.TrimLeft(c.Body, " \t\r\n"), []byte("{"))
	if !one {
		raw = nil
		if err := wire.Decode(c.Body, &raw); err != nil {
			return wire.Answer{}, err
		}
	}
	if len(raw) == 0 {
		return wire.Answer{}, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	members := make([]T, len(raw))
	for i, r := range raw {
		if err := wire.DecodeObject(r, &members[i]); err != nil {
			return wire.Answer{}, err
		}
	}
	results := make([]any, len(members))
	for i, m := range members {
		var err error
		if results[i], err = do(m); err != nil {
			return wire.Answer{}, err
		}
	}
	if one {
		return wire.JSON(status, results[0]), nil
	}
	return wire.JSON(status, results), nil
}

// required is the text of a parameter that must be there. Undocumented, like all
// words of these refusals: only their shape and their codes are published.
func required(parameter string, sent *string) (string, error) {
	if sent == nil || strings.TrimSpace(*sent) == "" {
		return "", wire.Failuref(http.StatusBadRequest, wire.CodeMissingField, "The parameter %s is required.", parameter)
	}
	return *sent, nil
}

// invalid refuses a parameter for its value; what continues the sentence.
func invalid(parameter, what string) error {
	return wire.Failuref(http.StatusBadRequest, wire.CodeInvalidValue, "The parameter %s %s.", parameter, what)
}

// unknownID refuses an id that does not exist.
func unknownID(what string) error {
	return wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "The %s does not exist.", what)
}

// done is the answer to a call whose answer's body is not documented.
func done() wire.Answer {
	return wire.JSON(http.StatusOK, struct{}{})
}
