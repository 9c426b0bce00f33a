// Package hosted serves the forms themselves: plain pages, rendered from the
// fields of a form, which work without script.
package hosted

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

//go:embed page.html style.css
var files embed.FS

// Pages serves the hosted forms.
type Pages struct {
	Forms  map[string]*onramp.Form
	Server *web.Server

	page  *template.Template
	style []byte
}

// New prepares the pages of forms.
func New(forms map[string]*onramp.Form, server *web.Server) (*Pages, error) {
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("read style sheet: %w", err)
	}
	page, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return &Pages{Forms: forms, Server: server, page: page, style: style}, nil
}

// Routes adds the pages to a mux.
func (p *Pages) Routes(mux *http.ServeMux) {
	mux.Handle("GET /f/{form}", p.Server.Handle(p.form))
	mux.Handle("GET /f/style.css", p.Server.Handle(p.styleSheet))
}

// view is what the page shows.
type view struct {
	Title    string
	Form     string
	Inputs   []input
	Problems []string
	Thanks   bool
}

// input is one field as HTML knows it.
type input struct {
	Name, Label, Type, InputMode, Pattern, Autocomplete string
	Max                                                 int
	Required, Number, Checkbox                          bool
	Value                                               string
	Choices                                             []string
	Problem                                             string
}

func (p *Pages) form(w http.ResponseWriter, r *http.Request) error {
	form := p.Forms[r.PathValue("form")]
	if form == nil {
		return &onramp.Error{Kind: onramp.NotFound, Message: "there is no such form"}
	}
	v := viewOf(form)
	v.Thanks = r.URL.Query().Has("thanks")
	return p.write(w, http.StatusOK, v)
}

func (p *Pages) styleSheet(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(p.style) // a browser that has gone away is nobody's error
	return nil
}

// Failed answers a browser's plain form post that was refused with the form and
// what is wrong with it. What was typed is not repeated: the browser has it, one
// step back. It says whether the request was such a post.
func (p *Pages) Failed(w http.ResponseWriter, r *http.Request, e *onramp.Error) bool {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false
	}
	form := p.Forms[r.PathValue("form")]
	v := view{Title: "Sorry"}
	if form != nil && r.Method == http.MethodPost {
		v = viewOf(form)
	}
	v.Problems = problems(&v, e)
	web.PrepareError(w, e)
	return p.write(w, web.Status(e.Kind), v) == nil
}

// problems puts each message to its input and returns those that have none.
func problems(v *view, e *onramp.Error) []string {
	if len(e.Fields) == 0 {
		return []string{sentence(e.Message)}
	}
	var rest []string
	for _, f := range e.Fields {
		found := false
		for i := range v.Inputs {
			if v.Inputs[i].Name == f.Field {
				v.Inputs[i].Problem = sentence(v.Inputs[i].Label + " " + f.Message)
				found = true
			}
		}
		if !found {
			rest = append(rest, sentence(f.Field+" "+f.Message))
		}
	}
	return append(rest, "Please go back in your browser to keep what you have typed, or fill in the form again.")
}

func sentence(s string) string { return capitalised(s) + "." }

func capitalised(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

func (p *Pages) write(w http.ResponseWriter, status int, v view) error {
	var body bytes.Buffer
	if err := p.page.Execute(&body, v); err != nil {
		return fmt.Errorf("render form: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action *; base-uri 'none'; frame-ancestors 'self'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that has gone away is nobody's error
	return nil
}

func viewOf(f *onramp.Form) view {
	v := view{Title: f.Title, Form: f.Name}
	if v.Title == "" {
		v.Title = labelOf(f.Name)
	}
	for i := range f.Fields {
		if f.Fields[i].Name != "" {
			v.Inputs = append(v.Inputs, inputOf(&f.Fields[i]))
		}
	}
	return v
}

func labelOf(name string) string {
	return capitalised(strings.NewReplacer("_", " ", "-", " ").Replace(name))
}

// inputOf lets the browser check as much as it can before it sends.
func inputOf(f *onramp.Field) input {
	in := input{Name: f.Name, Label: f.Label, Type: "text", Max: f.Max, Required: f.Required, Choices: f.Choices}
	if in.Label == "" {
		in.Label = labelOf(f.Name)
	}
	if f.Pattern != nil {
		in.Pattern = f.Pattern.String()
	}
	if f.Default != nil {
		in.Value = f.Default.Text
	}
	switch f.Type {
	case onramp.Email:
		in.Type, in.Autocomplete = "email", "email"
		if in.Max == 0 {
			in.Max = 254
		}
	case onramp.Boolean:
		// a box left unticked sends nothing, which means the default: that must not be true
		if in.Checkbox = f.Default == nil || f.Default.Kind == onramp.False; !in.Checkbox {
			in.Choices, in.Value = []string{"Yes", "No"}, "Yes"
		}
	case onramp.Integer:
		in.Type, in.Number = "number", true
	case onramp.Decimal:
		in.InputMode = "decimal"
	case onramp.Date:
		in.Type = "date"
	case onramp.Phone:
		in.Type, in.Autocomplete = "tel", "tel"
	}
	switch f.Name {
	case "first_name":
		in.Autocomplete = "given-name"
	case "last_name":
		in.Autocomplete = "family-name"
	}
	return in
}
