package setup_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/sfmc"
)

// world is a Marketing Cloud, and a gateway with its database. The gateway can be
// killed at any point: before and after each change on either side.
type world struct {
	t       *testing.T
	cloud   *cloud
	account *sfmc.Client // of the cloud by default
	gateway *httptest.Server
	hook    http.HandlerFunc // answers a probe instead of the gateway
	now     time.Time

	// what the gateway is configured with
	publicURL string
	callbacks []onramp.Callback
	clients   []onramp.TokenClient
	users     []onramp.TokenUser
	refused   map[onramp.Refusal]int64
	spoiled   []onramp.Unreadable

	mu      sync.Mutex // guards what follows, which is the database
	schemes map[string]onramp.Scheme
	records map[string]onramp.CallbackRecord
	probes  []onramp.Probe
	stored  []onramp.TokenClient
	events  map[string]time.Time
	broken  error // of the next reading

	points int // passed in this life
	end    int // at which it dies; 0: it lives on
	dead   bool
	kill   func()
}

func newWorld(t *testing.T, callbacks ...onramp.Callback) *world {
	t.Helper()
	w := &world{
		t: t, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), callbacks: callbacks,
		clients: []onramp.TokenClient{{ID: "mc-ens", Secrets: []onramp.Secret{"secret-one"}}},
		users:   []onramp.TokenUser{{Name: "robot", Passwords: []onramp.Secret{"password-one"}}},
		schemes: map[string]onramp.Scheme{}, records: map[string]onramp.CallbackRecord{}, events: map[string]time.Time{}, kill: func() {},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", w.giveToken)
	mux.HandleFunc("POST /ens/{callback}", w.takeProbe)
	w.gateway = httptest.NewServer(mux)
	t.Cleanup(w.gateway.Close)
	w.publicURL = w.gateway.URL
	w.cloud = newCloud(t, w)
	w.account = w.cloud.client
	return w
}

// setup is a new process of the gateway over the database that there is.
func (w *world) setup() *setup.Setup {
	w.t.Helper()
	return setup.New(setup.Config{
		PublicURL: w.publicURL + "/", Callbacks: w.callbacks, Clients: w.clients, Users: w.users,
		Account: w.account, Schemes: w, Records: w, StoredClients: w, Arrivals: w,
		Changed:    func(context.Context) error { return w.point("reload") },
		Unreadable: func(context.Context) ([]onramp.Unreadable, error) { return w.spoiled, nil },
		Refusals:   func(string) map[onramp.Refusal]int64 { return w.refused },
		Log:        slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now },
	})
}

// live runs one life of the gateway that ends at a point; 0: at none. It says
// whether it died.
func (w *world) live(end int, work func(context.Context, *setup.Setup) error) (died bool, err error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.mu.Lock()
	w.points, w.end, w.dead, w.kill = 0, end, false, cancel
	w.mu.Unlock()
	err = work(ctx, w.setup())
	w.mu.Lock()
	defer w.mu.Unlock()
	died, w.dead, w.end = w.dead, false, 0
	return died, err
}

var errKilled = errors.New("killed")

// point passes a point at which the gateway may be killed, and fails if it is dead.
func (w *world) point(string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.points++; w.points == w.end {
		w.dead = true
		w.kill()
	}
	if w.dead {
		return errKilled
	}
	return nil
}

// write changes the database between two points.
func (w *world) write(change func()) error {
	if err := w.point("before"); err != nil {
		return err
	}
	w.mu.Lock()
	change()
	w.mu.Unlock()
	return w.point("after")
}

func (w *world) SaveScheme(_ context.Context, s onramp.Scheme) error {
	return w.write(func() { w.schemes[s.Name] = s })
}

func (w *world) DeleteScheme(_ context.Context, name string) error {
	return w.write(func() { delete(w.schemes, name) })
}

func (w *world) SaveCallbackRecord(_ context.Context, r onramp.CallbackRecord) error {
	return w.write(func() { w.records[r.Name] = r })
}

func (w *world) DeleteCallbackRecord(_ context.Context, name string) error {
	return w.write(func() { delete(w.records, name) })
}

func (w *world) ListSchemes(context.Context) ([]onramp.Scheme, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return values(w.schemes), w.broken
}

func (w *world) ListCallbackRecords(context.Context) ([]onramp.CallbackRecord, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return values(w.records), nil
}

func (w *world) ListProbes(_ context.Context, callback string) (list []onramp.Probe, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range slices.Backward(w.probes) {
		if p.Callback == callback {
			list = append(list, p)
		}
	}
	return list, nil
}

func (w *world) ExpectProbes(context.Context, string) {}

// SaveProbe has nothing to do: all probes are in the database.
func (w *world) SaveProbe(context.Context, onramp.Probe) error { return w.point("probe") }

func (w *world) LastEvent(_ context.Context, callback string) (time.Time, error) {
	return w.events[callback], nil
}

func (w *world) ListTokenClients(context.Context) ([]onramp.TokenClient, error) { return w.stored, nil }

func values[T any](m map[string]T) []T {
	var list []T
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

func has(secrets []onramp.Secret, secret string) bool {
	return slices.ContainsFunc(secrets, func(s onramp.Secret) bool { return s.Reveal() == secret })
}

// giveToken is the gateway's token endpoint.
func (w *world) giveToken(rw http.ResponseWriter, r *http.Request) {
	if w.point("token") != nil {
		panic(http.ErrAbortHandler)
	}
	id, secret, _ := r.BasicAuth()
	ok := slices.ContainsFunc(slices.Concat(w.clients, w.stored), func(c onramp.TokenClient) bool { return c.ID == id && has(c.Secrets, secret) })
	if r.FormValue("grant_type") == "password" {
		ok = ok && slices.ContainsFunc(w.users, func(u onramp.TokenUser) bool {
			return u.Name == r.FormValue("username") && has(u.Passwords, r.FormValue("password"))
		})
	}
	if !ok {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	writeJSON(rw, 200, map[string]string{"access_token": "token-of-" + id + r.FormValue("username")})
}

// takeProbe is the gateway's receiver, for probes only.
func (w *world) takeProbe(rw http.ResponseWriter, r *http.Request) {
	if w.hook != nil {
		w.hook(rw, r)
		return
	}
	name := r.PathValue("callback")
	i := slices.IndexFunc(w.callbacks, func(c onramp.Callback) bool { return c.Name == name })
	if i < 0 {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	c := w.callbacks[i]
	if c.Client == "" && len(w.stored) == 1 { // then any that is stored will do
		c.Client = w.stored[0].ID
	}
	if c.Auth != onramp.SignatureOnly && r.Header.Get("Authorization") != "Bearer token-of-"+c.Client+c.User {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	var sent struct{ CallbackID, VerificationKey string }
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		w.t.Error(err)
	}
	if w.write(func() {
		w.probes = append(w.probes, onramp.Probe{Callback: name, CallbackID: sent.CallbackID, VerificationKey: onramp.Secret(sent.VerificationKey), ReceivedAt: w.now})
	}) != nil {
		panic(http.ErrAbortHandler)
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// state lists what there is on both sides, without the ids.
func (w *world) state() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	c := w.cloud
	var lines []string
	for _, s := range c.schemes {
		lines = append(lines, fmt.Sprintf("scheme %s %v %v %v %v at %s, stored as %q", s.text("grantType"), (*s)["_clientId"], (*s)["_clientSecret"],
			cmp.Or[any]((*s)["_username"], "-"), cmp.Or[any]((*s)["_password"], "-"), strings.Replace(s.text("authEndpoint"), w.gateway.URL, "GATEWAY", 1), w.schemeName(s.text("authId"))))
	}
	for _, o := range c.callbacks {
		r := w.records[recordOf(w.records, o.text("callbackId"))]
		good := len(r.SignatureKeys) > 0 && r.SignatureKeys[0].Reveal() == o.text("_key")
		lines = append(lines, fmt.Sprintf("callback %s %s max %v scheme %q %s, stored as %q with key %t scheme %q max %d verified %t at %s", o.text("callbackName"),
			strings.Replace(o.text("url"), w.gateway.URL, "GATEWAY", 1), (*o)["maxBatchSize"], w.schemeName(o.text("authId")), o.text("status"),
			r.Name, good, w.schemeName(r.AuthID), r.MaxBatch, r.Verified, strings.Replace(r.URL, w.gateway.URL, "GATEWAY", 1)))
	}
	for _, s := range c.subscriptions {
		lines = append(lines, fmt.Sprintf("subscription %s of %s %v %v %s", s.text("subscriptionName"),
			byID(c.callbacks, "callbackId", s.text("callbackId")).text("callbackName"), (*s)["eventCategoryTypes"], (*s)["filters"], s.text("status")))
	}
	for name, s := range w.schemes {
		if byID(c.schemes, "authId", s.AuthID) == nil {
			lines = append(lines, "stored scheme "+name+" is nowhere")
		}
	}
	for name, r := range w.records {
		if byID(c.callbacks, "callbackId", r.CallbackID) == nil {
			lines = append(lines, "stored callback "+name+" is nowhere")
		}
	}
	slices.Sort(lines)
	return lines
}

func (w *world) schemeName(authID string) string {
	for name, s := range w.schemes {
		if s.AuthID == authID {
			return name
		}
	}
	return ""
}

func recordOf(records map[string]onramp.CallbackRecord, id string) string {
	for name, r := range records {
		if r.CallbackID == id {
			return name
		}
	}
	return ""
}
