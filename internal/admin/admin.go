// Package admin is the admin API: the operator's Desk as JSON, behind the admin
// token. It decodes a request, has the Desk carry it out, and encodes the answer.
package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/web"
)

// Admin is the admin API.
type Admin struct {
	Desk   *operator.Desk
	Server *web.Server
	Token  onramp.Secret // that requests must bring; "": the API is closed
	Open   bool          // no token is asked for, but only loopback is answered: for the demo

	// Metrics answers GET /metrics. This machine needs no token for it; nil: there are none.
	Metrics http.Handler

	tries *tries
}

// Routes adds the admin routes to a mux.
func (a *Admin) Routes(mux *http.ServeMux) {
	a.tries = newTries()
	for _, route := range a.routes() {
		mux.Handle(route.Pattern, a.Server.Handle(a.authenticated(route.serve)))
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

// authenticated lets only operators through.
func (a *Admin) authenticated(h web.HandlerFunc) web.HandlerFunc {
	want := sha256.Sum256([]byte(a.Token.Reveal()))
	bring := &onramp.Error{Kind: onramp.Denied, Message: "the admin token is missing or wrong: onramp takes it from admin.token or ONRAMP_ADMIN_TOKEN, other clients send Authorization: Bearer TOKEN"}
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store") // most answers hold personal data
		if a.Open {
			// a page elsewhere that has its name point here is kept out by the Host header
			if !isLoopback(r.Host) {
				return &onramp.Error{Kind: onramp.Denied, Message: "the demo's admin API is available on loopback only"}
			}
			return h(w, r)
		}
		if a.Token == "" {
			return &onramp.Error{Kind: onramp.Denied, Message: "the admin API is closed: set admin.token in the configuration"}
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		switch {
		case !strings.EqualFold(scheme, "Bearer"):
			return bring
		case subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			return a.refuse(w, r, bring)
		}
		return h(w, r)
	}
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
	return a.authenticated(answer)(w, r)
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
