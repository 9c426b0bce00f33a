package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// Reader reads what is stored, for operators.
type Reader interface {
	RegistrationReader
	DeliveryReader
	// Count returns how much there is, by state.
	Count() onramp.Counts
	// Oldest returns when the oldest registration was accepted that is still
	// to be sent to a destination; zero when there is none.
	Oldest(ctx context.Context, destination string) (time.Time, error)
}

// RegistrationReader reads registrations.
type RegistrationReader interface {
	ListRegistrations(ctx context.Context, f onramp.Filter) (page []onramp.Registration, next string, err error)
	FindRegistration(ctx context.Context, id string) (onramp.Registration, error)
	Timeline(ctx context.Context, id string) ([]onramp.TimelineItem, error)
}

// Pump is what sends at the moment.
type Pump interface {
	Health() []onramp.Health
	// Flight is DeliverySending or DeliverySubmitted while a delivery is in
	// flight, else 0.
	Flight(destination int, seq int64) onramp.DeliveryState
	Forget(seq int64)
}

// Admin is the API for operators.
type Admin struct {
	Read    Reader
	Keep    Keeper
	Pump    Pump
	Ens     EnsSetup                // optional
	Events  EventReader             // nil only where there are none: then its routes are absent
	Clients *Clients                // nil without a token endpoint
	Forms   map[string]*onramp.Form // by name, as configured
	Server  *web.Server
	Token   onramp.Secret // that requests must bring
	Open    bool          // nothing is asked for, but only loopback is answered: for the demo
}

// Routes adds the admin routes to a mux.
func (a *Admin) Routes(mux *http.ServeMux) {
	for pattern, h := range map[string]web.HandlerFunc{
		"GET /api/status":                      a.status,
		"GET /api/registrations":               a.listRegistrations,
		"GET /api/registrations/{id}":          a.findRegistration,
		"GET /api/registrations/{id}/timeline": a.timeline,
		"GET /api/deliveries":                  a.listDeliveries,
		"GET /api/deliveries/{id}":             a.findDelivery,
		"GET /api/causes":                      a.listCauses,
		"POST /api/deliveries/{id}/retry":      a.retryDelivery,
		"POST /api/deliveries/{id}/edit":       a.editDelivery,
		"POST /api/deliveries/{id}/discard":    a.discardDelivery,
		"POST /api/deliveries/retry":           a.retryDeliveries,
		"POST /api/deliveries/discard":         a.discardDeliveries,
	} {
		mux.Handle(pattern, a.Server.Handle(a.authenticated(h)))
	}
	for _, routes := range []map[string]web.HandlerFunc{a.ensRoutes(), a.eventRoutes(), a.clientRoutes()} {
		for pattern, h := range routes {
			mux.Handle(pattern, a.Server.Handle(a.authenticated(h)))
		}
	}
}

// authenticated lets only operators through.
func (a *Admin) authenticated(h web.HandlerFunc) web.HandlerFunc {
	want := sha256.Sum256([]byte(a.Token.Reveal()))
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store") // most answers hold personal data
		if a.Open {
			// a page elsewhere that has its name point here is kept out by the Host header
			if !isLoopback(r.Host) {
				return &onramp.Error{Kind: onramp.Denied, Message: "the demo's admin API answers on loopback only"}
			}
			return h(w, r)
		}
		if a.Token == "" {
			return &onramp.Error{Kind: onramp.Denied, Message: "the admin API is closed: set admin.token in the configuration"}
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return &onramp.Error{Kind: onramp.Denied, Message: "bring the admin token: Authorization: Bearer …"}
		}
		return h(w, r)
	}
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Status is the answer of /api/status.
type Status struct {
	Accepted      int64               `json:"accepted"`
	Registrations map[string]int64    `json:"registrations"` // adds up to Accepted
	Deliveries    map[string]int64    `json:"deliveries"`
	Destinations  []DestinationStatus `json:"destinations"`
	Events        EventCounts         `json:"events"`
}

// DestinationStatus is how one destination is doing.
type DestinationStatus struct {
	Name    string     `json:"name"`
	State   string     `json:"state"` // running, throttled, blocked, or unconfigured
	Reason  string     `json:"reason,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Waiting int64      `json:"waiting"` // deliveries that are still to be made
	Oldest  *time.Time `json:"oldest"`  // when the longest waiting registration was accepted
}

func (a *Admin) status(w http.ResponseWriter, r *http.Request) error {
	counts := a.Read.Count()
	s := Status{Registrations: map[string]int64{}, Deliveries: map[string]int64{}, Destinations: []DestinationStatus{}, Events: countEvents(counts)}
	for _, state := range onramp.RegistrationStates() {
		n := counts.Registrations[state]
		s.Registrations[state.String()] = n
		s.Accepted += n
	}
	for _, state := range onramp.DeliveryStates() {
		s.Deliveries[state.String()] = 0
	}
	health := map[string]onramp.Health{}
	for _, h := range a.Pump.Health() {
		health[h.Destination.Name()] = h
	}
	for name := range health {
		if counts.Deliveries[name] == nil {
			counts.Deliveries[name] = map[onramp.DeliveryState]int64{}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(counts.Deliveries)) {
		d, err := a.destination(r.Context(), name, counts.Deliveries[name], health)
		if err != nil {
			return err
		}
		s.Destinations = append(s.Destinations, d)
		for state, n := range counts.Deliveries[name] {
			s.Deliveries[state.String()] += n
		}
		pending, h := counts.Deliveries[name][onramp.DeliveryPending], health[name]
		submitted := min(int64(h.Submitted), pending)
		sending := min(int64(h.Sending), pending-submitted)
		s.Deliveries["sending"] += sending
		s.Deliveries["submitted"] += submitted
		s.Deliveries["pending"] -= sending + submitted
	}
	return web.WriteJSON(w, http.StatusOK, s)
}

func (a *Admin) destination(ctx context.Context, name string, n map[onramp.DeliveryState]int64, health map[string]onramp.Health) (DestinationStatus, error) {
	d := DestinationStatus{Name: name, State: "unconfigured", Reason: "no form's route names it any more"}
	if strings.HasPrefix(name, onramp.SinkDestination.String()+":") {
		d.Reason = "it is no longer among the sinks"
	}
	if h, ok := health[name]; ok {
		d.State, d.Reason, d.Since = h.State, h.Explain(), timePointer(h.Since)
	}
	d.Waiting = n[onramp.DeliveryPending] + n[onramp.DeliveryWaiting] + n[onramp.DeliverySubmitted]
	if d.Waiting == 0 {
		return d, nil
	}
	oldest, err := a.Read.Oldest(ctx, name)
	d.Oldest = timePointer(oldest)
	return d, err
}

// Page is the answer of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"` // cursor of the next page; empty at the end
}

// Registration is a registration as operators see it.
type Registration struct {
	ID            string          `json:"id"`
	Form          string          `json:"form"`
	Status        string          `json:"status"`
	SubscriberKey string          `json:"subscriber_key"`
	ReceivedAt    time.Time       `json:"received_at"`
	Values        json.RawMessage `json:"values"`
	Edits         []Edit          `json:"edits,omitempty"`      // not in lists
	Deliveries    []Delivery      `json:"deliveries,omitempty"` // not in lists
}

func (a *Admin) listRegistrations(w http.ResponseWriter, r *http.Request) error {
	filter, err := readFilter(r)
	if err != nil {
		return err
	}
	found, next, err := a.Read.ListRegistrations(r.Context(), filter)
	if err != nil {
		return err
	}
	page := Page[Registration]{Items: []Registration{}, Next: next}
	for i := range found {
		page.Items = append(page.Items, a.registration(&found[i]))
	}
	return web.WriteJSON(w, http.StatusOK, page)
}

func (a *Admin) registration(r *onramp.Registration) Registration {
	v := Registration{
		ID: r.ID, Form: r.Form, Status: r.State.String(), SubscriberKey: r.SubscriberKey, ReceivedAt: r.ReceivedAt, Values: r.Values,
		Edits: edits(r.Edits),
	}
	for i := range r.Deliveries {
		v.Deliveries = append(v.Deliveries, a.delivery(&r.Deliveries[i]))
	}
	return v
}

func (a *Admin) findRegistration(w http.ResponseWriter, r *http.Request) error {
	found, err := a.Read.FindRegistration(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a.registration(&found))
}

func (a *Admin) timeline(w http.ResponseWriter, r *http.Request) error {
	items, err := a.Read.Timeline(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, map[string]any{"items": items})
}

// readFilter reads ?state=&form=&q=&cause=&cursor=&limit=.
func readFilter(r *http.Request) (onramp.Filter, error) {
	q := r.URL.Query()
	f := onramp.Filter{State: q.Get("state"), Form: q.Get("form"), Query: q.Get("q"), Cause: q.Get("cause"), Cursor: q.Get("cursor")}
	var err error
	f.Limit, err = readLimit(q)
	return f, err
}

// readLimit reads the limit of a list, 0 when none is given.
func readLimit(q url.Values) (int, error) {
	limit := q.Get("limit")
	if limit == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 1 || n > 500 {
		return 0, malformed("limit must be a number from 1 to 500")
	}
	return n, nil
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
