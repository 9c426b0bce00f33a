// Package attempt has what all senders of deliveries need when they make an attempt:
// its time limit, an outcome for each delivery, and the search for those that a call
// was refused for. What an answer means each sender knows by itself.
//
// Use WithTimeout around each request and Isolate around a call for several.
package attempt

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"onramp/internal/onramp"
)

// MaxAnswer is how much of an answer is kept for the operator, in bytes.
const MaxAnswer = 16 << 10

// ErrTimeout is the cause when a request has run out of its time. Its text is the
// detail of such an outcome.
var ErrTimeout = errors.New("no answer within the time-out")

// WithTimeout gives one request its time limit.
func WithTimeout(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, ErrTimeout)
}

// IsLate says that time has run out, ours or that of a connection.
func IsLate(err error) bool {
	return errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// Alike gives n deliveries the same outcome.
func Alike(n int, o onramp.Outcome) []onramp.Outcome {
	outcomes := make([]onramp.Outcome, n)
	for i := range outcomes {
		outcomes[i] = o
	}
	return outcomes
}

// Trouble finds an outcome that is about the destination and not about the single
// delivery, so that to go on would only cost time; nil when there is none. A retry is
// one unless the answer was about what was sent, which 2xx and 400 are, if they are
// the destination's own. What was refused for its columns is no trouble to others.
func Trouble(outcomes []onramp.Outcome) *onramp.Outcome {
	for i := range outcomes {
		o := &outcomes[i]
		switch o.Verdict {
		case onramp.Throttled, onramp.Unknown:
			return o
		case onramp.Blocked:
			if !o.Columns {
				return o
			}
		case onramp.Retry:
			if o.MayHaveArrived || o.Status/100 != 2 && o.Status != http.StatusBadRequest {
				return o
			}
		}
	}
	return nil
}
