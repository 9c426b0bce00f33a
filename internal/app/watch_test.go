package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
	"onramp/internal/watch"
)

// watching adds what is to be watched to a configuration.
func watching(settings string, edit func(string) string) func(string) string {
	return func(cfg string) string { return "watch: { " + settings + " }\n" + edit(cfg) }
}

func unchanged(cfg string) string { return cfg }

// awaitCanary waits until the canary of the form is as is asks for.
func (w *world) awaitCanary(what string, is func(c watch.CanaryStatus) bool) watch.CanaryStatus {
	w.t.Helper()
	var c watch.CanaryStatus
	await(w.t, "a canary: "+what, func() bool {
		canaries := w.status().Watch.Canaries
		if len(canaries) != 1 {
			return false
		}
		c = canaries[0]
		return is(c)
	})
	return c
}

// A canary with an address of the operator's goes to the journey, too, and waits for an
// event about it. What it was is known after a restart.
func TestCanaryWithEvents(t *testing.T) {
	t.Parallel()
	w := newSandboxed(t)
	database := filepath.Join(t.TempDir(), "onramp.db")
	w.start(watching("canary: 1h, canary_timeout: 30s, canary_email: Ops@shop.example.org", unchanged), database)
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := w.awaitCanary("arrived", func(c watch.CanaryStatus) bool { return c.State == watch.CanaryArrived })
	want := watch.CanaryStatus{
		Form: "registration", State: watch.CanaryArrived, Proved: []watch.Step{watch.StepAccept, watch.StepRow, watch.StepEvent}, ArrivedAt: first.ArrivedAt,
		Sent: first.Sent, // one more if the first came before the set-up: then there is no event about it
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	contacts := w.sandbox.State().Journeys[sandbox.WelcomeEventKey].Contacts
	if int64(len(contacts)) != first.Sent || !strings.HasPrefix(contacts[0].ContactKey, "Ops+canary") || !strings.HasSuffix(contacts[0].ContactKey, "@shop.example.org") {
		t.Errorf("in the journey are %+v", contacts)
	}
	await(t, "an empty data extension", func() bool { return len(w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows) == 0 })
	w.end()
	w.start(watching("canary: 1h, canary_timeout: 30s, canary_email: Ops@shop.example.org", unchanged), database)
	if diff := cmp.Diff(first, w.awaitCanary("known", func(watch.CanaryStatus) bool { return true })); diff != "" {
		t.Error(diff)
	}
}

// Where a canary does not get through is told by the step.
func TestCanaryFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, settings string
		edit           func(string) string
		refuse         string // what the sandbox does not take
		want           watch.CanaryStatus
	}{
		{
			"the public address", "canary: 100ms, canary_timeout: 300ms", withoutEvents, "", watch.CanaryStatus{State: watch.CanaryFailed, Failed: &watch.Failure{
				Step: watch.StepAccept, Detail: "the public address has answered 404 to it",
				Hint: "operator: public.url must lead from this machine to the public listener, as it does for visitors",
			}},
		},
		{
			"the row", "canary: 100ms, canary_timeout: 300ms", withoutEvents, "/hub/", watch.CanaryStatus{State: watch.CanaryFailed, Failed: &watch.Failure{
				Step: watch.StepRow, Detail: "its delivery to Web_Registrations is still pending", Hint: "onramp status tells how data_extension:Web_Registrations is doing",
			}},
		},
		{
			"an event", "canary: 100ms, canary_timeout: 700ms, canary_email: ops@shop.example.org", unchanged, "", watch.CanaryStatus{State: watch.CanaryFailed, Failed: &watch.Failure{
				Step: watch.StepEvent, Detail: "no event about it has come back",
				Hint: "onramp ens status tells whether events come; see that the journey or message mails at once",
			}},
		},
		{
			"a form that can have none", "canary: 100ms", func(cfg string) string {
				return strings.Replace(withoutEvents(cfg), "column: FirstName,", `column: FirstName, required: true, pattern: "x-[a-f]{9}",`, 1)
			}, "", watch.CanaryStatus{State: watch.CanaryUnfit, Reason: "no value is known that its field first_name takes"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			w.through(func(rw http.ResponseWriter, r *http.Request) bool {
				if c.refuse == "" || !strings.HasPrefix(r.URL.Path, c.refuse) {
					return false
				}
				rw.WriteHeader(http.StatusServiceUnavailable)
				return true
			})
			edit := c.edit
			if c.want.Failed != nil && c.want.Failed.Step == watch.StepAccept {
				w.elsewhere = w.cloud // the sandbox knows no forms
			}
			w.start(watching(c.settings, edit), filepath.Join(t.TempDir(), "onramp.db"))
			got := w.awaitCanary(string(c.want.State), func(got watch.CanaryStatus) bool { return got.State == c.want.State })
			if got.Failed != nil {
				if since := got.Failed.Since; time.Since(since) > time.Minute {
					t.Errorf("since %v", since)
				}
				got.Failed.Since = time.Time{}
			}
			c.want.Form, c.want.Sent = "registration", got.Sent
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A sample of what was delivered is read back. A row that holds something else, or is gone, is
// told with its columns and no values; one that a newer registration is about is not.
func TestSample(t *testing.T) {
	t.Parallel()
	w := newSandboxed(t)
	w.start(watching("sample: 200ms", withoutEvents), filepath.Join(t.TempDir(), "onramp.db"))
	register := func(name, first string) {
		if a := w.post(fmt.Sprintf(`{"email":"%s@example.org","first_name":"%s"}`, name, first), map[string]string{"Prefer": wait}); a.Code != http.StatusCreated {
			t.Fatalf("answered %+v", a)
		}
	}
	sample := func(what string, want watch.Sample) {
		t.Helper()
		var got watch.SampleStatus
		await(t, what, func() bool {
			if all := w.status().Watch.Samples; len(all) == 1 {
				got = all[0]
			}
			got.At = time.Time{}
			return cmp.Equal(want, got.Sample)
		})
	}
	for _, name := range []string{"ana", "bob", "cem"} {
		register(name, "Hidden")
	}
	sample("three good rows", watch.Sample{Rows: 3})
	w.hub("rowset", `[{"keys":{"SubscriberKey":"ana@example.org"},"values":{"FirstName":"Other"}}]`)
	w.hub("rowset/delete", `[{"keys":{"SubscriberKey":"bob@example.org"}}]`)
	sample("two bad rows", watch.Sample{Rows: 3, Missing: 1, Different: 1, Columns: []string{
		"column FirstName holds something else than what was sent: see that nothing else writes to it, and compare its type with the field's",
	}})
	for _, name := range []string{"ana", "bob"} {
		register(name, "Hidden2")
	}
	sample("the newer rows are good", watch.Sample{Rows: 3})
}

// hub calls a route of Web_Registrations as somebody else does.
func (w *world) hub(route, body string) {
	w.t.Helper()
	credentials := fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, sandbox.ClientID, sandbox.ClientSecret)
	granted, err := http.Post(w.cloud+"/v2/token", "application/json", strings.NewReader(credentials))
	if err != nil {
		w.t.Fatal(err)
	}
	defer granted.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(granted.Body).Decode(&token); err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.cloud+"/hub/v1/dataevents/key:Web_Registrations/"+route, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s %s", route, answer.Status, said)
	}
}

// soapExtension is what SOAP tells of Web_Registrations. It stands in for Marketing Cloud.
type soapExtension struct {
	mu      sync.Mutex
	columns string // "Name Type Length" in lines; "": the scope to read them is missing
}

func (e *soapExtension) set(columns string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.columns = columns
}

func (e *soapExtension) answer(rw http.ResponseWriter, r *http.Request) bool {
	if !strings.EqualFold(r.URL.Path, "/Service.asmx") {
		return false
	}
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	status, results := "OK", "<Results><ObjectID>1</ObjectID><CustomerKey>Web_Registrations</CustomerKey><Name>Web</Name></Results>"
	if strings.Contains(string(body), "<ObjectType>DataExtensionField<") {
		results = ""
		for line := range strings.Lines(e.columns) {
			f := strings.Fields(line)
			results += "<Results><Name>" + f[0] + "</Name><FieldType>" + f[1] + "</FieldType><MaxLength>" + f[2] + "</MaxLength></Results>"
		}
	}
	if e.columns == "" {
		status, results = "Error: API Permission Failed. No Rights", ""
	}
	rw.Header().Set("Content-Type", "text/xml")
	_, _ = io.WriteString(rw, `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><RetrieveResponseMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"><OverallStatus>`+
		status+`</OverallStatus>`+results+`</RetrieveResponseMsg></Body></Envelope>`)
	return true
}

const (
	wholeExtension = "SubscriberKey Text 254\nEmailAddress EmailAddress 254\nFirstName Text 100\nLastName Text 100\nOptInStatus Boolean 0\n" +
		"RegistrationTimestamp Date 0\nSource Text 100\nIPAddress Text 45\nUserAgent Text 255\nPageURL Text 500\nNote Text 50\n"
	webRegistrations = "data_extension:Web_Registrations"
)

// awaitSchema waits until the columns of Web_Registrations are in a state.
func (w *world) awaitSchema(state watch.SchemaState) (s watch.SchemaStatus) {
	w.t.Helper()
	await(w.t, "columns that are "+string(state), func() bool {
		all := w.status().Watch.Schemas
		if len(all) == 1 {
			s = all[0]
		}
		return s.State == state
	})
	return s
}

// A data extension that has lost, shortened or changed a column that a form sends is sent
// nothing more before its rows die; a restart doesn't forget that. What waits goes out by
// itself when the column is back, or the form no longer sends it.
func TestSchemaDrift(t *testing.T) {
	t.Parallel()
	settings := func(edit func(string) string) func(string) string { return watching("schema: 50ms", edit) }
	for _, c := range []struct {
		name, old, now string
		reason         string // "": nothing has changed for the form
	}{
		{"lost", "FirstName Text 100\n", "", "column FirstName is no longer in the data extension"},
		{"shorter", "LastName Text 100", "LastName Text 30", "column LastName had room for 100 and has now room for 30, and a form sends up to 100"},
		{"another type", "OptInStatus Boolean 0", "OptInStatus Date 0", "column OptInStatus was of type Boolean and is now Date"},
		{"nobody's", "Note Text 50\n", "", ""},
		{"longer, and wider", "FirstName Text 100\nLastName Text 100\nOptInStatus Boolean 0", "FirstName Text 200\nLastName Text 100\nOptInStatus Text 10", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, e := newSandboxed(t), &soapExtension{columns: wholeExtension}
			w.through(e.answer)
			database := filepath.Join(t.TempDir(), "onramp.db")
			w.start(settings(withoutEvents), database)
			first := w.awaitSchema(watch.SchemaFits)
			e.set(strings.Replace(wholeExtension, c.old, c.now, 1))
			if c.reason == "" {
				await(t, "two more looks", func() bool { return w.awaitSchema(watch.SchemaFits).At.Sub(first.At) > 200*time.Millisecond })
				return
			}
			if s := w.awaitSchema(watch.SchemaDrifted); s.Reason != c.reason || s.Hint == "" || s.Since.IsZero() {
				t.Errorf("got %+v", s)
			}
			w.end()
			w.start(settings(withoutEvents), database) // it is known before the first call
			a := w.post(`{"email":"ana@example.org"}`, nil)
			await(t, "a blocked destination", func() bool {
				for _, d := range w.status().Destinations {
					if d.Name == webRegistrations && d.State == "blocked" {
						return strings.HasPrefix(d.Reason, "the data extension has changed: "+c.reason)
					}
				}
				return false
			})
			if n := w.sandbox.State().Calls["POST /hub/v1/dataevents/{id}/rowset"]; n != 0 {
				t.Errorf("%d calls", n)
			}
			e.set(wholeExtension)
			await(t, "the delivery", func() bool { return slices.Contains(w.whats(a.ID), "delivered "+webRegistrations) })
			w.awaitSchema(watch.SchemaFits)
		})
	}
	t.Run("the form no longer sends it", func(t *testing.T) {
		t.Parallel()
		w, e := newSandboxed(t), &soapExtension{columns: wholeExtension}
		w.through(e.answer)
		database := filepath.Join(t.TempDir(), "onramp.db")
		w.start(settings(withoutEvents), database)
		w.awaitSchema(watch.SchemaFits)
		e.set(strings.Replace(wholeExtension, "LastName Text 100\n", "", 1))
		w.awaitSchema(watch.SchemaDrifted)
		w.end()
		w.start(settings(func(cfg string) string {
			lines := strings.Split(withoutEvents(cfg), "\n")
			return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "last_name") }), "\n")
		}), database)
		w.awaitSchema(watch.SchemaFits)
	})
	t.Run("no scope", func(t *testing.T) {
		t.Parallel()
		w, e := newSandboxed(t), &soapExtension{}
		w.through(e.answer)
		w.start(settings(withoutEvents), filepath.Join(t.TempDir(), "onramp.db"))
		if s := w.awaitSchema(watch.SchemaUnchecked); s.Reason != "the columns can't be read: the scope data_extensions_read is missing" {
			t.Errorf("got %+v", s)
		}
		if a := w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait}); a.Code != http.StatusCreated {
			t.Errorf("answered %+v", a)
		}
	})
}
