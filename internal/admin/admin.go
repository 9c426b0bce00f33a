// Package admin is the admin API: the operator's Desk as JSON, behind the admin
// token. It decodes a request, has the Desk carry it out, and encodes the answer.
package admin

import (
	"context"
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
	for pattern, h := range a.routes() {
		mux.Handle(pattern, a.Server.Handle(a.authenticated(h)))
	}
	if a.Metrics != nil {
		mux.Handle("GET /metrics", a.Server.Handle(a.metrics))
	}
}

func (a *Admin) routes() map[string]web.HandlerFunc {
	desk := a.Desk
	return map[string]web.HandlerFunc{
		"GET /api/status":                      answer(desk.Status),
		"GET /api/registrations":               a.listRegistrations,
		"GET /api/registrations/{id}":          answerOne(desk.FindRegistration),
		"GET /api/registrations/{id}/timeline": answerOne(desk.Timeline),
		"POST /api/registrations/{id}/resend":  a.resendRegistration,
		"GET /api/deliveries":                  a.listDeliveries,
		"GET /api/deliveries/{id}":             answerOne(desk.FindDelivery),
		"GET /api/causes":                      a.listCauses,
		"GET /api/destinations":                a.listDestinations,
		"POST /api/destinations/{name}/pause":  a.pauseDestination,
		"POST /api/destinations/{name}/resume": a.resumeDestination,
		"POST /api/deliveries/{id}/retry":      a.retryDelivery,
		"POST /api/deliveries/{id}/edit":       a.editDelivery,
		"POST /api/deliveries/{id}/discard":    a.discardDelivery,
		"POST /api/deliveries/retry":           answerTo(desk.RetryDeliveries, `{"cause":"1e48f7c5"}`),
		"POST /api/deliveries/discard":         answerTo(desk.DiscardDeliveries, `{"cause":"1e48f7c5","reason":"a test","all":true}`),
		"POST /api/deliveries/move":            answerTo(desk.MoveDeliveries, `{"from":"data_extension:Old","to":"data_extension:New","dry_run":true}`),
		"GET /api/events":                      a.listEvents,
		"GET /api/events/{id}":                 answerOne(desk.FindEvent),
		"GET /api/resends":                     answer(desk.Resends.List),
		"GET /api/resends/{id}":                answerOne(desk.Resends.Find),
		"POST /api/resends":                    answerTo(desk.Resends.Start, exampleResend),
		"POST /api/resends/plan":               answerTo(desk.Resends.Plan, exampleResend),
		"POST /api/resends/{id}/cancel":        answerOne(desk.Resends.Cancel),
		"GET /api/ens":                         answer(desk.SetupStatus),
		"POST /api/ens/plan":                   answerTo(desk.PlanSetup, `{"prune":true}, or {"remove":true,"callbacks":["events"]}`),
		"POST /api/ens/setup":                  answerTo(desk.ApplySetup, `{"prune":true}`),
		"POST /api/ens/remove":                 answerTo(desk.RemoveSetup, `{"callbacks":["events"]}`),
		"GET /api/clients":                     answer(desk.ListClients),
		"POST /api/clients":                    a.makeClient,
		"POST /api/clients/{id}/retire":        answerOne(desk.RetireSecret),
		"DELETE /api/clients/{id}":             answerOne(desk.RemoveClient),
	}
}

const exampleResend = `{"kind":"events","filter":{"sink":"crm","since":"2026-06-01T00:00:00Z"}}`

// answer makes a handler that answers with what the Desk returns.
func answer[V any](ask func(context.Context) (V, error)) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := ask(r.Context())
		return write(w, v, err)
	}
}

// answerOne does so for the id in the path.
func answerOne[V any](ask func(ctx context.Context, id string) (V, error)) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := ask(r.Context(), r.PathValue("id"))
		return write(w, v, err)
	}
}

// answerTo does so for a body, of which example is one.
func answerTo[B, V any](ask func(context.Context, B) (V, error), example string) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		var body B
		if err := readJSON(r, &body, example); err != nil {
			return err
		}
		v, err := ask(r.Context(), body)
		return write(w, v, err)
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
