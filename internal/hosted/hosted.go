// Package hosted serves the forms themselves, made from their fields, in the visitor's
// language: as pages that work without script, where the one that they bring only
// helps, and as a script that puts a form into any page (embed.go).
package hosted

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"

	"onramp/internal/onramp"
	"onramp/internal/screen"
	"onramp/internal/web"
)

//go:embed page.html confirm.html style.css form.js confirm.js embed.min.js guard.min.js
var files embed.FS

// Pages serves the hosted forms.
type Pages struct {
	Server *web.Server
	// Confirm confirms registrations; nil: no form has double opt-in.
	Confirm Confirmer
	// Origin is that of the public URL, from which pages may post, beside the one that requests
	// come by; "": there is none.
	Origin string

	forms     map[string]*page
	strangers *page // for addresses at which there is no form
	template  *template.Template
	scripts   map[string]map[string]*script // by form and language
}

// New prepares the pages of forms. gate says what they have to bring for the screening; nil:
// nothing.
func New(forms map[string]*onramp.Form, gate *screen.Gate, server *web.Server) (*Pages, error) {
	parsed, err := template.ParseFS(files, "page.html", "confirm.html")
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	p := &Pages{Server: server, forms: make(map[string]*page, len(forms)), template: parsed}
	for name, form := range forms {
		if p.forms[name], err = newPage(form, gate.Guard(name)); err != nil {
			return nil, fmt.Errorf("page of form %s: %w", name, err)
		}
	}
	p.strangers, err = newPage(&onramp.Form{Page: onramp.Page{Languages: everyLanguage()}}, nil)
	if err != nil {
		return nil, fmt.Errorf("page without a form: %w", err)
	}
	p.scripts, err = newScripts(p.forms)
	return p, err
}

// Routes adds the pages to a mux.
func (p *Pages) Routes(mux *http.ServeMux) {
	mux.Handle("GET /f/{form}", p.Server.Handle(p.form))
	mux.Handle("GET /f/{form}/colors.css", p.Server.Handle(p.colors))
	mux.Handle("GET /f/style.css", p.Server.Handle(file("style.css", "text/css; charset=utf-8")))
	mux.Handle("GET /f/form.js", p.Server.Handle(file("form.js", "text/javascript; charset=utf-8")))
	mux.Handle("GET /embed/{script}", p.Server.Handle(p.embed))
	if p.Confirm != nil {
		p.confirmRoutes(mux)
	}
}

var errNoForm = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such form"}

func (p *Pages) form(w http.ResponseWriter, r *http.Request) error {
	page := p.forms[r.PathValue("form")]
	if page == nil {
		return errNoForm
	}
	web.Annotate(w, web.Note{Form: page.form.Name})
	query := r.URL.Query()
	v := page.view(r)
	if query.Has("thanks") {
		v.thank(query.Get("meant"))
		return p.write(w, http.StatusOK, v)
	}
	v.ask(query, r.Referer())
	// not no-store: whoever goes back gets this page with its one-time key again
	w.Header().Set("Cache-Control", "private, no-cache")
	return p.write(w, http.StatusOK, v)
}

func (p *Pages) colors(w http.ResponseWriter, r *http.Request) error {
	page := p.forms[r.PathValue("form")]
	if page == nil || page.colors == "" {
		return web.NotFound(w, r)
	}
	return serve(w, "text/css; charset=utf-8", []byte(page.colors))
}

func file(name, contentType string) web.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		content, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		return serve(w, contentType, content)
	}
}

func serve(w http.ResponseWriter, contentType string, content []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(content) // a browser that has gone away is nobody's error
	return nil
}

func (p *Pages) write(w http.ResponseWriter, status int, v *view) error {
	var body bytes.Buffer
	if err := p.template.ExecuteTemplate(&body, "page.html", v); err != nil {
		return fmt.Errorf("render form: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", v.page.policy)
	h.Set("Referrer-Policy", "same-origin")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that has gone away is nobody's error
	return nil
}
