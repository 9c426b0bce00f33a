package api

import (
	"encoding/json"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// formSchema describes what a form takes as JSON Schema (draft 2020-12).
func formSchema(f *onramp.Form) *huma.Schema {
	s := &huma.Schema{
		Type: huma.TypeObject, Title: f.Title, Properties: map[string]*huma.Schema{}, AdditionalProperties: false,
		Extensions: map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema"},
	}
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Name == "" {
			continue
		}
		s.Properties[field.Name] = fieldSchema(field)
		if field.Required {
			s.Required = append(s.Required, field.Name)
		}
	}
	return s
}

func fieldSchema(f *onramp.Field) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Title: f.Label}
	switch f.Type {
	case onramp.Boolean:
		s.Type = huma.TypeBoolean
	case onramp.Integer:
		s.Type, s.Format = huma.TypeInteger, "int32"
	case onramp.Decimal:
		s.Type = huma.TypeNumber
	case onramp.Email:
		s.Format = "email"
		s.MaxLength = new(254)
	case onramp.Date:
		s.Description = "a date such as 2026-06-23, or a date and time such as 2026-06-23T14:52:45Z"
	case onramp.Phone:
		s.Description = "5 to 15 digits, with or without a leading +"
	case onramp.Locale:
		s.Description = "a locale such as en-US"
	case onramp.Choice:
		for _, choice := range f.Choices {
			s.Enum = append(s.Enum, choice)
		}
	}
	if f.Max > 0 && s.Type == huma.TypeString {
		s.MaxLength = new(f.Max)
	}
	if f.Pattern != nil {
		s.Pattern = f.Pattern.Anchored()
	}
	if f.Default != nil {
		s.Default = plain(*f.Default)
	}
	return s
}

// plain turns a normalised value into what encoding/json writes the same way.
func plain(v onramp.Scalar) any {
	switch v.Kind {
	case onramp.True, onramp.False:
		return v.Kind == onramp.True
	case onramp.Number:
		return json.Number(v.Text) // every digit of it
	}
	return v.Text
}

// openAPI describes the public routes (OpenAPI 3.1).
func (p *Public) openAPI() *huma.OpenAPI {
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Onramp", Version: p.Version,
			Description: "Delivers a website's registrations to Marketing Cloud. A 2xx answer means that the registration is on disk.",
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
		},
		Paths: map[string]*huma.PathItem{},
	}
	if p.BaseURL != "" {
		doc.Servers = []*huma.Server{{URL: p.BaseURL}}
	}
	schemas := doc.Components.Schemas.Map()
	schemas["Registration"] = &huma.Schema{
		Type: huma.TypeObject, Required: []string{"id", "status", "form", "received_at"},
		Properties: map[string]*huma.Schema{
			"id":          {Type: huma.TypeString, Format: "uuid"},
			"status":      {Type: huma.TypeString, Enum: stateNames()},
			"form":        {Type: huma.TypeString},
			"received_at": {Type: huma.TypeString, Format: "date-time"},
		},
	}
	schemas["Problem"] = problemSchema()
	for name, form := range p.Forms {
		schemas["Form_"+name] = formSchema(form)
		doc.Paths["/v1/forms/"+name+"/registrations"] = &huma.PathItem{Post: registerOperation(form)}
		doc.Paths["/v1/forms/"+name] = &huma.PathItem{Get: &huma.Operation{
			OperationID: "form-" + name, Summary: "The fields of the form " + name + " as JSON Schema",
			Responses: map[string]*huma.Response{"200": {
				Description: "JSON Schema",
				Content:     map[string]*huma.MediaType{"application/schema+json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
			}},
		}}
	}
	return doc
}

func stateNames() []any {
	var names []any
	for _, s := range onramp.RegistrationStates() {
		names = append(names, s.String())
	}
	return names
}

func problemSchema() *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Description: "RFC 9457", Required: []string{"type", "title", "status", "detail"},
		Properties: map[string]*huma.Schema{
			"type":   {Type: huma.TypeString},
			"title":  {Type: huma.TypeString},
			"status": {Type: huma.TypeInteger},
			"detail": {Type: huma.TypeString},
			"errors": {Type: huma.TypeArray, Items: &huma.Schema{
				Type: huma.TypeObject, Required: []string{"field", "message"},
				Properties: map[string]*huma.Schema{"field": {Type: huma.TypeString}, "message": {Type: huma.TypeString}},
			}},
		},
	}
}

func registerOperation(f *onramp.Form) *huma.Operation {
	input := &huma.MediaType{Schema: &huma.Schema{Ref: "#/components/schemas/Form_" + f.Name}}
	op := &huma.Operation{
		OperationID: "register-" + f.Name, Summary: "Submit the form " + f.Name,
		Parameters: []*huma.Param{
			{
				Name: "Idempotency-Key", In: "header", Description: "a repeat with the same key returns the first answer, for at least a day",
				Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(maxKey)},
			},
			{
				Name: "Prefer", In: "header", Description: "wait=SECONDS (RFC 7240, at most 30) waits for the outcome",
				Schema: &huma.Schema{Type: huma.TypeString},
			},
		},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": input, "application/x-www-form-urlencoded": input, "multipart/form-data": input,
		}},
		Responses: map[string]*huma.Response{
			"201": registrationResponse("Stored and delivered, if the request waited for it (Prefer)"),
			"202": registrationResponse("Stored; it will be delivered later"),
			"303": {Description: "Stored; redirects a browser after a plain form post"},
		},
	}
	for kind, description := range map[onramp.Kind]string{
		onramp.Malformed: "The body can't be parsed", onramp.Forbidden: "The form does not accept registrations from that page", onramp.NotFound: "No such form", onramp.Conflict: "The key was used with another body",
		onramp.TooLarge: "Body too large", onramp.Unsupported: "Content type not supported", onramp.Invalid: "Invalid fields",
		onramp.Unavailable: "Could not be stored; see Retry-After",
	} {
		op.Responses[strconv.Itoa(web.Status(kind))] = &huma.Response{
			Description: description,
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}},
		}
	}
	return op
}

func registrationResponse(description string) *huma.Response {
	return &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Registration"}}},
	}
}
