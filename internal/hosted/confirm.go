package hosted

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"onramp/internal/hosted/texts"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// Confirmer confirms registrations by the tokens of links. The form is nil of a token that is
// not one of ours.
type Confirmer interface {
	// Look says what a link leads to, and changes nothing. expired: the link has.
	Look(ctx context.Context, token string) (form *onramp.Form, result onramp.ConfirmResult, expired bool, err error)
	Confirm(ctx context.Context, token, ip string) (form *onramp.Form, result onramp.ConfirmResult, err error)
	// SendAgain asks once more, if there is anything to ask, and does not say so.
	SendAgain(ctx context.Context, token, ip string) (form *onramp.Form, err error)
}

// maxConfirm bounds the body of a confirmation, which says only what is to be done.
const maxConfirm = 1 << 10

func (p *Pages) confirmRoutes(mux *http.ServeMux) {
	protection := http.NewCrossOriginProtection()
	if p.Origin != "" {
		_ = protection.AddTrustedOrigin(p.Origin) // the configuration has checked it
	}
	protection.SetDenyHandler(p.Server.Handle(func(http.ResponseWriter, *http.Request) error {
		return &onramp.Error{Kind: onramp.Forbidden, Message: "a confirmation can't be posted from another page"}
	}))
	mux.Handle("GET /confirm/{token}", p.Server.Handle(p.lookAtLink))
	mux.Handle("POST /confirm/{token}", ownOrigin(protection.Handler(p.Server.Handle(p.useLink))))
	mux.Handle("GET /f/confirm.js", p.Server.Handle(file("confirm.js", "text/javascript; charset=utf-8")))
}

// ownOrigin lets posts pass of browsers that know no Sec-Fetch-Site: our Referrer-Policy has
// them send "null" for the origin of our own page, and the token is what nobody else has.
func ownOrigin(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") == "null" && r.Header.Get("Sec-Fetch-Site") == "" {
			r.Header.Del("Origin")
		}
		h.ServeHTTP(w, r)
	})
}

// linkView is what a visitor sees of a link.
type linkView struct {
	*view
	Waits    bool
	Said     said
	Register string // address of the form; "": there is none
}

// said is what the page says, and what it offers.
type said struct {
	Key   string // of the text
	Good  bool
	Again bool // to send another link
}

var (
	saidWaits  = said{Key: "confirm_text"}
	saidDone   = said{Key: "confirm_done", Good: true}
	saidGone   = said{Key: "confirm_gone"}
	saidAgain  = said{Key: "confirm_expired", Again: true}
	saidSent   = said{Key: "confirm_sent", Good: true}
	saidFailed = said{Key: "confirm_failed"}
)

// lookAtLink shows the page of a link. It changes nothing: programs look at links, too.
func (p *Pages) lookAtLink(w http.ResponseWriter, r *http.Request) error {
	form, result, expired, err := p.Confirm.Look(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	if r.URL.Query().Has("sent") {
		return p.writeLink(w, r, http.StatusOK, form, saidSent)
	}
	switch {
	case result == onramp.LinkWaits:
		return p.writeLink(w, r, http.StatusOK, form, saidWaits)
	case result == onramp.LinkConfirmed && form.DoubleOptIn != nil && form.DoubleOptIn.SuccessURL != "":
		http.Redirect(w, r, form.DoubleOptIn.SuccessURL, http.StatusSeeOther)
		return nil
	case result == onramp.LinkConfirmed:
		return p.writeLink(w, r, http.StatusOK, form, saidDone)
	case expired:
		return p.writeLink(w, r, http.StatusGone, form, saidAgain)
	}
	return p.writeLink(w, r, http.StatusGone, form, saidGone)
}

// useLink confirms, or asks once more. What came of it, the page says that the browser is
// sent to, so that a reload does nothing.
func (p *Pages) useLink(w http.ResponseWriter, r *http.Request) error {
	var body bytes.Buffer
	if err := web.ReadBody(r, &body, maxConfirm); err != nil {
		return err
	}
	values, _ := url.ParseQuery(body.String()) // what can't be read asks for nothing
	token, ip := r.PathValue("token"), web.IP(r.Context())
	here := "/confirm/" + url.PathEscape(token)
	form, err := (*onramp.Form)(nil), error(nil)
	switch values.Get("do") {
	case "confirm":
		form, _, err = p.Confirm.Confirm(r.Context(), token, ip)
	case "again":
		form, err = p.Confirm.SendAgain(r.Context(), token, ip)
		here += "?sent"
	default:
		return &onramp.Error{Kind: onramp.Malformed, Message: "do must be confirm or again"}
	}
	switch {
	case err != nil && form != nil && web.WantsPage(r):
		web.PrepareError(w, web.PublicError(err))
		if writeErr := p.writeLink(w, r, web.Status(web.PublicError(err).Kind), form, saidFailed); writeErr != nil {
			return writeErr
		}
		return err
	case err != nil:
		return err
	case form == nil:
		return p.writeLink(w, r, http.StatusGone, nil, saidGone)
	}
	http.Redirect(w, r, here, http.StatusSeeOther)
	return nil
}

// writeLink writes the page of a link; of a token that is none of ours no form is known.
func (p *Pages) writeLink(w http.ResponseWriter, r *http.Request, status int, form *onramp.Form, s said) error {
	page := p.strangers
	if form != nil && p.forms[form.Name] != nil {
		page = p.forms[form.Name]
		web.Annotate(w, web.Note{Form: form.Name})
	}
	v := linkView{view: page.view(r), Waits: s == saidWaits, Said: s}
	if page == p.strangers {
		v.Heading = v.Text("confirm_heading")
	} else if s == saidGone || s == saidAgain {
		v.Register = v.Again()
	}
	v.Title = texts.Fill(v.Text("confirm_title"), "title", v.Heading)
	var body bytes.Buffer
	if err := p.template.ExecuteTemplate(&body, "confirmation", v); err != nil {
		return fmt.Errorf("render confirmation: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", linkPolicy(page))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that has gone away is nobody's error
	return nil
}

// linkPolicy is that of the form's page, but nobody may frame it, and its form goes to ourselves
// alone, and from there to where whoever has confirmed is sent.
func linkPolicy(p *page) string {
	head, _, _ := strings.Cut(p.policy, "form-action")
	action := "'self'"
	if o := p.form.DoubleOptIn; o != nil && originOf(o.SuccessURL) != "" {
		action += " " + originOf(o.SuccessURL)
	}
	return head + "form-action " + action + "; base-uri 'none'; frame-ancestors 'none'"
}
