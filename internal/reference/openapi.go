package reference

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"onramp/internal/api"
	"onramp/internal/app"
	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// openAPIDocument is what the page shows of the document that the gateway serves.
type openAPIDocument struct {
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Summary     string              `json:"summary"`
	Parameters  []parameter         `json:"parameters"`
	RequestBody *content            `json:"requestBody"`
	Responses   map[string]response `json:"responses"`
}

type parameter struct {
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description"`
}

type content struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

type response struct {
	content
	Description string               `json:"description"`
	Headers     map[string]parameter `json:"headers"`
}

type schema struct {
	Ref         string            `json:"$ref"`
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Description string            `json:"description"`
	Enum        []string          `json:"enum"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	Items       *schema           `json:"items"`
}

// demoForm is the form of the demo, whose document the page is made from.
const demoForm = "registration"

// openAPI asks a gateway with the demo's form for its document.
func openAPI() (*openAPIDocument, error) {
	cfg, err := config.Parse("demo", []byte(app.DemoConfig()), nil)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	public := &api.Public{
		Forms:  map[string]*onramp.Form{demoForm: onramp.NewForm(cfg.Forms[0], "")},
		Server: &web.Server{Log: slog.New(slog.DiscardHandler)},
	}
	if err := public.Routes(mux); err != nil {
		return nil, err
	}
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/openapi.json", nil)) //nolint:noctx // it is served here
	var document openAPIDocument
	if err := json.Unmarshal(answer.Body.Bytes(), &document); err != nil {
		return nil, fmt.Errorf("read /openapi.json: %w", err)
	}
	return &document, nil
}

// general is a path of the document with the form's name left open, as the mux has it.
func general(path string) string {
	return strings.Replace(path, "/v1/forms/"+demoForm, "/v1/forms/{form}", 1)
}

// has says whether a pattern of the mux is in the document.
func (d *openAPIDocument) has(pattern string) bool {
	for path, operations := range d.Paths {
		for method := range operations {
			if strings.ToUpper(method)+" "+general(path) == pattern {
				return true
			}
		}
	}
	return false
}

func (d *openAPIDocument) write(b *strings.Builder) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			d.Paths[path][method].write(b, strings.ToUpper(method)+" "+general(path))
		}
	}
	fmt.Fprintf(b, "\nThe body of `POST /v1/forms/{form}/registrations` has the fields of the form; for the demo's form:\n\n```json\n%s\n```\n", exampleBody)
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		if s := d.Components.Schemas[name]; !strings.HasPrefix(name, "Form_") {
			fmt.Fprintf(b, "\n### %s\n", name)
			if s.Description != "" {
				fmt.Fprintf(b, "\n%s.\n", s.Description)
			}
			table(b, []string{"field", "type", "meaning"}, s.rows(""))
		}
	}
}

const exampleBody = `{"email": "ana@example.org", "first_name": "Ana", "opt_in": true}`

func (o operation) write(b *strings.Builder, title string) {
	summary := strings.ReplaceAll(strings.ReplaceAll(o.Summary, "the form "+demoForm, "a form"), "Submit a form", "Submits a form")
	fmt.Fprintf(b, "\n### %s\n\n%s.\n", code(title), summary)
	var rows [][]string
	for _, p := range o.Parameters {
		rows = append(rows, []string{code(p.Name), p.In, cell(p.Description)})
	}
	table(b, []string{"parameter", "in", "meaning"}, rows)
	if o.RequestBody != nil {
		fmt.Fprintf(b, "\nBody: `%s`.\n", strings.Join(slices.Sorted(maps.Keys(o.RequestBody.Content)), "`, `"))
	}
	rows = nil
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		rows = append(rows, o.Responses[status].row(status))
	}
	table(b, []string{"answer", "body", "meaning"}, rows)
}

func (r response) row(status string) []string {
	body := ""
	for _, c := range r.Content {
		if _, name, ok := strings.Cut(c.Schema.Ref, "#/components/schemas/"); ok {
			body = fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
		}
	}
	description := r.Description
	if headers := slices.Sorted(maps.Keys(r.Headers)); len(headers) > 0 {
		description += ". Headers: `" + strings.Join(headers, "`, `") + "`"
	}
	return []string{status, body, cell(description)}
}

// rows are those of a schema's properties, and of theirs.
func (s schema) rows(prefix string) (rows [][]string) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		kind, description := p.Type, p.Description
		if p.Format != "" {
			kind = p.Format
		}
		if p.Enum != nil {
			description = strings.TrimSpace("one of `" + strings.Join(p.Enum, "`, `") + "` " + description)
		}
		if !slices.Contains(s.Required, name) {
			kind += ", optional"
		}
		rows = append(rows, []string{code(prefix + name), kind, cell(description)})
		if p.Items != nil {
			rows = append(rows, p.Items.rows(prefix+name+"[].")...)
		}
	}
	return rows
}
