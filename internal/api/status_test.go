package api_test

import (
	"strings"
	"testing"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/web/webtest"
)

// Whoever knows the id of a registration learns how far it is, and nothing else. The
// Location of the answer leads there.
func TestStatus(t *testing.T) {
	t.Parallel()
	const (
		old  = "019ef4ed-6e4b-7abc-8def-0123456789ab"
		site = "https://www.example.com"
	)
	g := newGateway(t)
	submit := func(form, body string) string {
		return do(g, "POST", "/v1/forms/"+form+"/registrations", body, "Content-Type: application/json").Header.Get("Location")
	}
	survey, open, bare := submit("survey", `{"color":"red"}`), submit("open", `{"note":"a"}`), submit("registration", `{"email":"a@b.co"}`)
	for _, location := range []string{survey, open, bare} {
		if id, found := strings.CutPrefix(location, "/v1/registrations/"); !found || !idForm.MatchString(id) {
			t.Fatalf("the location is %q", location)
		}
	}
	earlier, err := g.forms["survey"].Accept(onramp.Submission{ReceivedAt: receivedAt, Inputs: []onramp.Input{{Name: "color", Value: onramp.Scalar{Kind: onramp.String, Text: "red"}}}})
	if err != nil {
		t.Fatal(err)
	}
	earlier.ID = old
	if _, err := g.store.SaveRegistration(t.Context(), &earlier, onramp.IdempotencyKey{}, false); err != nil {
		t.Fatal(err)
	}
	queued := func(lines ...string) answer {
		return webtest.Good(200, webtest.Headers(append([]string{"Content-Type: application/json", "Cache-Control: no-store", vary}, lines...)...), `{"status":"queued"}`+"\n")
	}
	nowhere := func(lines ...string) answer {
		return webtest.Problem(404, "there is no such registration", "", append(lines, vary)...)
	}
	allowed := func(origin string) []string {
		return []string{"Access-Control-Allow-Origin: " + origin, "Access-Control-Expose-Headers: Location, Preference-Applied, Retry-After"}
	}
	unknown := survey[:len(survey)-2] + "g0"
	if unknown == survey {
		unknown = survey[:len(survey)-2] + "00"
	}
	for name, row := range map[string]struct {
		path, origin string
		want         answer
	}{
		"of a program":           {survey, "", queued()},
		"of an older version":    {"/v1/registrations/" + old, "", queued()},
		"of the form's page":     {survey, site, queued(allowed(site)...)},
		"of another page":        {survey, "https://evil.example.net", queued()},
		"of the page of another": {bare, site, queued()},
		"of any page":            {open, "https://evil.example.net", queued(allowed("https://evil.example.net")...)},
		"of the hosted form":     {survey, "https://signup.example.com", queued(allowed("https://signup.example.com")...)},
		"unknown":                {unknown, "", nowhere()},
		"unknown, of a page":     {unknown, site, nowhere(allowed(site)...)},
		"not an id":              {"/v1/registrations/1", "", nowhere()},
		"a percent sign":         {"/v1/registrations/%25", "", nowhere()},
		"not a character":        {"/v1/registrations/%FF%00", "", nowhere()},
		"much too long":          {"/v1/registrations/" + strings.Repeat("0", 5000), "", nowhere()},
		"none":                   {"/v1/registrations/", "", webtest.Problem(404, "there is nothing at this address", "")},
		"something below":        {survey + "/timeline", "", webtest.Problem(404, "there is nothing at this address", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if row.origin != "" {
				headers = append(headers, "Origin: "+row.origin)
			}
			webtest.Check(t, row.want, do(g, "GET", row.path, "", headers...))
		})
	}
	t.Run("preflight", func(t *testing.T) {
		t.Parallel()
		got := do(g, "OPTIONS", survey, "", "Origin: "+site, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: traceparent")
		webtest.Check(t, webtest.Good(204, webtest.Headers("Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers", "Access-Control-Allow-Origin: "+site,
			"Access-Control-Allow-Methods: GET", "Access-Control-Allow-Headers: traceparent", "Access-Control-Max-Age: 600"), ""), got)
	})
}

// The status is the registration's, whatever it is.
func TestStatusOfEach(t *testing.T) {
	t.Parallel()
	for _, state := range onramp.RegistrationStates() {
		h := publicHandler(t, &api.Public{Forms: map[string]*onramp.Form{}, Store: &registrar{state: state}})
		want := webtest.Good(200, webtest.Headers("Content-Type: application/json", "Cache-Control: no-store", vary), `{"status":"`+state.String()+`"}`+"\n")
		webtest.Check(t, want, do(h, "GET", "/v1/registrations/06ff9u1aocbmst4jal0giqp46ni7afsf5oi0", ""))
	}
}
