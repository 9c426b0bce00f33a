package sfmc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

func TestCallbacks(t *testing.T) {
	t.Parallel()
	const path = "/platform/v1/ens-callbacks"
	create := func(cb sfmc.Callback) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.CreateCallback(ctx, cb) }
	}
	update := func(cb sfmc.Callback) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.UpdateCallback(ctx, cb) }
	}
	list := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.ListCallbacks(ctx) }
	find := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindCallback(ctx, "cb-1") }
	regenerate := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.RegenerateSignatureKey(ctx, "cb-1") }
	sent := sfmc.Callback{
		CallbackID: "old", CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: 500, AuthID: "auth-1",
		SignatureKey: "old", Status: "verified", StatusReason: "old",
	}
	made := sfmc.Callback{
		CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: 500, AuthID: "auth-1",
		SignatureKey: signatureKey,
	}
	known := sfmc.Callback{
		CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: 500,
		Status: "verified", StatusReason: "none",
	}
	const (
		keyed = `{"callbackName":"events","callbackId":"cb-1","url":"https://h.example/p","signatureKey":"` + signatureKey + `","maxBatchSize":500}`
		plain = `{"callbackId":"cb-1","callbackName":"events","url":"https://h.example/p","maxBatchSize":500,"status":"verified","statusReason":"none"}`
	)
	createSent := seen{Method: "POST", Path: path, Body: `[{"callbackName":"events","url":"https://h.example/p","maxBatchSize":500,"authId":"auth-1"}]`}
	updateSent := seen{Method: "PUT", Path: path, Body: `[{"callbackId":"cb-1","callbackName":"events"}]`}
	regenerateSent := seen{Method: "PUT", Path: "/platform/v1/ens-regenerate", Body: `{"callbackId":"cb-1"}`}
	given := sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", SignatureKey: signatureKey}
	check(t, map[string]exchange{
		"create":                    {create(sent), createSent, reply{status: 201, body: "[" + keyed + "]"}, made},
		"create, object, 200":       {create(sent), createSent, reply{status: 200, body: keyed}, made},
		"create, less in answer":    {create(sent), createSent, reply{status: 201, body: `[{"callbackId":"cb-1","signatureKey":" ` + signatureKey + ` "}]`}, made},
		"create, loose in answer":   {create(sent), createSent, reply{status: 201, body: `[{"CallbackID":1,"SignatureKey":"k","MaxBatchSize":"750","authId":null,"url":7}]`}, sfmc.Callback{CallbackID: "1", CallbackName: "events", URL: "7", MaxBatchSize: 750, AuthID: "auth-1", SignatureKey: "k"}},
		"create, key with escapes":  {create(sent), createSent, reply{status: 201, body: strings.ReplaceAll(keyed, "=", `\u003d`)}, made},
		"create, a status of error": {create(sent), createSent, reply{status: 201, body: `[{"callbackId":"cb-1","status":"error","signatureKey":"` + signatureKey + `"}]`}, sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: 500, AuthID: "auth-1", SignatureKey: signatureKey, Status: "error"}},
		"create, as little as possible": {
			create(sfmc.Callback{CallbackName: "events", URL: "https://h.example/p"}),
			seen{Method: "POST", Path: path, Body: `[{"callbackName":"events","url":"https://h.example/p"}]`},
			reply{status: 201, body: "[" + keyed + "]"},
			sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: 500, SignatureKey: signatureKey},
		},
		"update":            {update(given), updateSent, reply{status: 200, body: `[{"callbackId":"cb-1","callbackName":"events","url":"https://h.example/p","maxBatchSize":1000}]`}, sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: 1000, SignatureKey: signatureKey}},
		"update, is new":    {update(given), updateSent, reply{status: 201, body: `{"callbackId":"cb-1"}`}, given},
		"update, no change": {update(given), updateSent, reply{status: 304}, given},
		"update, all": {
			update(made),
			seen{Method: "PUT", Path: path, Body: `[{"callbackId":"cb-1","callbackName":"events","maxBatchSize":500,"authId":"auth-1"}]`},
			reply{status: 200, body: `[{"callbackId":"cb-1"}]`},
			made,
		},
		"list":                   {list, seen{Method: "GET", Path: path}, reply{status: 200, body: "[" + plain + `,{"callbackId":"cb-2","status":"Error","statusReason":null}]`}, []sfmc.Callback{known, {CallbackID: "cb-2", Status: "Error"}}},
		"list of one":            {list, seen{Method: "GET", Path: path}, reply{status: 200, body: plain}, []sfmc.Callback{known}},
		"list, empty":            {list, seen{Method: "GET", Path: path}, reply{status: 200, body: "[]"}, []sfmc.Callback{}},
		"list, none":             {list, seen{Method: "GET", Path: path}, reply{status: 404, body: `{"message":"Callback doesn't exist","errorcode":30003,"documentation":""}`}, []sfmc.Callback{}},
		"list, none, no body":    {list, seen{Method: "GET", Path: path}, reply{status: 404}, []sfmc.Callback{}},
		"find":                   {find, seen{Method: "GET", Path: path + "/cb-1"}, reply{status: 200, body: plain}, known},
		"find, array":            {find, seen{Method: "GET", Path: path + "/cb-1"}, reply{status: 200, body: "[" + plain + "]"}, known},
		"regenerate":             {regenerate, regenerateSent, reply{status: 200, body: `{"callbackName":"events","callbackId":"cb-1","url":"https://h.example/p","signatureKey":"` + signatureKey + `"}`}, sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p", SignatureKey: signatureKey}},
		"regenerate, array":      {regenerate, regenerateSent, reply{status: 200, body: "[" + keyed + "]"}, sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p", MaxBatchSize: 500, SignatureKey: signatureKey}},
		"regenerate, only a key": {regenerate, regenerateSent, reply{status: 200, body: `{"signatureKey":"` + signatureKey + `"}`}, sfmc.Callback{CallbackID: "cb-1", SignatureKey: signatureKey}},
		"delete":                 {func(ctx context.Context, c *sfmc.Client) (any, error) { return nil, c.DeleteCallback(ctx, "cb-1") }, seen{Method: "DELETE", Path: path + "/cb-1"}, reply{status: 200}, nil},
		"verify, as it was given": {func(ctx context.Context, c *sfmc.Client) (any, error) {
			return nil, c.VerifyCallback(ctx, "cb-1", "xv8p+/s=")
		}, seen{Method: "POST", Path: "/platform/v1/ens-verify", Body: `{"callbackId":"cb-1","verificationKey":"xv8p+/s="}`}, reply{status: 200}, nil},
	})
}

// An answer that is not the callback with its key is an error that shows no key, and
// gives back what can be used to clean up.
func TestKeyedCallbackFailures(t *testing.T) {
	t.Parallel()
	const keyed = `"signatureKey":"` + signatureKey + `"`
	for name, tt := range map[string]struct {
		reply   reply
		created sfmc.Callback
		want    sfmc.Error // Op is filled in by the test
	}{
		"no key":           {reply{status: 201, body: `[{"callbackId":"cb-1"}]`}, sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p"}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"key of no text":   {reply{status: 201, body: `[{"callbackId":"cb-1","signatureKey":7}]`}, sfmc.Callback{CallbackID: "cb-1", CallbackName: "events", URL: "https://h.example/p"}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"neither":          {reply{status: 201, body: `[{"callbackName":"events"}]`}, sfmc.Callback{}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"nothing":          {reply{status: 201}, sfmc.Callback{}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"an empty list":    {reply{status: 201, body: `[]`}, sfmc.Callback{}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"two":              {reply{status: 201, body: `[{"callbackId":"cb-1",` + keyed + `},{"callbackId":"cb-2",` + keyed + `}]`}, sfmc.Callback{}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"cut off":          {reply{status: 201, body: `[{"callbackId":"cb-1",` + keyed}, sfmc.Callback{}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"a text":           {reply{status: 201, body: `signatureKey is ` + signatureKey}, sfmc.Callback{}, sfmc.Error{Status: 201, Err: sfmc.ErrAnswer}},
		"a page":           {reply{status: 200, body: `<html>`}, sfmc.Callback{}, sfmc.Error{Status: 200, Err: sfmc.ErrAnswer}},
		"key in a message": {reply{status: 200, body: `[{"callbackId":"cb-1",` + keyed + `,"errorcode":5,"message":"key ` + signatureKey + `"}]`}, sfmc.Callback{}, sfmc.Error{Status: 200, Code: 5, CodeText: "5", Message: "key redacted"}},
		"key beside a bad status": {
			reply{status: 500, body: `{"message":"m","callbackId":"cb-1",` + keyed + `}`},
			sfmc.Callback{},
			sfmc.Error{Status: 500, Message: "m", Body: []byte(`{"message":"m","callbackId":"cb-1","signatureKey":"redacted"}`)},
		},
		"exists":       {reply{status: 304}, sfmc.Callback{}, sfmc.Error{Status: 304}},
		"unauthorized": {reply{status: 403, body: `{"errorcode":20002}`}, sfmc.Callback{}, sfmc.Error{Status: 403, Code: 20002, CodeText: "20002", Body: []byte(`{"errorcode":20002}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, newServer(t, tt.reply))
			got, err := c.CreateCallback(within(t), sfmc.Callback{CallbackName: "events", URL: "https://h.example/p"})
			if diff := cmp.Diff(tt.created, got, secrets); diff != "" {
				t.Errorf("callback (-want +got):\n%s", diff)
			}
			tt.want.Op = sfmc.OpCreateCallback
			diffError(t, tt.want, err)

			got, err = c.RegenerateSignatureKey(within(t), "cb-1")
			if got != (sfmc.Callback{}) {
				t.Errorf("regenerated with an error: %+v", got)
			}
			tt.want.Op = sfmc.OpRegenerateSignatureKey
			diffError(t, tt.want, err)
		})
	}
	t.Run("no id", func(t *testing.T) {
		t.Parallel()
		got, err := newClient(t, newServer(t, reply{status: 201, body: "{" + keyed + "}"})).
			CreateCallback(within(t), sfmc.Callback{CallbackName: "events", URL: "https://h.example/p"})
		if diff := cmp.Diff(sfmc.Callback{CallbackName: "events", URL: "https://h.example/p", SignatureKey: signatureKey}, got, secrets); diff != "" {
			t.Errorf("callback (-want +got):\n%s", diff)
		}
		diffError(t, sfmc.Error{Op: sfmc.OpCreateCallback, Status: 201, Err: sfmc.ErrAnswer}, err)
	})
}

// Only Marketing Cloud's own 404 says that there are no callbacks.
func TestListCallbacksNotFound(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]sfmc.Error{
		"<h1>Not Found</h1>":   {Status: 404},
		"404 page not found\n": {Status: 404, Message: "404 page not found"},
		`["a"]`:                {Status: 404},
		`{"message":"Callback`: {Status: 404},
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t, newServer(t, reply{status: 404, body: body})).ListCallbacks(within(t))
			if got != nil {
				t.Errorf("callbacks %v", got)
			}
			want.Op, want.Body = sfmc.OpListCallbacks, []byte(body)
			diffError(t, want, err)
		})
	}
}

// What a good status does not make good.
func TestCallbackAnswersWithoutID(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `[]`, `{}`, `[{"callbackId":""}]`, `{"callbackId":null,"status":"verified"}`, `[{"callbackId":"cb-1"},{"callbackId":"cb-2"}]`, `[[]]`, `"cb-1"`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, newServer(t, reply{status: 200, body: body}))
			want := sfmc.Error{Op: sfmc.OpFindCallback, Status: 200, Err: sfmc.ErrAnswer}
			if body != "" {
				want.Body = []byte(body)
			}
			if strings.HasPrefix(body, `"`) {
				want.Message = ""
			}
			_, err := c.FindCallback(within(t), "cb-1")
			diffError(t, want, err)
			want.Op = sfmc.OpUpdateCallback
			_, err = c.UpdateCallback(within(t), sfmc.Callback{CallbackID: "cb-1", CallbackName: "events"})
			diffError(t, want, err)
		})
	}
}

func TestFailedCallbackID(t *testing.T) {
	t.Parallel()
	const id = "08b67f0e-5be8-4673-97e9-682c133f778c"
	const published = "MCMS_UWH_Runtime_GeneralFailure_probeCallbackLiveness: CallbackId is " + id + ". Could not verify callback url `'https://example.com'`. " +
		"Please test that the url is reachable with a https POST call and returns a 200 http status code. To retry please delete the callback and create it again. " +
		"Status: NameResolutionFailure. The remote name could not be resolved: 'example.com'"
	s := newServer(t, reply{status: 400, body: `{"message":"` + published + `","errorcode":10000,"documentation":""}`})
	_, err := newClient(t, s).CreateCallback(within(t), sfmc.Callback{CallbackName: "events", URL: "https://example.com"})
	if got := sfmc.FailedCallbackID(fmt.Errorf("set up: %w", err)); got != id {
		t.Errorf("id is %q; want %q", got, id)
	}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"additional":          {&sfmc.Error{Op: sfmc.OpCreateCallback, Message: "several", Additional: []sfmc.Detail{{}, {Message: published}}}, id},
		"another case":        {&sfmc.Error{Op: sfmc.OpCreateCallback, Message: "callbackid is " + strings.ToUpper(id)}, strings.ToUpper(id)},
		"no error":            {nil, ""},
		"no answer":           {errors.New(published), ""},
		"another operation":   {&sfmc.Error{Op: sfmc.OpUpdateCallback, Message: published}, ""},
		"no id":               {&sfmc.Error{Op: sfmc.OpCreateCallback, Message: "CallbackId is invalid"}, ""},
		"half an id":          {&sfmc.Error{Op: sfmc.OpCreateCallback, Message: "CallbackId is 08b67f0e-5be8-4673-97e9-682c133f778"}, ""},
		"more than an id":     {&sfmc.Error{Op: sfmc.OpCreateCallback, Message: "CallbackId is " + id + "ff"}, ""},
		"another thing's id":  {&sfmc.Error{Op: sfmc.OpCreateCallback, Message: "FirstCallbackId is " + id}, ""},
		"the message of none": {&sfmc.Error{Op: sfmc.OpCreateCallback}, ""},
	} {
		if got := sfmc.FailedCallbackID(tt.err); got != tt.want {
			t.Errorf("%s: id is %q; want %q", name, got, tt.want)
		}
	}
}

func TestVerified(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{"verified": true, "Verified": true, "": false, "unverified": false, "pending": false} {
		if got := (sfmc.Callback{Status: status}).Verified(); got != want {
			t.Errorf("Verified() of %q = %v; want %v", status, got, want)
		}
	}
}
