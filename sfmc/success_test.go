package sfmc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"onramp/sfmc"
)

// silent are the calls of which the vendor's pages show no body: 200 is all there is.
var silent = map[string]func(context.Context, *sfmc.Client) (any, error){
	sfmc.OpDeleteAuthScheme: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return nil, c.DeleteAuthScheme(ctx, "auth-1")
	},
	sfmc.OpDeleteCallback: func(ctx context.Context, c *sfmc.Client) (any, error) { return nil, c.DeleteCallback(ctx, "cb-1") },
	sfmc.OpDeleteSubscription: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return nil, c.DeleteSubscription(ctx, "sub-1")
	},
	sfmc.OpVerifyCallback: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return nil, c.VerifyCallback(ctx, "cb-1", "key-1")
	},
}

// TestSuccess is the table of what success looks like, for calls with one row, member
// or recipient.
func TestSuccess(t *testing.T) {
	t.Parallel()
	const (
		requestID    = `{"requestId":"r-1","resultMessages":[]}`
		callback     = `{"callbackId":"cb-1","callbackName":"events","url":"https://a.example/e","maxBatchSize":500}`
		subscription = `{"subscriptionId":"sub-1","callbackId":"cb-1","subscriptionName":"s","eventCategoryTypes":["A.B"],"status":"active"}`
		scheme       = `{"authId":"auth-1","authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://a.example/t"}`
	)
	one := func(object string) []reply {
		return []reply{{status: 200, body: object}, {status: 201, body: "[" + object + "]"}}
	}
	rows := []reply{
		{status: 200, body: `[{"keys":{"SubscriberKey":"u-1001"},"values":{"FirstName":"Ana"}}]`},
		{status: 200, body: `{"results":[{"rows":1,"errorcode":0,"status":"OK"}]}`},
		{status: 200, body: `{"keys":{"SubscriberKey":"u-1001"},"values":{"FirstName":"Ana"}}`},
	}
	messages := []reply{
		{status: 202, body: `{"requestId":"r-1","errorcode":0,"responses":[{"messageKey":"m-1"}]}`},
		{status: 200, body: `{"requestId":"r-1","responses":[{"messageKey":"m-1"}]}`},
	}
	empty := []reply{{status: 200}, {status: 204}, {status: 200, body: `""`}, {status: 200, body: "OK"}, {status: 200, body: `{"message":"deleted"}`}}
	forms := map[string][]reply{
		sfmc.OpUpsertRows:                rows,
		sfmc.OpUpsertRows + ";StoreRows": rows,
		sfmc.OpUpsertRowsAsync:           {{status: 202, body: requestID}, {status: 200, body: requestID}},
		sfmc.OpInsertRowsAsync:           {{status: 202, body: requestID}, {status: 200, body: requestID}},
		sfmc.OpAsyncStatus:               {{status: 200, body: `{"status":{"hasErrors":false,"requestStatus":"Complete","resultStatus":"OK","requestId":"r-1"},"requestId":"c-1","resultMessages":[]}`}},
		sfmc.OpAsyncResults:              {{status: 200, body: `{"page":1,"pageSize":50,"count":1,"requestId":"c-1","resultMessages":[],"items":[{"message":"Upserted DataExtensionObject","status":"OK"}]}`}},
		sfmc.OpFireEvent:                 {{status: 201, body: `{"eventInstanceId":"e-1"}`}, {status: 200, body: `{"eventInstanceId":"e-1"}`}},
		sfmc.OpFireEvents:                {{status: 202, body: `{"requestId":"r-1","count":1,"notQueuedCount":0,"members":[{"contactKey":"u","eventInstanceId":"e-1"}]}`}},
		sfmc.OpSendMessage:               messages,
		sfmc.OpSendMessages:              messages,
		sfmc.OpCreateAuthScheme:          one(scheme),
		sfmc.OpUpdateAuthScheme:          append(one(scheme), reply{status: 304}),
		sfmc.OpListAuthSchemes:           append(one(scheme), reply{status: 200, body: "[]"}, reply{status: 404}),
		sfmc.OpFindAuthScheme:            one(scheme),
		sfmc.OpUpdateCallback:            append(one(callback), reply{status: 304}),
		sfmc.OpListCallbacks:             append(one(callback), reply{status: 200, body: "[]"}, reply{status: 404, body: `{"message":"Callback doesn't exist","errorcode":30003}`}),
		sfmc.OpFindCallback:              one(callback),
		sfmc.OpCreateSubscription:        one(subscription),
		sfmc.OpUpdateSubscription:        append(one(subscription), reply{status: 304}),
		sfmc.OpListSubscriptions:         append(one(subscription), reply{status: 200, body: "[]"}),
		sfmc.OpFindSubscription:          one(subscription),
		sfmc.OpDeleteAuthScheme:          empty,
		sfmc.OpDeleteCallback:            empty,
		sfmc.OpDeleteSubscription:        empty,
		sfmc.OpVerifyCallback:            empty,
	}
	for _, set := range []map[string]func(context.Context, *sfmc.Client) (any, error){calls, silent} {
		for op, call := range set {
			if len(forms[op]) == 0 {
				t.Errorf("%s has no form of success", op)
			}
			for _, form := range forms[op] {
				if got, err := call(within(t), newClient(t, newServer(t, form))); err != nil {
					t.Errorf("%s, %d %s: %v", op, form.status, form.body, err)
				} else if s, ok := got.(sfmc.AsyncStatus); ok && !s.AllOK() {
					t.Errorf("%s, %d %s: %+v", op, form.status, form.body, got)
				}
			}
		}
	}
}

// foreign are answers of something between here and Marketing Cloud.
var foreign = map[string]reply{
	"empty 200":       {status: 200},
	"empty 200, HTML": {status: 200, header: map[string]string{"Content-Type": "text/html"}},
	"empty 201":       {status: 201},
	"empty 202":       {status: 202},
	"204":             {status: 204},
	"blank":           {status: 200, body: " \r\n"},
	"two quotes":      {status: 202, body: `""`},
	"null":            {status: 200, body: `null`},
	"captive portal":  {status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<!DOCTYPE html><title>Sign in</title>"},
	"text":            {status: 200, body: "OK"},
	"number":          {status: 200, body: `1`},
	"true":            {status: 200, body: `true`},
	"object":          {status: 200, body: `{}`},
	"foreign object":  {status: 200, body: `{"ok":true}`},
	"status":          {status: 200, body: `{"status":"ok","message":"accepted"}`},
	"code 0":          {status: 200, body: `{"message":"","errorcode":0,"errors":[]}`},
	"list of objects": {status: 200, body: `[{}]`},
	"list of lists":   {status: 200, body: `[[]]`},
	"list of texts":   {status: 200, body: `["a"]`},
	"too many":        {status: 200, body: `[{"ok":true},{"ok":true}]`},
	"cut off":         {status: 200, body: `[{"keys":{"SubscriberKey":"u-1001"},"val`},
	"results of none": {status: 200, body: `{"results":[]}`},
	"results of 0":    {status: 200, body: `{"results":[{"rows":0,"errorcode":0,"status":"OK"}]}`},
	"empty elements":  {status: 200, body: `{"results":[{}],"members":[{}],"responses":[{}],"items":null,"status":null}`},
	"another message": {status: 202, body: `{"responses":[{"messageKey":"m-2"},{"messageKey":"m-3"}]}`},
}

// Whatever something in between answers is no success: nothing is taken for stored,
// sent, entered, or complete.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range foreign {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, answer)
			for op, call := range calls {
				got, err := call(within(t), newClient(t, s))
				switch got := got.(type) {
				case sfmc.AsyncStatus:
					if err == nil && (got.Found || got.Done()) {
						t.Errorf("%s: %+v", op, got)
					}
				case sfmc.AsyncResults:
					if err == nil && (got.Found || len(got.Items) > 0) {
						t.Errorf("%s: %+v", op, got)
					}
				case sfmc.FiredEvents:
					if err == nil && !errors.Is(got.Members[0].Err, sfmc.ErrAnswer) {
						t.Errorf("%s: %+v", op, got)
					}
				default:
					if !errors.Is(err, sfmc.ErrAnswer) {
						t.Errorf("%s: %v, error %v; want ErrAnswer", op, got, err)
					}
				}
			}
			requester, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := requester.Token(within(t)); !errors.Is(err, sfmc.ErrAnswer) {
				t.Errorf("token: error %v; want ErrAnswer", err)
			}
			if name == "captive portal" {
				for op, call := range silent {
					if _, err := call(within(t), newClient(t, s)); !errors.Is(err, sfmc.ErrAnswer) {
						t.Errorf("%s: error %v; want ErrAnswer", op, err)
					}
				}
			}
		})
	}
}

// Fewer rows than were sent are not all of them.
func TestRowsThatAreMissing(t *testing.T) {
	t.Parallel()
	const echoed = `{"keys":{"k":"1"},"values":{}}`
	two := append(row(), row()...)
	for body, ok := range map[string]bool{
		"[" + echoed + "," + echoed + "]":                true,
		"[" + echoed + "]":                               false,
		"[" + echoed + "," + echoed + "," + echoed + "]": false,
		echoed: false,
		`{"results":[{"rows":1,"errorcode":0,"status":"OK"}]}`:                                            false,
		`{"results":[{"rows":2,"errorcode":0,"status":"OK"}]}`:                                            true,
		`{"results":[{"rows":1,"errorcode":0,"status":"OK"},{"rows":1,"errorcode":0,"status":"OK"}]}`:     true,
		`{"results":[{"rows":1,"errorcode":0,"status":"OK"},{"rows":0,"errorcode":0,"status":"OK"}]}`:     false,
		`{"results":[{"rows":1,"errorcode":0,"status":"OK"},{"rows":1,"errorcode":0,"status":"Queued"}]}`: false,
		`[` + echoed + `,{"key":{"k":"1"},"value":{}}]`:                                                   false,
	} {
		c := newClient(t, newServer(t, reply{status: 200, body: body}))
		if err := c.StoreRows(within(t), "DE1", two); (err == nil) != ok || !ok && !errors.Is(err, sfmc.ErrAnswer) {
			t.Errorf("%s: error %v; want success %v", body, err, ok)
		}
		if _, err := c.UpsertRows(within(t), "DE1", two); (err == nil) != ok {
			t.Errorf("%s: error %v; want success %v", body, err, ok)
		}
	}
}

// A redirect is no success, and neither the token nor the rows follow it.
func TestRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := &recorder{next: repeatRows}
	there := newServer(t, elsewhere)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := newServer(t, reply{status: status, header: map[string]string{"Location": there.URL + "/login"}})
		for op, call := range calls {
			_, err := call(within(t), newClient(t, s))
			if e, ok := errors.AsType[*sfmc.Error](err); !ok || e.Status != status || !strings.Contains(e.Message, "redirects are not followed") {
				t.Errorf("%s, %d: %v", op, status, err)
			}
		}
		requester, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := requester.Token(within(t)); err == nil {
			t.Errorf("%d gave a token", status)
		}
	}
	if seen := elsewhere.requests(); len(seen) > 0 {
		t.Errorf("%d requests followed", len(seen))
	}
}
