package sfmc

// The codes of Marketing Cloud's errors, as in [Error.Code], that decide what a
// caller should do (vendor pages "Error Handling" and "Rate Limiting Errors").
const (
	// CodeInvalidType says that a value, or a parameter in the address, has the
	// wrong type.
	CodeInvalidType = 10001
	// CodeAggregate says that the reasons are in [Error.Additional]. Without any,
	// it is often a passing condition, though the status is 400.
	CodeAggregate = 10006
	// CodeInvalidOperation says that the object is not in a state in which that can be
	// done with it.
	CodeInvalidOperation = 30001
	// CodeInvalidState says that the object can't get into that state from its own.
	CodeInvalidState = 30002
	// CodeNotFound says that the object that the address names does not exist.
	CodeNotFound = 30003
	// CodeRateLimit says that there were too many calls: wait for
	// [Error.RetryAfter].
	CodeRateLimit = 50100
	// CodeBlocked says that calls are refused for a while, as for too many at once.
	CodeBlocked = 50200
	// CodeUnavailable says that the service is down for a while: wait for
	// [Error.RetryAfter].
	CodeUnavailable = 50300
)

// The codes of transactional messages (vendor page "Transactional API Response
// Level Error Codes").
const (
	// CodeResponsesHaveErrors says that some messages of a batch were refused;
	// each response has its own code.
	CodeResponsesHaveErrors = 109001
	// CodeNoValidSubscribers says that all messages of a batch were refused.
	CodeNoValidSubscribers = 109103
	// CodeDuplicateMessageKey says that the message key was used a short time ago;
	// see [Error.DuplicateMessageKey].
	CodeDuplicateMessageKey = 109110
	// CodeUnknownDefinition says that the definition key is not valid.
	CodeUnknownDefinition = 109111
	// CodeUnknownField says that the body has a field that is not known.
	CodeUnknownField = 109122
)

// CodeTextNoDataExtension is the [Error.CodeText] by which the asynchronous route
// says that there is no data extension with that key (vendor page "Data Extensions
// Asynchronous API").
const CodeTextNoDataExtension = "CustomObjectNotFound"

// StatusServiceNotFound is the [Error.Status] of Marketing Cloud's gateway for an
// address that leads to no service (vendor page "Error Handling").
const StatusServiceNotFound = 596
