package cli_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	words "onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/store"
)

// TestSuspects runs what an operator does with registrations that are held: each script
// finds $SUSPECT1 and another one with a filled honeypot, one beyond the limit of another
// form, $CONFIRM, which waits for its person, and $REGISTRATION_DONE.
func TestSuspects(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "suspects"), Setup: func(e *testscript.Env) error {
		kept, forms, err := openOffice(t, e, store.Config{})
		if err != nil {
			return err
		}
		serveDesk(e, &operator.Desk{
			Registrations: kept, Deliveries: kept, Changes: kept, Counts: kept, Suspects: kept, Pump: idle(forms[0].Route),
			Forms: map[string]*words.Form{"registration": forms[0]},
		})
		o := &office{Env: e, store: kept, at: time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)}
		return errors.Join(
			o.held("SUSPECT1", forms[0], "ana@example.org", words.Hold{Reason: words.HoldSuspicion, Detail: "honeypot"}),
			o.held("SUSPECT2", forms[0], "bob@example.org", words.Hold{Reason: words.HoldSuspicion, Detail: "honeypot"}),
			o.held("SUSPECT3", forms[1], "cem@example.org", words.Hold{Reason: words.HoldSuspicion, Detail: "form_limit"}),
			o.held("CONFIRM", forms[0], "dan@example.org", words.Hold{Reason: words.HoldConfirmation}),
			o.settled("DONE", forms[0], "eve@example.org", words.DeliveryDelivered, words.Outcome{Verdict: words.Delivered, Status: 200}),
		)
	}})
}

// held saves a registration that is held.
func (o *office) held(name string, form *words.Form, email string, h words.Hold) error {
	r, err := form.Accept(words.Submission{
		ReceivedAt: o.at, Inputs: []words.Input{{Name: "email", Value: words.Scalar{Kind: words.String, Text: email}}},
	})
	if err != nil {
		return err
	}
	r.Hold = h
	_, err = o.store.SaveRegistration(context.Background(), &r, words.IdempotencyKey{}, false)
	o.Setenv(name, r.ID)
	return err
}
