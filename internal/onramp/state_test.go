package onramp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// The public names of the states; the numbers are stored.
func TestStateNames(t *testing.T) {
	t.Parallel()
	type named struct {
		Number uint8
		Name   string
	}
	var registrations, deliveries []named
	for _, s := range onramp.RegistrationStates() {
		registrations = append(registrations, named{uint8(s), s.String()})
		if parsed, known := onramp.ParseRegistrationState(s.String()); parsed != s || !known {
			t.Errorf("%s is parsed as %v, %v", s, parsed, known)
		}
	}
	for _, s := range onramp.DeliveryStates() {
		deliveries = append(deliveries, named{uint8(s), s.String()})
		if parsed, known := onramp.ParseDeliveryState(s.String()); parsed != s || !known {
			t.Errorf("%s is parsed as %v, %v", s, parsed, known)
		}
	}
	if diff := cmp.Diff([]named{
		{1, "held"}, {2, "queued"}, {3, "delivering"}, {4, "delivered"}, {7, "unknown"}, {5, "failed"}, {6, "erased"},
	}, registrations); diff != "" {
		t.Errorf("registrations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]named{
		{11, "held"}, {1, "waiting"}, {2, "pending"}, {3, "sending"}, {4, "submitted"}, {5, "delivered"}, {12, "skipped"}, {9, "unknown"}, {6, "dead"}, {7, "discarded"}, {8, "erased"},
	}, deliveries); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	if onramp.DeliveryOutOfReach.String() != "waiting" {
		t.Error("a step out of reach is waiting in public")
	}
	if _, known := onramp.ParseRegistrationState(""); known {
		t.Error("a registration without a state is known")
	}
	if _, known := onramp.ParseDeliveryState(""); known {
		t.Error("a delivery without a state is known")
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for _, s := range onramp.RegistrationStates() {
		got[s.String()] = s.Settled()
	}
	want := map[string]bool{"held": false, "queued": false, "delivering": false, "delivered": true, "unknown": false, "failed": true, "erased": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
}
