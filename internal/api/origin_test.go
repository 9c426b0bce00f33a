package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/store/storetest"

	"onramp/internal/web/webtest"
)

// Which pages may use a form's routes from a script.
func TestOrigins(t *testing.T) {
	t.Parallel()
	const (
		site  = "https://www.example.com"
		other = "https://evil.example.net"
	)
	g := newGateway(t)
	varyAll := "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
	preflight := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,idempotency-key,prefer"}
	allowed := func(origin string) answer {
		return webtest.Good(204, webtest.Headers(varyAll, "Access-Control-Allow-Origin: "+origin, "Access-Control-Allow-Methods: POST",
			"Access-Control-Allow-Headers: content-type,idempotency-key,prefer", "Access-Control-Max-Age: 600"), "")
	}
	refused := webtest.Good(204, webtest.Headers(varyAll), "")
	for name, row := range map[string]struct {
		path    string
		headers []string
		want    answer
	}{
		"of the form":               {"/v1/forms/survey/registrations", append(preflight, "Origin: "+site), allowed(site)},
		"in capitals":               {"/v1/forms/survey/registrations", append(preflight, "Origin: HTTPS://WWW.EXAMPLE.COM"), allowed("HTTPS://WWW.EXAMPLE.COM")},
		"another":                   {"/v1/forms/survey/registrations", append(preflight, "Origin: "+other), refused},
		"another scheme":            {"/v1/forms/survey/registrations", append(preflight, "Origin: http://www.example.com"), refused},
		"another port":              {"/v1/forms/survey/registrations", append(preflight, "Origin: https://www.example.com:8443"), refused},
		"a longer name":             {"/v1/forms/survey/registrations", append(preflight, "Origin: https://www.example.com.evil.example.net"), refused},
		"of a form without origins": {registrations, append(preflight, "Origin: "+site), refused},
		"of a form for all":         {"/v1/forms/open/registrations", append(preflight, "Origin: "+other), allowed(other)},
		"of no form":                {"/v1/forms/nobody/registrations", append(preflight, "Origin: "+site), refused},
		"of no route of the form":   {"/v1/forms/survey", append(preflight, "Origin: "+site), allowed(site)},
		"another method":            {"/v1/forms/survey/registrations", []string{"Origin: " + site, "Access-Control-Request-Method: DELETE"}, refused},
		"another header": {
			"/v1/forms/survey/registrations",
			[]string{"Origin: " + site, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"},
			refused,
		},
	} {
		t.Run("preflight "+name, func(t *testing.T) {
			t.Parallel()
			webtest.Check(t, row.want, do(g, "OPTIONS", row.path, "", row.headers...))
		})
	}
	t.Run("without a preflight", func(t *testing.T) {
		t.Parallel()
		webtest.Check(t, webtest.Problem(404, "there is nothing at this address", "", vary), do(g, "OPTIONS", registrations, ""))
	})
	const (
		mine    = "Access-Control-Allow-Origin: " + site
		exposed = "Access-Control-Expose-Headers: Location, Preference-Applied, Retry-After"
	)
	for name, row := range map[string]struct {
		method, path, origin, body string
		want                       answer
	}{
		"accepted":     {"POST", registrations, site, `{"email":"a@b.co"}`, accepted(202, "queued")},
		"refused":      {"POST", "/v1/forms/survey/registrations", site, `{}`, withHeaders(invalid("color", "is required"), mine, exposed)},
		"from another": {"POST", "/v1/forms/survey/registrations", other, `{}`, elsewhere()},
		"for all":      {"POST", "/v1/forms/open/registrations", "null", `{"x":1}`, withHeaders(invalid("x", "is not a field of this form"), "Access-Control-Allow-Origin: null", exposed)},
		"unknown form": {"GET", "/v1/forms/nobody", site, "", webtest.Problem(404, "there is no such form", "", vary)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			webtest.Check(t, row.want, masked(do(g, row.method, row.path, row.body, "Content-Type: application/json", "Origin: "+row.origin)))
		})
	}
}

// A preflight leaves a line for whoever looks for why a page can't submit a form: with
// an origin, but nothing else that a stranger typed.
func TestPreflightIsLogged(t *testing.T) {
	t.Parallel()
	store, all := storetest.Open(t, forms())
	var log bytes.Buffer
	p := &api.Public{Forms: all, Store: store}
	handler := publicHandler(t, p)
	p.Server.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	for _, origin := range []string{"https://www.example.com", "http://www.example.com", "https://a.example.net/?ana@example.org"} {
		do(handler, "OPTIONS", "/v1/forms/survey/registrations", "", "Access-Control-Request-Method: POST", "Origin: "+origin)
	}
	want := `level=DEBUG msg=preflight form=survey origin=https://www.example.com allowed=true
level=DEBUG msg=preflight form=survey origin=http://www.example.com allowed=false
level=DEBUG msg=preflight form=survey origin="an origin that is none" allowed=false
`
	if log.String() != want {
		t.Errorf("got\n%swant\n%s", log.String(), want)
	}
}

// A form with origins takes nothing from pages elsewhere, however it is sent, and
// stores nothing of it; without origins it does.
func TestPagesElsewhere(t *testing.T) {
	t.Parallel()
	const (
		site    = "Origin: https://www.example.com"
		other   = "Origin: https://evil.example.net"
		own     = "Origin: https://signup.example.com"
		cross   = "Sec-Fetch-Site: cross-site"
		within  = "Sec-Fetch-Site: same-site"
		ours    = "Sec-Fetch-Site: same-origin"
		loop    = "http://localhost:8080"
		address = "http://192.0.2.7:8080"
		rebound = "http://evil.example.net"
	)
	store, forms := storetest.Open(t, originForms())
	bodies := map[string][2]string{ // content type and body, each valid for all three forms but the last
		"JSON":      {"application/json", `{"note":"a"}`},
		"form":      {"application/x-www-form-urlencoded", "note=a"},
		"multipart": {partType, parts(`form-data; name="note"`, "a")},
		"text":      {"text/plain", `{"note":"a"}`},
		"untyped":   {"", `{"note":"a"}`},
	}
	for name, row := range map[string]struct {
		form, to, public string
		headers          []string
		refused          bool
	}{
		"no header":                  {"narrow", "", "https://signup.example.com", nil, false},
		"its own site":               {"narrow", "", "https://signup.example.com", []string{site, cross}, false},
		"another site":               {"narrow", "", "https://signup.example.com", []string{other, cross}, true},
		"another, old browser":       {"narrow", "", "https://signup.example.com", []string{other}, true},
		"another that says same":     {"narrow", "", "https://signup.example.com", []string{other, ours}, true},
		"two at once":                {"narrow", "", "https://signup.example.com", []string{site, other}, true},
		"null":                       {"narrow", "", "https://signup.example.com", []string{"Origin: null"}, true},
		"null that says same":        {"narrow", "", "https://signup.example.com", []string{"Origin: null", ours}, true},
		"no origin":                  {"narrow", "", "https://signup.example.com", []string{"Origin: ;;"}, true},
		"cross-site without origin":  {"narrow", "", "https://signup.example.com", []string{cross}, true},
		"same-site without origin":   {"narrow", "", "https://signup.example.com", []string{within}, true},
		"cross-site, empty origin":   {"narrow", "", "https://signup.example.com", []string{"Origin: ", cross}, true},
		"unknown site":               {"narrow", "", "https://signup.example.com", []string{"Sec-Fetch-Site: Same-Origin?"}, true},
		"second site header":         {"narrow", "", "https://signup.example.com", []string{ours, cross}, true},
		"typed by the visitor":       {"narrow", "", "https://signup.example.com", []string{"Sec-Fetch-Site: none"}, false},
		"referrer only":              {"narrow", "", "https://signup.example.com", []string{"Referer: https://evil.example.net/a"}, false},
		"hosted form":                {"narrow", "", "https://signup.example.com", []string{own, ours}, false},
		"hosted form, default port":  {"narrow", "", "https://signup.example.com:443/base", []string{own, ours}, false},
		"hosted form, other scheme":  {"narrow", "", "https://signup.example.com", []string{"Origin: http://signup.example.com"}, true},
		"hosted form, other port":    {"narrow", "", "https://signup.example.com", []string{"Origin: https://signup.example.com:8443"}, true},
		"own name in a user":         {"narrow", "", "https://signup.example.com", []string{"Origin: https://signup.example.com@evil.example.net"}, true},
		"host header only":           {"narrow", rebound, "https://signup.example.com", []string{"Origin: " + rebound, ours}, true},
		"demo by name":               {"narrow", loop, "http://127.0.0.1:8080", []string{"Origin: " + loop, ours}, false},
		"demo, other port":           {"narrow", loop, "http://127.0.0.1:8080", []string{"Origin: http://localhost:3000", within}, true},
		"by address":                 {"narrow", address, "https://signup.example.com", []string{"Origin: " + address}, false},
		"another address":            {"narrow", address, "https://signup.example.com", []string{"Origin: http://192.0.2.8:8080"}, true},
		"address as public url":      {"narrow", "http://10.0.0.2", "https://192.0.2.9", []string{"Origin: https://192.0.2.9"}, false},
		"no public url, by address":  {"narrow", address, "", []string{"Origin: " + address}, false},
		"no public url, localhost":   {"narrow", loop, "", []string{"Origin: " + loop, ours}, false},
		"no public url, rebound":     {"narrow", rebound, "", []string{"Origin: " + rebound, ours}, true},
		"no public url, other":       {"narrow", address, "", []string{"Origin: http://192.0.2.8:8080"}, true},
		"hosted form only, its own":  {"none", "", "https://signup.example.com", []string{own, ours}, false},
		"hosted form only, another":  {"none", "", "https://signup.example.com", []string{site, cross}, true},
		"hosted form only, no page":  {"none", "", "https://signup.example.com", nil, false},
		"open to all":                {"open", "", "https://signup.example.com", []string{other, cross}, false},
		"open to all, null":          {"open", "", "https://signup.example.com", []string{"Origin: null", cross}, false},
		"open to all, no origin":     {"open", "", "https://signup.example.com", []string{cross}, false},
		"without origins":            {"bare", "", "https://signup.example.com", []string{other, cross}, false},
		"without origins, no origin": {"bare", "", "https://signup.example.com", []string{cross}, false},
	} {
		for kind, body := range bodies {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				saved := &counter{Registrar: store}
				p := &api.Public{Forms: forms, Store: saved}
				h := publicHandler(t, p)
				p.BaseURL = row.public
				got := do(h, "POST", row.to+"/v1/forms/"+row.form+"/registrations", body[1], append([]string{"Content-Type: " + body[0]}, row.headers...)...)
				switch stored := saved.n; {
				case row.refused:
					webtest.Check(t, elsewhere(), got)
					if stored != 0 {
						t.Error("it is stored all the same")
					}
				case got.Status != 202 || stored != 1:
					t.Errorf("answered %d %s, %d stored; want 202 and one", got.Status, got.Body, stored)
				}
			})
		}
	}
}

// counter counts what is handed on to be stored.
type counter struct {
	api.Registrar
	n int
}

func (c *counter) SaveRegistration(ctx context.Context, r *onramp.Registration, key onramp.IdempotencyKey, watch bool) (onramp.Accepted, error) {
	c.n++
	return c.Registrar.SaveRegistration(ctx, r, key, watch)
}

// originForms are alike but for who may submit them.
func originForms() []onramp.Form {
	var all []onramp.Form
	for name, origins := range map[string][]string{
		"bare": nil, "none": {}, "narrow": {"https://www.example.com"}, "open": {"*"},
	} {
		all = append(all, onramp.Form{
			Name: name, Origins: origins, SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
			Fields: []onramp.Field{{Name: "note", Column: "Note"}},
			Route:  []onramp.Destination{{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}},
		})
	}
	return all
}

func elsewhere() answer {
	return webtest.Problem(403, "this form does not accept registrations from that page", "", vary)
}

// The operator learns from the log which origin was refused and what to do; what
// is no origin is not repeated.
func TestPageElsewhereInLog(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ origin, want string }{
		"an origin":  {"https://evil.example.net", "form survey, sent from https://evil.example.net: if its pages may submit the form, add it to the form's origins; if it is Onramp's own address, set public.url"},
		"none":       {"null", "form survey, sent from null: the page hides its origin"},
		"an address": {"https://ana@example.org/x y", "form survey, sent from an origin that is none: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			var log bytes.Buffer
			p := &api.Public{Forms: g.forms, Store: g.store}
			h := publicHandler(t, p)
			p.Server.Log = slog.New(slog.NewTextHandler(&log, nil))
			do(h, "POST", "/v1/forms/survey/registrations", `{"color":"red"}`, "Content-Type: application/json", "Origin: "+row.origin)
			if !strings.Contains(log.String(), row.want) || strings.Contains(log.String(), "ana@") {
				t.Errorf("logged %s, want %s", log.String(), row.want)
			}
		})
	}
}

func withHeaders(a answer, lines ...string) answer {
	for name, values := range webtest.Headers(lines...) {
		a.Header[name] = values
	}
	return a
}

// A pattern stands for the names below a domain, and for nothing that only looks so;
// what a form allows beside the usual headers, and no more, may be sent.
func TestOriginPatterns(t *testing.T) {
	t.Parallel()
	const usual = "accept,baggage,content-type,idempotency-key,prefer,sentry-trace,traceparent,tracestate,x-requested-with"
	form := func(name string, headers []string, origins ...string) onramp.Form {
		return onramp.Form{
			Name: name, Origins: origins, AllowedHeaders: headers, SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
			Fields: []onramp.Field{{Name: "note", Column: "Note"}},
			Route:  []onramp.Destination{{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}},
		}
	}
	store, all := storetest.Open(t, []onramp.Form{
		form("below", []string{"X-Api-Version"}, "https://*.example.com"),
		form("port", nil, "http://*.example.com:8443"),
		form("ports", nil, "http://*.localhost:*", "http://[::1]:*"),
		form("plain", []string{"*"}, "https://xn--bcher-kva.example", "https://example.com:8443"),
	})
	g := publicHandler(t, &api.Public{Forms: all, Store: store})
	for name, row := range map[string]struct {
		form, origin, headers string
		allowed               bool
	}{
		"one label":               {"below", "https://www.example.com", usual, true},
		"several labels":          {"below", "https://a.b.c.example.com", usual, true},
		"capitals":                {"below", "HTTPS://WWW.Example.COM", usual, true},
		"the default port":        {"below", "https://www.example.com:443", usual, true},
		"an underscore":           {"below", "https://my_shop.example.com", usual, true},
		"the domain itself":       {"below", "https://example.com", usual, false},
		"a longer name":           {"below", "https://evil-example.com", usual, false},
		"a longer domain":         {"below", "https://www.example.com.evil.example.net", usual, false},
		"no name":                 {"below", "https://.example.com", usual, false},
		"an empty label":          {"below", "https://evil..example.com", usual, false},
		"a final dot":             {"below", "https://www.example.com.", usual, false},
		"a path":                  {"below", "https://evil.example.net/.example.com", usual, false},
		"a user":                  {"below", "https://evil.example.net@www.example.com", usual, false},
		"a query":                 {"below", "https://evil.example.net?.example.com", usual, false},
		"a final slash":           {"below", "https://www.example.com/", usual, false},
		"a pattern":               {"below", "https://*.example.com", usual, false},
		"full width":              {"below", "https://www.example\uff0ecom", usual, false},
		"another scheme":          {"below", "http://www.example.com", usual, false},
		"another port":            {"below", "https://www.example.com:8443", usual, false},
		"null":                    {"below", "null", usual, false},
		"its own header":          {"below", "https://www.example.com", "x-api-version", true},
		"another's header":        {"port", "http://www.example.com:8443", "x-api-version", false},
		"any header":              {"plain", "https://example.com:8443", "authorization,x-what", true},
		"with its port":           {"port", "http://www.example.com:8443", usual, true},
		"without its port":        {"port", "http://www.example.com", usual, false},
		"any port":                {"ports", "http://shop.localhost:3000", usual, true},
		"no port":                 {"ports", "http://shop.localhost", usual, true},
		"any port of the domain":  {"ports", "http://localhost:3000", usual, false},
		"any port of an address":  {"ports", "http://[::1]:3000", usual, true},
		"no port of an address":   {"ports", "http://[::1]", usual, true},
		"another address":         {"ports", "http://[::2]:3000", usual, false},
		"an international name":   {"plain", "https://xn--bcher-kva.example", usual, true},
		"another one":             {"plain", "https://xn--bcher-kva.example.net", usual, false},
		"a port that is too much": {"plain", "https://example.com:8443:1", usual, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const path = "/v1/forms/"
			want := webtest.Headers("Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
			if row.allowed {
				for name, value := range map[string]string{"Origin": row.origin, "Methods": "POST", "Headers": row.headers} {
					want.Set("Access-Control-Allow-"+name, value)
				}
				want.Set("Access-Control-Max-Age", "600")
			}
			webtest.Check(t, webtest.Good(204, want, ""), do(g, "OPTIONS", path+row.form+"/registrations", "", "Origin: "+row.origin,
				"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: "+row.headers))
			status := 202
			if row.headers == usual && !row.allowed {
				status = 403
			}
			if got := do(g, "POST", path+row.form+"/registrations", `{"note":"a"}`, "Content-Type: application/json", "Origin: "+row.origin); got.Status != status {
				t.Errorf("answered %d %s, want %d", got.Status, got.Body, status)
			}
		})
	}
}
