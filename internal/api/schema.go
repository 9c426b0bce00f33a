package api

import (
	"encoding/json"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/internal/web/media"
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
	if name := f.IdempotencyField; name != "" && s.Properties[name] == nil {
		s.Properties[name] = &huma.Schema{
			Type: huma.TypeString, MaxLength: new(onramp.MaxKey), Description: "the submission's Idempotency-Key, where that header can't be set",
		}
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
			"id":          {Type: huma.TypeString, MaxLength: new(idLength), Description: "36 letters and digits, with hyphens in those of older versions. Whoever knows it may ask for the status: treat it as a secret"},
			"status":      {Type: huma.TypeString, Enum: stateNames()},
			"form":        {Type: huma.TypeString},
			"received_at": {Type: huma.TypeString, Format: "date-time"},
			"suggestions": {
				Type: huma.TypeArray, Description: "what was probably meant by values that were taken as they came, such as ana@gmail.com for ana@gmial.com: for a page that asks \"Did you mean …?\"",
				Items: &huma.Schema{
					Type: huma.TypeObject, Required: []string{"field", "suggestion"},
					Properties: map[string]*huma.Schema{"field": {Type: huma.TypeString}, "suggestion": {Type: huma.TypeString}},
				},
			},
		},
	}
	schemas["Status"] = &huma.Schema{
		Type: huma.TypeObject, Required: []string{"status"},
		Properties: map[string]*huma.Schema{"status": {Type: huma.TypeString, Enum: stateNames()}},
	}
	schemas["Problem"] = problemSchema()
	doc.Paths["/v1/registrations/{id}"] = &huma.PathItem{Get: statusOperation()}
	for name, form := range p.Forms {
		schemas["Form_"+name] = formSchema(form)
		doc.Paths["/v1/forms/"+name+"/registrations"] = &huma.PathItem{Post: registerOperation(form)}
		doc.Paths["/v1/forms/"+name+"/challenge"] = &huma.PathItem{Get: challengeOperation(name)}
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
				Properties: map[string]*huma.Schema{"field": {Type: huma.TypeString}, "message": {Type: huma.TypeString}, "code": {Type: huma.TypeString}},
			}},
		},
	}
}

// idLength is how long the id of a registration is.
const idLength = 36

func statusOperation() *huma.Operation {
	return &huma.Operation{
		OperationID: "status", Summary: "How far a registration is",
		Parameters: []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(idLength)}}},
		Responses: map[string]*huma.Response{
			"200": {
				Description: "Its status, and nothing else",
				Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Status"}}},
			},
			"404": problemResponse("No such registration"), "503": problemResponse("The database can't be read; see Retry-After"),
		},
	}
}

func challengeOperation(form string) *huma.Operation {
	return &huma.Operation{
		OperationID: "challenge-" + form, Summary: "A proof of work for a visitor of the form " + form + ", as the ALTCHA widget reads it, and the time for _time",
		Responses: map[string]*huma.Response{
			"200": {
				Description: "A challenge. required says whether its solution is needed now",
				Content:     map[string]*huma.MediaType{media.JSON: {Schema: &huma.Schema{Type: huma.TypeObject}}},
			},
			"404": problemResponse("No such form, or it asks for neither a proof of work nor the time"),
		},
	}
}

func problemResponse(description string) *huma.Response {
	return &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}},
	}
}

func registerOperation(f *onramp.Form) *huma.Operation {
	input := &huma.MediaType{Schema: &huma.Schema{Ref: "#/components/schemas/Form_" + f.Name}}
	op := &huma.Operation{
		OperationID: "register-" + f.Name, Summary: "Submit the form " + f.Name,
		Parameters: []*huma.Param{
			{
				Name: "Idempotency-Key", In: "header", Description: "a repeat with the same key and the same values returns the first answer, for at least a day; with or without the quotes of a structured field",
				Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(onramp.MaxKey)},
			},
			{
				Name: "Prefer", In: "header", Description: "wait=SECONDS (RFC 7240, at most 30) waits for the outcome: 201 when it is delivered within that time, else 202 with the status that it has then",
				Schema: &huma.Schema{Type: huma.TypeString},
			},
		},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			media.JSON: input, media.Form: input, media.Multipart: input,
			"text/plain": {Schema: &huma.Schema{Type: huma.TypeString, Description: "the same JSON, as navigator.sendBeacon sends it"}},
		}},
		Responses: map[string]*huma.Response{
			"201": registrationResponse("Stored and delivered, if the request waited for it (Prefer); status is delivered"),
			"202": registrationResponse("Stored, and not known to be delivered. status says how far it is: queued or delivering while Onramp goes on by itself. " +
				"After a wait (Prefer) it can also be failed (refused; an operator has to correct it) or unknown (the answer was lost; an operator has to decide): " +
				"a program that waits must look at status, not only at the code"),
			"303": {Description: "Stored; redirects a browser after a plain form post"},
		},
	}
	for kind, description := range map[onramp.Kind]string{
		onramp.Malformed: "The body can't be parsed", onramp.Forbidden: "The form does not accept registrations from that page", onramp.NotFound: "No such form", onramp.Conflict: "The first request under this key is still being worked on",
		onramp.TooLarge: "Body too large", onramp.Unsupported: "Content type, charset or content coding not supported; for the last one Accept-Encoding names those that are", onramp.Invalid: "Invalid fields, or the key was used with other values",
		onramp.Unavailable: "Could not be stored; see Retry-After", onramp.Limited: "Too much was sent; see Retry-After",
		onramp.Denied: "The key in the Authorization header is not one of this form's trusted_keys",
	} {
		op.Responses[strconv.Itoa(web.Status(kind))] = problemResponse(description)
	}
	return op
}

func registrationResponse(description string) *huma.Response {
	return &huma.Response{
		Description: description,
		Headers: map[string]*huma.Param{
			"Location":           {Description: "where its status can be asked for", Schema: &huma.Schema{Type: huma.TypeString, Format: "uri-reference"}},
			"Preference-Applied": {Description: "wait=SECONDS, if the request waited", Schema: &huma.Schema{Type: huma.TypeString}},
		},
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Registration"}}},
	}
}
