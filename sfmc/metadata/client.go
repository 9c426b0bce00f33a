package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"onramp/sfmc"
)

// The operations that an [sfmc.Error] of this package names.
const (
	OpContext               = "get token context"
	OpDataExtension         = "retrieve data extension"
	OpDataExtensions        = "retrieve data extensions"
	OpFields                = "retrieve columns"
	OpCreateDataExtension   = "create data extension"
	OpAddFields             = "add columns"
	OpLengthenField         = "lengthen column"
	OpFolders               = "retrieve folders"
	OpCreateFolder          = "create folder"
	OpEventDefinition       = "get event definition"
	OpCreateEventDefinition = "create event definition"
	OpJourneys              = "list journeys"
	OpMessageDefinition     = "get message definition"
)

// scopeOf is the scope that an operation needs; empty: none.
func scopeOf(op string) string {
	switch op {
	case OpDataExtension, OpDataExtensions, OpFields, OpFolders:
		return "data_extensions_read"
	case OpCreateDataExtension, OpAddFields, OpLengthenField, OpCreateFolder:
		return "data_extensions_write"
	case OpEventDefinition, OpCreateEventDefinition, OpJourneys:
		return "journeys_read"
	case OpMessageDefinition:
		return "email_read"
	}
	return ""
}

// ErrNotFound is in the chain of an error when what was asked for does not exist in the
// business unit of the token.
var ErrNotFound = errors.New("not found")

// ScopeError says that Marketing Cloud refused a call as it does when the installed
// package lacks a scope. A 401 can have another cause, too: see Unwrap.
type ScopeError struct {
	Scope string // such as "data_extensions_read"
	Err   *sfmc.Error
}

// Error names the scope after Marketing Cloud's answer.
func (e *ScopeError) Error() string {
	return e.Err.Error() + "; the installed package seems to lack the scope " + e.Scope
}

// Unwrap returns Marketing Cloud's answer.
func (e *ScopeError) Unwrap() error { return e.Err }

// Client reads and makes metadata by the calls of an [sfmc.Client]. It is safe for
// concurrent use.
type Client struct {
	calls *sfmc.Client
}

// New makes a client. It calls nothing.
func New(c *sfmc.Client) *Client { return &Client{c} }

// Context is for whom a token is.
type Context struct {
	EnterpriseID int64 // MID of the top business unit
	AccountID    int64 // MID of the business unit that calls act in
	UserID       int64 // of the package's user
}

// Context asks for whom the client's token is: GET /platform/v1/tokenContext. It is the
// cheapest proof that the token works, and for the right business unit.
func (c *Client) Context(ctx context.Context) (Context, error) {
	type owner struct {
		ID integer `json:"id"`
	}
	var a struct {
		Enterprise   owner  `json:"enterprise"`
		Organization *owner `json:"organization"`
		User         owner  `json:"user"`
	}
	err := c.rest(ctx, sfmc.Request{Op: OpContext, Method: http.MethodGet, Path: "/platform/v1/tokenContext"}, &a)
	if err != nil {
		return Context{}, err
	}
	if a.Organization == nil {
		return Context{}, unfit(OpContext, "no organization")
	}
	return Context{int64(a.Enterprise.ID), int64(a.Organization.ID), int64(a.User.ID)}, nil
}

// rest makes a call of the REST API and decodes its answer. A 404 of Marketing Cloud's
// own is ErrNotFound.
func (c *Client) rest(ctx context.Context, r sfmc.Request, into any) error {
	body, err := c.calls.Do(ctx, r)
	if err != nil {
		return explain(err)
	}
	if json.Unmarshal(body, into) != nil {
		return unfit(r.Op, "JSON of another kind")
	}
	return nil
}

// post is rest with a body.
func (c *Client) post(ctx context.Context, op, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", op, sfmc.ErrInvalid, err)
	}
	return c.rest(ctx, sfmc.Request{Op: op, Method: http.MethodPost, Path: path, Body: raw}, into)
}

// explain adds to an error what this package knows of its meaning.
func explain(err error) error {
	answer, ok := errors.AsType[*sfmc.Error](err)
	switch {
	case !ok || answer.Op == sfmc.OpToken:
		return err
	case lacksScope(answer) && scopeOf(answer.Op) != "":
		return &ScopeError{scopeOf(answer.Op), answer}
	case isNotFound(answer):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// permissionFailed is how SOAP says that a scope is missing, alone or with more behind
// it. There is no code for it.
const permissionFailed = "API Permission Failed"

// lacksScope reports whether an answer is one to a call for which the package lacks a
// scope: 403 on most routes, 401 on some.
func lacksScope(answer *sfmc.Error) bool {
	return answer.Status == http.StatusForbidden || answer.Status == http.StatusUnauthorized || strings.Contains(answer.Message, permissionFailed)
}

// isNotFound reports whether Marketing Cloud itself, and no proxy, says that something
// does not exist.
func isNotFound(answer *sfmc.Error) bool {
	return answer.Code == sfmc.CodeNotFound || answer.Status == http.StatusNotFound && json.Valid(answer.Body)
}

// unfit is the error for an answer that is not what the operation answers.
func unfit(op, why string) error {
	return &sfmc.Error{Op: op, Status: http.StatusOK, Err: fmt.Errorf("%w: %s", sfmc.ErrAnswer, why)}
}

func invalid(op, why string) error { return fmt.Errorf("%s: %w: %s", op, sfmc.ErrInvalid, why) }

// integer is a number that some routes send as a string. What is neither is 0.
type integer int64

// UnmarshalText reads a string.
func (i *integer) UnmarshalText(text []byte) error {
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	*i = integer(n)
	return nil
}

// UnmarshalJSON reads a number or a string.
func (i *integer) UnmarshalJSON(raw []byte) error {
	return i.UnmarshalText([]byte(strings.Trim(string(raw), `"`)))
}
