package onramp

import (
	"errors"
	"time"
)

// Kind says what the receiver of an error can do about it.
type Kind uint8

// The kinds. Each one has exactly one HTTP status, given by package web.
const (
	Internal    Kind = iota // nothing; the operator finds the cause in the log
	Malformed               // send something that can be parsed
	NotFound                // ask for something that exists
	Conflict                // the state forbids it
	TooLarge                // send less
	Unsupported             // send another content type
	Invalid                 // correct the fields that are named, or use another key
	Unavailable             // try again after RetryAfter
	Denied                  // bring the right credentials
	Forbidden               // nothing: it is not allowed, or not from whom it claims to be
	Limited                 // send less, and try again after RetryAfter
)

// Error is an error with a kind and a message that is safe to show to anyone.
// An error of any other type is shown to strangers as "internal error".
type Error struct {
	Kind       Kind
	Message    string        // for the caller; no secrets, no personal data, no SQL
	Fields     []FieldError  // with Invalid: every field that is wrong; none when it is the key
	RetryAfter time.Duration // with Unavailable and Limited: when it may work again
	Err        error         // for the log; may be nil
}

// FieldError says what is wrong with one field. It never repeats the value.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Code    string `json:"code,omitempty"` // of what is wrong, for programs: required, email, too_long, …
}

// newFieldError tells of a field what an error says of its value.
func newFieldError(field string, err error) FieldError {
	e := FieldError{Field: field, Message: err.Error()}
	if p, ok := errors.AsType[*fieldProblem](err); ok {
		e.Code = p.code
	}
	return e
}

// Error gives the message and the cause, for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsNotFound says whether an error means that what was asked for does not exist.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == NotFound
}
