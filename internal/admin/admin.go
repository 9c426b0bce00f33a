// Package admin is the admin API: the operator's Desk as JSON, behind the admin
// token. It decodes a request, has the Desk carry it out, and encodes the answer.
package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/web"
)

// Admin is the admin API.
type Admin struct {
	Desk   *operator.Desk
	Server *web.Server
	Tokens []Token // of which requests must bring one; none: the API is closed
	Open   bool    // no token is asked for, but only loopback is answered: for the demo
	Tries  *Tries  // of tokens; nil: its own

	// Metrics answers GET /metrics. This machine needs no token for it; nil: there are none.
	Metrics http.Handler
}

// Token is what an operator or a program brings, and what it may do.
type Token struct {
	operator.Caller
	Secret onramp.Secret
}

// Routes adds the admin routes to a mux.
func (a *Admin) Routes(mux *http.ServeMux) {
	if a.Tries == nil {
		a.Tries = new(Tries)
	}
	for _, route := range a.routes() {
		mux.Handle(route.Pattern, a.Server.Handle(a.authenticated(route.Role, route.serve)))
	}
	if a.Metrics != nil {
		mux.Handle("GET /metrics", a.Server.Handle(a.metrics))
	}
}

func write(w http.ResponseWriter, v any, err error) error {
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

// demo is who works at the Desk of the demo, which asks for no token.
var demo = operator.Caller{Name: "demo", Roles: onramp.Roles()}

var (
	errBring  = &onramp.Error{Kind: onramp.Denied, Message: "the admin token is missing or wrong: onramp takes it from admin.token or ONRAMP_ADMIN_TOKEN, other clients send Authorization: Bearer TOKEN"}
	errClosed = &onramp.Error{Kind: onramp.Denied, Message: "the admin API is closed: set admin.token in the configuration"}
	errAfar   = &onramp.Error{Kind: onramp.Denied, Message: "the demo's admin API is available on loopback only"}
)

// authenticated lets only those through who have a role.
func (a *Admin) authenticated(role onramp.Role, h web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store") // most answers hold personal data
		caller, answered, err := a.identify(w, r)
		if err != nil || answered {
			return err
		}
		web.Annotate(w, web.Note{Operator: caller.Name})
		if err := caller.Require(role); err != nil {
			return err
		}
		return h(w, r.WithContext(operator.WithCaller(r.Context(), caller)))
	}
}

// identify finds out who is asking; answered says that the request was refused already.
func (a *Admin) identify(w http.ResponseWriter, r *http.Request) (caller operator.Caller, answered bool, err error) {
	switch {
	case a.Open && !isLoopback(r.Host): // a page elsewhere that has its name point here is kept out by the Host header
		return caller, false, errAfar
	case a.Open:
		return demo, false, nil
	case len(a.Tokens) == 0:
		return caller, false, errClosed
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return caller, false, errBring
	}
	network := networkOf(r)
	if a.Tries.locked(network, time.Now()) > 0 {
		wait, first := a.Tries.count(network, false, time.Now())
		return caller, true, a.tooMany(w, r, wait, first)
	}
	if caller, known := a.find(strings.TrimSpace(token)); known {
		a.Tries.right(network, time.Now())
		return caller, false, nil
	}
	if wait, first := a.Tries.count(network, true, time.Now()); wait > 0 {
		return caller, true, a.tooMany(w, r, wait, first)
	}
	return caller, false, errBring
}

// find finds whose a token is. It takes the same time for all of them, whichever it is.
func (a *Admin) find(token string) (caller operator.Caller, known bool) {
	got := sha256.Sum256([]byte(token))
	for _, t := range a.Tokens {
		want := sha256.Sum256([]byte(t.Secret.Reveal()))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			caller, known = t.Caller, true
		}
	}
	return caller, known
}

// metrics answers this machine, and whoever brings the admin token. A proxy in front, which
// names whom it asks for, is not this machine.
func (a *Admin) metrics(w http.ResponseWriter, r *http.Request) error {
	answer := func(w http.ResponseWriter, r *http.Request) error {
		a.Metrics.ServeHTTP(w, r)
		return nil
	}
	forwarded := r.Header.Get("X-Forwarded-For") + r.Header.Get("Forwarded")
	if isLoopback(r.RemoteAddr) && isLoopback(r.Host) && forwarded == "" && r.Header.Get("Authorization") == "" {
		return answer(w, r)
	}
	return a.authenticated(onramp.RoleRead, answer)(w, r)
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
