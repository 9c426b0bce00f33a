package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/chain"
	"onramp/internal/onramp"
)

// newsletter is a form that asks for consent and goes to x.
func newsletter(version, text string) onramp.Form {
	return onramp.Form{
		Name: "newsletter", Route: []onramp.Destination{{Kind: onramp.DataExtension, Key: "x"}},
		Fields: []onramp.Field{
			{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true},
			{Name: "opt_in", Column: "OptIn", Type: onramp.Boolean},
			{Column: "Version", From: onramp.FromConsentVersion},
			{Column: "AgreedAt", From: onramp.FromConsentAt},
		},
		Consent: &onramp.ConsentTerms{Field: 1, Version: version, Text: text},
	}
}

func (w *world) consentForm(version, text string) *onramp.Form {
	w.t.Helper()
	registered, err := w.s.RegisterForms(w.t.Context(), []onramp.Form{newsletter(version, text)})
	if err != nil {
		w.t.Fatal(err)
	}
	return registered[0]
}

// agree submits the form with an answer, "" for none, and returns the registration.
func (w *world) agree(f *onramp.Form, email, answer string) onramp.Registration {
	w.t.Helper()
	s := onramp.Submission{ReceivedAt: w.clock.now(), IP: "192.0.2.7", UserAgent: "browser", PageURL: "https://www.example.com/join?secret=1"}
	s.Inputs = []onramp.Input{{Name: "email", Value: onramp.Scalar{Kind: onramp.Posted, Text: email}}}
	if answer != "" {
		s.Inputs = append(s.Inputs, onramp.Input{Name: "opt_in", Value: onramp.Scalar{Kind: onramp.Posted, Text: answer}})
	}
	r, err := f.Accept(s)
	if err == nil {
		_, err = w.s.SaveRegistration(w.t.Context(), &r, onramp.IdempotencyKey{}, false)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// consents are the entries of a person in short.
func (w *world) consents(person string) []string {
	w.t.Helper()
	all, err := w.s.ListConsents(w.t.Context(), person)
	if err != nil {
		w.t.Fatal(err)
	}
	var short []string
	for _, c := range all {
		short = append(short, fmt.Sprintf("%d %s %s %s by %s %s %s", c.Number, c.Kind, c.Form, c.Version, c.By, c.SubscriberKey, c.IP))
	}
	return short
}

// Each answer is an entry in the same commit; a missing one is none, and leaves the columns alone.
func TestConsent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.signed()
		f := w.consentForm("1", "I agree")
		commits := w.s.Commits()
		for _, c := range []struct{ answer, want string }{
			{"on", `{"EmailAddress":"ana@example.org","OptIn":true,"Version":"1","AgreedAt":"2026-01-05T12:00:00Z"}`},
			{"", `{"EmailAddress":"ana@example.org"}`},
			{" ", `{"EmailAddress":"ana@example.org"}`},
			{"no", `{"EmailAddress":"ana@example.org","OptIn":false}`},
		} {
			r := w.agree(f, "ana@example.org", c.answer)
			if columns, _, err := f.Columns(&r); err != nil || string(columns) != c.want {
				t.Errorf("%q: %s, %v", c.answer, columns, err)
			}
		}
		if n := w.s.Commits() - commits; n != 4 {
			t.Errorf("4 registrations took %d commits", n)
		}
		w.agree(f, "Bob@example.org", "yes")
		if diff := cmp.Diff([]string{"1 given newsletter 1 by form ana@example.org 192.0.2.7", "2 withdrawn newsletter 1 by form ana@example.org 192.0.2.7"}, w.consents("ANA@example.org")); diff != "" {
			t.Error(diff)
		}
		w.agree(f, "ana@example.org", "yes") // after the index was made
		if got := w.consents("ana@example.org"); len(got) != 3 {
			t.Error(got)
		}
		all, err := w.s.ListConsents(t.Context(), "bob@example.org")
		if err != nil || len(all) != 1 || all[0].PageURL != "https://www.example.com/join" || all[0].UserAgent != "browser" || all[0].TextHash != onramp.HashConsent("I agree") {
			t.Error(all, err)
		}
		w.wantConsentLog(4, 0)
		// what is personal is gone, and the log still verifies
		w.exec(`UPDATE consent_entry SET personal = NULL WHERE seq = 1`)
		w.wantConsentLog(4, 1)
		for payload := range w.countBy(`SELECT payload, 1 FROM consent_entry`) {
			if strings.Contains(payload, "ana") || strings.Contains(payload, "192.0.2.7") || strings.Contains(payload, "browser") {
				t.Error("something personal is not in the personal part:", payload)
			}
		}
		w.exec(`UPDATE consent_entry SET payload = replace(payload, '"version":"1"', '"version":"2"') WHERE seq = 2`)
		report, err := w.s.VerifyLog(t.Context(), chain.Consent, nil)
		if err != nil || len(report.Problems) != 1 || report.Problems[0].Number != 2 {
			t.Error(report, err)
		}
	})
}

func (w *world) wantConsentLog(entries, erased int64) {
	w.t.Helper()
	report, err := w.s.VerifyLog(w.t.Context(), chain.Consent, nil)
	if err != nil || report.Entries != entries || report.Erased != erased || len(report.Problems) != 0 {
		w.t.Errorf("%+v, %v", report, err)
	}
}

// A text that has changed needs a new version; the texts of all versions are kept.
func TestConsentText(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.consentForm("1", "I agree")
		w.reopen()
		w.consentForm("1", "I agree")
		_, err := w.s.RegisterForms(t.Context(), []onramp.Form{newsletter("1", "I agree to all")})
		const want = `forms.newsletter.consent: the text of version "1" has changed since people agreed to it: give the new text a new version`
		if err == nil || err.Error() != want || !isConflict(err) {
			t.Error(err)
		}
		w.consentForm("2", "I agree to all")
		texts, err := w.s.ListConsentTexts(t.Context())
		if err != nil || len(texts) != 2 || texts[0].Text != "I agree" || texts[1].Version != "2" {
			t.Error(texts, err)
		}
	})
}

// A withdrawal is an entry, a change of the row that waits its turn, and an item of the timeline; a
// registration that comes later decides anew.
func TestWithdrawConsent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		f := w.consentForm("1", "I agree")
		first := w.agree(f, "ana@example.org", "on")
		w.clock.advance(time.Minute)
		entry, err := w.s.WithdrawConsent(ctx, onramp.TakenBack{Form: f, SubscriberKey: "ANA@example.org", By: "api"})
		if err != nil || entry.Number != 2 || entry.Registration != first.ID {
			t.Fatal(entry, err)
		}
		if _, err := w.s.WithdrawConsent(ctx, onramp.TakenBack{Form: f, SubscriberKey: "bob@example.org", By: "api"}); !onramp.IsNotFound(err) {
			t.Error(err)
		}
		fresh, _, _, err := w.s.ListFresh(ctx, f.Route[0].ID, 0, 10)
		if err != nil || len(fresh) != 2 || string(fresh[1].Values) != `{"OptIn":false}` || fresh[1].RegistrationID != first.ID || fresh[1].Event == nil || fresh[1].Event.ID != entry.Event {
			t.Fatal(fresh, err)
		}
		items, err := w.s.Timeline(ctx, first.ID)
		var whats []string
		for _, item := range items {
			whats = append(whats, item.What+" "+item.Detail)
		}
		if diff := cmp.Diff([]string{"accepted form newsletter", "withdrawn consent, by api"}, whats); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if diff := cmp.Diff([]string{"1 given newsletter 1 by form ana@example.org 192.0.2.7", "2 withdrawn newsletter 1 by api ana@example.org "}, w.consents("ana@example.org")); diff != "" {
			t.Error(diff)
		}
		w.reopen()
		w.wantConsentLog(2, 0)
	})
}
