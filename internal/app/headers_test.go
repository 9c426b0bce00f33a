package app_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/app"
)

// answered is a route's answer: its status, and the headers that browsers and caches obey.
func answered(t *testing.T, base, request string, header ...string) string {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	var lines []string
	for name, values := range response.Header {
		if !slices.Contains([]string{"Date", "Content-Length", "Etag", "Last-Modified", "Accept-Ranges", "Content-Language", "Location", "Retry-After", "Www-Authenticate"}, name) {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	return strings.Join(append([]string{response.Status[:3]}, lines...), "\n")
}

// documented are the routes of a listener in docs/reference/api.md, which is made of the
// routes themselves.
func documented(t *testing.T, listener string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/reference/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	public, operators, _ := strings.Cut(string(page), "## Admin API")
	of := map[string]string{"public": public, "admin": operators}[listener]
	for _, m := range regexp.MustCompile("(?m)^### `([A-Z]+ /[^`]*)`").FindAllStringSubmatch(of, -1) {
		routes = append(routes, m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]*)` \\| (.*)$").FindAllStringSubmatch(public, -1) {
		if strings.Contains(m[2], listener+":") {
			routes = append(routes, m[1])
		}
	}
	slices.Sort(routes)
	return routes
}

// Each route of the public listener has the headers that keep its answers from being
// framed, sniffed, or kept by caches.
func TestPublicHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg string) string { return cfg + "    double_opt_in: { message: { definition_key: welcome } }\n" })
	const nosniff = "\nX-Content-Type-Options: nosniff"
	const problem, json = "\nCache-Control: no-store\nContent-Type: application/problem+json", "\nContent-Type: application/json"
	const page = "\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; form-action *; base-uri 'none'; frame-ancestors 'self'" +
		"\nContent-Type: text/html; charset=utf-8\nReferrer-Policy: same-origin" + nosniff
	want := map[string]string{
		"GET /v1/forms/{form}":                        "200\nCache-Control: no-cache\nContent-Type: application/schema+json\nVary: Origin" + nosniff,
		"GET /v1/forms/{form}/challenge":              "404" + problem + "\nVary: Origin" + nosniff,
		"POST /v1/forms/{form}/registrations":         "415" + problem + "\nVary: Origin" + nosniff,
		"GET /v1/registrations/{id}":                  "404" + problem + "\nVary: Origin" + nosniff,
		"GET /.well-known/oauth-authorization-server": "200" + json + nosniff,
		"GET /embed/{script}": "200\nAccess-Control-Allow-Origin: *\nCache-Control: public, max-age=300\nContent-Type: text/javascript; charset=utf-8" +
			"\nCross-Origin-Resource-Policy: cross-origin\nVary: Accept-Encoding, Accept-Language" + nosniff,
		"GET /confirm/{token}": "410\nCache-Control: no-store\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" +
			"\nContent-Type: text/html; charset=utf-8\nReferrer-Policy: no-referrer" + nosniff + "\nX-Robots-Tag: noindex",
		"POST /confirm/{token}":    "400" + problem + nosniff,
		"GET /f/confirm.js":        "200\nCache-Control: public, max-age=3600\nContent-Type: text/javascript; charset=utf-8" + nosniff,
		"GET /f/form.js":           "200\nCache-Control: public, max-age=3600\nContent-Type: text/javascript; charset=utf-8" + nosniff,
		"GET /f/style.css":         "200\nCache-Control: public, max-age=3600\nContent-Type: text/css; charset=utf-8" + nosniff,
		"GET /f/{form}":            "200\nCache-Control: private, no-cache" + page,
		"GET /f/{form}/colors.css": "404" + problem + nosniff,
		"GET /healthz":             "200\nCache-Control: no-store" + nosniff,
		"GET /openapi.json":        "200\nCache-Control: no-cache" + json + nosniff,
		"POST /ens/{callback}":     "401" + problem + nosniff,
		"POST /oauth2/token":       "400\nCache-Control: no-store" + json + ";charset=UTF-8\nPragma: no-cache" + nosniff,
	}
	got := map[string]string{}
	for _, route := range documented(t, "public") {
		path := strings.NewReplacer("{form}", "registration", "{id}", "x", "{script}", "registration.js", "{callback}", "events", "{token}", "x").Replace(route)
		got[route] = answered(t, w.gateway.PublicURL(), path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if got := answered(t, w.gateway.PublicURL(), "GET /nothing", "Accept", "text/html"); got != "404\nCache-Control: no-store"+page {
		t.Errorf("a page that isn't there: %s", got)
	}
	if got := answered(t, w.gateway.PublicURL(), "GET /nothing"); got != "404"+problem+nosniff {
		t.Errorf("what isn't there: %s", got)
	}
}

// Each answer of the admin listener can't be framed, embedded or kept, whatever the route and
// the status. A page elsewhere can't have a browser change anything, also by a name that it
// has point to this machine, though the demo's admin API asks for no token.
func TestAdminHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const locked = "\nCache-Control: no-store\nContent-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
		"\nCROSS\nReferrer-Policy: no-referrer\nX-Content-Type-Options: nosniff"
	routes := documented(t, "admin")
	for _, route := range admin.Routes() {
		if !slices.Contains(routes, route.Pattern) {
			t.Errorf("%s is not documented", route.Pattern)
		}
	}
	for _, route := range append(routes, "GET /nothing") {
		path := strings.NewReplacer("{id}", "x", "{name}", "x").Replace(route)
		attempts := map[string][]string{"": nil, "a name of the attacker's": {"Host", "evil.example"}}
		if !strings.HasPrefix(route, "GET ") {
			attempts["a page elsewhere"] = []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}
			attempts["a page elsewhere, by an old browser"] = []string{"Origin", "https://evil.example"}
			attempts["a rebound name"] = []string{"Host", "evil.example", "Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin"}
		}
		for name, header := range attempts {
			got := answered(t, w.gateway.AdminURL(), path, header...)
			lines := slices.DeleteFunc(strings.Split(got, "\n"), func(l string) bool { return strings.HasPrefix(l, "Content-Type:") || strings.HasPrefix(l, "Vary:") })
			rest := strings.Replace("\n"+strings.Join(lines[1:], "\n"), "Cross-Origin-Resource-Policy: same-origin", "CROSS", 1)
			if rest != locked {
				t.Errorf("%s, %s: %s", route, name, got)
			}
			open := slices.Contains([]string{"GET /healthz", "GET /readyz", "GET /nothing"}, route) // they say nothing of anybody
			if status := lines[0]; name != "" && !open && status != "401" && status != "403" {
				t.Errorf("%s from %s is answered with %s", route, name, status)
			}
		}
	}
}

// Where a browser goes after a form post is Onramp's own page or the form's success_url,
// whatever the request says.
func TestNoOpenRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, query := range []string{
		"lang=//evil.example", "lang=https://evil.example", "lang=%0d%0aLocation:%20https://evil.example", "lang=/../../evil.example", "success_url=https://evil.example", "next=//evil.example",
	} {
		response := w.raw(app.DemoPath+"?"+query, "email=ana%40example.org&success_url=https%3A%2F%2Fevil.example", map[string]string{
			"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html", "Host": "evil.example", "X-Forwarded-Host": "evil.example", "Referer": "https://evil.example/",
		})
		location := response.Request.URL // the client has followed
		if location.Host != strings.TrimPrefix(w.gateway.PublicURL(), "http://") || location.Path != "/f/registration" && response.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s leads to %s", query, location)
		}
	}
}

// No answer has an address that is made of the request's Host.
func TestHostHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg string) string { return cfg })
	for _, path := range []string{
		"/f/registration", "/f/registration?thanks", "/embed/registration.js", "/openapi.json", "/.well-known/oauth-authorization-server", "/v1/forms/registration", "/nothing",
	} {
		for _, header := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Url", "Forwarded"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.gateway.PublicURL()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(header, "host=evil.example")
			if header == "Host" {
				r.Host = "evil.example"
			}
			response, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			_ = response.Write(&all)
			response.Body.Close()
			if strings.Contains(all.String(), "evil.example") {
				t.Errorf("%s with %s: %s", path, header, all.String())
			}
		}
	}
}
