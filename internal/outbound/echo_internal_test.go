package outbound

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"onramp/internal/onramp"
)

// What an answer repeats of what was sent is taken out of the detail, as a word and in any
// case, and the answer stays whole.
func TestWithoutEchoes(t *testing.T) {
	t.Parallel()
	call := onramp.Call{Deliveries: []onramp.Delivery{
		{SubscriberKey: "ana@example.org", Values: json.RawMessage(`{"FirstName":"Ana","LastName":"Ana María Núñez","City":"Bo","OptInStatus":true,"Age":7}`)},
		{SubscriberKey: "id-2", Values: json.RawMessage(`{"FirstName":"Jo"}`), Keys: map[string]json.RawMessage{"Key": json.RawMessage(`"k-77"`)}},
	}}
	for detail, want := range map[string]string{
		"Invalid value 'Ana' for FirstName":                "Invalid value '…' for FirstName",
		"ANA@EXAMPLE.ORG is no address, ana":               "… is no address, …",
		"[Ana María Núñez]: Analysis of Journey for Jo,Bo": "[…]: Analysis of Journey for …,…",
		"id-2 and k-77, but not id-23":                     "… and …, but not id-23",
		"OptInStatus must be true, not 7":                  "OptInStatus must be true, not 7",
		"İ and Ana":                                        "…",
	} {
		outcomes := []onramp.Outcome{{Verdict: onramp.Rejected, Detail: detail, Answer: detail}, {Verdict: onramp.Delivered, Detail: detail, Answer: detail}}
		withoutEchoes(call, outcomes)
		if outcomes[0].Detail != want || outcomes[0].Answer != detail || outcomes[1].Detail != detail {
			t.Errorf("%q became %q, %q and %q", detail, outcomes[0].Detail, outcomes[0].Answer, outcomes[1].Detail)
		}
	}
}

// A large call whose rows all fail in their own way takes no time that matters.
func TestEchoesOfManyRows(t *testing.T) {
	t.Parallel()
	var call onramp.Call
	var outcomes []onramp.Outcome
	for i := range 2000 {
		name := fmt.Sprint("name", i)
		call.Deliveries = append(call.Deliveries, onramp.Delivery{SubscriberKey: name + "@example.org", Values: json.RawMessage(`{"FirstName":"` + name + `"}`)})
		outcomes = append(outcomes, onramp.Outcome{Verdict: onramp.Rejected, Detail: "Invalid value " + name, Answer: "a"})
	}
	begin := time.Now()
	withoutEchoes(call, outcomes)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %v", took)
	}
	for i := range outcomes {
		if outcomes[i].Detail != "Invalid value …" {
			t.Fatalf("%d: %q", i, outcomes[i].Detail)
		}
	}
}
