package app_test

import (
	"context"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
	"onramp/internal/sandbox"
)

// A job outlives the process that submitted it: whoever knows its request id asks for
// its results and submits nothing.
func TestJobOutlivesItsSender(t *testing.T) {
	inBubble(t, func(t *testing.T, path string) {
		r := newRig(t, path, with(rows, onramp.Async))
		r.fault(sandbox.Fault{Name: sandbox.FaultJobTime, DelayMS: 60_000})
		r.fault(sandbox.Fault{Name: sandbox.FaultRowError, Contains: "bad@"})
		send := func(ctx context.Context, c onramp.Call) (states []onramp.Verdict) {
			sender, err := outbound.New(outbound.Config{
				AuthURL: "http://127.0.0.1:8090", ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret, AccountID: sandbox.AccountID,
				Transport: direct{r.sandbox},
			}, noKeeper{}, func(error) {})
			if err != nil {
				t.Fatal(err)
			}
			c.Destination, c.Async = r.form.Route[0], true
			for _, person := range []string{"ana", "bad", "bo"} {
				c.Deliveries = append(c.Deliveries, onramp.Delivery{SubscriberKey: person, Values: []byte(
					`{"EmailAddress":"` + person + `@example.org","RegistrationTimestamp":"2026-06-23T14:52:45Z"}`)})
			}
			for _, o := range sender.Send(ctx, c) {
				states = append(states, o.Verdict)
			}
			return states
		}
		defer func() { _ = r.store.Close() }()
		var id string
		life, end := context.WithTimeout(t.Context(), 5*time.Second)
		defer end()
		first := send(life, onramp.Call{Submitted: func(requestID string, _ []onramp.Delivery) { id = requestID }})
		if id == "" || first[0] != onramp.Retry {
			t.Fatalf("first life: request %q, %v", id, first)
		}
		second := send(t.Context(), onramp.Call{RequestID: id})
		if len(second) != 3 || second[0] != onramp.Delivered || second[1] != onramp.Rejected || second[2] != onramp.Delivered {
			t.Errorf("second life: %v", second)
		}
		if state := r.sandbox.State(); state.Totals.Jobs != 1 || state.Totals.Rows[sandbox.RegistrationsKey] != 2 {
			t.Errorf("%d jobs, %d rows", state.Totals.Jobs, state.Totals.Rows[sandbox.RegistrationsKey])
		}
	})
}
