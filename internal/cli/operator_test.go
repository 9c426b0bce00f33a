package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onramp/internal/ignored"
	words "onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/resend"
	"onramp/internal/store"
)

// idle is a pump that sends nothing, so that a script finds what it left.
type idle []words.Destination

func (i idle) Health() (all []words.Health) {
	for _, d := range i {
		all = append(all, words.Health{Destination: d, State: "running"})
	}
	return all
}
func (idle) Flight(int, int64) words.DeliveryState { return 0 }
func (idle) Forget(int64)                          {}

// office is a database with deliveries that need an operator, and
// the admin API over it.
type office struct {
	*testscript.Env
	store *store.Store
	at    time.Time
}

// TestOperator runs what an operator does with dead letters: each script finds
// the deliveries $DEAD1 and $DEAD2 of one cause, $OTHER of a form that is no
// longer configured, $UNKNOWN and $DONE, and the causes of each as $CAUSE_DEAD1.
func TestOperator(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "operator"), Setup: func(e *testscript.Env) error {
		kept, forms, err := openOffice(t, e, store.Config{})
		if err != nil {
			return err
		}
		desk := &operator.Desk{
			Registrations: kept, Deliveries: kept, Changes: kept, Audit: kept, Chains: kept, Counts: kept, Pump: idle(forms[0].Route),
			Forms: map[string]*words.Form{"registration": forms[0]}, Ignored: new(ignored.Names),
		}
		for range 3 {
			desk.Ignored.Count("registration", []string{"frist_name", "utf8", "a\nb"})
		}
		desk.Resends = resend.New(kept, map[string]resend.Kind{
			resend.Registrations: resend.RegistrationKind{Forms: desk.Forms, Store: kept},
		}, desk.HeldUp, slog.New(slog.DiscardHandler))
		runResends(e, desk.Resends)
		serveDesk(e, desk)
		o := &office{Env: e, store: kept, at: time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)}
		refused := words.Outcome{
			Verdict: words.Rejected, Status: 400, Code: 10006, Detail: "no such column", Hint: "correct the column",
			Request: "POST /hub/v1/dataevents/key:Web_Registrations/rowset\n" + `[{"keys":{"SubscriberKey":"ana@example.org"},"values":{"Age":12345678901234567890}}]`,
			Answer:  "{\"message\":\"no such column\",\r\n\"errorcode\":10006}",
		}
		html := words.Outcome{Verdict: words.Rejected, Status: 404, Detail: "no \x1b[31msuch page", Request: "POST /hub", Answer: "<html>\r\n\x1b]0;title\x07gone</html>"}
		lost := words.Outcome{Verdict: words.Unknown, Detail: "no answer", Hint: "look whether it has arrived"}
		return errors.Join(
			o.settled("DEAD1", forms[0], "ana@example.org", words.DeliveryDead, refused),
			o.settled("DEAD2", forms[0], "bob@example.org", words.DeliveryDead, refused),
			o.settled("OTHER", forms[1], "cem@example.org", words.DeliveryDead, html),
			o.settled("UNKNOWN", forms[0], "dan@example.org", words.DeliveryUnknown, lost),
			o.settled("DONE", forms[0], "eve@example.org", words.DeliveryDelivered, words.Outcome{Verdict: words.Delivered, Status: 200, Detail: "row stored"}),
		)
	}})
}

// openOffice opens a new database with the operator's forms, until the script ends.
func openOffice(t *testing.T, e *testscript.Env, cfg store.Config) (*store.Store, []*words.Form, error) {
	t.Helper()
	cfg.URL = filepath.Join(t.TempDir(), "onramp.db")
	kept, err := store.Open(context.Background(), cfg)
	if err != nil {
		return nil, nil, err
	}
	forms, err := kept.RegisterForms(context.Background(), operatorForms())
	if err != nil {
		return nil, nil, errors.Join(err, kept.Close())
	}
	e.Defer(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	return kept, forms, nil
}

func operatorForms() []words.Form {
	route := []words.Destination{{Kind: words.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}}
	fields := []words.Field{
		{Name: "email", Column: "EmailAddress", Type: words.Email, Required: true}, {Name: "first_name", Column: "FirstName", Max: 20},
	}
	return []words.Form{{Name: "registration", Fields: fields, Route: route}, {Name: "survey", Fields: fields, Route: route}}
}

// settled stores a registration, settles its delivery and names it to the script.
func (o *office) settled(name string, form *words.Form, email string, state words.DeliveryState, outcome words.Outcome) error {
	ctx := context.Background()
	r, err := form.Accept(words.Submission{
		ReceivedAt: o.at, Inputs: []words.Input{{Name: "email", Value: words.Scalar{Kind: words.String, Text: email}}},
	})
	if err != nil {
		return err
	}
	if _, err := o.store.SaveRegistration(ctx, &r, words.IdempotencyKey{}, false); err != nil {
		return err
	}
	d, err := o.store.FindDelivery(ctx, words.DeliveryID(r.ID, 1))
	if err != nil {
		return err
	}
	attempt := &words.Attempt{StartedAt: o.at.Add(time.Second), Took: 1500 * time.Microsecond, Outcome: outcome}
	_, err = o.store.Settle(ctx, []words.Settlement{{Delivery: &d, State: state, Tries: 1, At: o.at.Add(time.Minute), Attempt: attempt}})
	o.Setenv(name, d.ID())
	o.Setenv("REGISTRATION_"+name, r.ID)
	o.Setenv("CAUSE_"+name, outcome.Cause())
	return err
}

// TestDeadLetter has Marketing Cloud refuse a registration for its address, as
// it does with one that it doesn't take, and an operator correct it: what arrives,
// in both steps of the route, is what was edited.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	printed := startDemo(t, t.TempDir())
	public := find(t, `form in the browser +(http://[^/]+)/f/registration`, printed)
	sandbox := find(t, `sandbox +(http://[^/]+)/_sandbox/`, printed)
	environ := []string{"ONRAMP_ADMIN_LISTEN=" + find(t, `admin API +http://([^/]+)/api/status`, printed)}
	prefer := "wait=30"
	send := func(method, url, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Prefer", prefer)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode >= 300 {
			t.Fatalf("%s %s answered %s %s %v", method, url, response.Status, answer, err)
		}
		return string(answer)
	}
	run := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := onramp(t.Context(), environ, args...)
		if status != 0 {
			t.Fatalf("onramp %v: status %d: %s", args, status, stderr)
		}
		return stdout
	}

	send("PUT", sandbox+"/_sandbox/faults", `[{"match":"/hub/v1/dataevents","status":400,"errorcode":10001,"message":"not a valid address"}]`)
	registered := send("POST", public+"/v1/forms/registration/registrations", `{"email":"anna@example.org","opt_in":true}`)
	if find(t, `"status":"([^"]+)"`, registered) != "failed" {
		t.Fatalf("the registration that is refused is %s", registered)
	}
	id := find(t, `"id":"([^"]+)"`, registered)
	send("PUT", sandbox+"/_sandbox/faults", `[]`)

	cause := find(t, `(?m)^([0-9a-f]{8}) +1 +data_extension:Web_Registrations +dead `, run("deliveries", "list", "--by-cause"))
	find(t, `(`+id+`\.1) `, run("deliveries", "list", "--cause", cause))
	run("deliveries", "edit", id+".1", "--set", "email=ana@example.org")
	find(t, `(?m)^Retried (1) delivery\.$`, run("deliveries", "retry", "--cause", cause))

	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	until := func(want string, args ...string) {
		t.Helper()
		shown := ""
		for wanted := regexp.MustCompile(want); !wanted.MatchString(shown); shown = run(args...) {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("no %s in %s", want, shown)
			}
		}
	}
	until("status          delivered", "registrations", "show", id)
	state := send("GET", sandbox+"/_sandbox/state", "")
	find(t, `("SubscriberKey": ?"ana@example.org")`, state)
	find(t, `("contact_key": ?"ana@example.org")`, state)
	if strings.Contains(state, "anna") {
		t.Errorf("what was edited has arrived: %s", state)
	}

	prefer = "respond-async"
	send("PUT", sandbox+"/_sandbox/faults", `[{"match":"/hub/v1/dataevents","status":500}]`)
	register := func(optIn bool) string {
		body := fmt.Sprintf(`{"email":"bob@example.org","opt_in":%v}`, optIn)
		return find(t, `"id":"([^"]+)"`, send("POST", public+"/v1/forms/registration/registrations", body))
	}
	first, second := register(true), register(false)
	until("data_extension:Web_Registrations: 1 delivery waits behind 1 earlier delivery of the same keys; "+
		`the oldest of these is `+first+`\.1, \d (try|tries), next try at 20`, "status")
	until("waits for       "+first+`\.1`, "deliveries", "show", second+".1")
}
