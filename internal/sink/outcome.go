package sink

import (
	"crypto/tls"
	"errors"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

var errStopped = errors.New("onramp stops")

// stopped is the outcome of what is sent after the end.
func stopped() onramp.Outcome {
	return onramp.Outcome{Verdict: onramp.Retry, Detail: errStopped.Error()}
}

// isolate delivers messages, and those that were rejected in company again, until
// each of them is rejected alone or taken: others may have been refused for the sake
// of one.
func isolate(messages []message, deliver func([]message) []onramp.Outcome) []onramp.Outcome {
	return attempt.Isolate(messages, func(part []message) (outcomes []onramp.Outcome, suspects []int) {
		outcomes = deliver(part)
		for i := range outcomes {
			if outcomes[i].Verdict == onramp.Rejected {
				suspects = append(suspects, i)
			}
		}
		return outcomes, suspects
	})
}

const hintCertificate = "renew the certificate, or trust the authority that issued it"

// isUntrusted says that the other side's certificate was refused.
func isUntrusted(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted
}
