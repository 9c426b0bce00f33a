package sandbox_test

import (
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const credentials = `"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret"`

var tokenForm = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+$`)

// granted takes the token out of a good answer, checks its form, and returns
// the rest of the body.
func granted(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	value, _ := body["access_token"].(string)
	if !tokenForm.MatchString(value) || len(value) > 512 {
		t.Errorf("token %q", value)
	}
	delete(body, "access_token")
	return body
}

func TestTokenGranted(t *testing.T) {
	t.Parallel()
	answer := func(scope string) map[string]any {
		return map[string]any{
			"token_type": "Bearer", "expires_in": 1079.0, "scope": scope,
			"rest_instance_url": "http://127.0.0.1:8090/", "soap_instance_url": "http://127.0.0.1:8090/",
		}
	}
	all := strings.Join(allScopes(t), " ")
	form := "grant_type=client_credentials&client_id=sandbox-client&client_secret=sandbox-secret"
	asForm := "Content-Type: application/x-www-form-urlencoded"
	for _, row := range []struct {
		name, body string
		header     []string
		scope      string
	}{
		{"JSON", `{` + credentials + `}`, nil, all},
		{"JSON with charset", `{` + credentials + `}`, []string{"Content-Type: application/json; charset=utf-8"}, all},
		{"no content type", `{` + credentials + `}`, []string{"Content-Type: "}, all},
		{"account as text", `{` + credentials + `,"account_id":"510000001"}`, nil, all},
		{"account as number", `{` + credentials + `,"account_id":510000001}`, nil, all},
		{"account null", `{` + credentials + `,"account_id":null}`, nil, all},
		{"account empty", `{` + credentials + `,"account_id":""}`, nil, all},
		{"scope null", `{` + credentials + `,"scope":null}`, nil, all},
		{"scope empty", `{` + credentials + `,"scope":""}`, nil, ""},
		{"scope subset in its order", `{` + credentials + `,"scope":"journeys_read data_extensions_write"}`, nil, "journeys_read data_extensions_write"},
		{"scope doubled", `{` + credentials + `,"scope":" email_read  email_read "}`, nil, "email_read"},
		{"unknown members", `{` + credentials + `,"more":[1]}`, nil, all},
		{"form", form, []string{asForm}, all},
		{"form with charset", form + "&account_id=510000001", []string{asForm + "; charset=UTF-8"}, all},
		{"form with scope", form + "&scope=email_read+email_send", []string{asForm}, "email_read email_send"},
		{"form with empty scope", form + "&scope=", []string{asForm}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := send(t, newSandbox(t), "POST", "/v2/token", row.body, row.header...)
			if diff := cmp.Diff(answer(row.scope), granted(t, w)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("behind a proxy with TLS", func(t *testing.T) {
		t.Parallel()
		want := answer(all)
		want["rest_instance_url"], want["soap_instance_url"] = "https://127.0.0.1:8090/", "https://127.0.0.1:8090/"
		w := send(t, newSandbox(t), "POST", "/v2/token", `{`+credentials+`}`, "X-Forwarded-Proto: https, http")
		if diff := cmp.Diff(want, granted(t, w)); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
	})
	t.Run("dialect spec", func(t *testing.T) {
		t.Parallel()
		want := map[string]any{"token_type": "Bearer", "expires_in": 1199.0, "rest_instance_url": "http://127.0.0.1:8090/"}
		w := send(t, newDialect(t, sandbox.DialectSpec), "POST", "/v2/token", `{`+credentials+`}`)
		if diff := cmp.Diff(want, granted(t, w)); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
	})
}

// allScopes is the package's scopes as userinfo lists them.
func allScopes(t *testing.T) []string {
	t.Helper()
	s := newSandbox(t)
	var got struct {
		Application struct {
			AppScopes []string `json:"appScopes"`
		} `json:"application"`
	}
	w := send(t, s, "GET", "/v2/userinfo", "", authorize(t, s))
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	return got.Application.AppScopes
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	refusal := func(name, description string) string {
		return `{"error":"` + name + `","error_description":"` + description + `","error_uri":"https://developer.salesforce.com/docs"}`
	}
	notJSON := refusal("invalid_request", "The request body is not a valid JSON object.")
	unsupported := `{"message":"Unsupported Media Type","documentation":""}`
	asForm := "Content-Type: application/x-www-form-urlencoded"
	for _, row := range []struct {
		name, body string
		header     []string
		status     int
		want       string
	}{
		{"not JSON", `grant_type=client_credentials`, nil, 400, notJSON},
		{"empty", ``, nil, 400, notJSON},
		{"null", `null`, nil, 400, notJSON},
		{"a list", `[]`, nil, 400, notJSON},
		{"a number for a secret", `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":1}`, nil, 400, notJSON},
		{"bytes after it", `{` + credentials + `}{}`, nil, 400, notJSON},
		{
			"no grant type", `{"client_id":"sandbox-client","client_secret":"sandbox-secret"}`, nil, 400,
			refusal("invalid_request", "The parameter grant_type is required."),
		},
		{
			"no client", `{"grant_type":"client_credentials","client_secret":"sandbox-secret"}`, nil, 400,
			refusal("invalid_request", "The parameter client_id is required."),
		},
		{
			"no secret", `{"grant_type":"client_credentials","client_id":"sandbox-client"}`, nil, 400,
			refusal("invalid_request", "The parameter client_secret is required."),
		},
		{
			"another grant", `{"grant_type":"password","client_id":"sandbox-client","client_secret":"sandbox-secret"}`, nil, 400,
			refusal("unsupported_grant_type", "The grant type is not supported."),
		},
		{
			"another client", `{"grant_type":"client_credentials","client_id":"x","client_secret":"sandbox-secret"}`, nil, 401,
			refusal("invalid_client", "Invalid client ID. Use the client ID in Marketing Cloud Installed Packages."),
		},
		{
			"another secret", `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"x"}`, nil, 401,
			refusal("invalid_client", "Client authentication failed. Make sure that the client ID and client secret are valid and that the package is installed and enabled."),
		},
		{
			"credentials in Basic", `{"grant_type":"client_credentials"}`,
			[]string{"Authorization: Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1zZWNyZXQ="},
			400,
			refusal("invalid_request", "The parameter client_id is required."),
		},
		{
			"foreign account", `{` + credentials + `,"account_id":"510000002"}`, nil, 400,
			refusal("unauthorized_client", "The client is not accessible for this account."),
		},
		{
			"foreign account as number", `{` + credentials + `,"account_id":510000001.0}`, nil, 400,
			refusal("unauthorized_client", "The client is not accessible for this account."),
		},
		{
			"unknown scope", `{` + credentials + `,"scope":"email_read everything"}`, nil, 400,
			refusal("invalid_scope", "The requested scope is invalid, unknown, or not granted to the package."),
		},
		{
			"a doubled parameter", "grant_type=client_credentials&grant_type=client_credentials",
			[]string{asForm},
			400,
			refusal("invalid_request", "A parameter is included more than once."),
		},
		{
			"a broken form", "grant_type=%zz",
			[]string{asForm},
			400,
			refusal("invalid_request", "The request body is not a valid form."),
		},
		{"plain text", `{` + credentials + `}`, []string{"Content-Type: text/plain"}, 415, unsupported},
		{"a broken type", `{` + credentials + `}`, []string{"Content-Type: /"}, 415, unsupported},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			same(t, send(t, s, "POST", "/v2/token", row.body, row.header...), row.status, row.want)
			if n := len(s.State().Tokens); n != 0 {
				t.Errorf("%d tokens were given out", n)
			}
		})
	}
}

// A token lives twenty minutes on the sandbox's clock, longer than it says, and
// others given out meanwhile do not end it.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	first := authorize(t, s)
	works := func(auth string) bool { return send(t, s, "GET", "/platform/v1/tokenContext", "", auth).Code == 200 }
	advance := func(d time.Duration) {
		t.Helper()
		if err := s.Advance(d); err != nil {
			t.Fatal(err)
		}
	}
	advance(1079 * time.Second)
	second := authorize(t, s)
	advance(20*time.Minute - 1079*time.Second - time.Nanosecond)
	if !works(first) || !works(second) {
		t.Error("a token ended before its time")
	}
	advance(time.Nanosecond)
	if works(first) {
		t.Error("a token works after twenty minutes")
	}
	if !works(second) {
		t.Error("the other token ended with it")
	}
	same(t, send(t, s, "GET", "/platform/v1/tokenContext", "", first), 401, notAuthorized())
}

// Tokens that expired long ago are forgotten, and there is a most of them.
func TestTokensBounded(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	authorize(t, s)
	if err := s.Advance(31 * time.Minute); err != nil {
		t.Fatal(err)
	}
	authorize(t, s)
	if n := len(s.State().Tokens); n != 1 {
		t.Errorf("%d tokens are remembered, want 1", n)
	}
	for range sandbox.MaxTokens + 10 {
		s.IssueToken()
	}
	if n := len(s.State().Tokens); n != sandbox.MaxTokens {
		t.Errorf("%d tokens are remembered, want %d", n, sandbox.MaxTokens)
	}
}
