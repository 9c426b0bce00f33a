package metadata_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// call is one call as the account saw it; Body is without the envelope.
type call struct{ Method, Path, Body string }

// account stands in for Marketing Cloud. It issues token-1, token-2, … and answers by
// the method and path of a call, or by the SOAPAction and the ObjectType of it.
type account struct {
	answers map[string]string // "GET /path" or "Retrieve DataFolder" → body; a status stands in front, as "404 …"

	mu     sync.Mutex
	calls  []call
	issued int
	bad    []string // what was wrong in a request, whatever the test
}

const (
	before = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Header><fueloauth xmlns="http://exacttarget.com">token-%d</fueloauth></Header><Body>`
	after  = `</Body></Envelope>`
)

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/v2/token" {
		a.issued++
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":1079,"rest_instance_url":"https://x.rest.marketingcloudapis.com/"}`, a.issued)
		return
	}
	body, action := string(raw), r.Header.Get("SOAPAction")
	name := r.Method + " " + r.URL.RequestURI()
	if action != "" {
		begin := fmt.Sprintf(before, a.issued)
		if !strings.HasPrefix(body, begin) || !strings.HasSuffix(body, after) || r.Header.Get("Content-Type") != "text/xml; charset=UTF-8" || r.Header.Get("Authorization") != "" {
			a.bad = append(a.bad, fmt.Sprintf("%s %v: %s", name, r.Header, body))
		}
		body = strings.TrimSuffix(strings.TrimPrefix(body, begin), after)
		name = action + " " + objectType(body)
	}
	a.calls = append(a.calls, call{r.Method, r.URL.RequestURI(), body})
	answer, ok := a.answers[fmt.Sprintf("%s #%d", name, len(a.calls))]
	if !ok {
		answer, ok = a.answers[name]
	}
	if !ok {
		answer = `404 {"message":"nothing here","errorcode":30003}`
	}
	status := 200
	if n, rest, cut := strings.Cut(answer, " "); cut && len(n) == 3 {
		if _, err := fmt.Sscan(n, &status); err == nil {
			answer = rest
		}
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// RoundTrip answers without a network.
func (a *account) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result(), nil
}

// objectType finds what a SOAP call is about.
func objectType(body string) string {
	for _, mark := range [][2]string{{"<ObjectType>", "<"}, {`xsi:type="Data`, `"`}, {"<Continue", ">"}} {
		if _, rest, ok := strings.Cut(body, mark[0]); ok {
			name, _, _ := strings.Cut(rest, mark[1])
			if mark[0] == `xsi:type="Data` {
				name = "Data" + name
			}
			return name
		}
	}
	return ""
}

func (a *account) seen() []call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]call(nil), a.calls...)
}

// client starts the account and makes a client for it.
func (a *account) client(t testing.TB) *metadata.Client {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		for _, what := range a.bad {
			t.Error("wrong request: ", what)
		}
	})
	tokens, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{ClientID: "id", ClientSecret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return metadata.New(sfmc.NewClient(sfmc.NewTokenCache(tokens), sfmc.WithOrigin(s.URL)))
}

// soap wraps what Marketing Cloud answers, as it does.
func soap(content string) string {
	return `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Header><wsa:Action>x</wsa:Action></soap:Header><soap:Body>` + content + `</soap:Body></soap:Envelope>`
}

// retrieved is an answer to Retrieve.
func retrieved(status string, results ...string) string {
	var b strings.Builder
	for _, r := range results {
		b.WriteString(`<Results xsi:type="APIObject"><PartnerKey xsi:nil="true" />` + r + `</Results>`)
	}
	return soap(`<RetrieveResponseMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"><OverallStatus>` + status + `</OverallStatus><RequestID>request-1</RequestID>` + b.String() + `</RetrieveResponseMsg>`)
}

// changed is an answer to Create or Update.
func changed(action, overall, result string) string {
	return soap(`<` + action + `Response xmlns="http://exacttarget.com/wsdl/partnerAPI"><Results>` + result + `</Results><RequestID>r</RequestID><OverallStatus>` + overall + `</OverallStatus></` + action + `Response>`)
}

const expired = `500 <soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault><faultcode xmlns:q0="urn:x">q0:Security</faultcode><faultstring>Token Expired</faultstring></soap:Fault></soap:Body></soap:Envelope>`

// within gives a context that ends a hanging test, never a good one.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
