package admin_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/onramp"
	"onramp/internal/operator"
)

const (
	asReader  = "Authorization: Bearer token-of-the-reader"
	asNight   = "Authorization: Bearer token-of-the-night"
	asOfficer = "Authorization: Bearer token-of-the-officer"
)

// noChange are the methods of the Desk that change nothing.
var noChange = []string{
	"CheckExport", "Failures", "FindErasure", "ListErasures", "FindDelivery", "FindEvent", "FindRegistration", "HeldUp", "ListActions", "ListCauses", "ListClients", "ListDeliveries", "ListEvents",
	"ListRegistrations", "Oldest", "Overview", "PlanSetup", "SetupStatus", "Status", "Timeline", "VerifyAudit", "VerifyConsent",
}

// Every method of the Desk is known here either as one that changes nothing, or it can be reached by a
// route that leaves a line in the audit log.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	audited := 0
	for _, route := range admin.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if route.Role == onramp.RoleRead {
			continue
		}
		before := o.newestAction(t)
		path = strings.NewReplacer("{id}", o.ids[1]+".1", "{name}", "data_extension:Web_Registrations").Replace(path)
		if method == "POST" && strings.HasPrefix(path, "/api/registrations/") {
			path = strings.Replace(path, o.ids[1]+".1", o.ids[1], 1)
		}
		body := strings.NewReplacer(`"dry_run":true`, `"dry_run":false`).Replace(route.Example)
		func() {
			defer func() { _ = recover() }() // the office has no resends: the line is there all the same
			do(o.Handler, method, path, body, bearer)
		}()
		if after := o.newestAction(t); after.Number == before.Number {
			t.Errorf("%s %s leaves no line in the audit log", method, path)
		} else if after.By != "admin" || after.What == "" {
			t.Errorf("%s leaves %+v", route.Pattern, after)
		}
		audited++
	}
	changes := 0
	for m := range reflect.TypeFor[*operator.Desk]().Methods() {
		if !slices.Contains(noChange, m.Name) {
			changes++
		}
	}
	if audited != changes {
		t.Errorf("%d methods of the Desk change something, and %d routes are audited: a method that changes nothing belongs to noChange, any other one needs a route and a line in the audit log", changes, audited)
	}
}

func (o *office) newestAction(t *testing.T) operator.Action {
	t.Helper()
	var page operator.Page[operator.Action]
	if err := json.Unmarshal([]byte(get(o.Handler, "/api/audit?limit=1").Body), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Items) == 0 {
		return operator.Action{}
	}
	return page.Items[0]
}

// A token does what its roles allow, and is told which role is missing.
func TestRoles(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, route := range admin.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		path = strings.NewReplacer("{id}", "none", "{name}", "none").Replace(path)
		for _, token := range tokens[1:] {
			if token.Has(route.Role) {
				continue
			}
			answer := do(o.Handler, method, path, route.Example, "Authorization: Bearer "+token.Secret.Reveal())
			want := fmt.Sprintf("the token %s lacks the role %s, which this needs", token.Name, route.Role)
			if answer.Status != 403 || !strings.Contains(answer.Body, want) {
				t.Errorf("%s %s with %s: %d %s", method, path, token.Name, answer.Status, answer.Body)
			}
		}
	}
	for _, c := range []struct {
		as, method, path string
		want             int
	}{
		{asReader, "GET", "/api/status", 200},
		{asReader, "GET", "/api/registrations", 200},
		{asReader, "GET", "/api/registrations?q=person", 403},
		{asNight, "GET", "/api/deliveries?q=person", 403},
		{asOfficer, "GET", "/api/registrations?q=person", 200},
		{asOfficer, "GET", "/api/status", 200},
		{asNight, "POST", "/api/deliveries/" + o.ids[1] + ".1/retry", 200},
		{asOfficer, "POST", "/api/deliveries/" + o.ids[3] + ".1/retry", 403},
	} {
		if got := do(o.Handler, c.method, c.path, "", c.as); got.Status != c.want {
			t.Errorf("%s %s %s: %d %s, want %d", c.as, c.method, c.path, got.Status, got.Body, c.want)
		}
	}
}

// Without the role privacy nothing personal is shown, wherever it stands; with it, that is recorded.
func TestPersonalValues(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	post(o.Handler, "/api/deliveries/"+o.ids[1]+".1/edit", `{"fields":{"email":"person7@example.org"}}`)
	paths := []string{"/api/registrations", "/api/registrations/" + o.ids[1], "/api/deliveries", "/api/deliveries/" + o.ids[1] + ".1"}
	for _, path := range paths {
		if got := do(o.Handler, "GET", path, "", asNight); got.Status != 200 || strings.Contains(got.Body, "person") || !strings.Contains(got.Body, `"hidden"`) {
			t.Errorf("%s shows personal values: %s", path, got.Body)
		}
	}
	if got := post(o.Handler, "/api/deliveries/"+o.ids[2]+".2/retry", ""); !strings.Contains(got.Body, "person2") {
		t.Error("who may see personal values does not:", got.Body)
	}
	if got := do(o.Handler, "POST", "/api/deliveries/"+o.ids[1]+".1/retry", "", asNight); got.Status != 200 || strings.Contains(got.Body, "person") {
		t.Error("a change shows personal values:", got.Body)
	}
	before := o.newestAction(t)
	for range 2 {
		for _, path := range paths {
			if got := do(o.Handler, "GET", path, "", asOfficer); !strings.Contains(got.Body, "person") {
				t.Errorf("%s shows no personal values: %s", path, got.Body)
			}
		}
	}
	var page operator.Page[operator.Action]
	if err := json.Unmarshal([]byte(get(o.Handler, "/api/audit?by=dpo").Body), &page); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range page.Items {
		if a.Number > before.Number {
			got = append(got, a.What+" "+a.Object+" "+a.Result)
		}
	}
	one, delivery := "registrations.reveal "+o.ids[1]+" done", "deliveries.reveal "+o.ids[1]+".1 done"
	want := []string{delivery, one, delivery, "deliveries.reveal  done", one, "registrations.reveal  done"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What an operator typed where an id or name is expected does not get into the audit log, and the
// reason is shown only to those who may see personal values.
func TestAuditIsNotPersonal(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	post(o.Handler, "/api/deliveries/ana@example.org/discard", `{"reason":"Ana asked"}`)
	post(o.Handler, "/api/deliveries/discard", `{"cause":"ana@example.org","form":"Ana Smith","all":true,"reason":"Ana asked"}`)
	if got := do(o.Handler, "GET", "/api/audit", "", asReader); got.Status != 200 || strings.Contains(strings.ToLower(got.Body), "ana") {
		t.Error(got.Body)
	}
	if got := do(o.Handler, "GET", "/api/audit", "", asOfficer); strings.Count(got.Body, "Ana asked") != 2 || strings.Contains(got.Body, "@") {
		t.Error(got.Body)
	}
	if got := get(o.Handler, "/api/audit/verify"); got.Status != 200 || !strings.Contains(got.Body, `"entries":4,"erased":0`) || !strings.Contains(got.Body, `"problems":[]`) {
		t.Error(got.Body)
	}
}
