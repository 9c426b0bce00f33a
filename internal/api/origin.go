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
	"onramp/internal/origin"
)

// allowedHeaders are those that scripts may send to every form: what the API reads, what
// HTTP clients add by themselves, and how traces are passed on.
var allowedHeaders = []string{
	"Accept", "Accept-Language", "Content-Type", "Content-Language", "Content-Encoding", "Idempotency-Key", "Prefer",
	"X-Requested-With", "Cache-Control", "Pragma", "If-None-Match", "X-Request-Id", "X-Correlation-Id",
	"Traceparent", "Tracestate", "Baggage", "Sentry-Trace", "B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Flags",
	"X-Datadog-Trace-Id", "X-Datadog-Parent-Id", "X-Datadog-Origin", "X-Datadog-Sampling-Priority", "X-Datadog-Tags",
	"Newrelic", "Request-Id", "Request-Context", "Elastic-Apm-Traceparent", "Uber-Trace-Id", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context",
}

// pages say which pages may use a route from a script.
type pages struct {
	of   map[string]*cors.Cors // those that may submit a form
	all  *cors.Cors            // those that may submit one or another
	none *cors.Cors
}

func (p *Public) newPages() *pages {
	pages := &pages{of: make(map[string]*cors.Cors, len(p.Forms)), none: newPolicy(nil, func(*http.Request, string) bool { return false })}
	headers := []string{}
	for name, form := range p.Forms {
		headers = append(headers, form.AllowedHeaders...)
		pages.of[name] = newPolicy(form.AllowedHeaders, func(r *http.Request, origin string) bool {
			allowed := p.mayUse(form, r, origin)
			if r.Method == http.MethodOptions {
				p.Server.Log.DebugContext(r.Context(), "preflight", "form", name, "origin", printable(origin), "allowed", allowed)
			}
			return allowed
		})
	}
	pages.all = newPolicy(headers, func(r *http.Request, origin string) bool {
		for _, form := range p.Forms {
			if p.mayUse(form, r, origin) {
				return true
			}
		}
		return false
	})
	return pages
}

func newPolicy(headers []string, allows func(r *http.Request, origin string) bool) *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, origin string) (bool, []string) {
			return len(r.Header["Origin"]) == 1 && allows(r, origin), nil
		},
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: slices.Concat(allowedHeaders, headers),
		ExposedHeaders: []string{"Location", "Preference-Applied", "Retry-After"},
		MaxAge:         600,
	})
}

// mayUse says whether the scripts of a page may use a form's routes.
func (p *Public) mayUse(form *onramp.Form, r *http.Request, origin string) bool {
	return form.Origins != nil && p.allows(form, origin, r.Host)
}

// allow lets the pages of a form use its routes.
func (s *pages) allow(h http.Handler) http.Handler {
	of := make(map[string]http.Handler, len(s.of))
	for name, policy := range s.of {
		of[name] = policy.Handler(h)
	}
	none := s.none.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/forms/"), "/")
		if handler := of[name]; handler != nil {
			handler.ServeHTTP(w, r)
			return
		}
		none.ServeHTTP(w, r)
	})
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
	for _, from := range r.Header.Values("Origin") {
		if from != "" && !p.allows(form, from, r.Host) {
			return elsewhere(form, printable(from))
		}
		said = said || from != ""
	}
	if said || slices.Contains(form.Origins, origin.Any) {
		return nil
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return elsewhere(form, "a page of another site")
		}
	}
	return nil
}

// allows says whether the pages of an origin may submit a form. host is what the
// request was sent to.
func (p *Public) allows(form *onramp.Form, from, host string) bool {
	return origin.Allowed(form.Origins, from) || p.isOwn(from, host)
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
