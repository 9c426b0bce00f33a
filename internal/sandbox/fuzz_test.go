package sandbox_test

import (
	"testing"

	"onramp/internal/sandbox"
)

// Whatever a stranger sends, nothing panics and nothing is our fault.
func FuzzRowset(f *testing.F) {
	for _, seed := range []string{
		specExample, "", "null", "[]", "[null]", `[{}]`, `{"items":[]}`, `[{"keys":[],"values":1}]`,
		`[{"keys":{"SubscriberKey":1e99},"values":{"EmailAddress":"\ud800@x.yz","RegistrationTimestamp":0}}]`,
		`[{"keys":{"SubscriberKey":"a"},"values":{"emailaddress":"","EMAILADDRESS":null}}]`,
	} {
		f.Add([]byte(seed))
	}
	s := newSandbox(f)
	auth := authorize(f, s)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, to := range []struct{ method, target string }{
			{"POST", rowset}, {"PUT", "/hub/v1/dataevents/key:Web_Registrations/rows/SubscriberKey:a"}, {"POST", eventsPath},
		} {
			w := send(t, s, to.method, to.target, string(body), auth)
			if w.Code >= 500 {
				t.Errorf("%s %s: %d %s", to.method, to.target, w.Code, w.Body)
			}
			decode(t, w.Body.String())
		}
		if w := send(t, s, "GET", "/_sandbox/state", ""); w.Code != 200 {
			t.Errorf("state: %d %s", w.Code, w.Body)
		}
	})
}

// The same for the routes that take many at once, and for messages.
func FuzzBatches(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"items":[{}]}`, `{"items":[{"SubscriberKey":"a","EmailAddress":"a@b.cd","RegistrationTimestamp":"2026-06-23"},{"subscriberkey":null}]}`,
		`{"items":[{"keys":{},"values":{}}]}`, `{"ITEMS":[],"items":[{"SubscriberKey":1e5}]}`, batch(batchMember("a", ""), `{"contactKey":"\ud800","data":null}`),
		`{"eventDefinitionKey":"APIEvent-sandbox-welcome","members":[{"contactKey":"a","contactKey":1,"data":[[]]}]}`,
		oneMessage(ana), `{"definitionKey":"welcome","attributes":{"a":1},"recipients":[{` + ana + `},{"attributes":{"a":{"b":[]}}}]}`,
	} {
		f.Add([]byte(seed))
	}
	s := newSandbox(f)
	auth := authorize(f, s)
	// Jobs are complete at once, so that their rows are applied too.
	if err := s.Fault(sandbox.Fault{Name: "job_time"}, sandbox.Fault{Name: "status_time"}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, to := range []struct{ method, target string }{
			{"POST", asyncPath}, {"PUT", asyncPath}, {"POST", batchPath}, {"POST", messagesPath}, {"POST", messagesPath + "/m"},
		} {
			w := send(t, s, to.method, to.target, string(body), auth)
			if w.Code >= 500 {
				t.Errorf("%s %s: %d %s", to.method, to.target, w.Code, w.Body)
			}
			decode(t, w.Body.String())
		}
		if w := send(t, s, "GET", "/_sandbox/state?limit=5", ""); w.Code != 200 {
			t.Errorf("state: %d %s", w.Code, w.Body)
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, seed := range []string{
		`{` + credentials + `}`, `{` + credentials + `,"account_id":{"a":[]},"scope":" "}`, "", "null", `{"grant_type":1}`,
		"grant_type=client_credentials&client_id=sandbox-client&client_secret=sandbox-secret", "%", "a=1;b=2", "scope=&scope=",
	} {
		f.Add([]byte(seed))
	}
	s := newSandbox(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, media := range []string{"application/json", "application/x-www-form-urlencoded"} {
			w := send(t, s, "POST", "/v2/token", string(body), "Content-Type: "+media)
			if w.Code >= 500 {
				t.Errorf("%s: %d %s", media, w.Code, w.Body)
			}
			decode(t, w.Body.String())
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"subscriberkey%20eq%20'u-2'", "((", "'", "a%20like%20'%25%25_'", "optinstatus%20eq%20true%20and"} {
		f.Add(seed)
	}
	s, auth := filled(f)
	f.Fuzz(func(t *testing.T, filter string) {
		r := newRequest(t, "GET", readPath, auth)
		r.URL.RawQuery = "$filter=" + filter
		if w := serve(s, r); w.Code != 200 && w.Code != 400 {
			t.Errorf("%q: %d %s", filter, w.Code, w.Body)
		}
	})
}
