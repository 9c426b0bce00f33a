package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// eachMember decodes the body of a call of the Event Notification Service, does
// the work for each of its members in turn, and answers what they return. The
// vendor's pages show lists for some routes and an object for others, and
// clients send either, so every route takes both and answers in the same form.
//
// Undocumented: a list of several. Here nothing is done when one of them cannot
// be read; else the first that is refused ends the call, and what was done
// before it stays done.
func eachMember[T any](c *call, status int, do func(T) (any, error)) (answer, error) {
	raw := []json.RawMessage{c.body}
	one := bytes.HasPrefix(bytes.TrimLeft(c.body, " \t\r\n"), []byte("{"))
	if !one {
		raw = nil
		if err := decodeBody(c.body, &raw); err != nil {
			return answer{}, err
		}
	}
	if len(raw) == 0 {
		return answer{}, failure(http.StatusBadRequest, codeInvalidFormat)
	}
	members := make([]T, len(raw))
	for i, r := range raw {
		if err := decodeMember(r, &members[i]); err != nil {
			return answer{}, err
		}
	}
	results := make([]any, len(members))
	for i, m := range members {
		var err error
		if results[i], err = do(m); err != nil {
			return answer{}, err
		}
	}
	if one {
		return jsonAnswer(status, results[0]), nil
	}
	return jsonAnswer(status, results), nil
}

// decodeMember reads one object. Fields that are not known are ignored.
func decodeMember(raw json.RawMessage, v any) error {
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return failure(http.StatusBadRequest, codeInvalidFormat)
	}
	err := json.Unmarshal(raw, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return failuref(http.StatusBadRequest, codeInvalidType, "The parameter %s is not of the expected type.", wrong.Field)
	}
	if err != nil {
		return failure(http.StatusBadRequest, codeInvalidFormat)
	}
	return nil
}

// required is the text of a parameter that must be there. Undocumented, like all
// words of these refusals: only their shape and their codes are published.
func required(parameter string, sent *string) (string, error) {
	if sent == nil || strings.TrimSpace(*sent) == "" {
		return "", failuref(http.StatusBadRequest, codeMissingField, "The parameter %s is required.", parameter)
	}
	return *sent, nil
}

// invalid refuses a parameter for its value; what continues the sentence.
func invalid(parameter, what string) error {
	return failuref(http.StatusBadRequest, codeInvalidValue, "The parameter %s %s.", parameter, what)
}

// unknownID refuses an id that nothing has.
func unknownID(what string) error {
	return failuref(http.StatusNotFound, codeNotFound, "The %s does not exist.", what)
}

// done is the answer to a call whose answer's body is not documented.
func done() answer {
	return jsonAnswer(http.StatusOK, struct{}{})
}
