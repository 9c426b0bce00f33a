package sink

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

const (
	hintTopic   = "create the topic; Onramp does not create topics"
	hintACL     = "grant the sink's user WRITE on the topic and, before Kafka 3.0, IDEMPOTENT_WRITE on the cluster"
	hintSASL    = "check the sink's sasl, user and password"
	hintRecord  = "raise the topic's max.message.bytes, or make its validation accept the event, then retry it"
	hintBrokers = "check the sink's brokers, tls and sasl, the network, and that the brokers are running"
	hintVersion = "Onramp needs Kafka 0.11 or newer"
)

// judgeKafka returns what the error of a record means (Kafka protocol guide, "Error
// Codes"). What is not listed is tried again: it must neither stop the topic nor
// make a dead letter.
//
//	none                                            delivered
//	too large, refused by the broker's validation   rejected
//	no topic, no permission, no login               blocked: every event would fare the same
//	a quota                                         throttled
//	no connection, no leader, too few replicas      retry
//	no answer in time                               retry, late
func judgeKafka(err error) onramp.Outcome {
	if err == nil {
		return onramp.Outcome{Verdict: onramp.Delivered, Detail: "stored in the topic"}
	}
	o := onramp.Outcome{Verdict: onramp.Retry, Detail: err.Error()}
	if e, ok := errors.AsType[*kerr.Error](err); ok {
		o.Code = int(e.Code)
		o.Verdict, o.Hint = judgeKafkaCode(e)
		o.Refused = e == kerr.SaslAuthenticationFailed
		return o
	}
	switch {
	case isUntrusted(err):
		o.Verdict, o.Hint = onramp.Blocked, hintCertificate
	case errors.Is(err, errStopped), errors.Is(err, context.Canceled):
		o.Detail = errStopped.Error()
	case errors.Is(err, kgo.ErrClientClosed):
		o.Detail = "the connection was closed"
	case attempt.IsLate(err), errors.Is(err, kgo.ErrRecordTimeout):
		o.Detail, o.Late = attempt.ErrTimeout.Error(), true
	default:
		o.Hint = hintBrokers
	}
	return o
}

func judgeKafkaCode(e *kerr.Error) (verdict onramp.Verdict, hint string) {
	switch e {
	case kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp:
		return onramp.Rejected, hintRecord
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidTopicException:
		return onramp.Blocked, hintTopic
	case kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed:
		return onramp.Blocked, hintACL
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState, kerr.SecurityDisabled:
		return onramp.Blocked, hintSASL
	case kerr.UnsupportedVersion:
		return onramp.Blocked, hintVersion
	case kerr.PolicyViolation, kerr.InvalidRequiredAcks:
		return onramp.Blocked, "look in the brokers' logs for why they refuse the sink's records"
	case kerr.ThrottlingQuotaExceeded:
		return onramp.Throttled, "nothing to do yet; if it lasts, raise the quota of the sink's user"
	}
	return onramp.Retry, "check the health of the brokers"
}

// isSpent says that a client keeps an error for good: one that was refused a
// producer id, as for want of a permission, never asks for another, and a topic
// that was created again has an id that it doesn't know.
func isSpent(err error) bool {
	e, ok := errors.AsType[*kerr.Error](err)
	if !ok {
		return false
	}
	if e == kerr.UnknownTopicOrPartition || e == kerr.UnknownTopicID {
		return true
	}
	verdict, _ := judgeKafkaCode(e)
	return !e.Retriable && verdict != onramp.Rejected
}
