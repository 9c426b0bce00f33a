package sink

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"onramp/internal/onramp"
)

const (
	mendStream      = "make a JetStream stream that takes the sink's subject; while one elects its leader, wait"
	mendLogin       = "check the sink's user, password, token or credentials_file"
	mendPermission  = "allow the sink's user to publish to its subject and to subscribe to _INBOX.>"
	mendServer      = "check the sink's urls, the network and that the server runs"
	mendTLS         = "let the sink's urls begin with tls:// if the server wants it, and only then"
	mendTooLarge    = "raise max_payload of the server, or max_msg_size of the stream, then retry it"
	mendFull        = "make room in the stream, or raise its limits or those of the account"
	mendSealed      = "the stream is sealed: let another one take the sink's subject"
	mendNoJetStream = "enable JetStream for the sink's account"
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

// judgeNATS tells what the error of a publish means. What is not listed is tried
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
		o.Verdict, o.Mend = judgeNATSCode(e.ErrorCode)
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
		o.Verdict, o.Mend = onramp.Blocked, mendStream
	case is(nats.ErrPermissionViolation):
		o.Verdict, o.Mend = onramp.Blocked, mendPermission
	case is(nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired, nats.ErrNkeysNotSupported):
		o.Verdict, o.Mend = onramp.Blocked, mendLogin
	case is(nats.ErrSecureConnRequired, nats.ErrSecureConnWanted):
		o.Verdict, o.Mend = onramp.Blocked, mendTLS
	case isUntrusted(err):
		o.Verdict, o.Mend = onramp.Blocked, mendCertificate
	case is(nats.ErrMaxPayload):
		o.Verdict, o.Mend = onramp.Rejected, mendTooLarge
	case is(jetstream.ErrAsyncPublishTimeout), isLate(err):
		o.Detail, o.Late = errTimeout.Error(), true
	default:
		o.Mend = mendServer
	}
	return o
}

func judgeNATSCode(code jetstream.ErrorCode) (verdict onramp.Verdict, mend string) {
	switch code {
	case jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return onramp.Rejected, mendTooLarge
	case codeStoreFailed, codeInsufficientResources, codeMemoryExceeded, codeStorageExceeded, codeAccountExceeded:
		return onramp.Throttled, mendFull
	case codeStreamSealed:
		return onramp.Blocked, mendSealed
	case jetstream.JSErrCodeStreamNotFound:
		return onramp.Blocked, mendStream
	case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return onramp.Blocked, mendNoJetStream
	}
	return onramp.Retry, "see whether the server is well"
}
