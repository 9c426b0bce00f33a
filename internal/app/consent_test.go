package app_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/chain"
	"onramp/internal/operator"
)

// A consent is given with the form, taken back by an unsubscribe link and by an operator; each time the
// row in Marketing Cloud follows, and the log verifies. What is exported can be checked.
func TestConsentToTheEnd(t *testing.T) {
	t.Parallel()
	const asked = `    consent: { field: opt_in, text: I agree to get mail, version: "2026-06" }` + "\n    route:"
	w := newWorld(t, func(cfg string) string {
		cfg = regexp.MustCompile(`type: boolean, +default: false`).ReplaceAllString(cfg, "type: boolean")
		return strings.Replace(cfg, "    route:", asked, 1)
	})
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	const ana, bob = "ana+unsubscribe@example.org", "bob@example.org"
	for _, person := range []string{ana, bob} {
		w.post(fmt.Sprintf(`{"email":%q,"opt_in":true}`, person), map[string]string{"Prefer": "wait=20"})
	}
	// the sandbox answers the journey's mail with an unsubscribe event
	w.until("the row of who has unsubscribed", func() bool { return cmp.Equal(w.columns(ana, "OptInStatus"), []any{false}) })
	w.post(fmt.Sprintf(`{"email":%q}`, bob), map[string]string{"Prefer": "wait=20"}) // says nothing of consent
	if got := w.columns(bob, "OptInStatus"); !cmp.Equal(got, []any{true}) {
		t.Errorf("a missing answer has changed the consent: %v", got)
	}
	var withdrawn operator.Withdrawn
	w.admin("/api/registrations/withdraw", map[string]string{"email": "Bob@example.org "}, http.StatusOK, &withdrawn)
	if len(withdrawn.Items) != 1 || withdrawn.Items[0].Kind != "withdrawn" {
		t.Errorf("%+v", withdrawn)
	}
	w.until("the row of whose consent was taken back", func() bool { return cmp.Equal(w.columns(bob, "OptInStatus"), []any{false}) })

	for person, by := range map[string]string{ana: "event", bob: "api"} {
		var export operator.ConsentExport
		w.admin("/api/consent/export", map[string]string{"email": person}, http.StatusOK, &export)
		text := string(export.Export)
		if strings.Count(text, `"kind":`) != 2 || !strings.Contains(text, `"by":"`+by+`"`) || !strings.Contains(text, "I agree to get mail") {
			t.Errorf("%s: %s", person, text)
		}
		var checked operator.Checked
		w.admin("/api/consent/check", export, http.StatusOK, &checked)
		if !checked.Genuine {
			t.Error("a genuine export is not")
		}
		export.Export = []byte(strings.Replace(text, `"given"`, `"confirmed"`, 1))
		w.admin("/api/consent/check", export, http.StatusOK, &checked)
		if checked.Genuine {
			t.Error("a changed export is genuine")
		}
	}
	var report chain.Report
	w.admin("/api/consent/verify", operator.Anchors{}, http.StatusOK, &report)
	if report.Entries != 4 || len(report.Problems) != 0 || report.Unsigned {
		t.Errorf("%+v", report)
	}
}
