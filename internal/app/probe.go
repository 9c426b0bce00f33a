package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"onramp/internal/check"
	"onramp/internal/onramp"
	"onramp/internal/outbound"
	"onramp/internal/watch"
)

// probeName begins the address in a probe row, so that whoever finds one knows it.
const probeName = "onramp-check"

// writeProbe makes a registration by a form's own rules, as a canary is made, so that its
// row is nobody's; it writes the row by the route of all rows and removes it. written says
// that there was one; then an error is about the removal. A [check.NoProbe] says why the
// form can have none.
func writeProbe(ctx context.Context, sender *outbound.Sender, form *onramp.Form, to onramp.Destination) (written bool, err error) {
	inputs, err := watch.Probe(form, probeName)
	if err != nil {
		return false, check.NoProbe(err.Error())
	}
	accepting := onramp.NewForm(*form, onramp.Secret(rand.Text()))
	r, err := accepting.Accept(onramp.Submission{
		Inputs: inputs, ReceivedAt: time.Now(), IP: "192.0.2.1", UserAgent: probeName, PageURL: "https://example.com/onramp-check",
	})
	if err != nil {
		return false, fmt.Errorf("no probe row could be made by the form %s: %w", form.Name, fieldsOf(err))
	}
	columns, _, err := accepting.Columns(&r)
	if err != nil {
		return false, err
	}
	row := []onramp.Delivery{{RegistrationID: r.ID, Form: form.Name, SubscriberKey: r.SubscriberKey, ReceivedAt: r.ReceivedAt, Values: columns}}
	if o := sender.Send(ctx, onramp.Call{Destination: to, Deliveries: row})[0]; o.Verdict != onramp.Delivered {
		return false, errors.New(o.Detail)
	}
	if err := sender.RemoveRow(ctx, to, row[0]); err != nil {
		return true, fmt.Errorf("the row with the subscriber key %s: %w", r.SubscriberKey, cmp.Or(errors.Unwrap(err), err))
	}
	return true, nil
}

// fieldsOf names the fields that a form did not accept.
func fieldsOf(err error) error {
	e, ok := errors.AsType[*onramp.Error](err)
	if !ok {
		return err
	}
	var names []string
	for _, f := range e.Fields {
		names = append(names, f.Field+" "+f.Message)
	}
	return errors.New(strings.Join(names, ", "))
}
