package api_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"onramp/internal/api"
	"onramp/internal/onramp"
)

// accepting stores nothing and says that it did.
type accepting struct{ api.Registrar }

func (accepting) SaveRegistration(_ context.Context, r *onramp.Registration, _ onramp.IdempotencyKey, _ bool) (onramp.Accepted, error) {
	return onramp.Accepted{Registration: *r}, nil
}

// Whatever stands in the headers, what is accepted says either nothing of a page, or
// that it is one of the form's site, of the public URL or of the address it was sent to.
func FuzzOrigin(f *testing.F) {
	f.Add("https://evil.example.net", "cross-site", "signup.example.com")
	f.Add("null", "same-origin", "127.0.0.1:8080")
	f.Add("http://127.0.0.1:8080", "", "127.0.0.1:8080")
	f.Add("https://www.example.com@evil.example.net/", "none", "[::1]")
	f.Add("HTTPS://SIGNUP.example.com:443", "same-site", "localhost")
	forms := map[string]*onramp.Form{}
	for _, form := range originForms() {
		forms[form.Name] = onramp.NewForm(form, "secret")
	}
	f.Fuzz(func(t *testing.T, origin, site, host string) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/forms/narrow/registrations", strings.NewReader(`{"note":"a"}`))
		r.Host = host
		r.Header["Content-Type"] = []string{"application/json"}
		r.Header["Origin"], r.Header["Sec-Fetch-Site"] = []string{origin}, []string{site}
		w := httptest.NewRecorder()
		publicHandler(t, &api.Public{Forms: forms, Store: accepting{}}).ServeHTTP(w, r)
		if w.Code != 202 {
			return
		}
		u, err := url.Parse(origin)
		switch {
		case origin == "" && (site == "same-origin" || site == "none"):
		case strings.EqualFold(strings.TrimSuffix(origin, ":443"), "https://www.example.com"):
		case err == nil && u.Scheme == "https" && strings.EqualFold(u.Hostname(), "signup.example.com"):
		case err == nil && strings.EqualFold(u.Host, host) && !strings.Contains(u.Hostname(), "evil"):
		default:
			t.Errorf("accepted from the origin %q, site %q, host %q", origin, site, host)
		}
	})
}
