package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"os"

	"onramp/internal/onramp"
)

var (
	errTimeout = errors.New("no answer within the time-out")
	errStopped = errors.New("onramp stops")
)

// stopped is the outcome of what is sent after the end.
func stopped() onramp.Outcome {
	return onramp.Outcome{Verdict: onramp.Retry, Detail: errStopped.Error()}
}

// alike gives all deliveries the same outcome.
func alike(n int, o onramp.Outcome) []onramp.Outcome {
	outcomes := make([]onramp.Outcome, n)
	for i := range outcomes {
		outcomes[i] = o
	}
	return outcomes
}

// isolate makes an attempt for all messages, and further ones for those that were
// rejected in company, until each of them is rejected alone or taken: others may
// have been refused for the sake of one. When the sink itself gets into trouble
// meanwhile, those that are left share that outcome.
func isolate(messages []message, attempt func([]message) []onramp.Outcome) []onramp.Outcome {
	outcomes := attempt(messages)
	var suspects []int
	for i := range outcomes {
		if outcomes[i].Verdict == onramp.Rejected {
			suspects = append(suspects, i)
		}
	}
	if len(messages) == 1 || len(suspects) == 0 {
		return outcomes
	}
	groups := [][]int{suspects}
	if n := len(suspects); n == len(messages) {
		groups = [][]int{suspects[:n/2], suspects[n/2:]}
	}
	trouble := troubleIn(outcomes)
	for _, group := range groups {
		part := make([]message, len(group))
		for i, at := range group {
			part[i] = messages[at]
		}
		var found []onramp.Outcome
		if trouble != nil {
			found = alike(len(part), *trouble)
		} else {
			found = isolate(part, attempt)
			trouble = troubleIn(found)
		}
		for i, at := range group {
			outcomes[at] = found[i]
		}
	}
	return outcomes
}

// troubleIn finds an outcome that is not about the single message: to go on would
// only cost time.
func troubleIn(outcomes []onramp.Outcome) *onramp.Outcome {
	for _, o := range outcomes {
		if o.Verdict != onramp.Delivered && o.Verdict != onramp.Rejected {
			return &o
		}
	}
	return nil
}

// isLate says that time has run out, ours or that of a connection.
func isLate(err error) bool {
	return errors.Is(err, errTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

const hintCertificate = "renew the certificate, or give the authority that has issued it"

// isUntrusted says that the other side's certificate was refused.
func isUntrusted(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted
}
