package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const (
	registrationsID = "5a0d8c1e-7b1f-4c55-9d52-0f5100000001"
	errorDocs       = "https://developer.salesforce.com/docs/atlas.en-us.mc-apis.meta/mc-apis/error-handling.htm"
	rowset          = "/hub/v1/dataevents/key:Web_Registrations/rowset"
	start           = "2026-06-23T14:52:45Z"
)

// newSandbox is a sandbox whose clock stands still unless it is advanced.
func newSandbox(t testing.TB) *sandbox.Sandbox {
	t.Helper()
	return newDialect(t, sandbox.DialectFacts)
}

func newDialect(t testing.TB, d sandbox.Dialect) *sandbox.Sandbox {
	t.Helper()
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.New(sandbox.Config{Dialect: d, Now: func() time.Time { return at }})
}

// send makes one request. header holds "Name: value" lines; a request with a
// body is JSON unless they say otherwise.
func send(t testing.TB, s http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := newRequest(t, method, target, header...)
	r.Body = io.NopCloser(strings.NewReader(body))
	if body != "" && r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return serve(s, r)
}

func newRequest(t testing.TB, method, target string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.Host = "127.0.0.1:8090"
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func serve(s http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// authorize gets a token with all scopes, as a header line.
func authorize(t testing.TB, s http.Handler) string {
	t.Helper()
	return authorizeWith(t, s, `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret"}`)
}

func authorizeWith(t testing.TB, s http.Handler, body string) string {
	t.Helper()
	w := send(t, s, "POST", "/v2/token", body)
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.AccessToken == "" {
		t.Fatalf("no token: %d %s", w.Code, w.Body)
	}
	return "Authorization: Bearer " + got.AccessToken
}

// same compares an answer with the wanted status and whole JSON body.
func same(t testing.TB, w *httptest.ResponseRecorder, status int, want string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d", w.Code, status)
	}
	if diff := cmp.Diff(decode(t, want), decode(t, w.Body.String())); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func decode(t testing.TB, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, s)
	}
	return v
}

// rows is what stands in the registrations data extension.
func rows(s *sandbox.Sandbox) []map[string]any {
	return s.State().DataExtensions["Web_Registrations"].Rows
}

func notAuthorized() string {
	return `{"documentation":"` + errorDocs + `","errorcode":0,"message":"Not Authorized"}`
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	for _, row := range []struct{ name, method, target string }{
		{"unknown", "GET", "/nowhere"},
		{"root", "GET", "/"},
		{"wrong method on a route", "GET", rowset},
		{"rowset has no PUT", "PUT", rowset},
		{"no asynchronous rows without async", "POST", "/data/v1/dataextensions/key:Web_Registrations/rows"},
		{"an empty segment", "POST", "/hub/v1/dataevents//rowset"},
		{"a segment too many", "POST", rowset + "/more"},
		{"a segment too few", "POST", "/hub/v1/dataevents/key:Web_Registrations"},
		{"token with GET", "GET", "/v2/token"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			same(t, send(t, s, row.method, row.target, "", auth), 404, `{"message":"Not Found","errorcode":404,"documentation":""}`)
		})
	}
	w := send(t, s, "GET", "/service.asmx", "", auth, `SOAPAction: "Do<it>"`)
	const fault = `<faultcode>soap:Client</faultcode><faultstring>Server did not recognize the value of HTTP Header SOAPAction: Do&lt;it&gt;.</faultstring>`
	if w.Code != 500 || w.Header().Get("Content-Type") != "text/xml; charset=utf-8" || !strings.Contains(w.Body.String(), fault) {
		t.Errorf("SOAP: got %d %s %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
}

// The vendor's own libraries and pages write paths in several ways.
func TestPaths(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	const grant = `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret"}`
	row := "[" + person("a", "") + "]"
	for _, row := range []struct {
		method, target, body string
		status               int
	}{
		{"POST", "//v2/token", grant, 200},
		{"POST", "/V2/Token/", grant, 200},
		{"POST", "/v2//token", grant, 200},
		{"GET", "/platform/v1/tokencontext", "", 200},
		{"GET", "/platform/v1/tokenContext/", "", 200},
		{"GET", "//platform/v1/endpoints/", "", 200},
		{"GET", "/platform/v1/endpoints/soap/", "", 200},
		{"POST", "/hub/v1/dataevents/key:Web_Registrations/rowset/", row, 200},
		{"POST", "/HUB/v1/DataEvents/key:Web_Registrations/RowSet", row, 200},
		{"POST", "//hub/v1/dataevents/key:Web_Registrations/rowset", row, 200},
		{"PUT", "/data/v1/async/dataExtensions/key:Web_Registrations/rows", `{"items":[]}`, 202},
		{"GET", "/data/v1/customobjectdata/key/Web_Registrations/rowset/?$page=1", "", 200},
		{"GET", "/interaction/v1/eventdefinitions/key:APIEvent-sandbox-welcome", "", 200},
	} {
		if w := send(t, s, row.method, row.target, row.body, auth); w.Code != row.status {
			t.Errorf("%s %s: got %d %s, want %d", row.method, row.target, w.Code, w.Body, row.status)
		}
	}
}

// A client of the vendor renews its token only when a 401 has this header.
func TestChallenge(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	for target, want := range map[string]string{
		rowset:      `Bearer realm="marketingcloudapis.com", error="invalid_token", error_description="The access token is missing, invalid or expired"`,
		"/v2/token": "", // RFC 6749 has errors of its own
		"/nowhere":  "",
	} {
		w := send(t, s, "POST", target, `{"grant_type":"client_credentials","client_id":"x","client_secret":"y"}`, "Authorization: Bearer x")
		if got := w.Header().Get("WWW-Authenticate"); got != want {
			t.Errorf("%s: %d, WWW-Authenticate: %s", target, w.Code, got)
		}
	}
}

// Where a token was asked for at a name such as Marketing Cloud's, the other APIs have names
// of their own.
func TestInstanceURLs(t *testing.T) {
	t.Parallel()
	const tenant = "mc0123456789abcdefghijklmnop"
	s := sandbox.New(sandbox.Config{Hosts: []string{tenant + ".auth.marketingcloudapis.com", tenant + ".rest.marketingcloudapis.com"}})
	ask := func(host, method, target, body string, header ...string) (answer map[string]any) {
		t.Helper()
		r := newRequest(t, method, target, append(header, "Content-Type: application/json", "X-Forwarded-Proto: https")...)
		r.Host, r.Body = host, io.NopCloser(strings.NewReader(body))
		if w := serve(s, r); w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &answer) != nil {
			t.Fatalf("%s%s: %d %s", host, target, w.Code, w.Body)
		}
		return answer
	}
	const auth, rest, soap = tenant + ".auth.marketingcloudapis.com", tenant + ".rest.marketingcloudapis.com", tenant + ".soap.marketingcloudapis.com"
	grant := ask(auth, "POST", "/v2/token", `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret"}`)
	token := fmt.Sprint("Authorization: Bearer ", grant["access_token"])
	user := ask(auth, "GET", "/v2/userinfo", "", token)
	hosts, _ := user["rest"].(map[string]any)
	got := []any{
		grant["rest_instance_url"], grant["soap_instance_url"], hosts["rest_instance_url"], hosts["soap_instance_url"],
		ask(rest, "GET", "/platform/v1/endpoints/soap", "", token)["url"],
	}
	want := []any{"https://" + rest + "/", "https://" + soap + "/", "https://" + rest + "/", "https://" + soap + "/", "https://" + soap + "/Service.asmx"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	narrow := authorizeWith(t, s, `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret","scope":"journeys_read data_extensions_read"}`)
	none := authorizeWith(t, s, `{"grant_type":"client_credentials","client_id":"sandbox-client","client_secret":"sandbox-secret","scope":""}`)
	forbidden := `{"message":"Insufficient Privileges","errorcode":20002,"documentation":"` + errorDocs + `"}`
	noCode := func(message string) string { return `{"message":"` + message + `","documentation":""}` }
	notFound := func(message string) string {
		return `{"message":"` + message + `","errorcode":30003,"documentation":""}`
	}
	for _, row := range []struct {
		name, method, target, body string
		header                     []string
		status                     int
		want                       string
	}{
		{"no header", "POST", rowset, "[]", nil, 401, notAuthorized()},
		{"invented", "POST", rowset, "[]", []string{"Authorization: Bearer x"}, 401, notAuthorized()},
		{"empty", "POST", rowset, "[]", []string{"Authorization: Bearer "}, 401, notAuthorized()},
		{"another scheme", "POST", rowset, "[]", []string{"Authorization: Basic " + strings.TrimPrefix(auth, "Authorization: Bearer ")}, 401, notAuthorized()},
		{"scheme in lower case", "POST", rowset, "[]", []string{strings.Replace(auth, "Bearer", "bearer", 1)}, 200, "[]"},
		{"scope missing on a write", "POST", rowset, "[]", []string{narrow}, 401, notAuthorized()},
		{"scope missing on a read", "GET", "/data/v1/customobjectdata/key/Web_Registrations/rowset", "", []string{none}, 403, noCode("Insufficient privileges to complete this action.")},
		{"scope missing, before the key is looked for", "GET", "/data/v1/customobjectdata/key/nope/rowset", "", []string{none}, 403, noCode("Insufficient privileges to complete this action.")},
		{"scope missing on an event definition", "GET", "/interaction/v1/eventDefinitions/key:nope", "", []string{none}, 403, forbidden},
		{"scope missing on a message definition", "GET", "/messaging/v1/email/definitions/nope", "", []string{narrow}, 403, forbidden},
		{"no event definition", "GET", "/interaction/v1/eventDefinitions/key:nope", "", []string{auth}, 404, notFound("Event Definition not found: nope")},
		{"an event definition by its id", "GET", "/interaction/v1/eventDefinitions/nope", "", []string{auth}, 404, notFound("Event Definition not found: nope")},
		{"no message definition", "GET", "/messaging/v1/email/definitions/nope", "", []string{auth}, 404, notFound("MCMS_UTM_Runtime_ObjectNotFound: Definition not found")},
		{"one of two scopes", "POST", "/interaction/v1/events", "{}", []string{narrow}, 403, forbidden},
		{
			"no scope needed", "GET", "/platform/v1/tokenContext", "",
			[]string{none},
			200,
			`{"enterprise":{"id":510000001},"organization":{"id":510000001},"user":{"id":510000777}}`,
		},
		{"not JSON by its type", "POST", rowset, "[]", []string{auth, "Content-Type: text/plain"}, 415, noCode("Unsupported Media Type")},
		{"a broken type", "POST", rowset, "[]", []string{auth, "Content-Type: ;"}, 415, noCode("Unsupported Media Type")},
		{"no type", "POST", rowset, "[]", []string{auth, "Content-Type: "}, 200, "[]"},
		{"a charset", "POST", rowset, "[]", []string{auth, "Content-Type: application/json; charset=UTF-8"}, 200, "[]"},
		{"too large", "POST", rowset, strings.Repeat(" ", 5<<20+1), []string{auth}, 413, noCode("Request Entity Too Large")},
		{"as large as allowed", "POST", rowset, "[" + strings.Repeat(" ", 5<<20-2) + "]", []string{auth}, 200, "[]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			same(t, send(t, s, row.method, row.target, row.body, row.header...), row.status, row.want)
		})
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	t.Run("endpoints", func(t *testing.T) {
		t.Parallel()
		want := `{"page":1,"pageSize":3,"count":3,"items":[{"type":"ftp","url":"ftp://127.0.0.1:8090"},
			{"type":"rest","url":"http://127.0.0.1:8090"},{"type":"soap","url":"http://127.0.0.1:8090/Service.asmx"}]}`
		same(t, send(t, s, "GET", "/platform/v1/endpoints", "", auth), 200, want)
		same(t, send(t, s, "GET", "/platform/v1/endpoints/?IsTSE=true", "", auth), 200, want)
	})
	t.Run("one endpoint", func(t *testing.T) {
		t.Parallel()
		same(t, send(t, s, "GET", "/platform/v1/endpoints/soap", "", auth), 200,
			`{"type":"soap","url":"http://127.0.0.1:8090/Service.asmx"}`)
		same(t, send(t, s, "GET", "/platform/v1/endpoints/x", "", auth), 404,
			`{"message":"No endpoint exists for key 'x'.","errorcode":30003,"documentation":""}`)
	})
	t.Run("userinfo", func(t *testing.T) {
		t.Parallel()
		w := send(t, s, "GET", "/v2/userinfo", "", auth, "X-Forwarded-Proto: https")
		var got struct {
			Exp          int64  `json:"exp"`
			Iss          string `json:"iss"`
			Organization struct {
				MemberID int `json:"member_id"`
			} `json:"organization"`
			Rest        map[string]string `json:"rest"`
			Application struct {
				AppScopes []string `json:"appScopes"`
			} `json:"application"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Exp != 1782227565 || got.Iss != "https://127.0.0.1:8090" || got.Organization.MemberID != 510000001 ||
			got.Rest["soap_instance_url"] != "https://127.0.0.1:8090/" || len(got.Application.AppScopes) < 80 {
			t.Errorf("got %+v", got)
		}
		same(t, send(t, s, "GET", "/v2/userinfo", ""), 401, notAuthorized())
	})
}

func TestParseDialect(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		in   string
		want sandbox.Dialect
		ok   bool
	}{{"", sandbox.DialectFacts, true}, {"facts", sandbox.DialectFacts, true}, {"spec", sandbox.DialectSpec, true}, {"Spec", "", false}} {
		got, err := sandbox.ParseDialect(row.in)
		if got != row.want || (err == nil) != row.ok {
			t.Errorf("ParseDialect(%q) = %q, %v", row.in, got, err)
		}
	}
}

// Many callers at once lose no row, no contact and no count; the race detector
// watches.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	const callers, each = 8, 50
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("u-%d-%d", n, i)
				send(t, s, "POST", rowset, `[{"keys":{"SubscriberKey":"`+key+`"},"values":{"EmailAddress":"a@example.org","RegistrationTimestamp":"2026-06-23"}}]`, auth)
				send(t, s, "POST", "/interaction/v1/events", `{"ContactKey":"`+key+`","EventDefinitionKey":"APIEvent-sandbox-welcome","Data":{"EmailAddress":"a@example.org","RegistrationTimestamp":"2026-06-23"}}`, auth)
				_ = s.State()
				_ = s.Fault(sandbox.Fault{Match: "/nowhere", Status: 500, Count: 1})
			}
		})
	}
	wg.Wait()
	st := s.State()
	got := []int{len(rows(s)), len(st.Journeys["APIEvent-sandbox-welcome"].Contacts), st.Calls["POST /hub/v1/dataevents/{id}/rowset"], len(st.Faults)}
	if diff := cmp.Diff([]int{callers * each, callers * each, callers * each, callers * each}, got); diff != "" {
		t.Errorf("rows, contacts, calls, faults (-want +got):\n%s", diff)
	}
}

func BenchmarkUpsert(b *testing.B) {
	s := newSandbox(b)
	auth := authorize(b, s)
	body := `[{"keys":{"SubscriberKey":"u-1001"},"values":{"EmailAddress":"ana@example.org","FirstName":"Ana","LastName":"Díaz","OptInStatus":true,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration"}}]`
	b.ReportAllocs()
	for b.Loop() {
		if w := send(b, s, "POST", rowset, body, auth); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
