package sfmctest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
	"onramp/sfmc/sfmctest"
)

// A contact is found by its address, and gone when the operation says that it is completed.
func TestDeleteContacts(t *testing.T) {
	t.Parallel()
	server := sfmctest.NewServer(t)
	client, ctx := server.Client(), t.Context()
	_, err := client.FireEvent(ctx, sfmc.JourneyEntry{
		ContactKey: "u-1", EventDefinitionKey: sfmctest.EventDefinitionKey, EstablishContactKey: true,
		Data: map[string]any{"SubscriberKey": "u-1", "EmailAddress": "ana@example.org", "RegistrationTimestamp": "2026-06-23T14:52:45Z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := client.FindContacts(ctx, "ana@example.org")
	if diff := cmp.Diff([]string{"u-1"}, keys); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	operation, err := client.DeleteContacts(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	first, err := client.FindDeletion(ctx, operation)
	if err != nil || first.Ended() {
		t.Errorf("at once: %+v, %v", first, err)
	}
	server.Advance(30 * 24 * time.Hour)
	last, err := client.FindDeletion(ctx, operation)
	if err != nil || !last.Completed() {
		t.Errorf("in the end: %+v, %v", last, err)
	}
	if keys, err := client.FindContacts(ctx, "ana@example.org"); len(keys) > 0 || err != nil {
		t.Errorf("found after the deletion: %q, %v", keys, err)
	}
	restriction, err := client.RestrictContacts(ctx, []string{"nobody"})
	if err != nil {
		t.Fatal(err)
	}
	server.Advance(30 * 24 * time.Hour)
	if of, err := client.FindRestriction(ctx, restriction); err != nil || of.Status != "Invalid" {
		t.Errorf("of nobody: %+v, %v", of, err)
	}
}
