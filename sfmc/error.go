package sfmc

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The operations that an [Error] names.
const (
	// OpToken is a request for an access token. An error of another call
	// whose Op is this one means that the call itself was not made
	// (or was answered 401, and no other token was available).
	OpToken = "request token"
	// OpUpsertRows is [Client.UpsertRows] or [Client.StoreRows].
	OpUpsertRows = "upsert rows"
	// OpUpsertRowsAsync is [Client.UpsertRowsAsync].
	OpUpsertRowsAsync = "upsert rows asynchronously"
	// OpInsertRowsAsync is [Client.InsertRowsAsync].
	OpInsertRowsAsync = "insert rows asynchronously"
	// OpFindRow is [Client.FindRow].
	OpFindRow = "find row"
	// OpDeleteRows is [Client.DeleteRows].
	OpDeleteRows = "delete rows"
	// OpDeleteContacts is [Client.DeleteContacts].
	OpDeleteContacts = "delete contacts"
	// OpRestrictContacts is [Client.RestrictContacts].
	OpRestrictContacts = "restrict contacts"
	// OpFindDeletion is [Client.FindDeletion].
	OpFindDeletion = "find deletion of contacts"
	// OpFindRestriction is [Client.FindRestriction].
	OpFindRestriction = "find restriction of contacts"
	// OpFindContacts is [Client.FindContacts].
	OpFindContacts = "find contacts"
	// OpAsyncStatus is [Client.AsyncStatus].
	OpAsyncStatus = "get asynchronous status"
	// OpAsyncResults is [Client.AsyncResults].
	OpAsyncResults = "get asynchronous results"
	// OpFireEvent is [Client.FireEvent].
	OpFireEvent = "fire event"
	// OpFireEvents is [Client.FireEvents].
	OpFireEvents = "fire events"
	// OpSendMessage is [Client.SendMessage].
	OpSendMessage = "send message"
	// OpSendMessages is [Client.SendMessages].
	OpSendMessages = "send messages"
	// OpGet is [Client.Get].
	OpGet = "get"
	// OpCreateAuthScheme is [Client.CreateAuthScheme].
	OpCreateAuthScheme = "create authentication scheme"
	// OpUpdateAuthScheme is [Client.UpdateAuthScheme].
	OpUpdateAuthScheme = "update authentication scheme"
	// OpListAuthSchemes is [Client.ListAuthSchemes].
	OpListAuthSchemes = "list authentication schemes"
	// OpFindAuthScheme is [Client.FindAuthScheme].
	OpFindAuthScheme = "find authentication scheme"
	// OpDeleteAuthScheme is [Client.DeleteAuthScheme].
	OpDeleteAuthScheme = "delete authentication scheme"
	// OpCreateCallback is [Client.CreateCallback].
	OpCreateCallback = "create callback"
	// OpUpdateCallback is [Client.UpdateCallback].
	OpUpdateCallback = "update callback"
	// OpListCallbacks is [Client.ListCallbacks].
	OpListCallbacks = "list callbacks"
	// OpFindCallback is [Client.FindCallback].
	OpFindCallback = "find callback"
	// OpDeleteCallback is [Client.DeleteCallback].
	OpDeleteCallback = "delete callback"
	// OpVerifyCallback is [Client.VerifyCallback].
	OpVerifyCallback = "verify callback"
	// OpRegenerateSignatureKey is [Client.RegenerateSignatureKey].
	OpRegenerateSignatureKey = "regenerate signature key"
	// OpCreateSubscription is [Client.CreateSubscription].
	OpCreateSubscription = "create subscription"
	// OpUpdateSubscription is [Client.UpdateSubscription].
	OpUpdateSubscription = "update subscription"
	// OpListSubscriptions is [Client.ListSubscriptions].
	OpListSubscriptions = "list subscriptions"
	// OpFindSubscription is [Client.FindSubscription].
	OpFindSubscription = "find subscription"
	// OpDeleteSubscription is [Client.DeleteSubscription].
	OpDeleteSubscription = "delete subscription"
)

// ErrAnswer is in the chain of an [*Error] when a 2xx answer was not Marketing
// Cloud's: an HTML page of a proxy or captive portal, plain text, JSON that is
// cut off or has not what the route answers, nothing at all, or more than 8 MiB.
// Whether the call took effect is not known. What counts as success stands with
// each operation.
var ErrAnswer = errors.New("not an answer of Marketing Cloud")

// Error is an answer of Marketing Cloud, or of something on the way to it, that
// is not success; also one with a 2xx status whose body reports an error. All
// the shapes are read into it that Marketing Cloud uses: the REST body
// {message, errorcode, documentation, additionalErrors} (vendor page "Error
// Handling"), OAuth's {error, error_description, error_uri} (RFC 6749, 5.2),
// resultMessages, errors, results, members, responses, a SOAP fault, plain text, and
// nothing at all.
//
// Get at it by errors.AsType[*sfmc.Error](err) or [errors.As].
type Error struct {
	// Op is the operation: one of the constants OpToken, OpUpsertRows, … or what the
	// caller of [Client.Do] calls it.
	Op string
	// Status is the HTTP status code, such as 400.
	Status int
	// Code is the error code if it is a number, such as 10006; else 0.
	Code int
	// CodeText is the error code as it came: "10006", "CustomObjectNotFound",
	// OAuth's "invalid_client". Empty if there was none, which tells
	// code 0 from no code.
	CodeText string
	// Message is the vendor's text, or the beginning of a plain-text body.
	// It may quote values of the request.
	Message string
	// Documentation is the vendor's link, often empty.
	Documentation string
	// Additional are the single errors under this one, in no order that
	// means anything; at most 100. Code 10006 with none of them is often a
	// passing condition.
	Additional []Detail
	// RetryAfter is how long to wait according to the Retry-After header (RFC
	// 9110, 10.2.3) or else by "retryAfter" in the body, at most 24 h; 0 if
	// neither says so.
	RetryAfter time.Duration
	// Body is the beginning of the answer, at most 64 KiB, for the records of
	// an operator: it may hold personal data. Nil for an answer with status
	// 2xx that might hold a secret: to a token request, to CreateCallback and
	// to RegenerateSignatureKey.
	Body []byte
	// Err is the cause when a 2xx answer could not be read or understood
	// ([ErrAnswer], or an error of the network): whether the call took effect
	// is then not known. Otherwise nil.
	Err error
}

// Detail is one error of several in an answer.
type Detail struct {
	// Code and CodeText are as in [Error].
	Code     int
	CodeText string
	// Message is the vendor's text.
	Message string
	// Documentation is the vendor's link, often empty.
	Documentation string
	// Name is the column that an error of an asynchronous row is about; empty
	// elsewhere.
	Name string
}

// Error gives op, status, code and message, and the first additional message,
// which is the one that says what is wrong when the code is 10006. It never
// holds the token, a client secret, a password or a key of a callback. It may hold
// what else the vendor's message quotes of the request.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", e.Op, e.Status)
	if s := http.StatusText(e.Status); s != "" {
		b.WriteString(" " + s)
	}
	if e.CodeText != "" {
		b.WriteString(": code " + e.CodeText)
	} else if e.Code != 0 {
		b.WriteString(": code " + strconv.Itoa(e.Code))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if len(e.Additional) > 0 && e.Additional[0].Message != "" {
		b.WriteString(": " + e.Additional[0].Message)
	}
	if n := len(e.Additional) - 1; n > 0 {
		fmt.Fprintf(&b, " (and %d more)", n)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// hide cuts a secret out of everything that the vendor's answer put into e, in
// case something on the way echoes what it got.
func (e *Error) hide(secret Secret) {
	e.Message, e.CodeText, e.Documentation = secret.cut(e.Message), secret.cut(e.CodeText), secret.cut(e.Documentation)
	for i := range e.Additional {
		e.Additional[i].hide(secret)
	}
	e.Body = secret.cutJSON(e.Body)
}

// hide is as that of Error.
func (d *Detail) hide(secret Secret) {
	d.Message, d.CodeText = secret.cut(d.Message), secret.cut(d.CodeText)
	d.Documentation, d.Name = secret.cut(d.Documentation), secret.cut(d.Name)
}
