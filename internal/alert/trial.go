package alert

import (
	"context"
	"log/slog"
	"time"

	"onramp/internal/onramp"
)

// SendTest sends a test alert to a receiver, by its place in the configuration and its
// URL, once. The error is fit for people: nothing of the URL stands in it.
func SendTest(ctx context.Context, place int, receiver onramp.Secret) error {
	r, err := newReceiver(place, receiver, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	now := time.Now()
	return r.attempt(ctx, message{
		Condition: Condition{
			Cause: "test", Title: "test alert", Detail: "onramp check --send-test-alert was run", Hint: "nothing is to be done",
			Runbook: runbookIndex,
		},
		since: now, until: now,
	})
}
