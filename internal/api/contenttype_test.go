package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/web/webtest"
)

// javaAccept is what java.net.HttpURLConnection sends when nothing else is set.
const javaAccept = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"

// JSON is taken under the names that programs give it, and none.
func TestContentTypes(t *testing.T) {
	t.Parallel()
	const (
		good    = `{"email":"user@example.com"}`
		form    = "email=user%40example.com"
		values  = `{"EmailAddress":"user@example.com","OptInStatus":false,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.0.2.1"}`
		formful = "application/x-www-form-urlencoded"
	)
	taken := accepted(202, "queued")
	unsupported := webtest.Problem(415, notContentType, "", vary)
	for name, row := range map[string]struct {
		contentType, body string
		want              answer
	}{
		"a beacon":                         {"text/plain;charset=UTF-8", good, taken},
		"a beacon's blob":                  {"text/plain", "\ufeff \r\n" + good, taken},
		"text in Latin 1":                  {"text/plain; charset=latin1", good, taken},
		"text in UTF-16":                   {"text/plain; charset=utf-16", utf16(good, false), taken},
		"nothing said":                     {"", good, taken},
		"nothing but blanks":               {"  ", good, taken},
		"nothing but a charset":            {"; charset=utf-8", good, taken},
		"semicolon":                        {"application/json;", good, taken},
		"empty charset":                    {"application/json; charset=", good, taken},
		"charset without a value":          {"application/json; charset", good, taken},
		"charset in single quotes":         {"application/json; charset='utf-8'", good, taken},
		"charset twice":                    {"application/json; charset=utf-8; charset=utf-8", good, taken},
		"the type twice":                   {"application/json, application/json", good, taken},
		"the type twice, with charsets":    {"application/json;charset=utf-8, application/json;charset=utf-8", good, taken},
		"capitals":                         {"Application/JSON;Charset=UTF-8;", good, taken},
		"another parameter":                {"application/json; odata=verbose", good, taken},
		"JSON:API":                         {"application/vnd.api+json", good, taken},
		"a problem":                        {"application/problem+json", good, taken},
		"linked data":                      {`application/ld+json; profile="https://www.w3.org/ns/activitystreams"`, good, taken},
		"text/json":                        {"text/json", good, taken},
		"application/x-json":               {"application/x-json", good, taken},
		"json":                             {"json", good, taken},
		"a form in name only":              {formful, good, taken},
		"a form in name only, with blanks": {formful + "; charset=UTF-8", "\n { \"email\" : \"user@example.com\" }", taken},
		"form, semicolon":                  {formful + ";", form, taken},
		"form, empty charset":              {formful + "; charset=", form, taken},
		"form, capitals":                   {"Application/X-WWW-Form-URLEncoded", form, taken},
		"multipart, boundary with signs":   {"multipart/form-data; boundary=----=_Part_1/2", strings.ReplaceAll(parts(`form-data; name="email"`, "user@example.com"), "--XX", "------=_Part_1/2"), taken},

		"a form that says nothing":        {"", form, unsupported},
		"a form as text":                  {"text/plain", "email=user@example.com\r\n", unsupported},
		"nothing sent, nothing said":      {"", "", unsupported},
		"nothing sent as text":            {"text/plain", "", unsupported},
		"text":                            {"text/plain", `"a"`, unsupported},
		"an array as text":                {"text/plain", "[" + good + "]", webtest.Problem(400, notObject, "", vary)},
		"broken JSON as text":             {"text/plain", good[1:] + "{", unsupported},
		"JSON that is cut off as text":    {"text/plain", good[:9], webtest.Problem(400, notJSON, "", vary)},
		"JSON that is cut off as a form":  {formful, good[:9], webtest.Problem(400, notJSON, "", vary)},
		"an empty object as a form":       {formful, "{}", invalid("email", "is required")},
		"XML":                             {"application/xml", "<a/>", unsupported},
		"JSON as XML":                     {"application/xml", good, unsupported},
		"JSON as HTML":                    {"text/html", good, unsupported},
		"JSON as bytes":                   {"application/octet-stream", good, unsupported},
		"lines of JSON":                   {"application/x-ndjson", good, unsupported},
		"a sequence of JSON":              {"application/json-seq", "\x1e" + good, unsupported},
		"multipart of another kind":       {"multipart/mixed; boundary=XX", parts(`form-data; name="email"`, "user@example.com"), unsupported},
		"multipart without a boundary":    {"multipart/form-data", parts(`form-data; name="email"`, "user@example.com"), webtest.Problem(400, "the content type has no boundary", "", vary)},
		"multipart, boundary left empty":  {"multipart/form-data; boundary=", parts(`form-data; name="email"`, "user@example.com"), webtest.Problem(400, "the content type has no boundary", "", vary)},
		"JSON under a strange charset":    {"application/json; charset=utf-8utf-8", good, webtest.Problem(415, notCharset, "", vary)},
		"a media type that ends too soon": {"application/", good, unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			var headers []string
			if row.contentType != "" {
				headers = []string{"Content-Type: " + row.contentType}
			}
			webtest.Check(t, row.want, masked(do(g, "POST", registrations, row.body, headers...)))
			if row.want.Status == 202 {
				g.checkStored(t, values)
			} else {
				g.checkNothingStored(t)
			}
		})
	}
}

// A browser's form gets pages, a program JSON.
func TestAcceptedTypes(t *testing.T) {
	t.Parallel()
	const (
		good    = `{"email":"user@example.com"}`
		form    = "email=user%40example.com"
		asJSON  = "application/json"
		asForm  = "application/x-www-form-urlencoded"
		browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	)
	g := newGateway(t)
	page := webtest.Good(303, webtest.Headers(vary, "Location: /f/registration?thanks"), "")
	for name, row := range map[string]struct {
		contentType, body, accept string
		page                      bool
	}{
		"browser's form":                   {asForm, form, browser, true},
		"browser's form, multipart":        {partType, parts(`form-data; name="email"`, "user@example.com"), browser, true},
		"an old browser's form":            {asForm, form, "text/html, application/xhtml+xml, */*", true},
		"fetch's form":                     {asForm, form, "*/*", false},
		"form, nothing said":               {asForm, form, "", false},
		"form, any text":                   {asForm, form, "text/*", true},
		"form, not HTML":                   {asForm, form, "text/html;q=0, */*", false},
		"form, not HTML, with zeros":       {asForm, form, "text/html;q=0.000,*/*;q=0.1", false},
		"form, rather JSON":                {asForm, form, "text/html;q=0.8, application/json", false},
		"form, rather any JSON":            {asForm, form, "application/*, text/html;q=0.9", false},
		"form, rather HTML":                {asForm, form, "application/json;q=0.8, text/html;q=0.9", true},
		"form, both, JSON first":           {asForm, form, "application/json, text/html", false},
		"form, both, HTML first":           {asForm, form, "text/html, application/json", true},
		"form, axios":                      {asForm, form, "application/json, text/plain, */*", false},
		"form, jQuery":                     {asForm, form, "application/json, text/javascript, */*; q=0.01", false},
		"form, Turbo":                      {asForm, form, "text/vnd.turbo-stream.html, text/html, application/xhtml+xml", true},
		"form, Java":                       {asForm, form, javaAccept, true},
		"form, a kind of HTML":             {asForm, form, `text/html;profile="a,b;q=0"`, true},
		"form, capitals":                   {asForm, form, "Text/HTML;Q=0.5", true},
		"form, a wrong q":                  {asForm, form, "text/html;q=2, */*;q=0.1", false},
		"form, no q":                       {asForm, form, "text/html;q=, */*;q=0.1", false},
		"form, another type's name":        {asForm, form, "application/x+text/html", false},
		"JSON":                             {asJSON, good, "application/json", false},
		"JSON, nothing said":               {asJSON, good, "", false},
		"JSON, Java":                       {asJSON, good, javaAccept, false},
		"JSON as a form, Java":             {asForm, good, javaAccept, false},
		"JSON as text, Java":               {"text/plain", good, javaAccept, false},
		"JSON without a name, browser":     {"", good, browser, false},
		"JSON, browser":                    {asJSON, good, browser, false},
		"JSON, a little of anything":       {asJSON, good, "text/html, */*;q=0.001", false},
		"JSON, any application":            {asJSON, good, "text/html, application/*;q=0.1", false},
		"JSON, any text":                   {asJSON, good, "text/*", false},
		"JSON, both alike":                 {asJSON, good, "text/html, application/json", false},
		"JSON, both alike, under a suffix": {asJSON, good, "text/html, application/problem+json", false},
		"JSON, rather HTML":                {asJSON, good, "text/html, application/json;q=0.9", true},
		"JSON, HTML only":                  {asJSON, good, "text/html", true},
		"JSON, HTML and no JSON":           {asJSON, good, "application/json;q=0, text/html;q=0.1, */*", true},
		"JSON, HTML and nothing else":      {asJSON, good, "text/html, */*;q=0", true},
		"JSON, neither":                    {asJSON, good, "image/png", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := accepted(202, "queued")
			if row.page {
				want = page
			}
			headers := []string{"Content-Type: " + row.contentType, "Accept: " + row.accept}
			webtest.Check(t, want, masked(do(g, "POST", registrations, row.body, headers...)))
		})
	}
}

// Accept may come in several lines.
func TestAcceptInLines(t *testing.T) {
	t.Parallel()
	got := do(newGateway(t), "POST", registrations, "email=a%40b.co", "Content-Type: application/x-www-form-urlencoded", "Accept: application/json;q=0.5", "Accept: text/html")
	if diff := cmp.Diff(303, got.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
