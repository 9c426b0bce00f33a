package api_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/web/webtest"
)

// The whole schema of a form with every type.
func TestFormSchema(t *testing.T) {
	t.Parallel()
	want := `{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false, "required": ["color"],
		"properties": {
			"note": {"type": "string", "title": "Your note", "maxLength": 4, "pattern": "^(?:[a-z]+)$", "anyOf": [
				{"pattern": "^[^CTLWIDE]*$"}, {"pattern": "^[^CTLWIDE]*(?:[WIDE][^CTLWIDE]*){0,1}$", "maxLength": 3}, {"pattern": "^[^CTL]*$", "maxLength": 2}
			]},
			"mail": {"type": "string", "format": "email", "maxLength": 254, "pattern": EMAIL},
			"agreed": {"type": "boolean", "default": true},
			"age": {"type": "integer", "format": "int32", "minimum": -2147483648, "maximum": 2147483647},
			"amount": {"type": "number", "exclusiveMinimum": -1e+29, "exclusiveMaximum": 1e+29, "default": 12345678901234567890.50},
			"born": {"type": "string", "description": "a date such as 2026-06-23, or a date and time such as 2026-06-23T14:52:45Z", "pattern": DATE},
			"phone": {"type": "string", "description": "5 to 15 digits, with or without a leading +; blanks, dashes, brackets, points and slashes are removed", "pattern": "^\\+?[0-9]{5,15}$"},
			"locale": {"type": "string", "description": "a locale such as en-US", "pattern": LOCALE},
			"color": {"type": "string", "enum": ["red", "<blue>"]}
		}
	}`
	got := do(newGateway(t), "GET", "/v1/forms/survey", "")
	if diff := cmp.Diff(decoded(t, withPatterns(t, want, got.Body)), decoded(t, got.Body)); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	got.Body = ""
	webtest.Check(t, webtest.Good(200, webtest.Headers("Content-Type: application/schema+json", vary, kept, tagOf(t, got), "Accept-Ranges: bytes"), ""), got)
}

// Filled-in values are no part of what a site may send.
func TestFormSchemaOfContract(t *testing.T) {
	t.Parallel()
	want := `{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "title": "Register", "additionalProperties": false,
		"required": ["email"],
		"properties": {
			"email": {"type": "string", "title": "E-mail address", "format": "email", "maxLength": 254, "pattern": EMAIL},
			"first_name": {"type": "string", "maxLength": 100, "anyOf": NAME},
			"last_name": {"type": "string", "maxLength": 100, "anyOf": NAME},
			"opt_in": {"type": "boolean", "default": false}
		}
	}`
	got := do(newGateway(t), "GET", "/v1/forms/registration", "")
	if diff := cmp.Diff(decoded(t, withPatterns(t, want, got.Body)), decoded(t, got.Body)); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

// withPatterns puts the long expressions into the schema that is wanted: those that
// TestSchemaAgrees tries are as they came.
func withPatterns(t *testing.T, want, got string) string {
	t.Helper()
	pattern := func(field string) string {
		property, _ := find(decoded(t, got), "#/properties/"+field).(map[string]any)
		text, err := json.Marshal(property["pattern"])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	mail := pattern("mail")
	if mail == "null" {
		mail = pattern("email")
	}
	const narrow = `"^[^CTLWIDE]*(?:[WIDE][^CTLWIDE]*)`
	return strings.NewReplacer(
		"EMAIL", mail, "DATE", pattern("born"), "LOCALE", pattern("locale"),
		"CTL", `\\x00-\\x1f\\x7f-\\x9f`, "WIDE", "\U00010000-\U0010ffff",
	).Replace(strings.ReplaceAll(want, "NAME", `[{"pattern": "^[^CTLWIDE]*$"},
		{"pattern": `+narrow+`{0,1}$", "maxLength": 99}, {"pattern": `+narrow+`{0,4}$", "maxLength": 96},
		{"pattern": `+narrow+`{0,16}$", "maxLength": 84}, {"pattern": "^[^CTL]*$", "maxLength": 50}]`))
}

// decoded keeps numbers as they are written.
func decoded(t *testing.T, document string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v:\n%s", err, document)
	}
	return value
}

// The document is OpenAPI 3.1, whole in itself, and says what the API does.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	got := do(newGateway(t), "GET", "/openapi.json", "")
	document := decoded(t, got.Body)
	got.Body = ""
	webtest.Check(t, webtest.Good(200, webtest.Headers("Content-Type: application/json", kept, tagOf(t, got), "Accept-Ranges: bytes"), ""), got)

	delete(document["info"].(map[string]any), "description")
	top := map[string]any{"openapi": document["openapi"], "info": document["info"], "servers": document["servers"]}
	if diff := cmp.Diff(map[string]any{
		"openapi": "3.1.0", "info": map[string]any{"title": "Onramp", "version": "v1.2.3"},
		"servers": []any{map[string]any{"url": "https://signup.example.com"}},
	}, top); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}

	answers := map[string][]string{}
	ids := map[string]bool{}
	for path, item := range document["paths"].(map[string]any) {
		for method, value := range item.(map[string]any) {
			operation := value.(map[string]any)
			id := operation["operationId"].(string)
			if ids[id] {
				t.Errorf("operation id %s is used twice", id)
			}
			ids[id] = true
			answers[method+" "+path] = slices.Sorted(maps.Keys(operation["responses"].(map[string]any)))
		}
	}
	all := []string{"201", "202", "303", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503"}
	challenge := []string{"200", "404"}
	if diff := cmp.Diff(map[string][]string{
		"get /v1/forms/registration": {"200"}, "post /v1/forms/registration/registrations": all,
		"get /v1/forms/survey": {"200"}, "post /v1/forms/survey/registrations": all,
		"get /v1/forms/open": {"200"}, "post /v1/forms/open/registrations": all,
		"get /v1/forms/registration/challenge": challenge, "get /v1/forms/survey/challenge": challenge, "get /v1/forms/open/challenge": challenge,
		"get /v1/registrations/{id}": {"200", "404", "503"},
	}, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}

	register := document["paths"].(map[string]any)["/v1/forms/survey/registrations"].(map[string]any)["post"].(map[string]any)
	ref := map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/Form_survey"}}
	if diff := cmp.Diff(map[string]any{"required": true, "content": map[string]any{
		"application/json": ref, "application/x-www-form-urlencoded": ref, "multipart/form-data": ref,
		"text/plain": map[string]any{"schema": map[string]any{"type": "string", "description": "the same JSON, as navigator.sendBeacon sends it"}},
	}}, register["requestBody"]); diff != "" {
		t.Errorf("request body (-want +got):\n%s", diff)
	}
	schemas := document["components"].(map[string]any)["schemas"].(map[string]any)
	if diff := cmp.Diff([]string{"Form_open", "Form_registration", "Form_survey", "Problem", "Registration", "Status"}, slices.Sorted(maps.Keys(schemas))); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
	checkReferences(t, document, document)
}

const kept = "Cache-Control: no-cache"

func tagOf(t *testing.T, a answer) string {
	t.Helper()
	tag := a.Header.Get("ETag")
	if len(tag) < 10 {
		t.Errorf("the ETag is %q", tag)
	}
	return "ETag: " + tag
}

// Who has a document already is not sent it again.
func TestDocumentsByTag(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/openapi.json", "/v1/forms/registration"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			g, again := newGateway(t), newGateway(t)
			first := do(g, "GET", path, "")
			tag := first.Header.Get("ETag")
			if got := do(again, "GET", path, "", "If-None-Match: "+tag); got.Status != 304 || got.Body != "" || got.Header.Get("ETag") != tag {
				t.Errorf("with the tag: answered %d with %d bytes and the tag %s, want 304, none and %s", got.Status, len(got.Body), got.Header.Get("ETag"), tag)
			}
			if got := do(g, "GET", path, "", `If-None-Match: "other"`); got.Status != 200 || got.Body != first.Body {
				t.Errorf("with another tag: answered %d, want 200 and the document", got.Status)
			}
			if got := do(g, "HEAD", path, ""); got.Status != 200 || got.Header.Get("ETag") != tag {
				t.Errorf("HEAD: answered %d with the tag %q, want 200 and %s", got.Status, got.Header.Get("ETag"), tag)
			}
		})
	}
}

// checkReferences follows every $ref of a document, and finds none of the links
// to schemas that huma puts into the answers of its own handlers.
func checkReferences(t *testing.T, document map[string]any, node any) {
	t.Helper()
	switch node := node.(type) {
	case map[string]any:
		if ref, ok := node["$ref"].(string); ok {
			if find(document, ref) == nil {
				t.Errorf("%s leads nowhere", ref)
			}
		}
		if properties, ok := node["properties"].(map[string]any); ok && properties["$schema"] != nil {
			t.Error("a schema has a property $schema")
		}
		for _, child := range node {
			checkReferences(t, document, child)
		}
	case []any:
		for _, child := range node {
			checkReferences(t, document, child)
		}
	}
}

func find(document any, ref string) any {
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	for name := range strings.SplitSeq(rest, "/") {
		object, _ := document.(map[string]any)
		document = object[name]
	}
	return document
}
