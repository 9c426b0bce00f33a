package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// probeName begins what a probe row holds as texts, so that whoever finds one knows it.
const probeName = "onramp check"

// writeProbe makes a registration by a form's own rules, writes its row by the route of all
// rows and removes it. written says that there was one; then an error is about the removal.
func writeProbe(ctx context.Context, sender *outbound.Sender, form *onramp.Form, to onramp.Destination) (written bool, err error) {
	accepting := onramp.NewForm(*form, onramp.Secret(rand.Text()))
	r, err := accepting.Accept(probeSubmission(form))
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
	if err := sender.Remove(ctx, to, &row[0]); err != nil {
		return true, fmt.Errorf("the row with the subscriber key %s: %w", r.SubscriberKey, err)
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

// probeSubmission is a submission that most forms accept: one value for each field.
func probeSubmission(form *onramp.Form) onramp.Submission {
	s := onramp.Submission{ReceivedAt: time.Now(), IP: "192.0.2.1", UserAgent: probeName, PageURL: "https://example.com/onramp-check"}
	for i := range form.Fields {
		if field := &form.Fields[i]; field.From == onramp.Submitted {
			s.Inputs = append(s.Inputs, onramp.Input{Name: field.Name, Value: probeValue(field)})
		}
	}
	return s
}

func probeValue(field *onramp.Field) onramp.Scalar {
	text := probeName
	switch field.Type {
	case onramp.Boolean:
		return onramp.Scalar{Kind: onramp.True}
	case onramp.Integer, onramp.Decimal:
		return onramp.Scalar{Kind: onramp.Number, Text: "1"}
	case onramp.Email:
		text = "onramp-check-" + strings.ToLower(rand.Text()[:8]) + "@example.com"
	case onramp.Date:
		text = "2000-01-01T00:00:00Z"
	case onramp.Phone:
		text = "+14155552671"
	case onramp.Locale:
		text = "en-US"
	case onramp.Choice, onramp.Choices:
		text = field.Choices[0]
	default:
		text = text[:min(len(text), cmp.Or(field.Max, len(text)))]
	}
	return onramp.Scalar{Kind: onramp.String, Text: text}
}
