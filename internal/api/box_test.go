package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/store/storetest"
)

// A required box must be ticked, however it is sent, and its schema says so. A
// question must be answered, and either answer will do.
func TestRequiredBoolean(t *testing.T) {
	t.Parallel()
	box := onramp.Field{Name: "terms", Column: "Terms", Type: onramp.Boolean, Required: true}
	question := onramp.Field{Name: "terms", Column: "Terms", Type: onramp.Boolean, Required: true, Input: "radio"}
	list := onramp.Field{Name: "terms", Column: "Terms", Type: onramp.Boolean, Required: true, Input: "select"}
	ticked := onramp.Field{Name: "terms", Column: "Terms", Type: onramp.Boolean, Required: true, Input: "checkbox"}
	const json, post, refused = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded", 422
	for name, row := range map[string]struct {
		field             onramp.Field
		contentType, body string
		want              int
	}{
		"box, JSON true":           {box, json, `{"terms":true}`, 202},
		"box, JSON false":          {box, json, `{"terms":false}`, refused},
		"box, JSON text":           {box, json, `{"terms":"no"}`, refused},
		"box, JSON null":           {box, json, `{"terms":null}`, refused},
		"box, nothing":             {box, json, `{}`, refused},
		"box, posted":              {box, post, "terms=on", 202},
		"box, Rails, ticked":       {box, post, "terms=0&terms=1", 202},
		"box, Rails, not ticked":   {box, post, "terms=0", refused},
		"box, ASP.NET, ticked":     {box, post, "terms=true&terms=false", 202},
		"box, ASP.NET, not ticked": {box, post, "terms=false", refused},
		"box, empty":               {box, post, "terms=", refused},
		"input: checkbox":          {ticked, json, `{"terms":false}`, refused},
		"question, no":             {question, json, `{"terms":false}`, 202},
		"question, posted":         {question, post, "terms=no", 202},
		"question, nothing":        {question, post, "", refused},
		"list, no":                 {list, post, "terms=false", 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := onramp.Form{
				Name: "agree", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}, Fields: []onramp.Field{row.field},
				Route: []onramp.Destination{{Kind: onramp.DataExtension, Key: "Boxes", KeyColumns: []string{"SubscriberKey"}}},
			}
			g := &gateway{}
			g.store, g.forms = storetest.Open(t, []onramp.Form{f})
			g.Handler = publicHandler(t, &api.Public{Forms: g.forms, Store: g.store})
			got := do(g, "POST", "/v1/forms/agree/registrations", row.body, row.contentType)
			if got.Status != row.want {
				t.Errorf("answered %d %s, want %d", got.Status, got.Body, row.want)
			}
			var enum []any
			if row.field.Input != "radio" && row.field.Input != "select" {
				enum = []any{true}
			}
			if diff := cmp.Diff(enum, schemaOf(t, g).Properties["terms"].Enum); diff != "" {
				t.Errorf("enum in the schema (-want +got):\n%s", diff)
			}
		})
	}
}
