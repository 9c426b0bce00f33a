package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// sendEvents sends a batch to the callback with a token, signed or not, and returns the
// status.
func (g *gate) sendEvents(token, key, body string) int {
	header := http.Header{"Authorization": {"Bearer " + token}}
	if key != "" {
		header.Set("x-sfmc-ens-signature", sfmc.SignEvents(sfmc.Secret(key), []byte(body)))
	}
	return g.call("/ens/events", "application/json", body, header).Code
}

func event(n int) string {
	return fmt.Sprintf(`[{"eventCategoryType":"A.B","n":%d}]`, n)
}

// A token alone suffices until Marketing Cloud has signed a batch of the callback: from
// then on, over a restart, too, what has no signature is refused. With another key it
// begins again.
func TestStolenToken(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	token := g.token(t)
	const otherKey = "xv8pMrf9bxsvKhqvXjRjSphEK2WfPmuq+VBhzQfntJs="
	reload := func(keys ...onramp.Secret) {
		t.Helper()
		if err := g.store.SaveCallbackRecord(t.Context(), onramp.CallbackRecord{Name: "events", SignatureKeys: keys}); err != nil {
			t.Fatal(err)
		}
		if err := g.receiver.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := []int{g.sendEvents(token, "", event(1)), g.sendEvents(token, signingKey, event(2)), g.sendEvents(token, "", event(3)), g.sendEvents(token, signingKey, event(3))}
	reload(otherKey, signingKey) // the key was replaced: the one before it still counts
	got = append(got, g.sendEvents(token, "", event(4)))
	reload(otherKey)
	got = append(got, g.sendEvents(token, "", event(5)), g.sendEvents(token, otherKey, event(6)), g.sendEvents(token, "", event(7)))
	if diff := cmp.Diff([]int{200, 200, 403, 200, 403, 200, 200, 403}, got); diff != "" {
		t.Error(diff)
	}
	if n := g.receiver.Refusals("events")[onramp.RefusedNoSignature]; n != 3 {
		t.Errorf("%d refusals are counted", n)
	}
}

// A false event that a stolen token brought first doesn't keep the real one out, and one
// with the same content is the same.
func TestMaskedEvent(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	token := g.token(t)
	message := func(key, subscriber string) string {
		return fmt.Sprintf(`[{"eventCategoryType":"TransactionalSendEvents.SmsDelivered","info":{"messageKey":%q,"subscriberKey":%q}}]`, key, subscriber)
	}
	for i, row := range []struct{ key, body string }{
		{"", message("m1", "mallory")}, {"", message("m2", "bob")}, {"", message("m1", "eve")}, // a repeat, of no proof
		{signingKey, message("m1", "ana")}, {signingKey, message("m2", "bob")}, {signingKey, message("m1", "ana")}, {signingKey, message("m2", "cid")},
	} {
		if got := g.sendEvents(token, row.key, row.body); got != 200 {
			t.Fatalf("batch %d is answered with %d", i, got)
		}
	}
	events, _, _, err := g.store.ListEvents(t.Context(), onramp.EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var stored []string
	ids := map[string]bool{}
	for _, e := range slices.Backward(events) {
		stored = append(stored, e.MessageKey+" "+e.SubscriberKey)
		ids[e.ID] = true
	}
	if diff := cmp.Diff([]string{"m1 mallory", "m2 bob", "m1 ana"}, stored); diff != "" || len(ids) != 3 {
		t.Error(diff, ids)
	}
	if counted := g.store.Count(); counted.Events["events"] != 3 || counted.Repeated["events"] != 4 {
		t.Errorf("counts are %+v", counted)
	}
}
