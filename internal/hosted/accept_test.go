package hosted_test

import (
	"net/http"
	"strings"
	"testing"
)

// A refusal is a page for a browser's form, and a problem document for whoever has
// sent JSON, unless HTML is what it asks for.
func TestRefusalFormat(t *testing.T) {
	t.Parallel()
	const (
		form = "application/x-www-form-urlencoded"
		java = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
		page = "text/html; charset=utf-8"
		json = "application/problem+json"
	)
	browser := asBrowser.Get("Accept")
	s := newSite(t)
	for name, row := range map[string]struct{ method, path, contentType, accept, body, want string }{
		"browser's form":        {"POST", "/v1/forms/registration/registrations", form, browser, "email=", page},
		"browser's broken form": {"POST", "/v1/forms/registration/registrations", form, browser, "email=%ff", page},
		"browser's address":     {"GET", "/f/nobody", "", browser, "", page},
		"program's address":     {"GET", "/f/nobody", "", "*/*", "", json},
		"program's form":        {"POST", "/v1/forms/registration/registrations", form, "application/json, text/html;q=0.5", "email=", json},
		"Java's JSON":           {"POST", "/v1/forms/registration/registrations", "application/json", java, `{}`, json},
		"Java's JSON, a form":   {"POST", "/v1/forms/registration/registrations", form, java, `{}`, json},
		"Java's broken JSON":    {"POST", "/v1/forms/registration/registrations", form, java, `{"email":`, json},
		"browser's JSON":        {"POST", "/v1/forms/registration/registrations", "application/json", browser, `{}`, json},
		"a beacon":              {"POST", "/v1/forms/registration/registrations", "text/plain", browser, `{}`, json},
		"JSON, HTML only":       {"POST", "/v1/forms/registration/registrations", "application/json", "text/html", `{}`, page},
		"an unknown type":       {"POST", "/v1/forms/registration/registrations", "application/xml", browser, `<a/>`, json},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := do(t, s, row.method, row.path, row.body, http.Header{"Content-Type": {row.contentType}, "Accept": {row.accept}})
			if got.Status < 400 || got.Header.Get("Content-Type") != row.want || strings.Contains(got.Body, "<html") != (row.want == page) {
				t.Errorf("answered %d %s, want %s:\n%s", got.Status, got.Header.Get("Content-Type"), row.want, got.Body)
			}
		})
	}
}
