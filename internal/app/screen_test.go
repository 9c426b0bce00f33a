package app_test

import (
	"net/http"
	"strings"
	"testing"

	"onramp/internal/operator"
	"onramp/internal/sandbox"
)

// screens has the demo's form screened.
func screens(settings string) func(string) string {
	return func(cfg string) string {
		return strings.Replace(cfg, "    on_event:", "    screen: { "+settings+" }\n    on_event:", 1)
	}
}

// A suspect is held and released by an operator; status and metrics show it as held for
// nothing. What was counted before a restart is counted after it.
func TestScreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, screens("honeypot: website, limits: { person: 1/d, form: 1000/m }"))
	rows := func() int { return len(w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows) }
	bad := w.post(`{"email":"ana@example.org","website":"x"}`, nil)
	good := w.post(`{"email":"bob@example.org","website":""}`, nil)
	if bad.Code != http.StatusAccepted || bad.Status != "queued" || good.Code != bad.Code || good.Status != bad.Status {
		t.Fatal(bad, good)
	}
	w.eventually("delivered", func() bool { return w.statusOf(good.ID) == "delivered" })
	if status := w.statusOf(bad.ID); status != "queued" || rows() != 1 {
		t.Fatal("a suspect was sent, or learns of it:", status, rows())
	}
	var n operator.Count
	w.admin("/api/registrations/release", operator.Suspected{Reason: "honeypot", Since: "1h"}, http.StatusOK, &n)
	if n.Count != 1 {
		t.Fatal(n)
	}
	w.eventually("delivered", func() bool { return w.statusOf(bad.ID) == "delivered" })
	if s := w.status().Suspicions; len(s) != 1 || s[0] != (operator.Suspicion{Reason: "honeypot", Held: 1, Released: 1}) {
		t.Error(s)
	}
	_, text := w.scrape()
	for _, line := range []string{
		`onramp_suspects{outcome="released",reason="honeypot"} 1`, `onramp_screened_total{decision="held",form="registration",reason="honeypot"} 1`,
		`onramp_screened_total{decision="passed",form="registration",reason=""} 1`, `onramp_surging_forms 0`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// A suspect of a form with double opt-in looks like all of them. Released, singly or with
// others, it is not sent: its person is asked, and only they release it.
func TestScreenedDoubleOptIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg string) string { return asks("")(cfg) + "    screen: { honeypot: website }\n" })
	first := w.post(`{"email":"ana@example.org","opt_in":true,"website":"x"}`, nil)
	second := w.post(`{"email":"bob@example.org","opt_in":true,"website":"x"}`, nil)
	good := w.post(`{"email":"cem@example.org","opt_in":true}`, nil)
	for _, a := range []answer{first, second, good} {
		if a.Code != http.StatusAccepted || a.Status != "held" || w.statusOf(a.ID) != "held" {
			t.Fatal(a, w.statusOf(a.ID))
		}
	}
	if m := w.mails(1); len(m) != 1 || m[0].To != "cem@example.org" {
		t.Fatal("a suspect got mail:", m)
	}
	var shown operator.Registration
	w.admin("/api/registrations/"+first.ID+"/release", nil, http.StatusOK, &shown)
	if shown.Status != "held" || shown.Held == nil || shown.Held.Reason != "confirmation" {
		t.Errorf("%+v", shown)
	}
	var n operator.Count
	w.admin("/api/registrations/release", operator.Suspected{All: true, DryRun: true}, http.StatusOK, &n)
	if n.Count != 1 {
		t.Error("planned", n)
	}
	w.admin("/api/registrations/release", operator.Suspected{All: true}, http.StatusOK, &n)
	if n.Count != 1 {
		t.Error("released", n)
	}
	link := ""
	for _, m := range w.mails(3) {
		if m.To == "bob@example.org" {
			link = linkOf(m)
		}
	}
	if rows := w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows; len(rows) != 0 {
		t.Fatal("sent without being confirmed:", rows)
	}
	if status, _, _ := w.visit(http.MethodPost, link, "do=confirm"); status != http.StatusSeeOther {
		t.Fatal(status)
	}
	w.eventually("delivered", func() bool { return w.statusOf(second.ID) == "delivered" })
	if s := w.status().Suspicions; len(s) != 1 || s[0] != (operator.Suspicion{Reason: "honeypot", Held: 2, Released: 2}) {
		t.Error(s)
	}
}

// A canary is not screened: it brings neither a time nor a proof of work, and its address
// takes no mail.
func TestCanaryIsNotScreened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg string) string {
		return screens("min_fill_time: 2s, proof_of_work: always")(cfg) + "watch: { canary: 10m }\n"
	})
	w.until("a canary has arrived", func() bool {
		canaries := w.status().Watch.Canaries
		return len(canaries) == 1 && !canaries[0].ArrivedAt.IsZero()
	})
	if s := w.status().Suspicions; len(s) != 0 {
		t.Error(s)
	}
}
