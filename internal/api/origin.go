package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rs/cors"

	"onramp/internal/onramp"
)

// crossOrigin lets the pages that may submit a form use its routes from a script.
func (p *Public) crossOrigin() func(http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, origin string) (allowed bool, vary []string) {
			name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/forms/"), "/")
			form := p.Forms[name]
			return form != nil && form.Origins != nil && len(r.Header["Origin"]) == 1 && p.allows(form, origin, r.Host), nil
		},
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"Content-Type", "Idempotency-Key", "Prefer"},
		ExposedHeaders: []string{"Retry-After"},
		MaxAge:         600,
	}).Handler
}

// checkOrigin refuses a request that says it comes from a page that may not submit
// the form. A program that says nothing goes on. Referer doesn't count: browsers
// send Origin with every POST, and a site's server passes its visitor's Referer on
// as the page's URL.
func (p *Public) checkOrigin(form *onramp.Form, r *http.Request) error {
	if form.Origins == nil {
		return nil
	}
	said := false
	for _, origin := range r.Header.Values("Origin") {
		if origin != "" && !p.allows(form, origin, r.Host) {
			return elsewhere(form, printable(origin))
		}
		said = said || origin != ""
	}
	if said || slices.Contains(form.Origins, anyOrigin) {
		return nil
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return elsewhere(form, "a page of another site")
		}
	}
	return nil
}

const anyOrigin = "*"

// allows says whether the pages of an origin may submit a form. host is what the
// request was sent to.
func (p *Public) allows(form *onramp.Form, origin, host string) bool {
	return slices.ContainsFunc(form.Origins, func(o string) bool {
		return o == anyOrigin || strings.EqualFold(o, origin)
	}) || p.isOwn(origin, host)
}

// isOwn says whether an origin is that of the hosted forms: of the public URL, or of
// the address that the request came to. A name that it came to proves nothing: a
// stranger can have one lead here for a moment (DNS rebinding).
func (p *Public) isOwn(origin, host string) bool {
	u, ok := onramp.ParseWebURL(origin)
	if !ok {
		return false
	}
	_, err := netip.ParseAddr(u.Hostname())
	if strings.EqualFold(u.Host, host) && (err == nil || strings.EqualFold(u.Hostname(), "localhost")) {
		return true
	}
	own, ok := onramp.ParseWebURL(p.BaseURL)
	return ok && u.Scheme == own.Scheme && port(u) == port(own) && strings.EqualFold(u.Hostname(), own.Hostname())
}

func port(u *url.URL) string {
	if u.Port() == "" {
		return map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Port()
}

// wellFormed is an origin that holds nothing but a host: what else a stranger puts
// there is not for the log.
var wellFormed = regexp.MustCompile(`^(null|https?://[a-zA-Z0-9.:\[\]-]{1,100})$`)

func printable(origin string) string {
	if wellFormed.MatchString(origin) {
		return origin
	}
	return "an origin that is none"
}

// elsewhere is the refusal of a request from elsewhere; from is for the operator.
func elsewhere(form *onramp.Form, from string) error {
	hint := "if its pages may submit the form, add it to the form's origins"
	switch from {
	case "null":
		hint = "the page hides its origin, by Referrer-Policy: no-referrer or in a sandboxed frame"
	default:
		hint += "; if it is Onramp's own address, set public.url"
	}
	return &onramp.Error{
		Kind: onramp.Forbidden, Message: "this form does not accept registrations from that page",
		Err: fmt.Errorf("form %s, sent from %s: %s", form.Name, from, hint),
	}
}
