package sfmc_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

// signatureKey is the one that the vendor's pages publish.
const signatureKey = "V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M="

func scheme() sfmc.AuthScheme {
	return sfmc.AuthScheme{
		AuthID:       "auth-1",
		GrantType:    "client_credentials",
		AuthEndpoint: "https://h.example/oauth/token",
		ClientID:     "cid-9",
		ClientSecret: "top+secret==",
	}
}

func subscription() sfmc.Subscription {
	return sfmc.Subscription{
		SubscriptionID:     "sub-1",
		SubscriptionName:   "sends",
		CallbackID:         "cb-1",
		EventCategoryTypes: []string{"TransactionalSendEvents.EmailSent", "EngagementEvents.EmailClick"},
	}
}

// exchange is a call, all that it sends, and what it makes of the answer.
type exchange struct {
	call    func(context.Context, *sfmc.Client) (any, error)
	request seen
	reply   reply
	want    any
}

// check makes the calls, and compares requests and results.
func check(t *testing.T, exchanges map[string]exchange) {
	t.Helper()
	for name, tt := range exchanges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{next: tt.reply.ServeHTTP}
			got, err := tt.call(within(t), newClient(t, newServer(t, rec)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]seen{tt.request}, rec.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got, secrets); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// secrets shows secrets in differences.
var secrets = cmp.Transformer("reveal", func(s sfmc.Secret) string { return s.Reveal() })

// What is refused costs neither a token nor a call.
func TestNotificationsRefusedBeforeAnyCall(t *testing.T) {
	t.Parallel()
	none := source(func(context.Context) (*sfmc.Token, error) {
		t.Error("a token was asked for")
		return nil, io.EOF
	})
	create := func(change func(*sfmc.AuthScheme)) func(context.Context, *sfmc.Client) error {
		return func(ctx context.Context, c *sfmc.Client) error {
			s := scheme()
			change(&s)
			_, err := c.CreateAuthScheme(ctx, s)
			_, updateErr := c.UpdateAuthScheme(ctx, s)
			if !errors.Is(updateErr, sfmc.ErrInvalid) {
				t.Errorf("update: error is %v; want ErrInvalid", updateErr)
			}
			return err
		}
	}
	createCallback := func(cb sfmc.Callback) func(context.Context, *sfmc.Client) error {
		return func(ctx context.Context, c *sfmc.Client) error { _, err := c.CreateCallback(ctx, cb); return err }
	}
	updateCallback := func(cb sfmc.Callback) func(context.Context, *sfmc.Client) error {
		return func(ctx context.Context, c *sfmc.Client) error { _, err := c.UpdateCallback(ctx, cb); return err }
	}
	createSubscription := func(s sfmc.Subscription) func(context.Context, *sfmc.Client) error {
		return func(ctx context.Context, c *sfmc.Client) error { _, err := c.CreateSubscription(ctx, s); return err }
	}
	updateSubscription := func(s sfmc.Subscription) func(context.Context, *sfmc.Client) error {
		return func(ctx context.Context, c *sfmc.Client) error { _, err := c.UpdateSubscription(ctx, s); return err }
	}
	types := []string{"SendEvents.PushSent"}
	for name, call := range map[string]func(context.Context, *sfmc.Client) error{
		"scheme, no grant":    create(func(s *sfmc.AuthScheme) { s.GrantType = "" }),
		"scheme, no endpoint": create(func(s *sfmc.AuthScheme) { s.AuthEndpoint = "" }),
		"scheme, no client":   create(func(s *sfmc.AuthScheme) { s.ClientID = "" }),
		"scheme, no secret":   create(func(s *sfmc.AuthScheme) { s.ClientSecret = "" }),
		"scheme, no user":     create(func(s *sfmc.AuthScheme) { s.GrantType, s.Password = "password", "p" }),
		"scheme, no password": create(func(s *sfmc.AuthScheme) { s.GrantType, s.Username = "password", "u" }),
		"scheme, update without id": func(ctx context.Context, c *sfmc.Client) error {
			s := scheme()
			s.AuthID = " "
			_, err := c.UpdateAuthScheme(ctx, s)
			return err
		},
		"scheme, find without id":     func(ctx context.Context, c *sfmc.Client) error { _, err := c.FindAuthScheme(ctx, ""); return err },
		"scheme, delete a way up":     func(ctx context.Context, c *sfmc.Client) error { return c.DeleteAuthScheme(ctx, "..") },
		"callback, no name":           createCallback(sfmc.Callback{URL: "https://h.example/p"}),
		"callback, no url":            createCallback(sfmc.Callback{CallbackName: "events"}),
		"callback, negative batch":    createCallback(sfmc.Callback{CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: -1}),
		"callback, update without id": updateCallback(sfmc.Callback{CallbackName: "events"}),
		"callback, update, no name":   updateCallback(sfmc.Callback{CallbackID: "cb-1"}),
		"callback, update, batch":     updateCallback(sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", MaxBatchSize: -1}),
		"callback, find without id":   func(ctx context.Context, c *sfmc.Client) error { _, err := c.FindCallback(ctx, ""); return err },
		"callback, delete without id": func(ctx context.Context, c *sfmc.Client) error { return c.DeleteCallback(ctx, "") },
		"verify, no id":               func(ctx context.Context, c *sfmc.Client) error { return c.VerifyCallback(ctx, "", "key") },
		"verify, no key":              func(ctx context.Context, c *sfmc.Client) error { return c.VerifyCallback(ctx, "cb-1", "") },
		"regenerate, no id": func(ctx context.Context, c *sfmc.Client) error {
			_, err := c.RegenerateSignatureKey(ctx, "")
			return err
		},
		"subscription, no callback":    createSubscription(sfmc.Subscription{SubscriptionName: "s", EventCategoryTypes: types}),
		"subscription, no name":        createSubscription(sfmc.Subscription{CallbackID: "cb-1", EventCategoryTypes: types}),
		"subscription, no types":       createSubscription(sfmc.Subscription{CallbackID: "cb-1", SubscriptionName: "s"}),
		"subscription, empty type":     createSubscription(sfmc.Subscription{CallbackID: "cb-1", SubscriptionName: "s", EventCategoryTypes: []string{""}}),
		"subscription, update, no id":  updateSubscription(sfmc.Subscription{EventCategoryTypes: types}),
		"subscription, update, type":   updateSubscription(sfmc.Subscription{SubscriptionID: "sub-1"}),
		"subscription, find, no id":    func(ctx context.Context, c *sfmc.Client) error { _, err := c.FindSubscription(ctx, " "); return err },
		"subscription, delete, no id":  func(ctx context.Context, c *sfmc.Client) error { return c.DeleteSubscription(ctx, "") },
		"subscriptions, list, no id":   func(ctx context.Context, c *sfmc.Client) error { _, err := c.ListSubscriptions(ctx, ""); return err },
		"subscriptions, list a way up": func(ctx context.Context, c *sfmc.Client) error { _, err := c.ListSubscriptions(ctx, "."); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := call(t.Context(), sfmc.NewClient(none)); !errors.Is(err, sfmc.ErrInvalid) {
				t.Errorf("error is %v; want ErrInvalid", err)
			}
		})
	}
}

// An id cannot lead to another route.
func TestIDsAreEscaped(t *testing.T) {
	t.Parallel()
	const id, escaped = "../a b?c/%", "..%2Fa%20b%3Fc%2F%25"
	for want, call := range map[string]func(context.Context, *sfmc.Client) error{
		"GET /platform/v1/ens-authentications/" + escaped: func(ctx context.Context, c *sfmc.Client) error {
			_, err := c.FindAuthScheme(ctx, id)
			return err
		},
		"DELETE /platform/v1/ens-authentications/" + escaped: func(ctx context.Context, c *sfmc.Client) error {
			return c.DeleteAuthScheme(ctx, id)
		},
		"GET /platform/v1/ens-callbacks/" + escaped: func(ctx context.Context, c *sfmc.Client) error {
			_, err := c.FindCallback(ctx, id)
			return err
		},
		"DELETE /platform/v1/ens-callbacks/" + escaped: func(ctx context.Context, c *sfmc.Client) error {
			return c.DeleteCallback(ctx, id)
		},
		"GET /platform/v1/ens-subscriptions-by-cb/" + escaped: func(ctx context.Context, c *sfmc.Client) error {
			_, err := c.ListSubscriptions(ctx, id)
			return err
		},
		"GET /platform/v1/ens-subscriptions/" + escaped: func(ctx context.Context, c *sfmc.Client) error {
			_, err := c.FindSubscription(ctx, id)
			return err
		},
		"DELETE /platform/v1/ens-subscriptions/" + escaped: func(ctx context.Context, c *sfmc.Client) error {
			return c.DeleteSubscription(ctx, id)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{next: reply{status: 404, body: `{"message":"no","errorcode":30003}`}.ServeHTTP}
			err := call(within(t), newClient(t, newServer(t, rec)))
			if e, ok := errors.AsType[*sfmc.Error](err); !ok || e.Status != 404 || e.Code != 30003 {
				t.Errorf("error is %v; want status 404", err)
			}
			method, path, _ := strings.Cut(want, " ")
			if diff := cmp.Diff([]seen{{Method: method, Path: path}}, rec.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// Calls of whose answers nothing but the status is documented.
func TestDone(t *testing.T) {
	t.Parallel()
	ops := map[string]func(context.Context, *sfmc.Client) error{
		sfmc.OpDeleteAuthScheme:   func(ctx context.Context, c *sfmc.Client) error { return c.DeleteAuthScheme(ctx, "auth-1") },
		sfmc.OpDeleteCallback:     func(ctx context.Context, c *sfmc.Client) error { return c.DeleteCallback(ctx, "cb-1") },
		sfmc.OpVerifyCallback:     func(ctx context.Context, c *sfmc.Client) error { return c.VerifyCallback(ctx, "cb-1", "xv8pMrf9==") },
		sfmc.OpDeleteSubscription: func(ctx context.Context, c *sfmc.Client) error { return c.DeleteSubscription(ctx, "sub-1") },
	}
	for name, tt := range map[string]struct {
		reply reply
		want  *sfmc.Error // Op and Body are filled in by the test
	}{
		"nothing":         {reply{status: 200}, nil},
		"no content":      {reply{status: 204}, nil},
		"created":         {reply{status: 201, body: `[{"callbackId":"cb-1","status":"verified"}]`}, nil},
		"a text":          {reply{status: 200, body: "OK"}, nil},
		"a JSON text":     {reply{status: 200, body: `"verified"`}, nil},
		"true":            {reply{status: 200, body: `true`}, nil},
		"code 0":          {reply{status: 200, body: `{"message":"","errorcode":0}`}, nil},
		"ended early":     {reply{status: 200, header: map[string]string{"Content-Length": "9"}, body: `{`}, nil},
		"code":            {reply{status: 200, body: `{"message":"m","errorcode":10000}`}, &sfmc.Error{Status: 200, Code: 10000, CodeText: "10000", Message: "m"}},
		"somebody's page": {reply{status: 200, body: `<html>Log in</html>`}, &sfmc.Error{Status: 200, Err: sfmc.ErrAnswer}},
		"not found":       {reply{status: 404, body: `{"message":"m","errorcode":30003}`}, &sfmc.Error{Status: 404, Code: 30003, CodeText: "30003", Message: "m"}},
		"conflict":        {reply{status: 409, body: `{"message":"m","errorcode":30002}`}, &sfmc.Error{Status: 409, Code: 30002, CodeText: "30002", Message: "m"}},
		"not modified":    {reply{status: 304}, &sfmc.Error{Status: 304}},
		"forbidden":       {reply{status: 403}, &sfmc.Error{Status: 403}},
	} {
		for op, call := range ops {
			t.Run(op+", "+name, func(t *testing.T) {
				t.Parallel()
				err := call(within(t), newClient(t, newServer(t, tt.reply)))
				if tt.want == nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				want := *tt.want
				want.Op = op
				if tt.reply.body != "" {
					want.Body = []byte(tt.reply.body)
				}
				diffError(t, want, err)
			})
		}
	}
}

// However a secret comes back, an error does not show it.
func TestSecretsStayOutOfErrors(t *testing.T) {
	t.Parallel()
	const secret = `a/b+"c\é😀==`
	password := scheme()
	password.GrantType, password.Username, password.Password, password.ClientSecret = "password", "ana", secret, "other-secret"
	client := scheme()
	client.ClientSecret = secret
	for name, call := range map[string]func(context.Context, *sfmc.Client) error{
		"client secret": func(ctx context.Context, c *sfmc.Client) error { _, err := c.CreateAuthScheme(ctx, client); return err },
		"password": func(ctx context.Context, c *sfmc.Client) error {
			_, err := c.UpdateAuthScheme(ctx, password)
			return err
		},
		"key": func(ctx context.Context, c *sfmc.Client) error { return c.VerifyCallback(ctx, "cb-1", secret) },
	} {
		for form, body := range map[string]string{
			"plain":    `{"message":"x ` + "a/b+\\\"c\\\\é😀==" + ` y"}`,
			"escaped":  `{"message":"x a\/b\u002B\u0022c\u005c\u00E9\uD83D\ude00\u003d\u003D y"}`,
			"text":     "x " + secret + " y",
			"cut off":  `{"message":"x a/b+\"c\\é😀\u003d= y`,
			"in names": `{"x a/b+\"c\\é😀==":{"y":1}}`,
		} {
			t.Run(name+", "+form, func(t *testing.T) {
				t.Parallel()
				err := call(within(t), newClient(t, newServer(t, reply{status: 500, body: body})))
				e, ok := errors.AsType[*sfmc.Error](err)
				if !ok {
					t.Fatalf("error is %v; want an *sfmc.Error", err)
				}
				shown := string(e.Body)
				if !strings.Contains(shown, "x redacted") || strings.ContainsAny(e.Message+shown, "é😀=") || strings.Contains(strings.ToLower(shown), "u003d") {
					t.Errorf("message %q, body %q", e.Message, shown)
				}
			})
		}
	}
}
