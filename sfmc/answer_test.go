package sfmc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/sfmc"
)

// reply is what a server answers.
type reply struct {
	status int
	header map[string]string
	body   string
}

func (r reply) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for name, value := range r.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

const docLink = "https://developer.salesforce.com/docs/atlas.en-us.mc-apis.meta/mc-apis/error-handling.htm"

// failures are the answers that mean an error to every operation. Op and Body
// are filled in by the test.
var failures = map[string]struct {
	reply reply
	want  sfmc.Error
}{
	"aggregate": {
		reply{status: 400, body: `{"message":"Unable to save rows for data extension ID 7c0e","errorcode":10006,"documentation":"","additionalErrors":[{"message":"EmailAddress: The value for column [EmailAddress] is not a valid email address. Parse error [InvalidEmailAddress]","errorcode":10000,"documentation":"d"},{"message":"second","errorcode":"10000"}]}`},
		sfmc.Error{Status: 400, Code: 10006, CodeText: "10006", Message: "Unable to save rows for data extension ID 7c0e", Additional: []sfmc.Detail{
			{Code: 10000, CodeText: "10000", Message: "EmailAddress: The value for column [EmailAddress] is not a valid email address. Parse error [InvalidEmailAddress]", Documentation: "d"},
			{Code: 10000, CodeText: "10000", Message: "second"},
		}},
	},
	"bare aggregate": {
		reply{status: 400, body: `{"documentation":"","errorcode":10006,"message":"Unable to save rows","additionalErrors":[]}`},
		sfmc.Error{Status: 400, Code: 10006, CodeText: "10006", Message: "Unable to save rows"},
	},
	"code as string, names in another case": {
		reply{status: 400, body: `{"Message":"Primary key 'subscriberkey' does not exist.","ErrorCode":"10000","Documentation":"d"}`},
		sfmc.Error{Status: 400, Code: 10000, CodeText: "10000", Message: "Primary key 'subscriberkey' does not exist.", Documentation: "d"},
	},
	"code that is a word": {
		reply{status: 400, body: `{"errorCode":"UnexpectedError","message":"m"}`},
		sfmc.Error{Status: 400, CodeText: "UnexpectedError", Message: "m"},
	},
	"specified row error": {
		reply{status: 400, body: `{"results":[{"rows":0,"errorcode":1,"status":"Error","message":"Unable to save rows for data extension..."}]}`},
		sfmc.Error{Status: 400, Code: 1, CodeText: "1", Message: "Unable to save rows for data extension..."},
	},
	"row error in a list with status 200": {
		reply{status: 200, body: `[{"keys":{"k":"1"},"values":{}},{"keys":{"k":"2"},"values":{},"errorcode":10000,"message":"m"}]`},
		sfmc.Error{Status: 200, Code: 10000, CodeText: "10000", Message: "m"},
	},
	"specified row error with status 200": {
		reply{status: 200, body: `{"results":[{"rows":1,"errorcode":0,"status":"OK"},{"rows":0,"errorcode":1,"status":"Error","message":"one"},{"rows":0,"errorcode":0,"status":"error","message":"two"}]}`},
		sfmc.Error{Status: 200, Code: 1, CodeText: "1", Message: "one", Additional: []sfmc.Detail{{CodeText: "0", Message: "two"}}},
	},
	"code with status 202": {
		reply{status: 202, body: `{"message":"not done","errorcode":10000}`},
		sfmc.Error{Status: 202, Code: 10000, CodeText: "10000", Message: "not done"},
	},
	"resultMessages with status 200": {
		reply{status: 200, body: `{"requestId":"r","resultMessages":[{"resultType":"Operational","resultClass":"Error","resultCode":"CustomObjectNotFound","message":"Failed to resolve"}]}`},
		sfmc.Error{Status: 200, CodeText: "CustomObjectNotFound", Message: "Failed to resolve"},
	},
	"errors with status 202": {
		reply{status: 202, body: `{"errors":[{"errorDetail":"draft","errorCode":"121226","errorType":"x"},"a text",7]}`},
		sfmc.Error{Status: 202, Code: 121226, CodeText: "121226", Message: "draft", Additional: []sfmc.Detail{{Message: "a text"}, {}}},
	},
	"hasErrors with status 200": {
		reply{status: 200, body: `{"operationStatus":"Error","hasErrors":true,"resultMessages":[]}`},
		sfmc.Error{Status: 200},
	},
	"unauthorized": {
		reply{status: 401, body: `{"documentation":"` + docLink + `","errorcode":0,"message":"Not Authorized"}`},
		sfmc.Error{Status: 401, CodeText: "0", Message: "Not Authorized", Documentation: docLink},
	},
	"oauth error": {
		reply{status: 401, body: `{"error":"invalid_client","error_description":"Invalid client ID.","error_uri":"https://developer.salesforce.com/docs"}`},
		sfmc.Error{Status: 401, CodeText: "invalid_client", Message: "Invalid client ID.", Documentation: "https://developer.salesforce.com/docs"},
	},
	"oauth error with status 200": {
		reply{status: 200, body: `{"error":"invalid_scope"}`},
		sfmc.Error{Status: 200, CodeText: "invalid_scope"},
	},
	"no permission": {
		reply{status: 403, body: `{"message":"Insufficient privileges","errorcode":20002,"documentation":""}`},
		sfmc.Error{Status: 403, Code: 20002, CodeText: "20002", Message: "Insufficient privileges"},
	},
	"conflict": {
		reply{status: 409, body: `{"message":"exists","errorcode":30004}`},
		sfmc.Error{Status: 409, Code: 30004, CodeText: "30004", Message: "exists"},
	},
	"rate limit, header": {
		reply{status: 429, header: map[string]string{"Retry-After": "5"}, body: `{"message":"Rate limit exceeded","errorcode":50100,"retryAfter":7,"documentation":""}`},
		sfmc.Error{Status: 429, Code: 50100, CodeText: "50100", Message: "Rate limit exceeded", RetryAfter: 5 * time.Second},
	},
	"rate limit, body": {
		reply{status: 429, body: `{"message":"Rate limit exceeded","errorcode":50100,"retryAfter":"7"}`},
		sfmc.Error{Status: 429, Code: 50100, CodeText: "50100", Message: "Rate limit exceeded", RetryAfter: 7 * time.Second},
	},
	"blocked": {
		reply{status: 429, body: `{"message":"Your requests are temporarily blocked.","errorcode":50200,"documentation":"` + docLink + `"}`},
		sfmc.Error{Status: 429, Code: 50200, CodeText: "50200", Message: "Your requests are temporarily blocked.", Documentation: docLink},
	},
	"plain text": {
		reply{status: 429, header: map[string]string{"Content-Type": "text/plain"}, body: "Too Many\tRequests\nreally"},
		sfmc.Error{Status: 429, Message: "Too Many Requests"},
	},
	"JSON text": {
		reply{status: 400, body: `"Bad Request"`},
		sfmc.Error{Status: 400, Message: "Bad Request"},
	},
	"nothing": {
		reply{status: 503, header: map[string]string{"Retry-After": "120"}},
		sfmc.Error{Status: 503, RetryAfter: 2 * time.Minute},
	},
	"HTML": {
		reply{status: 502, header: map[string]string{"Content-Type": "text/html"}, body: "<html><body>Bad Gateway</body></html>"},
		sfmc.Error{Status: 502},
	},
	"unknown route": {
		reply{status: 596, header: map[string]string{"Content-Type": "text/xml"}, body: "<h1>596 Service Not Found</h1>"},
		sfmc.Error{Status: 596},
	},
	"JSON cut off": {
		reply{status: 500, body: `{"message":"Internal`},
		sfmc.Error{Status: 500},
	},
	"array of something": {
		reply{status: 500, body: `[1,{"errorcode":5,"message":"m"}]`},
		sfmc.Error{Status: 500, Code: 5, CodeText: "5", Message: "m"},
	},
	"members of odd types": {
		reply{status: 400, body: `{"message":{"a":1},"errorcode":[],"additionalErrors":{},"errors":null,"results":3,"documentation":false}`},
		sfmc.Error{Status: 400},
	},
	"token echoed": {
		reply{status: 400, body: `{"message":"bad header Bearer token-1"}`},
		sfmc.Error{Status: 400, Message: "bad header Bearer redacted", Body: []byte(`{"message":"bad header Bearer redacted"}`)},
	},
	"redirect": {
		reply{status: 302, header: map[string]string{"Location": "https://evil.example/x?y"}, body: ""},
		sfmc.Error{Status: 302, Message: "redirects are not followed, this one leads to evil.example"},
	},
	"HTML with status 200": {
		reply{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<!doctype html><title>Log in</title>"},
		sfmc.Error{Status: 200, Err: sfmc.ErrAnswer},
	},
	"plain text with status 200": {
		reply{status: 200, header: map[string]string{"Content-Type": "text/plain"}, body: "OK"},
		sfmc.Error{Status: 200, Message: "OK", Err: sfmc.ErrAnswer},
	},
	"JSON cut off with status 200": {
		reply{status: 200, body: `[{"keys":{"SubscriberKey":"u-10`},
		sfmc.Error{Status: 200, Err: sfmc.ErrAnswer},
	},
	"two values with status 200": {
		reply{status: 200, body: `{} {}`},
		sfmc.Error{Status: 200, Err: sfmc.ErrAnswer},
	},
	"another type with status 200": {
		reply{status: 200, body: `17`},
		sfmc.Error{Status: 200, Message: "17", Err: sfmc.ErrAnswer},
	},
	"list of another type with status 200": {
		reply{status: 200, body: `["u-1001"]`},
		sfmc.Error{Status: 200, Err: sfmc.ErrAnswer},
	},
	"too long with status 200": {
		reply{status: 200, body: `"` + strings.Repeat("x", 8<<20) + `"`},
		sfmc.Error{Status: 200, Body: []byte(`"` + strings.Repeat("x", 64<<10-1)), Err: sfmc.ErrAnswer},
	},
	"ended early, though at the end of a value, with status 200": {
		reply{status: 200, header: map[string]string{"Content-Length": "100"}, body: `[{"keys":{},"values":{}}]`},
		sfmc.Error{Status: 200, Err: io.ErrUnexpectedEOF},
	},
	"ended early with status 200": {
		reply{status: 200, header: map[string]string{"Content-Length": "100"}, body: `[{"keys":`},
		sfmc.Error{Status: 200, Err: io.ErrUnexpectedEOF},
	},
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, newServer(t, tt.reply))
			want := tt.want
			if want.Body == nil && tt.reply.body != "" {
				want.Body = []byte(tt.reply.body)
			}

			for op, call := range calls {
				want.Op, _, _ = strings.Cut(op, ";")
				if len(tt.reply.body) > 1<<20 && want.Op != sfmc.OpUpsertRows {
					continue // it takes long, and all calls read an answer alike
				}
				got, err := call(within(t), c)
				if !reflect.ValueOf(got).IsZero() {
					t.Errorf("%s gave %v with an error", op, got)
				}
				diffError(t, want, err)
			}
		})
	}
}

// calls are all the calls of a client, by operation; a semicolon tells two of the
// same operation apart.
var calls = map[string]func(context.Context, *sfmc.Client) (any, error){
	sfmc.OpUpsertRows: func(ctx context.Context, c *sfmc.Client) (any, error) { return c.UpsertRows(ctx, "DE1", row()) },
	sfmc.OpUpsertRows + ";StoreRows": func(ctx context.Context, c *sfmc.Client) (any, error) {
		return "", c.StoreRows(ctx, "DE1", row())
	},
	sfmc.OpUpsertRowsAsync: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.UpsertRowsAsync(ctx, "DE1", []any{row()[0].Values})
	},
	sfmc.OpInsertRowsAsync: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.InsertRowsAsync(ctx, "DE1", []any{row()[0].Values})
	},
	sfmc.OpAsyncStatus:  func(ctx context.Context, c *sfmc.Client) (any, error) { return c.AsyncStatus(ctx, "r-1") },
	sfmc.OpAsyncResults: func(ctx context.Context, c *sfmc.Client) (any, error) { return c.AsyncResults(ctx, "r-1", 1) },
	sfmc.OpFireEvent: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.FireEvent(ctx, sfmc.JourneyEntry{ContactKey: "u", EventDefinitionKey: "e"})
	},
	sfmc.OpFireEvents: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.FireEvents(ctx, "e", []sfmc.Member{{ContactKey: "u"}})
	},
	sfmc.OpSendMessage: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.SendMessage(ctx, "m-1", "welcome", sfmc.Recipient{ContactKey: "u", To: "a@example.org"})
	},
	sfmc.OpSendMessages: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.SendMessages(ctx, "welcome", []sfmc.Recipient{{ContactKey: "u", To: "a@example.org"}})
	},
	sfmc.OpCreateAuthScheme: func(ctx context.Context, c *sfmc.Client) (any, error) { return c.CreateAuthScheme(ctx, scheme()) },
	sfmc.OpUpdateAuthScheme: func(ctx context.Context, c *sfmc.Client) (any, error) { return c.UpdateAuthScheme(ctx, scheme()) },
	sfmc.OpListAuthSchemes:  func(ctx context.Context, c *sfmc.Client) (any, error) { return c.ListAuthSchemes(ctx) },
	sfmc.OpFindAuthScheme:   func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindAuthScheme(ctx, "auth-1") },
	sfmc.OpUpdateCallback: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.UpdateCallback(ctx, sfmc.Callback{CallbackID: "cb-1", CallbackName: "events"})
	},
	sfmc.OpListCallbacks: func(ctx context.Context, c *sfmc.Client) (any, error) { return c.ListCallbacks(ctx) },
	sfmc.OpFindCallback:  func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindCallback(ctx, "cb-1") },
	sfmc.OpCreateSubscription: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.CreateSubscription(ctx, subscription())
	},
	sfmc.OpUpdateSubscription: func(ctx context.Context, c *sfmc.Client) (any, error) {
		return c.UpdateSubscription(ctx, subscription())
	},
	sfmc.OpListSubscriptions: func(ctx context.Context, c *sfmc.Client) (any, error) { return c.ListSubscriptions(ctx, "cb-1") },
	sfmc.OpFindSubscription:  func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindSubscription(ctx, "sub-1") },
}

func TestRows(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reply reply
		want  []sfmc.Row
	}{
		"echo": {
			reply{status: 200, body: `[{"keys":{"SubscriberKey":"u-1001"},"values":{"FirstName":"Ana","Age":9007199254740993,"In":true}},{"keys":{"subscriberkey":"u-1002"},"values":{}}]`},
			[]sfmc.Row{
				{Keys: map[string]any{"SubscriberKey": "u-1001"}, Values: map[string]any{"FirstName": "Ana", "Age": json.Number("9007199254740993"), "In": true}},
				{Keys: map[string]any{"subscriberkey": "u-1002"}, Values: map[string]any{}},
			},
		},
		"echo in another case, after a byte order mark": {
			reply{status: 201, body: "\ufeff [{\"Values\":{\"a\":null},\"Keys\":{\"k\":\"1\"}}]\n"},
			[]sfmc.Row{{Keys: map[string]any{"k": "1"}, Values: map[string]any{"a": nil}}},
		},
		"columns named like errors": {
			reply{status: 200, body: `[{"keys":{"errorcode":"5"},"values":{"error":"x","status":"Error"}}]`},
			[]sfmc.Row{{Keys: map[string]any{"errorcode": "5"}, Values: map[string]any{"error": "x", "status": "Error"}}},
		},
		"one row": {
			reply{status: 200, body: `{"keys":{"k":"1"},"values":{"a":"b"}}`},
			[]sfmc.Row{{Keys: map[string]any{"k": "1"}, Values: map[string]any{"a": "b"}}},
		},
		"row without values": {reply{status: 200, body: `[{"keys":{"k":"1"}}]`}, []sfmc.Row{{Keys: map[string]any{"k": "1"}}}},
		"specified":          {reply{status: 200, body: `{"results":[{"rows":1,"errorcode":0,"status":"OK"}]}`}, nil},
		"specified, strings": {reply{status: 201, body: `{"Results":[{"Rows":"1","ErrorCode":"0","Status":"ok"}]}`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, newServer(t, tt.reply))
			sent := slices.Repeat(row(), max(len(tt.want), 1))
			rows, err := c.UpsertRows(within(t), "DE1", sent)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.StoreRows(within(t), "DE1", sent); err != nil {
				t.Errorf("StoreRows: %v", err)
			}
			if diff := cmp.Diff(tt.want, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventInstanceID(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reply reply
		want  string
	}{
		"created":    {reply{status: 201, body: `{"eventInstanceId":"a1b2"}`}, "a1b2"},
		"other case": {reply{status: 200, body: `{"EventInstanceID":"a1b2","errorcode":0}`}, "a1b2"},
		"number":     {reply{status: 202, body: `{"eventInstanceId":12}`}, "12"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := newClient(t, newServer(t, tt.reply)).FireEvent(within(t), sfmc.JourneyEntry{ContactKey: "u", EventDefinitionKey: "e"})
			if err != nil || id != tt.want {
				t.Errorf("FireEvent = %q, %v; want %q", id, err, tt.want)
			}
		})
	}
}

// A date in Retry-After counts from now, so that the whole second is not known.
func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	s := newServer(t, reply{status: 503, header: map[string]string{"Retry-After": at}})
	_, err := newClient(t, s).UpsertRows(within(t), "DE1", row())
	e, ok := errors.AsType[*sfmc.Error](err)
	if !ok || e.RetryAfter > time.Hour || e.RetryAfter < 58*time.Minute {
		t.Errorf("error %v with %+v; want a RetryAfter of an hour", err, e)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	var many []sfmc.Detail
	for i := range 3 {
		many = append(many, sfmc.Detail{Message: "column " + strconv.Itoa(i)})
	}
	for want, e := range map[string]sfmc.Error{
		"upsert rows: 503 Service Unavailable":                 {Op: sfmc.OpUpsertRows, Status: 503},
		"fire event: 596":                                      {Op: sfmc.OpFireEvent, Status: 596},
		"fire event: 401 Unauthorized: code 0: Not Authorized": {Op: sfmc.OpFireEvent, Status: 401, CodeText: "0", Message: "Not Authorized"},
		"upsert rows: 400 Bad Request: code 10006: Unable to save rows: column 0 (and 2 more)": {Op: sfmc.OpUpsertRows, Status: 400, Code: 10006, Message: "Unable to save rows", Additional: many, Body: []byte("body")},
		"upsert rows: 200 OK: not an answer of Marketing Cloud":                                {Op: sfmc.OpUpsertRows, Status: 200, Err: sfmc.ErrAnswer},
	} {
		if got := e.Error(); got != want {
			t.Errorf("Error() = %q; want %q", got, want)
		}
	}
}

// diffError compares the *sfmc.Error in err with want, Err by errors.Is.
func diffError(t *testing.T, want sfmc.Error, err error) {
	t.Helper()
	got, ok := errors.AsType[*sfmc.Error](err)
	if !ok {
		t.Errorf("error is %v; want an *sfmc.Error", err)
		return
	}
	body := cmp.Transformer("body", func(b []byte) string { return string(b) }) // one step instead of 65,536
	if diff := cmp.Diff(want, *got, cmpopts.EquateErrors(), body); diff != "" {
		t.Errorf("%s (-want +got):\n%s", want.Op, diff)
	}
	if want.Err != nil && !errors.Is(err, want.Err) {
		t.Errorf("error %v has not %v in its chain", err, want.Err)
	}
}
