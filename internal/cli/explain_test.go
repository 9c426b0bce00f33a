package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/answers"
	"onramp/internal/sandbox"
)

// The steps of the gateways of TestAnswersHappen, and the configuration around one.
const (
	toRows    = "data_extension: { key: Web_Registrations }"
	toRowsPUT = "data_extension: { key: Web_Registrations, mode: async }"
	toJourney = "journey: { event_definition_key: APIEvent-sandbox-welcome }"
	toMessage = "message: { definition_key: welcome }"

	answersConfig = `
database: %s
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", token: operator-of-the-test }
marketing_cloud: { auth_url: "%s", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
log: { level: info }
forms:
  registration:
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName }
    route:
      - %s
`
)

// columns is the setting of the data extension with a short first name, and more columns.
func columns(more string) string {
	return `{"data_extensions":{"Web_Registrations":{"unknown_columns":"refuse","columns":[{"name":"SubscriberKey","type":"Text","length":254,"primary_key":true}` + more + `]}}}`
}

const (
	email     = `,{"name":"EmailAddress","type":"EmailAddress","length":254,"nullable":true}`
	firstName = `,{"name":"FirstName","type":"Text","length":100,"nullable":true}`
	shortName = `,{"name":"FirstName","type":"Text","length":2,"nullable":true}`
	shoeSize  = `,{"name":"ShoeSize","type":"Text","length":9}`
)

// fault is a fault of all calls to one step's route.
func fault(match, what string) string { return fmt.Sprintf(`[{"match":%q,%s}]`, match, what) }

// happening is what becomes of a delivery, as an operator sees it.
type happening struct {
	Outcome     string // of the last attempt
	State       string // of the delivery
	Destination string // state of the destination
}

// What an entry says that Onramp does is what happens to a delivery that gets this answer.
func TestAnswersHappen(t *testing.T) {
	t.Parallel()
	const rows, journeys, messages, tokens = "/hub/v1/", "/interaction/", "/messaging/", "/v2/token"
	happens := map[string]happening{ // by the outcome that an entry names
		"delivered": {"delivered", "delivered", "running"},
		"retry":     {"retry", "pending", "running"},
		"throttled": {"throttled", "pending", "throttled"},
		"blocked":   {"blocked", "pending", "blocked"},
		"rejected":  {"rejected", "dead", "running"},
		"unknown":   {"unknown", "unknown", "running"},
	}
	for _, c := range []struct {
		code, title, step       string
		config, account, faults string // replaced in the configuration: "old|new"; changes of the account, or of what it answers
		insteadOf               string // the outcome that the entry names for other steps
	}{
		{code: "invalid_client", title: "Client ID not known", step: toRows, config: "sandbox-client|another"},
		{code: "invalid_client", title: "Client secret wrong, or package disabled", step: toRows, config: "sandbox-secret|another"},
		{code: "10007", title: "Legacy token endpoint", step: toRows, faults: fault(tokens, `"status":400,"errorcode":10007`)},
		{code: "500", title: "Token endpoint not reached", step: toRows, faults: fault(tokens, `"status":500`)},
		{code: "401", title: "Not authorized", step: toRows, faults: fault(rows, `"status":401`)},
		{code: "0", title: "Not authorized", step: toRows, account: `{"package":{"scopes":["journeys_read"]}}`},
		{code: "20002", title: "Scope missing, or address not allowed", step: toRows, account: `{"package":{"scopes":["journeys_read"]},"missing_scope":403}`},
		{code: "403", title: "Scope missing, or address not allowed", step: toMessage, account: `{"package":{"scopes":["journeys_read"]}}`},
		{code: "40002", title: "Token of another stack", step: toRows, faults: fault(rows, `"status":403,"errorcode":40002`)},
		{code: "400", title: "Bad request without a code", step: toRows, faults: fault(rows, `"name":"plain_text","status":400`)},
		{code: "10004", title: "Request not understood", step: toRows, faults: fault(rows, `"status":400,"errorcode":10004`)},
		{code: "30000", title: "Runtime error", step: toRows, faults: fault(rows, `"status":400,"errorcode":30000`)},
		{code: "30003", title: "Object not found", step: toRows, account: `{"data_extensions":{"Web_Registrations":null},"journeys":{"APIEvent-sandbox-welcome":null}}`},
		{code: "415", title: "Method or media type not taken", step: toRows, faults: fault(rows, `"status":415`)},
		{code: "30004", title: "Object exists already", step: toRows, faults: fault(rows, `"status":409,"errorcode":30004`)},
		{code: "50100", title: "Too many calls", step: toRows, faults: fault(rows, `"status":429,"errorcode":50100`)},
		{code: "50200", title: "Calls blocked for a while", step: toRows, faults: fault(rows, `"status":429,"errorcode":50200`)},
		{code: "50300", title: "Service unavailable", step: toRows, faults: fault(rows, `"status":503,"retry_after":60`)},
		{code: "503", title: "Server error", step: toRows, faults: fault(rows, `"status":503`)},
		{code: "500", title: "Server error", step: toJourney, faults: fault(journeys, `"status":500`)},
		{code: "596", title: "No such service", step: toRows, faults: fault(rows, `"status":596`)},
		{code: "no answer", title: "No answer", step: toRows, faults: fault(rows, `"name":"drop_answer"`)},
		{code: "no answer", title: "No answer", step: toJourney, faults: fault(journeys, `"name":"drop_answer"`), insteadOf: "unknown"},
		{code: "200", title: "Not an answer of Marketing Cloud", step: toRows, faults: fault(rows, `"name":"html","status":200`)},
		{code: "302", title: "Not an answer of Marketing Cloud", step: toJourney, faults: fault(journeys, `"name":"redirect"`), insteadOf: "unknown"},

		{code: "10006", title: "Text too long", step: toRows, account: columns(email + shortName)},
		{code: "10006", title: "Column must not be empty", step: toRows, account: columns(email + firstName + shoeSize)},
		{code: "2", title: "Column must not be empty", step: toRowsPUT, account: columns(email + firstName + shoeSize)},
		{code: "10006", title: "No column known", step: toRows, account: columns("")},
		{code: "10006", title: "Column does not exist", step: toRows, account: columns(email)},
		{code: "70001", title: "Column does not exist", step: toRowsPUT, account: columns(email)},
		{code: "10000", title: "Primary key does not exist", step: toRows, config: "{ key: Web_Registrations|{ key_column: Id, key: Web_Registrations", account: columns(email + firstName)},
		{code: "10001", title: "Key taken for an id", step: toRows, faults: fault(rows, `"status":400,"errorcode":10001,"message":"Parameter {guid} is invalid."`)},
		{code: "10001", title: "Value of the wrong type", step: toRows, faults: fault(rows, `"status":400,"errorcode":10001`)},
		{code: "10006", title: "Rows not saved, and no reason", step: toRows, faults: fault(rows, `"name":"bare_10006"`)},
		{code: "10006", title: "Deadlock", step: toRowsPUT, faults: fault("/data/v1/", `"name":"row_deadlock"`)},
		{code: "2", title: "Row refused on the asynchronous route", step: toRowsPUT, faults: fault("/data/v1/", `"name":"row_error"`)},
		{code: "CustomObjectNotFound", title: "Data extension not found", step: toRowsPUT, account: `{"data_extensions":{"Web_Registrations":null},"journeys":{"APIEvent-sandbox-welcome":null}}`},

		{code: "30003", title: "Event definition not found", step: toJourney, account: `{"journeys":{"APIEvent-sandbox-welcome":null}}`},
		{code: "10003", title: "Event definition key with a period", step: toJourney, faults: fault(journeys, `"status":400,"errorcode":10003`)},
		{code: "30001", title: "Journey not running", step: toJourney, account: `{"journeys":{"APIEvent-sandbox-welcome":{"status":"Draft"}}}`},
		{code: "10006", title: "Event lacks a required column", step: toJourney, account: columns(email + firstName + shoeSize)},
		{code: "10005", title: "Event has an unknown column", step: toJourney, account: columns(email)},
		{code: "10001", title: "Value in an event refused", step: toJourney, account: columns(email + shortName)},
		{code: "10000", title: "Contact not active", step: toJourney, faults: fault(journeys, `"status":400,"errorcode":10000,"message":"The contact is not active."`)},
		{code: "10000", title: "Journey's queue is full", step: toJourney, faults: fault(journeys, `"status":400,"errorcode":10000,"message":"We could not queue your event."`)},

		{code: "109103", title: "No message accepted", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109103`)},
		{code: "109101", title: "Too many recipients", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109101`)},
		{code: "109105", title: "Subscriber key missing or not valid", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109105`)},
		{code: "109106", title: "Address missing or not valid", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109106`)},
		{code: "109111", title: "Message definition unknown", step: toMessage, account: `{"message_definitions":{"welcome":null}}`},
		{code: "109107", title: "Message definition missing", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109107`)},
		{code: "30001", title: "Message definition in a state that takes no messages", step: toMessage, faults: fault(messages, `"status":400,"errorcode":30001`)},
		{code: "109110", title: "Message key used before", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109110`)},
		{code: "109108", title: "Message key missing or not valid", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109108`)},
		{code: "109122", title: "Attribute unknown", step: toMessage, faults: fault(messages, `"status":400,"errorcode":109122`)},
	} {
		t.Run(c.title+", "+c.code, func(t *testing.T) {
			t.Parallel()
			outcome := entry(t, c.code, c.title).Outcome
			if c.insteadOf != "" {
				outcome = c.insteadOf
			}
			cloud := httptest.NewServer(sandbox.New(sandbox.Config{}))
			t.Cleanup(cloud.Close)
			for route, body := range map[string]string{"account": c.account, "faults": c.faults} {
				if body != "" && ask(t, cloud.URL, "", "PUT /_sandbox/"+route, body) != http.StatusOK {
					t.Fatalf("the sandbox does not take %s", body)
				}
			}
			folder := t.TempDir()
			text := fmt.Sprintf(answersConfig, filepath.Join(folder, "onramp.db"), cloud.URL, c.step)
			before, after, _ := strings.Cut(c.config, "|")
			if !strings.Contains(text, before) {
				t.Fatalf("the configuration has no %q", before)
			}
			config := filepath.Join(folder, "onramp.yaml")
			if err := os.WriteFile(config, []byte(strings.Replace(text, before, after, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			gateway := serving(t, nil, "--config", config)
			id := accepted(t, gateway["public"].(string))
			want, got := happens[outcome], happening{}
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for deadline := time.Now().Add(20 * time.Second); got != want && time.Now().Before(deadline); <-tick.C {
				got = happened(t, gateway["admin"].(string), id)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("explain says %s (-want +got):\n%s", outcome, diff)
			}
		})
	}
}

// entry is what onramp explain says of a code under a title.
func entry(t *testing.T, code, title string) answers.Answer {
	t.Helper()
	status, stdout, stderr := onramp(t.Context(), nil, "explain", code, "--output", "json")
	var found struct{ Answers answers.List }
	if err := json.Unmarshal([]byte(stdout), &found); status != 0 || err != nil {
		t.Fatalf("explain %s ended with %d: %v %s", code, status, err, stderr)
	}
	for _, a := range found.Answers {
		if a.Title == title {
			return a
		}
	}
	t.Fatalf("explain %s does not show %q: %s", code, title, stdout)
	return answers.Answer{}
}

// accepted posts a registration and returns its id.
func accepted(t *testing.T, public string) (id string) {
	t.Helper()
	var a struct{ ID string }
	callJSON(t, http.MethodPost, public+"/v1/forms/registration/registrations", `{"email":"ana@example.org","first_name":"Ana"}`, &a)
	return a.ID
}

// happened is what has become of the first delivery of a registration so far.
func happened(t *testing.T, admin, id string) (h happening) {
	t.Helper()
	var delivery struct {
		State    string
		Attempts []struct{ Outcome string }
	}
	var status struct {
		Destinations []struct{ Name, State string }
	}
	callJSON(t, http.MethodGet, admin+"/api/deliveries/"+id+".1", "", &delivery)
	callJSON(t, http.MethodGet, admin+"/api/status", "", &status)
	h.State = delivery.State
	if n := len(delivery.Attempts); n > 0 {
		h.Outcome = delivery.Attempts[n-1].Outcome
	}
	if len(status.Destinations) == 1 {
		h.Destination = status.Destinations[0].State
	}
	return h
}

func callJSON(t *testing.T, method, url, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer operator-of-the-test")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v", method, url, response.Status, err)
	}
}
