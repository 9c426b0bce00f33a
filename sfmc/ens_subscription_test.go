package sfmc_test

import (
	"context"
	"testing"

	"onramp/sfmc"
)

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	const (
		path   = "/platform/v1/ens-subscriptions"
		types  = `"eventCategoryTypes":["TransactionalSendEvents.EmailSent","EngagementEvents.EmailClick"]`
		stored = `{"callbackId":"cb-1","callbackName":"events","subscriptionName":"sends",` + types + `,"subscriptionId":"sub-1","filters":["definitionKey=abc"],"status":"active"}`
	)
	create := func(s sfmc.Subscription) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.CreateSubscription(ctx, s) }
	}
	update := func(s sfmc.Subscription) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.UpdateSubscription(ctx, s) }
	}
	list := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.ListSubscriptions(ctx, "cb-1") }
	find := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindSubscription(ctx, "sub-1") }
	filtered := subscription()
	filtered.Filters = []string{"definitionKey=abc"}
	want := filtered
	want.Status = "active"
	bare := subscription()
	bare.Status = "active"
	ignored := filtered
	ignored.SubscriptionID, ignored.Status, ignored.StatusReason = "old", "paused", "holidays"
	paused := filtered
	paused.Status, paused.StatusReason = "paused", "holidays & more"
	unfiltered := subscription()
	unfiltered.SubscriptionName = ""

	listSent, findSent := seen{Method: "GET", Path: path + "-by-cb/cb-1"}, seen{Method: "GET", Path: path + "/sub-1"}
	pausedSent := seen{Method: "PUT", Path: path, Body: `[{"subscriptionId":"sub-1","subscriptionName":"sends",` + types + `,"filters":["definitionKey=abc"],"status":"paused","statusReason":"holidays \u0026 more"}]`}
	unfilteredSent := seen{Method: "PUT", Path: path, Body: `[{"subscriptionId":"sub-1",` + types + `,"filters":[]}]`}
	check(t, map[string]exchange{
		"create": {
			create(filtered),
			seen{Method: "POST", Path: path, Body: `[{"callbackId":"cb-1","subscriptionName":"sends",` + types + `,"filters":["definitionKey=abc"]}]`},
			reply{status: 201, body: "[" + stored + "]"},
			want,
		},
		"create, status is not sent": {
			create(ignored),
			seen{Method: "POST", Path: path, Body: `[{"callbackId":"cb-1","subscriptionName":"sends",` + types + `,"filters":["definitionKey=abc"]}]`},
			reply{status: 201, body: stored},
			want,
		},
		"create, no filters": {
			create(subscription()),
			seen{Method: "POST", Path: path, Body: `[{"callbackId":"cb-1","subscriptionName":"sends",` + types + `}]`},
			reply{status: 201, body: `[{"subscriptionId":"sub-1","status":"active","filters":null}]`},
			bare,
		},
		"update":                   {update(paused), pausedSent, reply{status: 200, body: `[{"subscriptionId":"sub-1","status":"paused"}]`}, paused},
		"update, no change":        {update(paused), pausedSent, reply{status: 304}, paused},
		"update takes filters off": {update(unfiltered), unfilteredSent, reply{status: 200, body: `{"subscriptionId":"sub-1","filters":[],"subscriptionName":"sends"}`}, subscription()},
		"list": {
			list, listSent,
			reply{status: 200, body: "[" + stored + `,{"subscriptionId":2,"eventCategoryTypes":"A.B, C.D","filters":"a=x{1,2}","status":"paused","statusReason":"r"}]`},
			[]sfmc.Subscription{want, {SubscriptionID: "2", CallbackID: "cb-1", EventCategoryTypes: []string{"A.B", "C.D"}, Filters: []string{"a=x{1,2}"}, Status: "paused", StatusReason: "r"}},
		},
		"list, empty": {list, listSent, reply{status: 200, body: "[]"}, []sfmc.Subscription{}},
		"find":        {find, findSent, reply{status: 200, body: stored}, want},
		"find, odd lists": {
			find, findSent,
			reply{status: 200, body: `{"subscriptionId":"sub-1","eventCategoryTypes":[7,null,{},"A.B"],"filters":{}}`},
			sfmc.Subscription{SubscriptionID: "sub-1", EventCategoryTypes: []string{"7", "A.B"}},
		},
		"delete": {
			func(ctx context.Context, c *sfmc.Client) (any, error) { return nil, c.DeleteSubscription(ctx, "sub-1") },
			seen{Method: "DELETE", Path: path + "/sub-1"},
			reply{status: 200, body: `{"message":"deleted"}`},
			nil,
		},
	})
}

// Statuses that mean something else than for callbacks.
func TestSubscriptionFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call  func(context.Context, *sfmc.Client) error
		reply reply
		want  sfmc.Error
	}{
		"list, unknown callback": {
			func(ctx context.Context, c *sfmc.Client) error {
				_, err := c.ListSubscriptions(ctx, "cb-1")
				return err
			},
			reply{status: 404, body: `{}`},
			sfmc.Error{Op: sfmc.OpListSubscriptions, Status: 404, Body: []byte(`{}`)},
		},
		"create, exists": {
			func(ctx context.Context, c *sfmc.Client) error {
				_, err := c.CreateSubscription(ctx, subscription())
				return err
			},
			reply{status: 304},
			sfmc.Error{Op: sfmc.OpCreateSubscription, Status: 304},
		},
		"create, no id": {
			func(ctx context.Context, c *sfmc.Client) error {
				_, err := c.CreateSubscription(ctx, subscription())
				return err
			},
			reply{status: 201, body: `[{"callbackId":"cb-1"}]`},
			sfmc.Error{Op: sfmc.OpCreateSubscription, Status: 201, Err: sfmc.ErrAnswer, Body: []byte(`[{"callbackId":"cb-1"}]`)},
		},
		"list, one is an error": {
			func(ctx context.Context, c *sfmc.Client) error {
				_, err := c.ListSubscriptions(ctx, "cb-1")
				return err
			},
			reply{status: 200, body: `[{"subscriptionId":"sub-1"},{"subscriptionId":"sub-2","errorcode":5}]`},
			sfmc.Error{Op: sfmc.OpListSubscriptions, Status: 200, Code: 5, CodeText: "5", Body: []byte(`[{"subscriptionId":"sub-1"},{"subscriptionId":"sub-2","errorcode":5}]`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			diffError(t, tt.want, tt.call(within(t), newClient(t, newServer(t, tt.reply))))
		})
	}
}
