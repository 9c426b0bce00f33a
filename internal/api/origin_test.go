package api_test

import (
	"testing"

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
		exposed = "Access-Control-Expose-Headers: Retry-After"
	)
	for name, row := range map[string]struct {
		method, path, origin, body string
		want                       answer
	}{
		"accepted":     {"POST", registrations, site, `{"email":"a@b.co"}`, accepted(202, "queued")},
		"refused":      {"POST", "/v1/forms/survey/registrations", site, `{}`, withHeaders(invalid("color", "is required"), mine, exposed)},
		"from another": {"POST", "/v1/forms/survey/registrations", other, `{}`, invalid("color", "is required")},
		"for all":      {"POST", "/v1/forms/open/registrations", "null", `{"x":1}`, withHeaders(invalid("x", "is not a field of this form"), "Access-Control-Allow-Origin: null", exposed)},
		"unknown form": {"GET", "/v1/forms/nobody", site, "", webtest.Problem(404, "there is no such form", "", vary)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			webtest.Check(t, row.want, masked(do(g, row.method, row.path, row.body, "Content-Type: application/json", "Origin: "+row.origin)))
		})
	}
}

func withHeaders(a answer, lines ...string) answer {
	for name, values := range webtest.Headers(lines...) {
		a.Header[name] = values
	}
	return a
}
