package sfmctest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"onramp/sfmc"
	"onramp/sfmc/sfmctest"
)

// A program under test gets events as Marketing Cloud would send them.
func TestSendEvents(t *testing.T) {
	t.Parallel()
	server := sfmctest.NewServer(t)
	bodies := make(chan string, 1)
	program := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- string(b)
	}))
	t.Cleanup(program.Close)
	if got := server.SendEvents(sfmctest.Events{Type: "EmailOpen"}); got.Message != "nothing is sent: there is no callback" {
		t.Errorf("got %+v", got)
	}

	token := call(t, server, "", "/v2/token", fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, sfmctest.ClientID, sfmctest.ClientSecret))["access_token"]
	var probe map[string]any
	callback := call(t, server, token, "/platform/v1/ens-callbacks", fmt.Sprintf(`{"callbackName":"cb","url":%q}`, program.URL))["callbackId"]
	if err := json.Unmarshal([]byte(<-bodies), &probe); err != nil {
		t.Fatal(err)
	}
	call(t, server, token, "/platform/v1/ens-verify", fmt.Sprintf(`{"callbackId":%q,"verificationKey":%q}`, callback, probe["verificationKey"]))
	call(t, server, token, "/platform/v1/ens-subscriptions", fmt.Sprintf(`{"callbackId":%q,"subscriptionName":"all","eventCategoryTypes":["EngagementEvents.EmailOpen"]}`, callback))
	server.Advance(2 * time.Minute)
	if _, err := server.Client().SendMessage(t.Context(), "m-1", sfmctest.MessageDefinitionKey, sfmc.Recipient{ContactKey: "u-1", To: "ana@example.org"}); err != nil {
		t.Fatal(err)
	}
	got := server.SendEvents(sfmctest.Events{Type: "EmailOpen", MessageKey: "m-1", Count: 2})
	if want := (sfmctest.SentEvents{Queued: 2, Subscriptions: 1, Message: "2 events are on their way"}); got != want {
		t.Errorf("got %+v", got)
	}
	if body := <-bodies; strings.Count(body, `"EngagementEvents.EmailOpen"`) != 2 {
		t.Errorf("got %s", body)
	}
}

// call makes a call that sfmc may not have and returns its answer.
func call(t *testing.T, server *sfmctest.Server, token any, path, body string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", fmt.Sprint("Bearer ", token))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var got map[string]any
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode > 299 {
		t.Fatalf("%s: %d %v %v", path, res.StatusCode, err, got)
	}
	return got
}
