package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	rnd "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"onramp/internal/bench"
	"onramp/internal/onramp"
	"onramp/internal/sandbox"
	"onramp/internal/web"
)

const (
	hookBatch = 100 // events in a call to the webhook
	hookFails = 20  // one call out of so many fails
	hookDelay = 300 * time.Millisecond
)

// hook is the system that events go on to. It drops what it has, by the event's id, as consumers
// should, and fails at random until it is mended.
type hook struct {
	listener *web.Listener

	mu       sync.Mutex
	random   *rnd.Rand
	mended   bool
	received int64
	ids      map[string]int64 // by id: the event's number
}

func startHook(ctx context.Context, seed uint64) (_ *hook, err error) {
	h := &hook{random: rnd.New(rnd.NewPCG(seed, 1)), ids: map[string]int64{}}
	if h.listener, err = web.Listen(ctx, anyPort, http.HandlerFunc(h.take)); err != nil {
		return nil, err
	}
	go func() { _ = h.listener.Serve() }() // until it is closed
	return h, nil
}

func (h *hook) url() string { return h.listener.URL() }

func (h *hook) close() { _ = h.listener.Close() } // it keeps nothing

func (h *hook) mend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mended = true
}

// take takes a call. One that fails may fail before or after its events were taken.
func (h *hook) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch fault := h.fault(); fault {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case 1:
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case 2:
		panic(http.ErrAbortHandler) // the connection is closed
	case 3:
		if h.keep(body) == nil {
			panic(http.ErrAbortHandler)
		}
	case 4:
		wait(r.Context(), time.Now().Add(hookDelay))
	}
	if err := h.keep(body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// fault is the number of what goes wrong with a call, mostly none.
func (h *hook) fault() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mended {
		return -1
	}
	return h.random.IntN(5 * hookFails)
}

// keep notes the events of a call: an array of CloudEvents, or one.
func (h *hook) keep(body []byte) error {
	type event struct {
		ID   string
		Data struct{ Composite struct{ SubscriberID string } }
	}
	var events []event
	if err := json.Unmarshal(body, &events); err != nil {
		events = make([]event, 1)
		if err := json.Unmarshal(body, &events[0]); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		n, err := strconv.ParseInt(e.Data.Composite.SubscriberID, 10, 64)
		if err != nil {
			return fmt.Errorf("an event without its number: %w", err)
		}
		h.received++
		h.ids[e.ID] = n
	}
	return nil
}

// count compares what came with the numbers that were sent, up to the one before end.
func (h *hook) count(into *bench.SoakEvents, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	into.Received, into.Forwarded = h.received, int64(len(h.ids))
	times := map[int64]int{}
	for _, n := range h.ids {
		times[n]++
	}
	for n := int64(bench.FirstEvent); n < end; n++ {
		switch times[n] {
		case 0:
			into.Missing++
		case 1:
		default:
			into.Doubled++
		}
	}
}

// soakNumber is the number of a person, by the address; false: nobody's.
func soakNumber(address string) (int64, bool) {
	text, ours := strings.CutPrefix(strings.ToLower(address), "soak-")
	text, at := strings.CutSuffix(text, "@example.org")
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ours && at && err == nil
}

// countRows reads the rows of the sandbox as any client of Marketing Cloud may.
func (k *soak) countRows(ctx context.Context) error {
	client, err := k.authorized(ctx)
	if err != nil {
		return err
	}
	g := &k.report.Registrations
	found := map[int64]bool{}
	for page := 1; ; page++ {
		var rows struct {
			Items []struct{ Keys map[string]string }
		}
		path := fmt.Sprintf("/data/v1/customobjectdata/key/%s/rowset?$page=%d&$pagesize=2500", sandbox.RegistrationsKey, page)
		if err := client.Call(ctx, http.MethodGet, path, nil, &rows); err != nil {
			return fmt.Errorf("read the rows: %w", err)
		}
		if len(rows.Items) == 0 {
			break
		}
		for _, row := range rows.Items {
			g.Rows++
			n, ours := soakNumber(row.Keys["subscriberkey"])
			if !ours || n >= g.Sent || isPlanted(n) || found[n] {
				g.Wrong++
			}
			found[n] = true
		}
	}
	for n := range g.Sent {
		if !found[n] && !isPlanted(n) {
			g.Missing++
		}
	}
	return nil
}

// authorized is a client of the sandbox with a token.
func (k *soak) authorized(ctx context.Context) (*web.Client, error) {
	client := &web.Client{Base: k.sandbox.url}
	credentials := map[string]string{
		"grant_type": "client_credentials", "client_id": sandbox.ClientID, "client_secret": sandbox.ClientSecret, "account_id": sandbox.AccountID,
	}
	var token struct {
		AccessToken onramp.Secret `json:"access_token"`
	}
	if err := client.Call(ctx, http.MethodPost, tokenPath, credentials, &token); err != nil {
		return nil, fmt.Errorf("fetch token to count rows: %w", err)
	}
	client.Token = token.AccessToken
	return client, nil
}

// countDead looks whether only what was planted is dead.
func (k *soak) countDead(ctx context.Context) error {
	admin := web.Client{Base: k.gateway.admin}
	query := url.Values{"state": {"dead"}, "limit": {"500"}}
	for {
		var page struct {
			Items []struct {
				SubscriberKey string `json:"subscriber_key"`
			}
			Next string
		}
		if err := admin.Call(ctx, http.MethodGet, "/api/deliveries?"+query.Encode(), nil, &page); err != nil {
			return fmt.Errorf("list what is dead: %w", err)
		}
		for _, d := range page.Items {
			if n, ours := soakNumber(d.SubscriberKey); !ours || !isPlanted(n) {
				k.report.Registrations.Wrong++
			}
		}
		if page.Next == "" {
			return nil
		}
		query.Set("cursor", page.Next)
	}
}
