package sfmc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

func TestUpsertRowsRequest(t *testing.T) {
	t.Parallel()
	type contact struct {
		EmailAddress string
		OptInStatus  bool
	}
	rec := &recorder{header: []string{"Authorization", "Content-Type", "Accept", "User-Agent"}, next: repeatRows}
	_, err := newClient(t, newServer(t, rec)).UpsertRows(within(t), "Web Reg/é%3#?", []sfmc.Row{
		{Keys: map[string]any{"SubscriberKey": "u-1001"}, Values: contact{"ana@example.org", true}},
		{Keys: map[string]any{"a": 1, "b": "2"}, Values: map[string]any{"x": nil}},
		{Keys: map[string]any{"k": "3"}, Values: json.RawMessage(` {"y": "ü"} `)},
		{Keys: map[string]any{"k": "4"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []seen{{
		Method: "POST",
		Path:   "/hub/v1/dataevents/key:Web%20Reg%2F%C3%A9%253%23%3F/rowset",
		Body: `[{"keys":{"SubscriberKey":"u-1001"},"values":{"EmailAddress":"ana@example.org","OptInStatus":true}},` +
			`{"keys":{"a":1,"b":"2"},"values":{"x":null}},{"keys":{"k":"3"},"values":{"y": "ü"}},{"keys":{"k":"4"},"values":{}}]`,
		Header: map[string]string{
			"Authorization": "Bearer token-1",
			"Content-Type":  "application/json; charset=UTF-8",
			"Accept":        "application/json",
			"User-Agent":    "onramp-sfmc/0.1",
		},
	}}
	if diff := cmp.Diff(want, rec.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestFireEventRequest(t *testing.T) {
	t.Parallel()
	rec := &recorder{header: []string{"User-Agent"}, next: reply{status: 201, body: `{"eventInstanceId":"e-1"}`}.ServeHTTP}
	s := newServer(t, rec)
	c := sfmc.NewClient(fixed("token-1"), sfmc.WithOrigin(s.URL+"/"), sfmc.WithUserAgent("site/1"))
	for _, e := range []sfmc.JourneyEntry{
		{ContactKey: "u-1001", EventDefinitionKey: "APIEvent-1"},
		{ContactKey: "u-1001", EventDefinitionKey: "APIEvent-1", EstablishContactKey: true, Data: map[string]any{"a": "b"}},
	} {
		if _, err := c.FireEvent(within(t), e); err != nil {
			t.Fatal(err)
		}
	}
	agent := map[string]string{"User-Agent": "site/1"}
	want := []seen{
		{"POST", "/interaction/v1/events", `{"ContactKey":"u-1001","EventDefinitionKey":"APIEvent-1"}`, agent},
		{"POST", "/interaction/v1/events", `{"ContactKey":"u-1001","EventDefinitionKey":"APIEvent-1","EstablishContactKey":true,"Data":{"a":"b"}}`, agent},
	}
	if diff := cmp.Diff(want, rec.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// What is refused costs neither a token nor a call.
func TestRefusedBeforeAnyCall(t *testing.T) {
	t.Parallel()
	none := source(func(context.Context) (*sfmc.Token, error) {
		t.Error("a token was asked for")
		return nil, io.EOF
	})
	upsert := func(key string, rows ...sfmc.Row) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.UpsertRows(t.Context(), key, rows)
			return err
		}
	}
	fire := func(e sfmc.JourneyEntry) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.FireEvent(t.Context(), e)
			return err
		}
	}
	async := func(key string, rows ...any) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.UpsertRowsAsync(t.Context(), key, rows)
			_, insertErr := c.InsertRowsAsync(t.Context(), key, rows)
			if (err == nil) != (insertErr == nil) {
				t.Errorf("upsert: %v, insert: %v", err, insertErr)
			}
			return err
		}
	}
	status := func(id string) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.AsyncStatus(t.Context(), id)
			return err
		}
	}
	results := func(id string, page int) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.AsyncResults(t.Context(), id, page)
			return err
		}
	}
	fireAll := func(key string, members ...sfmc.Member) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.FireEvents(t.Context(), key, members)
			return err
		}
	}
	send := func(messageKey, definitionKey string, to sfmc.Recipient) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.SendMessage(t.Context(), messageKey, definitionKey, to)
			return err
		}
	}
	sendAll := func(definitionKey string, to ...sfmc.Recipient) func(*sfmc.Client) error {
		return func(c *sfmc.Client) error {
			_, err := c.SendMessages(t.Context(), definitionKey, to)
			return err
		}
	}
	ana := sfmc.Recipient{ContactKey: "u", To: "a@example.org"}
	lively := sfmc.Recipient{ContactKey: "u", To: "a@example.org", Attributes: map[string]any{}}
	keys := map[string]any{"k": "1"}
	for name, call := range map[string]func(*sfmc.Client) error{
		"no key":                   upsert(" ", sfmc.Row{Keys: keys}),
		"no rows":                  upsert("DE1"),
		"no keys":                  upsert("DE1", sfmc.Row{Keys: keys}, sfmc.Row{Values: keys}),
		"values of another type":   upsert("DE1", sfmc.Row{Keys: keys, Values: "text"}),
		"values that are a list":   upsert("DE1", sfmc.Row{Keys: keys, Values: []int{1}}),
		"values without JSON":      upsert("DE1", sfmc.Row{Keys: keys, Values: make(chan int)}),
		"values with broken JSON":  upsert("DE1", sfmc.Row{Keys: keys, Values: json.RawMessage(`{"a"`)}),
		"keys without JSON":        upsert("DE1", sfmc.Row{Keys: map[string]any{"k": func() {}}}),
		"no contact key":           fire(sfmc.JourneyEntry{EventDefinitionKey: "e"}),
		"no event definition key":  fire(sfmc.JourneyEntry{ContactKey: "u"}),
		"event data of other type": fire(sfmc.JourneyEntry{ContactKey: "u", EventDefinitionKey: "e", Data: 1}),
		"store, no key":            func(c *sfmc.Client) error { return c.StoreRows(t.Context(), "", row()) },
		"store, values cut off": func(c *sfmc.Client) error {
			return c.StoreRows(t.Context(), "DE1", []sfmc.Row{{Keys: keys, Values: json.RawMessage(`{"a":"b`)}})
		},
		"async, no key":             async("", keys),
		"async, no rows":            async("DE1"),
		"async, too many rows":      async("DE1", slices.Repeat([]any{json.RawMessage(`{}`)}, 32_001)...),
		"async, nil":                async("DE1", keys, nil),
		"async, null":               async("DE1", json.RawMessage(` null `)),
		"async, empty":              async("DE1", json.RawMessage{}),
		"async, another type":       async("DE1", []int{1}),
		"async, two rows in one":    async("DE1", json.RawMessage(`{},{}`)),
		"async, broken JSON":        async("DE1", json.RawMessage(`{"a":}`)),
		"async, without JSON":       async("DE1", func() {}),
		"status, no id":             status(" "),
		"status, way up":            status(".."),
		"results, no id":            results("", 1),
		"results, page 0":           results("r-1", 0),
		"events, no key":            fireAll("", sfmc.Member{ContactKey: "u"}),
		"events, no members":        fireAll("e"),
		"events, too many":          fireAll("e", slices.Repeat([]sfmc.Member{{ContactKey: "u"}}, 101)...),
		"events, no contact key":    fireAll("e", sfmc.Member{ContactKey: "u"}, sfmc.Member{}),
		"events, data":              fireAll("e", sfmc.Member{ContactKey: "u", Data: "x"}),
		"message, no key":           send("", "welcome", ana),
		"message, way up":           send("..", "welcome", ana),
		"message, long key":         send(strings.Repeat("é", 101), "welcome", ana),
		"message, another key":      send("m-1", "welcome", sfmc.Recipient{ContactKey: "u", To: "a@example.org", MessageKey: "m-2"}),
		"message, no definition":    send("m-1", "", ana),
		"message, no contact key":   send("m-1", "welcome", sfmc.Recipient{To: "a@example.org"}),
		"message, no address":       send("m-1", "welcome", sfmc.Recipient{ContactKey: "u"}),
		"message, attributes":       send("m-1", "welcome", sfmc.Recipient{ContactKey: "u", To: "a@example.org", Attributes: 1}),
		"messages, no recipients":   sendAll("welcome"),
		"messages, no definition":   sendAll("", ana),
		"messages, too many":        sendAll("welcome", slices.Repeat([]sfmc.Recipient{ana}, 2001)...),
		"messages, too many lively": sendAll("welcome", append(slices.Repeat([]sfmc.Recipient{ana}, 500), lively)...),
		"messages, no contact key":  sendAll("welcome", ana, sfmc.Recipient{To: "a@example.org"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := call(sfmc.NewClient(none)); !errors.Is(err, sfmc.ErrInvalid) {
				t.Errorf("error is %v; want ErrInvalid", err)
			}
		})
	}
	for _, origin := range []string{"127.0.0.1:80", "ftp://h", "http://h/path", "http://h?q", "https://u:p@h", "http://x.rest.marketingcloudapis.com", "http://", "http://h%zz"} {
		t.Run("origin "+origin, func(t *testing.T) {
			t.Parallel()
			if err := upsert("DE1", row()...)(sfmc.NewClient(none, sfmc.WithOrigin(origin))); !errors.Is(err, sfmc.ErrInvalid) {
				t.Errorf("error is %v; want ErrInvalid", err)
			}
		})
	}
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Where the access token goes is for the token to say, within limits.
func TestRESTHost(t *testing.T) {
	t.Parallel()
	const good = "https://mc-1x.rest.marketingcloudapis.com/interaction/v1/events"
	for instance, want := range map[string]string{
		"https://mc-1x.rest.marketingcloudapis.com/":             good,
		"https://mc-1x.rest.marketingcloudapis.com":              good,
		"mc-1x.rest.marketingcloudapis.com":                      good,
		"MC-1X.REST.marketingcloudapis.com/":                     good,
		"":                                                       "",
		"http://mc-1x.rest.marketingcloudapis.com/":              "",
		"https://mc-1x.rest.marketingcloudapis.com:8443/":        "",
		"https://mc-1x.rest.marketingcloudapis.com//":            "",
		"https://mc-1x.rest.marketingcloudapis.com/x":            "",
		"https://mc-1x.rest.marketingcloudapis.com?":             "",
		"https://a.b.rest.marketingcloudapis.com/":               "",
		"https://.rest.marketingcloudapis.com/":                  "",
		"https://rest.marketingcloudapis.com/":                   "",
		"https://mc-1x.auth.marketingcloudapis.com/":             "",
		"https://u@mc-1x.rest.marketingcloudapis.com/":           "",
		"https://evil.example/mc.rest.marketingcloudapis.com":    "",
		"https://mc-1x.rest.marketingcloudapis.com.evil.example": "",
		"https://evil.example#.rest.marketingcloudapis.com":      "",
		"http://127.0.0.1:8080":                                  "",
	} {
		t.Run(instance, func(t *testing.T) {
			t.Parallel()
			var got string
			hc := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				return &http.Response{StatusCode: 201, Body: http.NoBody}, nil
			})}
			src := source(func(context.Context) (*sfmc.Token, error) {
				return &sfmc.Token{AccessToken: "token-1", RESTInstanceURL: instance}, nil
			})
			_, err := sfmc.NewClient(src, sfmc.WithHTTPClient(hc)).FireEvent(t.Context(), sfmc.JourneyEntry{ContactKey: "u", EventDefinitionKey: "e"})
			if got != want || (want == "") != errors.Is(err, sfmc.ErrHost) {
				t.Errorf("call went to %q with error %v; want %q", got, err, want)
			}
		})
	}
}

// A 401 costs one token and one more call, and no more.
func TestUnauthorized(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		accept string // the token that the server takes
		cached bool   // whether the source can invalidate
		tokens []string
		status int // of the error; 0: none
	}{
		"the next token is good":      {"Bearer token-2", true, []string{"Bearer token-1", "Bearer token-2"}, 0},
		"no token is good":            {"", true, []string{"Bearer token-1", "Bearer token-2"}, 401},
		"a source without Invalidate": {"Bearer token-2", false, []string{"Bearer token-1"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := newServer(t, &authServer{})
			requester, err := sfmc.NewTokenRequester(auth.URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
			if err != nil {
				t.Fatal(err)
			}
			var src sfmc.TokenSource = requester
			if tt.cached {
				src = sfmc.NewTokenCache(requester)
			}
			rec := &recorder{header: []string{"Authorization"}, next: func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != tt.accept {
					w.WriteHeader(401)
					return
				}
				repeatRows(w, r)
			}}
			_, err = sfmc.NewClient(src, sfmc.WithOrigin(newServer(t, rec).URL)).UpsertRows(within(t), "DE1", row())
			if e, ok := errors.AsType[*sfmc.Error](err); ok != (tt.status != 0) || ok && e.Status != tt.status {
				t.Errorf("error is %v; want status %d", err, tt.status)
			}
			const body = `[{"keys":{"SubscriberKey":"u-1001"},"values":{"FirstName":"Ana"}}]`
			var want []seen
			for _, token := range tt.tokens {
				want = append(want, seen{"POST", "/hub/v1/dataevents/key:DE1/rowset", body, map[string]string{"Authorization": token}})
			}
			if diff := cmp.Diff(want, rec.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// The largest calls allowed are made.
func TestLargestCalls(t *testing.T) {
	t.Parallel()
	rec := &recorder{next: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }}
	c := newClient(t, newServer(t, rec))
	ana := sfmc.Recipient{ContactKey: "u", To: "a@example.org", MessageKey: strings.Repeat("é", 100)}
	lively := ana
	lively.Attributes = json.RawMessage(`{}`)
	for name, call := range map[string]func() error{
		"rows": func() error {
			_, err := c.UpsertRowsAsync(within(t), "DE1", slices.Repeat([]any{json.RawMessage(`{}`)}, 32_000))
			return err
		},
		"members": func() error {
			_, err := c.FireEvents(within(t), "e", slices.Repeat([]sfmc.Member{{ContactKey: "u"}}, 100))
			return err
		},
		"recipients": func() error {
			_, err := c.SendMessages(within(t), "welcome", slices.Repeat([]sfmc.Recipient{ana}, 2000))
			return err
		},
		"recipients with attributes": func() error {
			_, err := c.SendMessages(within(t), "welcome", slices.Repeat([]sfmc.Recipient{lively}, 500))
			return err
		},
	} {
		if e, ok := errors.AsType[*sfmc.Error](call()); !ok || e.Status != 500 {
			t.Errorf("%s: the call was not made", name)
		}
	}
}

// Each call is made once more after a 401, the same as before.
func TestUnauthorizedCalls(t *testing.T) {
	t.Parallel()
	for op, call := range calls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			requester, err := sfmc.NewTokenRequester(newServer(t, &authServer{}).URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
			if err != nil {
				t.Fatal(err)
			}
			rec := &recorder{header: []string{"Authorization"}, next: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }}
			_, err = call(within(t), sfmc.NewClient(sfmc.NewTokenCache(requester), sfmc.WithOrigin(newServer(t, rec).URL)))
			if e, ok := errors.AsType[*sfmc.Error](err); !ok || e.Status != 401 {
				t.Errorf("error is %v; want status 401", err)
			}
			got := rec.requests()
			if len(got) != 2 {
				t.Fatalf("%d requests; want 2", len(got))
			}
			want := []seen{got[0], got[0]}
			want[0].Header = map[string]string{"Authorization": "Bearer token-1"}
			want[1].Header = map[string]string{"Authorization": "Bearer token-2"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// 200 calls that are answered 401 at the same moment cost one new token.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	const callers = 200
	auth := &authServer{}
	requester, err := sfmc.NewTokenRequester(newServer(t, auth).URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
	if err != nil {
		t.Fatal(err)
	}
	var revoked sync.WaitGroup // ends when all have come with the revoked token
	revoked.Add(callers)
	rest := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token-1" {
			_, _ = io.Copy(io.Discard, r.Body)
			revoked.Done()
			revoked.Wait()
			w.WriteHeader(401)
			return
		}
		repeatRows(w, r)
	}))
	c := sfmc.NewClient(sfmc.NewTokenCache(requester), sfmc.WithOrigin(rest.URL))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if _, err := c.UpsertRows(within(t), "DE1", row()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := auth.count(); n != 2 {
		t.Errorf("%d token requests; want 2: the first, and one for the revoked token", n)
	}
}

// Where there is no answer, the cause is in the chain, and the operation in the text.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	hang := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		<-r.Context().Done()
	}))
	gone := httptest.NewServer(nil)
	gone.Close()
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tokenErr := &sfmc.Error{Op: sfmc.OpToken, Status: 401, CodeText: "invalid_client"}
	for name, tt := range map[string]struct {
		ctx    context.Context
		src    source
		origin string
		is     error
		text   string
	}{
		"context's deadline":  {short, fixed("token-1"), hang.URL, context.DeadlineExceeded, "fire event: Post "},
		"context cancelled":   {cancelled, fixed("token-1"), hang.URL, context.Canceled, "fire event: Post "},
		"client's time limit": {t.Context(), fixed("token-1"), hang.URL, context.DeadlineExceeded, "fire event: Post "},
		"no token": {
			t.Context(), func(context.Context) (*sfmc.Token, error) { return nil, tokenErr }, hang.URL, tokenErr,
			"fire event: request token: 401 Unauthorized: code invalid_client",
		},
		"empty token": {t.Context(), fixed(""), hang.URL, nil, "fire event: token source gave no token"},
		"bad token":   {t.Context(), fixed("secret\ntoken"), hang.URL, nil, "fire event: Post "},
		"refused":     {t.Context(), fixed("token-1"), gone.URL, &net.OpError{}, "fire event: Post "},
	} {
		t.Run(name, func(t *testing.T) {
			c := sfmc.NewClient(tt.src, sfmc.WithOrigin(tt.origin), sfmc.WithHTTPClient(&http.Client{Timeout: 300 * time.Millisecond}))
			_, err := c.FireEvent(tt.ctx, sfmc.JourneyEntry{ContactKey: "u", EventDefinitionKey: "e"})
			if err == nil || !strings.HasPrefix(err.Error(), tt.text) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("error is %v; want it to begin with %q", err, tt.text)
			}
			if _, ok := tt.is.(*net.OpError); ok {
				if _, ok := errors.AsType[*net.OpError](err); !ok {
					t.Errorf("error is %v; want a net.OpError in its chain", err)
				}
			} else if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error is %v; want %v in its chain", err, tt.is)
			}
		})
	}
}

// The default client does not follow a redirect either, nor does one that was
// told to.
func TestRedirect(t *testing.T) {
	t.Parallel()
	evil := &recorder{}
	target := newServer(t, evil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := newServer(t, http.RedirectHandler(target.URL, status))
		u, err := url.Parse(target.URL)
		if err != nil {
			t.Fatal(err)
		}
		follow := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		for _, opts := range [][]sfmc.Option{nil, {sfmc.WithHTTPClient(nil)}, {sfmc.WithHTTPClient(follow)}} {
			c := sfmc.NewClient(fixed("token-1"), append(opts, sfmc.WithOrigin(s.URL))...)
			_, err := c.UpsertRows(within(t), "DE1", row())
			diffError(t, sfmc.Error{Op: sfmc.OpUpsertRows, Status: status, Message: "redirects are not followed, this one leads to " + u.Host}, err)

			r, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Token(within(t))
			diffError(t, sfmc.Error{Op: sfmc.OpToken, Status: status, Message: "redirects are not followed, this one leads to " + u.Host}, err)
		}
	}
	if got := evil.requests(); got != nil {
		t.Errorf("redirects were followed: %v", got)
	}
}

// What New refuses it refuses at once.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"}
	if _, err := sfmc.New("mcx", good); err != nil {
		t.Errorf("good: %v", err)
	}
	for name, makeClient := range map[string]func() (*sfmc.Client, error){
		"host for a subdomain": func() (*sfmc.Client, error) { return sfmc.New("evil.example/", good) },
		"no secret":            func() (*sfmc.Client, error) { return sfmc.New("mcx", sfmc.Credentials{ClientID: "cid-1"}) },
	} {
		if _, err := makeClient(); !errors.Is(err, sfmc.ErrInvalid) {
			t.Errorf("%s: got error %v, want %v", name, err, sfmc.ErrInvalid)
		}
	}
}
