package sfmc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/sfmc"
)

func TestAuthURL(t *testing.T) {
	t.Parallel()
	for _, label := range []string{"mc0123456789abcdefghijklmnop", "a", "A-9", strings.Repeat("a", 63)} {
		want := "https://" + label + ".auth.marketingcloudapis.com/"
		if got, err := sfmc.AuthURL(label); got != want || err != nil {
			t.Errorf("AuthURL(%q) = %q, %v; want %q", label, got, err, want)
		}
	}
	for _, label := range []string{"", "-a", "a-", "-", "a.b", "a/b", "a:b", "a b", "a\n", "a@b", "a#", "a?", "a%2f", `a\b`, "é", "_a", "a\x00", "https://a", strings.Repeat("a", 64)} {
		if got, err := sfmc.AuthURL(label); got != "" || !errors.Is(err, sfmc.ErrInvalid) {
			t.Errorf("AuthURL(%q) = %q, %v; want ErrInvalid", label, got, err)
		}
	}
}

func TestNewTokenRequesterRefuses(t *testing.T) {
	t.Parallel()
	good := sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"}
	for _, authURL := range []string{
		"", "mc.auth.marketingcloudapis.com", "ftp://h/", "https:///x", "https://u:p4ss@h/", "https://u:p4ss@h:x y/",
		"https://h/?q=1", "https://h/?", "https://h/#f", "http://mc.auth.marketingcloudapis.com/", "http://mc.auth.marketingcloudapis.com./",
	} {
		if _, err := sfmc.NewTokenRequester(authURL, good); !errors.Is(err, sfmc.ErrInvalid) || strings.Contains(err.Error(), "p4ss") {
			t.Errorf("auth URL %q: error is %v; want ErrInvalid", authURL, err)
		}
	}
	for _, cred := range []sfmc.Credentials{
		{ClientID: "cid-1"},
		{ClientSecret: "s3cr3t"},
		{ClientID: "cid-1", ClientSecret: "s3cr3t", Scopes: []string{""}},
		{ClientID: "cid-1", ClientSecret: "s3cr3t", Scopes: []string{"a b"}},
	} {
		if _, err := sfmc.NewTokenRequester("https://h", cred); !errors.Is(err, sfmc.ErrInvalid) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("credentials %+v: error is %v; want ErrInvalid", cred, err)
		}
	}
}

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	cred := sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"}
	withAccount, withScopes, withoutScopes := cred, cred, cred
	withAccount.AccountID = "510000001"
	withScopes.Scopes = []string{"data_extensions_write", "journeys_read"}
	withoutScopes.Scopes = []string{}
	for name, tt := range map[string]struct {
		cred sfmc.Credentials
		path string // of the auth URL
		want seen
	}{
		"least":     {cred, "", seen{Path: "/v2/token", Body: `{"grant_type":"client_credentials","client_id":"cid-1","client_secret":"s3cr3t"}`}},
		"account":   {withAccount, "/", seen{Path: "/v2/token", Body: `{"grant_type":"client_credentials","client_id":"cid-1","client_secret":"s3cr3t","account_id":"510000001"}`}},
		"scopes":    {withScopes, "/mc", seen{Path: "/mc/v2/token", Body: `{"grant_type":"client_credentials","client_id":"cid-1","client_secret":"s3cr3t","scope":"data_extensions_write journeys_read"}`}},
		"no scopes": {withoutScopes, "/mc/", seen{Path: "/mc/v2/token", Body: `{"grant_type":"client_credentials","client_id":"cid-1","client_secret":"s3cr3t","scope":""}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{header: []string{"Authorization", "Content-Type", "Accept", "User-Agent"}, next: (&authServer{}).ServeHTTP}
			r, err := sfmc.NewTokenRequester(newServer(t, rec).URL+tt.path, tt.cred)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Token(within(t)); err != nil {
				t.Fatal(err)
			}
			tt.want.Method = "POST"
			tt.want.Header = map[string]string{"Authorization": "", "Content-Type": "application/json; charset=UTF-8", "Accept": "application/json", "User-Agent": "onramp-sfmc/0.1"}
			if diff := cmp.Diff([]seen{tt.want}, rec.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// requesterOf makes a TokenRequester whose every request is answered by r.
func requesterOf(t *testing.T, r reply) *sfmc.TokenRequester {
	t.Helper()
	hc := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		header := http.Header{}
		for name, value := range r.header {
			header.Set(name, value)
		}
		return &http.Response{StatusCode: r.status, Header: header, Body: readCloser{strings.NewReader(r.body)}}, nil
	})}
	req, err := sfmc.NewTokenRequester("https://auth.example", sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"}, sfmc.WithHTTPClient(hc))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 9000)
	for name, tt := range map[string]struct {
		body string
		want sfmc.Token
		life time.Duration
	}{
		"real": {
			`{"access_token":"eyJ.a.b","token_type":"Bearer","expires_in":1079,"scope":"data_extensions_read journeys_read","soap_instance_url":"https://mcx.soap.marketingcloudapis.com/","rest_instance_url":"https://mcx.rest.marketingcloudapis.com/"}`,
			sfmc.Token{AccessToken: "eyJ.a.b", TokenType: "Bearer", Scope: "data_extensions_read journeys_read", SOAPInstanceURL: "https://mcx.soap.marketingcloudapis.com/", RESTInstanceURL: "https://mcx.rest.marketingcloudapis.com/"},
			1079 * time.Second,
		},
		"specified":      {`{"access_token":"a","token_type":"Bearer","expires_in":1199,"rest_instance_url":"mcx.rest.marketingcloudapis.com"}`, sfmc.Token{AccessToken: "a", TokenType: "Bearer", RESTInstanceURL: "mcx.rest.marketingcloudapis.com"}, 1199 * time.Second},
		"life as string": {`{"access_token":"a","expires_in":"60"}`, sfmc.Token{AccessToken: "a"}, time.Minute},
		"no life":        {`{"access_token":"a"}`, sfmc.Token{AccessToken: "a"}, 18 * time.Minute},
		"negative life":  {`{"access_token":"a","expires_in":-5}`, sfmc.Token{AccessToken: "a"}, 18 * time.Minute},
		"endless life":   {`{"access_token":"a","expires_in":1e300}`, sfmc.Token{AccessToken: "a"}, 24 * time.Hour},
		"long token":     {`{"access_token":"` + long + `","expires_in":1}`, sfmc.Token{AccessToken: sfmc.Secret(long)}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := requesterOf(t, reply{status: 200, body: tt.body})
				want := tt.want
				want.ExpiresAt, want.IssuedFor = time.Now().Add(tt.life), r.IssuedFor()
				got, err := r.Token(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, *got, cmp.Transformer("reveal", sfmc.Secret.Reveal)); diff != "" {
					t.Errorf("token (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTokenFailures(t *testing.T) {
	t.Parallel()
	noToken := map[string]reply{
		"no token":        {status: 200, body: `{"token_type":"Bearer","secret":"s3cr3t"}`},
		"token no string": {status: 200, body: `{"access_token":5}`},
		"cut off":         {status: 200, body: `{"access_token":"eyJ.a.b","expi`},
		"text":            {status: 200, body: `eyJ.a.b`},
		"empty":           {status: 200},
		"HTML":            {status: 200, body: `<html>`},
		"list":            {status: 200, body: `[]`},
	}
	for name, r := range noToken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := requesterOf(t, r).Token(t.Context())
			diffError(t, sfmc.Error{Op: sfmc.OpToken, Status: 200, Err: sfmc.ErrAnswer}, err)
		})
	}
	for name, tt := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := requesterOf(t, tt.reply).Token(t.Context())
			e, ok := errors.AsType[*sfmc.Error](err)
			if !ok || e.Op != sfmc.OpToken || e.Status != tt.want.Status || e.RetryAfter != tt.want.RetryAfter {
				t.Errorf("error is %v; want status %d", err, tt.want.Status)
			}
			if ok && e.Status == 200 && e.Body != nil {
				t.Errorf("body of a token answer with status 200 was kept: %q", e.Body)
			}
		})
	}
	t.Run("secret echoed", func(t *testing.T) {
		t.Parallel()
		_, err := requesterOf(t, reply{status: 400, body: `{"error":"s3cr3t","error_description":"s3cr3t?","errors":["s3cr3t!"]}`}).Token(t.Context())
		diffError(t, sfmc.Error{
			Op: sfmc.OpToken, Status: 400, CodeText: "redacted", Message: "redacted?", Additional: []sfmc.Detail{{Message: "redacted!"}},
			Body: []byte(`{"error":"redacted","error_description":"redacted?","errors":["redacted!"]}`),
		}, err)
	})
}

// Tokens stand in for each other only if they were issued by and for the same.
func TestIssuedFor(t *testing.T) {
	t.Parallel()
	base := sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"}
	of := func(authURL string, change func(*sfmc.Credentials)) string {
		cred := base
		change(&cred)
		r, err := sfmc.NewTokenRequester(authURL, cred)
		if err != nil {
			t.Fatal(err)
		}
		return r.IssuedFor()
	}
	same := of("https://a.example", func(*sfmc.Credentials) {})
	for name, tt := range map[string]struct {
		got  string
		same bool
	}{
		"slash":     {of("https://a.example/", func(*sfmc.Credentials) {}), true},
		"secret":    {of("https://a.example", func(c *sfmc.Credentials) { c.ClientSecret = "rotated" }), true},
		"auth URL":  {of("https://b.example", func(*sfmc.Credentials) {}), false},
		"client":    {of("https://a.example", func(c *sfmc.Credentials) { c.ClientID = "cid-2" }), false},
		"account":   {of("https://a.example", func(c *sfmc.Credentials) { c.AccountID = "5" }), false},
		"scopes":    {of("https://a.example", func(c *sfmc.Credentials) { c.Scopes = []string{"x"} }), false},
		"no scopes": {of("https://a.example", func(c *sfmc.Credentials) { c.Scopes = []string{} }), false},
	} {
		if (tt.got == same) != tt.same {
			t.Errorf("%s: IssuedFor %q beside %q; want the same: %t", name, tt.got, same, tt.same)
		}
	}
}

func TestEncodeToken(t *testing.T) {
	t.Parallel()
	want := &sfmc.Token{
		AccessToken: "eyJ.a.b", TokenType: "Bearer", Scope: "s", RESTInstanceURL: "r", SOAPInstanceURL: "p",
		ExpiresAt: time.Date(2026, 6, 23, 14, 52, 45, 1, time.UTC), IssuedFor: "f",
	}
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := sfmc.DecodeToken(data)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("decoded with error %v (-want +got):\n%s", err, diff)
	}
	plain, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{nil, []byte("{}"), []byte(`{"access_token":"eyJ`), []byte(`{"access_token":"redacted"}`), plain} {
		if tok, err := sfmc.DecodeToken(data); tok != nil || err == nil || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("DecodeToken(%s) = %v, %v; want an error without the token", data, tok, err)
		}
	}
}

// However it is printed, a secret does not show.
func TestSecret(t *testing.T) {
	t.Parallel()
	const text = "s3cr3t"
	cred := sfmc.Credentials{ClientID: "cid-1", ClientSecret: text}
	token := &sfmc.Token{AccessToken: text}
	r, err := sfmc.NewTokenRequester("https://h", cred)
	if err != nil {
		t.Fatal(err)
	}
	cache := sfmc.NewTokenCache(source(func(context.Context) (*sfmc.Token, error) { return token, nil }))
	if _, err := cache.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{cred.ClientSecret, cred, &cred, token, *token, r, *r, cache, sfmc.NewClient(cache)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		_ = json.NewEncoder(&out).Encode(v)
	}
	_ = json.NewEncoder(&out).Encode(map[string]any{"k": cred.ClientSecret})
	_ = xml.NewEncoder(&out).Encode(cred.ClientSecret)
	fmt.Fprintln(&out, cred.ClientSecret.String(), cred.ClientSecret.GoString())
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, text) || strings.Contains(line, fmt.Sprintf("%x", text)) {
			t.Errorf("shows the secret: %s", line)
		}
	}
	if cred.ClientSecret.Reveal() != text {
		t.Errorf("Reveal() = %q; want %q", cred.ClientSecret.Reveal(), text)
	}
	var back sfmc.Credentials
	if err := json.Unmarshal([]byte(`{"ClientID":"cid-1","ClientSecret":"s3cr3t"}`), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cred, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("unmarshalled (-want +got):\n%s", diff)
	}
}
