package sink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// posted is what an endpoint got.
type posted struct {
	Method, Path, Type, ID, Agent, Key, Host, Body string
	Verified                                       []bool // by secret A, by secret B
}

// endpoint answers by a function, and keeps what it got.
func endpoint(t *testing.T, answer http.HandlerFunc) (address string, got chan posted) {
	t.Helper()
	got = make(chan posted, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p := posted{
			Method: r.Method, Path: r.URL.RequestURI(), Type: r.Header.Get("Content-Type"), ID: r.Header.Get("webhook-id"),
			Agent: r.Header.Get("User-Agent"), Key: r.Header.Get("X-Key"), Host: r.Host, Body: string(body),
		}
		for _, secret := range []string{secretA, secretB} {
			key, err := standardwebhooks.NewWebhook(secret)
			p.Verified = append(p.Verified, err == nil && key.Verify(body, r.Header) == nil)
		}
		got <- p
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func taken(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }

var accepted = onramp.Outcome{Verdict: onramp.Delivered, Status: http.StatusAccepted, Detail: "202 Accepted"}

// An event is one signed request, a batch too.
func TestWebhook(t *testing.T) {
	t.Parallel()
	address, got := endpoint(t, taken)
	hook := func(headers map[string]onramp.Secret, secrets ...onramp.Secret) *onramp.Webhook {
		return &onramp.Webhook{URL: address + "/in?a=b", Secrets: secrets, Headers: headers}
	}
	one := posted{
		Method: "POST", Path: "/in?a=b", Type: "application/cloudevents+json", ID: event(1).ID, Agent: "Onramp",
		Host: strings.TrimPrefix(address, "http://"), Body: wrapped(1), Verified: []bool{true, false},
	}
	rotating, custom, batch, single := one, one, one, one
	rotating.Verified = []bool{true, true}
	custom.Key, custom.Agent, custom.Host = "k", "us", "events.internal"
	batch.Type, batch.ID, batch.Body = "application/cloudevents-batch+json", "batch_a293ddbebb9db7ceb377550d9329266a", "["+wrapped(1)+","+wrapped(2)+"]"
	single.Type, single.ID, single.Body = batch.Type, "batch_51945d464bfd1145cd43e320ba071380", "["+wrapped(1)+"]"
	for _, c := range []struct {
		name   string
		sink   onramp.Sink
		events int
		want   posted
	}{
		{"one", onramp.Sink{Webhook: hook(nil, secretA)}, 1, one},
		{"secrets rotate", onramp.Sink{Webhook: hook(nil, secretB, secretA)}, 1, rotating},
		{"headers", onramp.Sink{Webhook: hook(map[string]onramp.Secret{
			"x-key": "k", "user-agent": "us", "host": "events.internal", "content-type": "text/plain", "webhook-id": "mine",
		}, secretA)}, 1, custom},
		{"batch", onramp.Sink{Batch: 10, Webhook: hook(nil, secretA)}, 2, batch},
		{"batch of one", onramp.Sink{Batch: 10, Webhook: hook(nil, secretA)}, 1, single},
	} {
		t.Run(c.name, func(t *testing.T) { // one after the other: they share the endpoint
			checkOutcomes(t, newSender(t, sink.Config{}, c.sink).Send(t.Context(), calls(c.events)), alike(c.events, accepted))
			if diff := cmp.Diff(c.want, <-got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// The table of outcomes: every status that matters.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	const (
		redirect = "set the sink's url to the address it redirects to"
		secret   = "check the sink's headers, and that the endpoint knows its secret"
		address  = "check the sink's url, and that the endpoint accepts POST"
		form     = "make the endpoint accept the content types application/cloudevents+json and, for batches, application/cloudevents-batch+json"
		all      = "find out why the endpoint refuses requests of this kind"
		one      = "find out why the endpoint refuses this event, then retry it; the endpoint should answer 2xx to an event it already has"
		limit    = "nothing to do yet; if it lasts, raise the endpoint's capacity"
	)
	for _, c := range []struct {
		status  int
		after   string // Retry-After
		verdict onramp.Verdict
		wait    time.Duration
		late    bool
		hint    string
	}{
		{200, "", onramp.Delivered, 0, false, ""},
		{202, "5", onramp.Delivered, 0, false, ""},
		{204, "", onramp.Delivered, 0, false, ""},
		{301, "", onramp.Blocked, 0, false, redirect},
		{302, "", onramp.Blocked, 0, false, redirect},
		{304, "", onramp.Blocked, 0, false, redirect},
		{307, "", onramp.Blocked, 0, false, redirect},
		{308, "", onramp.Blocked, 0, false, redirect},
		{400, "", onramp.Rejected, 0, false, one},
		{401, "", onramp.Blocked, 0, false, secret},
		{402, "", onramp.Blocked, 0, false, all},
		{403, "", onramp.Blocked, 0, false, secret},
		{404, "", onramp.Blocked, 0, false, address},
		{405, "", onramp.Blocked, 0, false, address},
		{406, "", onramp.Blocked, 0, false, form},
		{407, "", onramp.Blocked, 0, false, secret},
		{408, "", onramp.Retry, 0, true, ""},
		{409, "", onramp.Rejected, 0, false, one},
		{410, "", onramp.Blocked, 0, false, address},
		{411, "", onramp.Blocked, 0, false, all},
		{412, "", onramp.Rejected, 0, false, one},
		{413, "", onramp.Rejected, 0, false, one},
		{414, "", onramp.Blocked, 0, false, address},
		{415, "", onramp.Blocked, 0, false, form},
		{417, "", onramp.Blocked, 0, false, all},
		{418, "", onramp.Rejected, 0, false, one},
		{421, "", onramp.Blocked, 0, false, address},
		{422, "", onramp.Rejected, 0, false, one},
		{423, "", onramp.Retry, 0, false, ""},
		{424, "", onramp.Retry, 0, false, ""},
		{425, "", onramp.Retry, 0, false, ""},
		{426, "", onramp.Blocked, 0, false, all},
		{428, "", onramp.Blocked, 0, false, all},
		{429, "", onramp.Throttled, 0, false, limit},
		{429, "7", onramp.Throttled, 7 * time.Second, false, limit},
		{429, "99999999999999999999", onramp.Throttled, 0, false, limit},
		{429, "-1", onramp.Throttled, 0, false, limit},
		{431, "", onramp.Blocked, 0, false, all},
		{451, "", onramp.Blocked, 0, false, all},
		{500, "", onramp.Retry, 0, false, ""},
		{501, "", onramp.Retry, 0, false, ""},
		{502, "", onramp.Retry, 0, false, ""},
		{503, "", onramp.Retry, 0, false, ""},
		{503, "soon", onramp.Retry, 0, false, ""},
		{503, "Fri, 31 Dec 1999 23:59:59 GMT", onramp.Retry, 0, false, ""},
		{503, "Fri, 31 Dec 2399 23:59:59 GMT", onramp.Throttled, time.Hour, false, limit},
		{503, "120", onramp.Throttled, 2 * time.Minute, false, limit},
		{503, "86400", onramp.Throttled, time.Hour, false, limit},
		{504, "", onramp.Retry, 0, true, ""},
		{599, "", onramp.Retry, 0, false, ""},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.after), func(t *testing.T) {
			t.Parallel()
			made := 0
			network := roundTrip(func(*http.Request) (*http.Response, error) {
				made++
				return &http.Response{
					StatusCode: c.status, Header: http.Header{"Retry-After": {c.after}, "Location": {"http://elsewhere.example.com"}},
					Body: io.NopCloser(strings.NewReader("why")),
				}, nil
			})
			sender := newSender(t, sink.Config{Transport: network}, onramp.Sink{
				Webhook: &onramp.Webhook{URL: "https://user:hidden@example.com/hidden?hidden=hidden", Secrets: []onramp.Secret{secretA}},
			})
			want := onramp.Outcome{
				Verdict: c.verdict, Status: c.status, Detail: strings.TrimSpace(fmt.Sprint(c.status, " ", http.StatusText(c.status))),
				Hint: c.hint, RetryAfter: c.wait, Late: c.late, Refused: c.status == 401,
			}
			if c.verdict != onramp.Delivered {
				want.Answer, want.Request = "why", "POST https://example.com\n"+wrapped(1)
			}
			checkOutcomes(t, sender.Send(t.Context(), calls(1)), []onramp.Outcome{want})
			if made != 1 {
				t.Errorf("%d requests were made", made)
			}
		})
	}
}

// A batch is halved until the events that the endpoint refuses are alone.
func TestWebhookBatchRefused(t *testing.T) {
	t.Parallel()
	down := false
	address, got := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		var events []struct{ Data struct{ N int } }
		if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
			t.Error(err)
		}
		for _, e := range events {
			switch {
			case e.Data.N == 6 && down:
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			case e.Data.N == 2 || e.Data.N == 7:
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
		}
		w.WriteHeader(http.StatusAccepted)
	})
	sender := newSender(t, sink.Config{}, onramp.Sink{Batch: 8, Webhook: &onramp.Webhook{URL: address, Secrets: []onramp.Secret{secretA}}})
	want := []string{"delivered", "rejected", "delivered", "delivered", "delivered", "delivered", "rejected", "delivered"}
	if diff := cmp.Diff(want, verdicts(sender.Send(t.Context(), calls(8)))); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if len(got) > 11 {
		t.Errorf("%d requests were made", len(got))
	}
	// trouble of the endpoint ends it: what is left shares the outcome
	down = true
	if diff := cmp.Diff([]string{"rejected", "delivered", "retry", "retry"}, verdicts(sender.Send(t.Context(), call(event(7), event(3), event(6), event(4))))); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"retry", "retry", "retry"}, verdicts(sender.Send(t.Context(), call(event(6), event(7), event(8))))); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// Several events of a call without batches go one by one, until the endpoint has
// trouble.
func TestWebhookOneByOne(t *testing.T) {
	t.Parallel()
	address, got := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("webhook-id") {
		case event(2).ID:
			w.WriteHeader(http.StatusBadRequest)
		case event(3).ID:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	sender := newSender(t, sink.Config{}, onramp.Sink{Webhook: &onramp.Webhook{URL: address, Secrets: []onramp.Secret{secretA}}})
	if diff := cmp.Diff([]string{"delivered", "rejected", "retry", "retry"}, verdicts(sender.Send(t.Context(), calls(4)))); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if len(got) != 3 {
		t.Errorf("%d requests were made, want 3", len(got))
	}
}

// An endpoint that takes too long is late, and one that is there again is used.
func TestWebhookSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var err error
		network := roundTrip(func(r *http.Request) (*http.Response, error) {
			if err != nil {
				return nil, err
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		sender := newSender(t, sink.Config{Transport: network, Timeout: time.Minute}, onramp.Sink{
			Webhook: &onramp.Webhook{URL: "http://example.com/hidden", Secrets: []onramp.Secret{secretA}},
		})
		const hint = "check the sink's url, the network, and that the endpoint is running"
		begun := time.Now()
		checkOutcomes(t, sender.Send(t.Context(), calls(1)), []onramp.Outcome{with(onramp.Outcome{
			Verdict: onramp.Retry, Late: true, Detail: "no answer within the time-out", Hint: hint,
		}, "POST http://example.com", 1)})
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it took %v", took)
		}
		err = errors.New("connection reset")
		checkOutcomes(t, sender.Send(t.Context(), calls(1)), []onramp.Outcome{with(onramp.Outcome{
			Verdict: onramp.Retry, Detail: "connection reset", Hint: hint,
		}, "POST http://example.com", 1)})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err = nil
		checkOutcomes(t, sender.Send(ctx, calls(1)), []onramp.Outcome{with(onramp.Outcome{
			Verdict: onramp.Retry, Detail: "context canceled", Hint: hint,
		}, "POST http://example.com", 1)})
	})
}

// A certificate that nobody vouches for stops the sink.
func TestWebhookUntrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(taken))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	sender := newSender(t, sink.Config{}, onramp.Sink{Webhook: &onramp.Webhook{URL: server.URL, Secrets: []onramp.Secret{secretA}}})
	got := sender.Send(t.Context(), calls(1))[0]
	if got.Verdict != onramp.Blocked || got.Hint != "renew the certificate, or trust the authority that issued it" {
		t.Errorf("got %v, %s, %s", got.Verdict, got.Detail, got.Hint)
	}
}
