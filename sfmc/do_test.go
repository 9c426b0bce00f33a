package sfmc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

// Do makes a call as it is told, by REST or by SOAP, and gives what comes.
func TestDo(t *testing.T) {
	t.Parallel()
	const soapBegin = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Header><fueloauth xmlns="http://exacttarget.com">token-1</fueloauth></Header><Body>`
	rest := sfmc.Request{Op: "make it", Method: "POST", Path: "/a/b?c=d", Body: []byte(`{"e":1}`)}
	soap := sfmc.Request{Op: "ask it", Method: "POST", Path: "/Service.asmx", SOAPAction: "Retrieve", Body: []byte("<A/>")}
	headers := func(values ...string) map[string]string {
		return map[string]string{"Authorization": values[0], "Content-Type": values[1], "Accept": values[2], "Soapaction": values[3]}
	}
	asked := seen{Method: "POST", Path: "/Service.asmx", Body: soapBegin + "<A/></Body></Envelope>", Header: headers("", "text/xml; charset=UTF-8", "text/xml", "Retrieve")}
	made := seen{Method: "POST", Path: "/a/b?c=d", Body: `{"e":1}`, Header: headers("Bearer token-1", "application/json; charset=UTF-8", "application/json", "")}
	for _, c := range []struct {
		name    string
		request sfmc.Request
		answer  reply
		want    string
		failed  string // the error's text
		seen    []seen
	}{
		{name: "REST", request: rest, answer: reply{status: 201, body: " {\"id\":1}\n"}, want: `{"id":1}`, seen: []seen{made}},
		{name: "REST without a body", request: sfmc.Request{Op: "o", Method: "GET", Path: "/a"}, answer: reply{status: 200, body: `[]`}, want: `[]`, seen: []seen{{Method: "GET", Path: "/a", Header: headers("Bearer token-1", "", "application/json", "")}}},
		{name: "REST refused", request: rest, answer: reply{status: 404, body: `{"message":"no","errorcode":30003}`}, failed: "make it: 404 Not Found: code 30003: no", seen: []seen{made}},
		{name: "REST empty", request: rest, answer: reply{status: 200}, failed: "make it: 200 OK: not an answer of Marketing Cloud: empty", seen: []seen{made}},
		{name: "SOAP", request: soap, answer: reply{status: 200, body: `<s:Envelope xmlns:s="x"><s:Header/><s:Body><B>token-1</B></s:Body></s:Envelope>`}, want: "<B>redacted</B>", seen: []seen{asked}},
		{name: "SOAP fault", request: soap, answer: reply{status: 500, body: `<s:Envelope xmlns:s="x"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>bad token-1</faultstring></s:Fault></s:Body></s:Envelope>`}, failed: "ask it: 500 Internal Server Error: code s:Client: bad redacted", seen: []seen{asked}},
		{name: "SOAP refused by the gateway", request: soap, answer: reply{status: 429, body: `{"message":"wait","errorcode":50100}`}, failed: "ask it: 429 Too Many Requests: code 50100: wait", seen: []seen{asked}},
		{name: "SOAP page", request: soap, answer: reply{status: 200, body: "<html>"}, failed: "ask it: 200 OK: not an answer of Marketing Cloud: not a SOAP envelope", seen: []seen{asked}},
		{name: "SOAP too much", request: soap, answer: reply{status: 200, body: "<Envelope><Body>" + strings.Repeat(" ", 8<<20) + "</Body></Envelope>"}, failed: "ask it: 200 OK: not an answer of Marketing Cloud: more than 8 MiB", seen: []seen{asked}},
		{name: "no operation", request: sfmc.Request{Method: "GET", Path: "/a"}, failed: `: invalid argument: GET "/a"`},
		{name: "no slash", request: sfmc.Request{Op: "o", Method: "GET", Path: "a"}, failed: `o: invalid argument: GET "a"`},
		{name: "no path", request: sfmc.Request{Op: "o", Method: "GET", Path: "/"}, failed: `o: invalid argument: GET "/"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{header: []string{"Authorization", "Content-Type", "Accept", "Soapaction"}, next: c.answer.ServeHTTP}
			var traced []sfmc.Request
			ctx := sfmc.TraceRequests(within(t), func(r sfmc.Request) { traced = append(traced, r) })
			got, err := newClient(t, newServer(t, r)).Do(ctx, c.request)
			failed := ""
			if err != nil {
				failed = err.Error()
			}
			var shown []sfmc.Request
			if c.seen != nil {
				shown = []sfmc.Request{c.request}
			}
			if diff := cmp.Diff([]any{c.want, c.failed, c.seen, shown}, []any{string(got), failed, r.requests(), traced}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A SOAP call goes to the host that the token names for it, and with a token that a fault
// refused it is made once more.
func TestDoSOAPHost(t *testing.T) {
	t.Parallel()
	for instance, want := range map[string]string{
		"https://mcx.soap.marketingcloudapis.com/": "https://mcx.soap.marketingcloudapis.com/Service.asmx",
		"mcx.soap.marketingcloudapis.com":          "https://mcx.soap.marketingcloudapis.com/Service.asmx",
		"https://mcx.rest.marketingcloudapis.com/": "",
		"https://soap.example/":                    "",
		"":                                         "",
	} {
		issued, invalidated := 0, []string(nil)
		tokens := renewed{source(func(context.Context) (*sfmc.Token, error) {
			issued++
			return &sfmc.Token{AccessToken: sfmc.Secret(fmt.Sprintf("a&b-%d", issued)), SOAPInstanceURL: instance}, nil
		}), &invalidated}
		var urls []string
		client := sfmc.NewClient(tokens, sfmc.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			urls = append(urls, r.URL.String())
			body, _ := io.ReadAll(r.Body)
			answer := `<Envelope><Body><B/></Body></Envelope>`
			status := 200
			if strings.Contains(string(body), ">a&amp;b-1<") {
				answer, status = `<Envelope><Body><Fault><faultcode>q0:Security</faultcode><faultstring>Token Expired</faultstring></Fault></Body></Envelope>`, 500
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
		})}))
		_, err := client.Do(within(t), sfmc.Request{Op: "o", Method: "POST", Path: "/Service.asmx", SOAPAction: "Retrieve", Body: []byte("<A/>")})
		if want == "" {
			if !errors.Is(err, sfmc.ErrHost) || urls != nil {
				t.Errorf("%s: %v, asked %v", instance, err, urls)
			}
			continue
		}
		if diff := cmp.Diff([][]string{{want, want}, {"a&b-1"}}, [][]string{urls, invalidated}); diff != "" || err != nil {
			t.Errorf("%s: %v %s", instance, err, diff)
		}
	}
}

// renewed is a TokenSource that notes which tokens were taken back.
type renewed struct {
	sfmc.TokenSource
	invalidated *[]string
}

func (r renewed) Invalidate(accessToken string) { *r.invalidated = append(*r.invalidated, accessToken) }
