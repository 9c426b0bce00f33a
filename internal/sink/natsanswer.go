package sink

import (
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

const (
	hintStream      = "create a JetStream stream for the sink's subject; if there is one, wait until it has elected a leader"
	hintLogin       = "check the sink's user, password, token or credentials_file"
	hintPermission  = "allow the sink's user to publish to its subject and to subscribe to _INBOX.>"
	hintServer      = "check the sink's urls, the network, and that the server is running"
	hintTLS         = "use tls:// in the sink's urls if the server requires TLS, and only then"
	hintTooLarge    = "raise the server's max_payload or the stream's max_msg_size, then retry it"
	hintFull        = "free space in the stream, or raise its limits or the account's"
	hintSealed      = "the stream is sealed: create another one for the sink's subject"
	hintNoJetStream = "enable JetStream for the sink's account"
)

// The codes by which JetStream refuses a message (nats-server, server/errors.json)
// and that the client has no name for.
const (
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeMemoryExceeded        jetstream.ErrorCode = 10028
	codeStorageExceeded       jetstream.ErrorCode = 10047
	codeStoreFailed           jetstream.ErrorCode = 10077 // mostly: a limit of the stream is reached
	codeStreamSealed          jetstream.ErrorCode = 10109
	codeAccountExceeded       jetstream.ErrorCode = 10002
)

// judgeNATS returns what the error of a publish means. What is not listed is tried
// again.
//
//	none                                   delivered
//	too large                              rejected
//	no stream, no permission, no login     blocked
//	the stream or the account is full      throttled
//	no connection                          retry
//	no answer in time                      retry, late
func judgeNATS(err error) onramp.Outcome {
	if err == nil {
		return onramp.Outcome{Verdict: onramp.Delivered, Detail: "stored in the stream"}
	}
	o := onramp.Outcome{Verdict: onramp.Retry, Detail: err.Error()}
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		o.Code = int(e.ErrorCode)
		o.Verdict, o.Hint = judgeNATSCode(e.ErrorCode)
		return o
	}
	is := func(all ...error) bool {
		for _, one := range all {
			if errors.Is(err, one) {
				return true
			}
		}
		return false
	}
	switch {
	case is(errStopped), is(nats.ErrConnectionClosed):
		o.Detail = errStopped.Error()
	case is(jetstream.ErrNoStreamResponse, nats.ErrNoResponders):
		o.Verdict, o.Hint = onramp.Blocked, hintStream
	case is(nats.ErrPermissionViolation):
		o.Verdict, o.Hint = onramp.Blocked, hintPermission
	case is(nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired, nats.ErrNkeysNotSupported):
		o.Verdict, o.Hint, o.Refused = onramp.Blocked, hintLogin, true
	case is(nats.ErrSecureConnRequired, nats.ErrSecureConnWanted):
		o.Verdict, o.Hint = onramp.Blocked, hintTLS
	case isUntrusted(err):
		o.Verdict, o.Hint = onramp.Blocked, hintCertificate
	case is(nats.ErrMaxPayload):
		o.Verdict, o.Hint = onramp.Rejected, hintTooLarge
	case is(jetstream.ErrAsyncPublishTimeout), attempt.IsLate(err):
		o.Detail, o.Late = attempt.ErrTimeout.Error(), true
	default:
		o.Hint = hintServer
	}
	return o
}

// deniedSubject finds the subject that may not be published to; "" when it is the
// subscription to acknowledgements that was denied. The server says it in words only
// (nats-server, server/client.go: `Permissions Violation for Publish to "…"`, or
// `for Subscription to "…"`).
func deniedSubject(err error) string {
	_, quoted, found := strings.Cut(err.Error(), `"`)
	if !found || strings.Contains(err.Error(), "for Subscription to") {
		return ""
	}
	subject, _, _ := strings.Cut(quoted, `"`)
	return subject
}

func judgeNATSCode(code jetstream.ErrorCode) (verdict onramp.Verdict, hint string) {
	switch code {
	case jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return onramp.Rejected, hintTooLarge
	case codeStoreFailed, codeInsufficientResources, codeMemoryExceeded, codeStorageExceeded, codeAccountExceeded:
		return onramp.Throttled, hintFull
	case codeStreamSealed:
		return onramp.Blocked, hintSealed
	case jetstream.JSErrCodeStreamNotFound:
		return onramp.Blocked, hintStream
	case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return onramp.Blocked, hintNoJetStream
	}
	return onramp.Retry, "check the health of the server"
}
