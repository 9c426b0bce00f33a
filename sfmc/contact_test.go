package sfmc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

// contactOutcome is what a call has come to: what it returned, or why it failed.
type contactOutcome struct {
	Got              any
	Invalid, Foreign bool
	Status           int // of the *Error; 0: none
	Seen             []seen
}

func TestContacts(t *testing.T) {
	t.Parallel()
	const (
		deletePath = "/contacts/v1/contacts/actions/delete?type=keys"
		begun      = `{"operationInitiated":true,"operationID":123,"hasErrors":false,"resultMessages":[]}`
		refused    = `{"operationStatus":"Error","hasErrors":true,"resultMessages":[{"resultClass":"Error","resultCode":"X","message":"no"}]}`
	)
	remove := func(keys ...string) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.DeleteContacts(ctx, keys) }
	}
	restrict := func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.RestrictContacts(ctx, []string{"ana"})
	}
	deletion := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindDeletion(ctx, 123) }
	restriction := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindRestriction(ctx, 123) }
	search := func(address string) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindContacts(ctx, address) }
	}
	post := func(path, body string) []seen { return []seen{{Method: http.MethodPost, Path: path, Body: body}} }
	get := func(action string) []seen {
		return []seen{{Method: http.MethodGet, Path: "/contacts/v1/contacts/actions/" + action + "/status?operationID=123"}}
	}
	at := func(status string, days int) sfmc.ContactOperation {
		return sfmc.ContactOperation{ID: 123, Status: status, RestorableDays: days}
	}
	deleteAna := post(deletePath, `{"DeleteOperationType":"ContactAndAttributes","values":["ana"]}`)
	restrictAna := post("/contacts/v1/contacts/actions/restrict?type=keys", `{"values":["ana"]}`)
	searchAna := post("/contacts/v1/addresses/email/search", `{"ChannelAddressList":["ana@example.org"],"MaximumCount":50}`)
	for name, row := range map[string]struct {
		call   func(context.Context, *sfmc.Client) (any, error)
		answer reply
		want   contactOutcome
	}{
		"begun":              {remove("ana"), reply{status: 200, body: begun}, contactOutcome{Got: int64(123), Seen: deleteAna}},
		"number as text":     {remove("ana"), reply{status: 202, body: `{"operationID":"123"}`}, contactOutcome{Got: int64(123), Seen: deleteAna}},
		"not begun":          {remove("ana"), reply{status: 200, body: `{"operationInitiated":false,"operationID":123}`}, contactOutcome{Got: int64(0), Foreign: true, Status: 200, Seen: deleteAna}},
		"no number":          {remove("ana"), reply{status: 200, body: `{"operationInitiated":true}`}, contactOutcome{Got: int64(0), Foreign: true, Status: 200, Seen: deleteAna}},
		"error inside a 200": {remove("ana"), reply{status: 200, body: refused}, contactOutcome{Got: int64(0), Status: 200, Seen: deleteAna}},
		"forbidden":          {remove("ana"), reply{status: 403, body: `{"message":"no"}`}, contactOutcome{Got: int64(0), Status: 403, Seen: deleteAna}},
		"no keys":            {remove(), reply{}, contactOutcome{Got: int64(0), Invalid: true}},
		"empty key":          {remove("ana", " "), reply{}, contactOutcome{Got: int64(0), Invalid: true}},
		"too many":           {remove(strings.Split(strings.Repeat("k,", 1001), ",")...), reply{}, contactOutcome{Got: int64(0), Invalid: true}},
		"restricted":         {restrict, reply{status: 200, body: begun}, contactOutcome{Got: int64(123), Seen: restrictAna}},

		"first phase only": {deletion, reply{status: 200, body: `{"operation":{"status":"Completed"},"backgroundOperationsSummary":[],"numberofRestorableDays":14}`}, contactOutcome{Got: at("Processing", 14), Seen: get("delete")}},
		"last phase": {
			deletion,
			reply{status: 200, body: `{"operation":{"status":"Completed"},"backgroundOperationsSummary":[{"backgroundOperationStatusID":"Aborted"},{"backgroundOperationStatusID":"Completed"}],"numberofRestorableDays":-1}`},
			contactOutcome{Got: at("Completed", -1), Seen: get("delete")},
		},
		"says nothing": {deletion, reply{status: 200, body: `{"x":1}`}, contactOutcome{Got: at("", -1), Foreign: true, Status: 200, Seen: get("delete")}},
		"unknown":      {deletion, reply{status: 404, body: `{"message":"no"}`}, contactOutcome{Got: at("", -1), Status: 404, Seen: get("delete")}},
		"one phase":    {restriction, reply{status: 200, body: `{"operation":{"status":"Completed"},"backgroundOperationsSummary":[]}`}, contactOutcome{Got: at("Completed", -1), Seen: get("restrict")}},

		"found": {
			search("ana@example.org"),
			reply{status: 200, body: `{"channelAddressResponseEntities":[{"channelAddress":"ana@example.org","contactKeyDetails":[{"contactKey":"u-1"},{"contactKey":"u-2"}]}]}`},
			contactOutcome{Got: []string{"u-1", "u-2"}, Seen: searchAna},
		},
		"none":        {search("ana@example.org"), reply{status: 200, body: `{"channelAddressResponseEntities":[]}`}, contactOutcome{Got: []string(nil), Seen: searchAna}},
		"no entities": {search("ana@example.org"), reply{status: 200, body: `{"a":1}`}, contactOutcome{Got: []string(nil), Foreign: true, Status: 200, Seen: searchAna}},
		"no address":  {search(""), reply{}, contactOutcome{Got: []string(nil), Invalid: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{next: row.answer.ServeHTTP}
			got, err := row.call(within(t), newClient(t, newServer(t, rec)))
			outcome := contactOutcome{Got: got, Invalid: errors.Is(err, sfmc.ErrInvalid), Foreign: errors.Is(err, sfmc.ErrAnswer), Seen: rec.requests()}
			if e, ok := errors.AsType[*sfmc.Error](err); ok {
				outcome.Status = e.Status
			}
			if diff := cmp.Diff(row.want, outcome); diff != "" {
				t.Error(diff, err)
			}
		})
	}
}

func TestContactOperation(t *testing.T) {
	t.Parallel()
	for status, want := range map[string][2]bool{
		"Processing": {false, false}, "completed": {true, true}, "Aborted": {false, true}, "Invalid": {false, true}, "": {false, false},
	} {
		o := sfmc.ContactOperation{Status: status}
		if got := [2]bool{o.Completed(), o.Ended()}; got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
}
