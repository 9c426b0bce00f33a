package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const eventConfig = `
database: %s
public: { listen: "127.0.0.1:0", url: "http://127.0.0.1" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "%s", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
oauth:
  clients: [{ id: mc, secret: a-secret-of-the-client }]
forms:
  registration:
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: Web_Registrations } }]
ens:
  callbacks: { events: { subscribe: [TransactionalSendEvents.EmailSent] } }
sinks:
  - { name: hook, webhook: { url: "%s", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } }
`

// killReceiver kills the gateway while batches of events come in and go on to a
// webhook. What was answered is stored once, and forwarded at least once.
func killReceiver(t *testing.T) []tally {
	w := newWorld(t)
	hook := newHook(t)
	path := filepath.Join(t.TempDir(), "onramp.yaml")
	text := fmt.Sprintf(eventConfig, filepath.Join(t.TempDir(), "onramp.db"), w.recorder.url, hook.url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &batches{answered: map[string]bool{}}
	n := rounds(6, 200)
	for range n {
		g := start(t, path)
		stop := s.stream(t, g, 3)
		goal := s.count() + 100
		eventually(t, "some are answered", patience, func() bool { return s.count() >= goal })
		g.kill()
		stop()
	}
	g := start(t, path)
	g.settled()
	stored := g.events()
	result := tally{fault: ", batches of events", rounds: n, accepted: s.count()}
	for key := range s.answered {
		switch forwarded := hook.count(key); {
		case stored[key] != 1:
			t.Errorf("%s is stored %d times", key, stored[key])
			result.lost++
		case forwarded == 1:
			result.once++
		case forwarded > 1:
			result.more++
		default:
			result.lost++
		}
	}
	for key, times := range stored {
		if times != 1 { // also of those that were not answered
			t.Errorf("%s is stored %d times", key, times)
		}
	}
	return []tally{result}
}

// batches are sent by several senders, each half of the events in two batches,
// and again and again until they are answered.
type batches struct {
	mu       sync.Mutex
	next     int
	answered map[string]bool // by subscriber key, which is another one for each event
}

func (b *batches) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.answered)
}

const inBatch = 50

// stream sends until it is stopped or the gateway is gone.
func (b *batches) stream(t *testing.T, g *gateway, senders int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			token, err := g.token(ctx)
			for err == nil {
				err = b.send(ctx, g, token)
			}
		})
	}
	stop = func() {
		cancel()
		all.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func (b *batches) send(ctx context.Context, g *gateway, token string) error {
	b.mu.Lock()
	first := max(b.next-inBatch/2, 0) // half of it was in the batch before
	b.next = first + inBatch
	b.mu.Unlock()
	var keys, events []string
	for i := first; i < first+inBatch; i++ {
		key := fmt.Sprintf("s-%d", i)
		keys = append(keys, key)
		events = append(events, fmt.Sprintf(`{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":%d,`+
			`"composite":{"jobId":"1","batchId":"%d","listId":"1","subscriberId":"%d"},"info":{"subscriberKey":%q,"status":"Sent"}}`,
			1700000000000+i/10, i, i%7, key))
	}
	status, err := g.post(ctx, "/ens/events", "Bearer "+token, "application/json", "["+strings.Join(events, ",")+"]", nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		b.answered[key] = true
	}
	return nil
}

// token fetches one as Marketing Cloud does.
func (g *gateway) token(ctx context.Context) (string, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth("mc", "a-secret-of-the-client")
	_, err := g.post(ctx, "/oauth2/token", r.Header.Get("Authorization"), "application/x-www-form-urlencoded", "grant_type=client_credentials", &answer)
	if err == nil && answer.AccessToken == "" {
		err = errors.New("no access token")
	}
	return answer.AccessToken, err
}

// post calls the public listener; an error means that no whole answer came.
func (g *gateway) post(ctx context.Context, path, authorization, contentType, body string, into any) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.public+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Content-Type", contentType)
	response, err := g.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	return response.StatusCode, err
}

// events counts the stored events by subscriber key.
func (g *gateway) events() map[string]int {
	g.t.Helper()
	all := map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				SubscriberKey string `json:"subscriber_key"`
			}
			Next string
		}
		if code := g.get("/api/events?limit=500&cursor="+url.QueryEscape(cursor), &page); code != http.StatusOK {
			g.t.Fatalf("/api/events answered %d", code)
		}
		for _, e := range page.Items {
			all[e.SubscriberKey]++
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// hook is a webhook that counts what it gets, by subscriber key.
type hook struct {
	url string
	mu  sync.Mutex
	got map[string]int
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{got: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var envelope struct {
			Data struct {
				Info struct{ SubscriberKey string }
			}
		}
		if json.NewDecoder(r.Body).Decode(&envelope) != nil {
			panic(http.ErrAbortHandler) // the gateway was killed
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got[envelope.Data.Info.SubscriberKey]++
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *hook) count(key string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got[key]
}
