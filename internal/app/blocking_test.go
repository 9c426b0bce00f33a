package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/operator"
	"onramp/internal/sandbox"
)

// account changes the sandbox's account.
func (w *world) account(body string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, w.cloud+"/_sandbox/account", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		w.t.Fatalf("PUT account: %s", text)
	}
}

// tables writes the setting of the data extension with other columns.
func tables(change func(columns []sandbox.Column) []sandbox.Column, more string) string {
	columns := sandbox.New(sandbox.Config{}).State().DataExtensions[sandbox.RegistrationsKey].Columns
	if change != nil {
		columns = change(columns)
	}
	text, _ := json.Marshal(columns)
	return fmt.Sprintf(`{"data_extensions":{%q:{"columns":%s%s}}}`, sandbox.RegistrationsKey, text, more)
}

// chat collects the titles of alerts.
type chat struct {
	url    string
	mu     sync.Mutex
	titles []string
	said   string // all messages
}

func newChat(t *testing.T) *chat {
	c := &chat{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var alert struct{ Title, Message string }
		_ = json.NewDecoder(r.Body).Decode(&alert)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.titles = append(c.titles, alert.Title)
		c.said += alert.Message + "\n"
		if strings.Contains(alert.Message, "example.org") {
			c.titles = append(c.titles, "personal data: "+alert.Message)
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *chat) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.titles)
}

func (c *chat) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said
}

func (w *world) destination(name string) operator.DestinationStatus {
	w.t.Helper()
	for _, d := range w.status().Destinations {
		if d.Name == name {
			return d
		}
	}
	w.t.Fatalf("no destination %s", name)
	return operator.DestinationStatus{}
}

// Whatever concerns all registrations alike blocks: nothing is dead, there is one
// alert, and once it is mended everything goes out, in order for each person.
func TestBlockedAndMended(t *testing.T) {
	t.Parallel()
	const (
		rows    = "data_extension:" + sandbox.RegistrationsKey
		journey = "journey:" + sandbox.WelcomeEventKey
	)
	add := func(name string, nullable bool) func([]sandbox.Column) []sandbox.Column {
		return func(c []sandbox.Column) []sandbox.Column {
			return append(c, sandbox.Column{Name: name, Type: "Text", Nullable: nullable})
		}
	}
	typo := func(cfg string) string { return strings.Replace(cfg, "column: FirstName", "column: FristName", 1) }
	mode := func(mode string) func(string) string {
		return func(cfg string) string { return strings.Replace(typo(cfg), "mode: auto", "mode: "+mode, 1) }
	}
	async := func(cfg string) string { return strings.Replace(cfg, "mode: auto", "mode: async", 1) }
	message := func(cfg string) string {
		at := strings.Index(cfg, "      - journey:")
		return cfg[:at] + "      - message: { definition_key: welcome }\n" + cfg[at+strings.Index(cfg[at:], "\n")+1:]
	}
	withoutScope := func(missing string) string {
		scopes := []string{"data_extensions_read", "data_extensions_write", "journeys_read", "list_and_subscribers_read", "email_send"}
		return `{"package":{"scopes":["` + strings.Join(slices.DeleteFunc(scopes, func(s string) bool { return s == missing }), `","`) + `"]}}`
	}
	const refuse = `,"unknown_columns":"refuse"`
	for _, c := range []struct {
		name          string
		edit          func(string) string
		broken, mends string
		blocked       string
		reason        string // what the status says in its reason
	}{
		{"data extension", nil, `{"data_extensions":{"Web_Registrations":null}}`, tables(nil, ""), rows, "404 30003"},
		{"data extension, async", async, `{"data_extensions":{"Web_Registrations":null}}`, tables(nil, ""), rows, "CustomObjectNotFound"},
		{"primary key", nil, tables(func(c []sandbox.Column) []sandbox.Column { c[0].PrimaryKey, c[1].PrimaryKey = false, true; return c }, ""), tables(nil, ""), rows, "Primary key 'subscriberkey' does not exist."},
		{"column", mode("sync"), tables(nil, refuse), tables(add("FristName", true), refuse), rows, "form registration: 400 10006"},
		{"column, async", mode("async"), tables(nil, refuse), tables(add("FristName", true), refuse), rows, "Column [FristName] does not exist."},
		{"column of a journey", typo, `{}`, tables(add("FristName", true), ""), journey, "10005: The field FristName does not exist"},
		{"required column", nil, tables(add("City", false), ""), tables(add("City", true), ""), rows, "Column [City] does not allow null value."},
		{"required column, async", async, tables(add("City", false), ""), tables(add("City", true), ""), rows, "Column [city] does not allow null value."},
		{"event definition", nil, `{"journeys":{"APIEvent-sandbox-welcome":null}}`, `{"journeys":{"APIEvent-sandbox-welcome":{"data_extension":"Web_Registrations"}}}`, journey, "Event Definition not found"},
		{"draft", nil, `{"journeys":{"APIEvent-sandbox-welcome":{"status":"Draft"}}}`, `{"journeys":{"APIEvent-sandbox-welcome":{}}}`, journey, "400 30001"},
		{"stopped", nil, `{"journeys":{"APIEvent-sandbox-welcome":{"status":"Stopped"}}}`, `{"journeys":{"APIEvent-sandbox-welcome":{}}}`, journey, "400 30001"},
		{"message definition", message, `{"message_definitions":{"welcome":null}}`, `{"message_definitions":{"welcome":{}}}`, "message:welcome", "400 109111"},
		{"scope of rows, 401", nil, withoutScope("data_extensions_write"), withoutScope(""), rows, "401 0: Not Authorized"},
		{"scope of rows, 403", nil, strings.Replace(withoutScope("data_extensions_write"), "{", `{"missing_scope":403,`, 1), withoutScope(""), rows, "403 20002: Not Authorized"},
		{"scope of asynchronous rows", async, withoutScope("data_extensions_write"), withoutScope(""), rows, "403: Insufficient privileges"},
		{"scope of events", nil, withoutScope("list_and_subscribers_read"), withoutScope(""), journey, "403 20002"},
		{"scope of messages", message, withoutScope("email_send"), withoutScope(""), "message:welcome", "403 20002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			alerts := newChat(t)
			w := newSandboxed(t)
			w.account(c.broken)
			w.start(func(cfg string) string {
				cfg, _, _ = strings.Cut(cfg, "    on_event:")
				if c.edit != nil {
					cfg = c.edit(cfg)
				}
				return `alerts: ["generic+` + alerts.url + `/"]` + "\n" + cfg
			}, t.TempDir()+"/onramp.db")
			for _, name := range []string{"Ana", "Ana Maria", "Eva", "Ana Sofia"} {
				w.post(fmt.Sprintf(`{"email":"%.3s@example.org","first_name":%q}`, name, name), nil)
			}
			w.until("blocked", func() bool { return w.destination(c.blocked).State == "blocked" })
			if d := w.destination(c.blocked); !strings.Contains(d.Reason, c.reason) || d.Waiting != 4 {
				t.Errorf("%d wait, since %q; want 4, %q", d.Waiting, d.Reason, c.reason)
			}
			w.until("an alert", func() bool { return len(alerts.all()) > 0 })
			w.account(c.mends)
			if err := w.sandbox.SetFaults([]sandbox.Fault{{Name: sandbox.FaultRevokeTokens}}); err != nil {
				t.Fatal(err) // a token keeps its scopes until it expires, or is dropped
			}
			w.await("all is delivered", func() bool { return w.status().Registrations["delivered"] == 4 })
			want := map[string]int64{"delivered": 8}
			if diff := cmp.Diff(want, nonZero(w.status().Deliveries)); diff != "" {
				t.Error(diff)
			}
			for _, d := range w.status().Destinations {
				if d.State != "running" || d.Reason != "" {
					t.Errorf("%s is %s: %s", d.Name, d.State, d.Reason)
				}
			}
			state := w.sandbox.State()
			for _, row := range state.DataExtensions[sandbox.RegistrationsKey].Rows {
				if name := fmt.Sprint(row["FirstName"], row["FristName"]); row["EmailAddress"] == "Ana@example.org" && !strings.Contains(name, "Ana Sofia") {
					t.Errorf("what was sent last does not stand: %s", name)
				}
			}
			for key, j := range state.Journeys {
				names := []any{}
				for _, contact := range j.Contacts {
					if contact.ContactKey == "Ana@example.org" {
						names = append(names, contact.Data["FirstName"])
					}
				}
				if len(names) > 0 && names[0] != nil && !slices.Equal(names, []any{"Ana", "Ana Maria", "Ana Sofia"}) {
					t.Errorf("%s: Ana entered as %v", key, names)
				}
			}
			titles := slices.DeleteFunc(alerts.all(), func(title string) bool { // the column that the data extension drops
				return strings.HasPrefix(title, "onramp: columns not stored: ")
			})
			kind := "blocked: "
			if strings.HasPrefix(c.reason, "401") {
				kind = "credentials refused: "
			}
			if diff := cmp.Diff([]string{"onramp: " + kind + c.blocked}, titles); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Of two forms on one data extension one has a wrong column: the other one's
// registrations are delivered, and the first one's wait until it is corrected.
func TestBlockedForm(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"sync", "auto", "async"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			w.account(tables(nil, `,"unknown_columns":"refuse"`))
			w.start(func(cfg string) string {
				cfg, _, _ = strings.Cut(cfg, "      - journey:")
				cfg = strings.Replace(cfg, "mode: auto", "mode: "+mode, 1)
				_, form, _ := strings.Cut(cfg, "  registration:\n")
				form = strings.NewReplacer("column: FirstName", "column: FristName", "Register", "Wrong").Replace(form)
				return cfg + "  wrong:\n" + form
			}, t.TempDir()+"/onramp.db")
			post := func(form, email string) {
				t.Helper()
				response, err := http.Post(w.gateway.PublicURL()+"/v1/forms/"+form+"/registrations", "application/json",
					strings.NewReader(fmt.Sprintf(`{"email":%q,"first_name":"x"}`, email)))
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != http.StatusAccepted {
					t.Fatal(response.Status)
				}
			}
			for i := range 20 {
				post("wrong", fmt.Sprintf("w%d@example.org", i))
				post("registration", fmt.Sprintf("r%d@example.org", i))
			}
			post("registration", "w0@example.org") // behind the same person's first one
			w.until("the good form is delivered", func() bool { return w.status().Deliveries["delivered"] == 20 })
			if d := w.destination("data_extension:" + sandbox.RegistrationsKey); d.State != "blocked" || !strings.HasPrefix(d.Reason, "form wrong: ") || d.Waiting != 21 {
				t.Errorf("%+v", d)
			}
			w.account(tables(func(c []sandbox.Column) []sandbox.Column {
				return append(c, sandbox.Column{Name: "FristName", Type: "Text", Nullable: true})
			}, `,"unknown_columns":"refuse"`))
			w.await("all is delivered", func() bool { return w.status().Deliveries["delivered"] == 41 })
			if diff := cmp.Diff(map[string]int64{"delivered": 41}, nonZero(w.status().Deliveries)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Columns that Marketing Cloud drops without a word are told, and so is their mend.
func TestColumnsThatAreDropped(t *testing.T) {
	t.Parallel()
	alerts := newChat(t)
	w := newSandboxed(t)
	w.account(tables(func(c []sandbox.Column) []sandbox.Column {
		c[3].Drops = true                      // LastName
		c[9].Truncates, c[9].Length = true, 10 // PageURL
		return c
	}, ""))
	w.start(func(cfg string) string {
		cfg = strings.Replace(cfg, "column: FirstName", "column: FristName", 1)
		cfg, _, _ = strings.Cut(cfg, "      - journey:")
		return `alerts: ["generic+` + alerts.url + `/"]` + "\n" + cfg
	}, t.TempDir()+"/onramp.db")
	w.post(`{"email":"ana@example.org","first_name":"Ana","last_name":"Doe","opt_in":true}`, map[string]string{"Prefer": wait, "Referer": "https://www.example.org/sign-up"})
	const name = "data_extension:" + sandbox.RegistrationsKey
	w.until("warnings", func() bool { return len(w.destination(name).Warnings) > 0 })
	want := []string{
		"column FristName is not in the data extension: Marketing Cloud drops its values without a word; add it there, or correct the form's column; see onramp check --only data-extension",
		"column LastName was sent with a value and is empty: see that nothing else writes to it, and compare its type with the field's",
		"column PageURL holds only the first 10 characters of what was sent: make it longer, or set the field's max",
	}
	d := w.destination(name)
	if diff := cmp.Diff(want, d.Warnings); diff != "" || d.State != "running" {
		t.Error(diff, d.State)
	}
	w.until("an alert", func() bool { return len(alerts.all()) > 0 })
	if diff := cmp.Diff([]string{"onramp: columns not stored: " + name}, alerts.all()); diff != "" || !strings.Contains(alerts.text(), want[0]) {
		t.Error(diff, alerts.text())
	}
}
