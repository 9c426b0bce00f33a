package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onramp/internal/keyset"
	words "onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/resend"
	"onramp/internal/sandbox"
	"onramp/internal/store"
)

// TestEventScripts runs what an operator does with events and token clients:
// each script finds the events $SENT about the message of $REGISTRATION, $OPENED
// and $OTHER; a delivery $TO_SINK of the first, and $TO_ROW, which it has caused;
// the token client "fixed" of the configuration, which a callback uses; a sandbox
// at $SANDBOX, and at $ECHO one that answers what it was asked.
func TestEventScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "events"), Setup: func(e *testscript.Env) error {
		cipher, err := newCipher()
		if err != nil {
			return err
		}
		kept, forms, err := openOffice(t, e, store.Config{Cipher: cipher})
		if err != nil {
			return err
		}
		desk := &operator.Desk{
			Registrations: kept, Deliveries: kept, Changes: kept, Counts: kept, Events: kept, Pump: idle(forms[0].Route),
			Clients: &operator.Clients{
				Keep: kept, Configured: []words.TokenClient{{ID: "fixed", Secrets: []words.Secret{"a"}}},
				UsedBy: func(id string) []string {
					if id == "fixed" || id == "used" {
						return []string{"events"}
					}
					return nil
				},
				ClientsChanged: func(context.Context) error { return nil },
				NewSecret:      keyset.NewSecret, NewClientID: func() string { return "onramp-new" },
			},
		}
		desk.Resends = resend.New(kept, map[string]resend.Kind{
			resend.Events: resend.EventKind{Sinks: []words.Sink{{Name: "crm"}, {Name: "picky", Types: []string{"*.EmailSent"}}}, Events: kept},
		}, desk.HeldUp, slog.New(slog.DiscardHandler))
		runResends(e, desk.Resends)
		serveDesk(e, desk)
		emulator, echo := httptest.NewServer(sandbox.New(sandbox.Config{})), httptest.NewServer(http.HandlerFunc(echoTrigger))
		e.Defer(emulator.Close)
		e.Defer(echo.Close)
		e.Setenv("SANDBOX", emulator.URL)
		e.Setenv("ECHO", echo.URL)
		return (&newsroom{office{Env: e, store: kept, at: time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)}}).fill(forms[0])
	}})
}

// runResends carries resends out until the script ends.
func runResends(e *testscript.Env, d *resend.Desk) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Run(ctx)
	}()
	e.Defer(func() {
		stop()
		<-ended
	})
}

func newCipher() (*keyset.Keyset, error) {
	text, err := keyset.New()
	if err != nil {
		return nil, err
	}
	return keyset.Open(text)
}

// echoTrigger answers with what a sandbox would have been asked for.
func echoTrigger(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"queued": 1, "subscriptions": 2, "message": r.Method + " " + r.URL.Path + " " + string(body)})
}

// newsroom is a database with events.
type newsroom struct{ office }

func (n *newsroom) fill(form *words.Form) error {
	ctx := context.Background()
	delivered := words.Outcome{Verdict: words.Delivered, Status: 200, Detail: "row stored"}
	if err := n.settled("DONE", form, "ana@example.org", words.DeliveryDelivered, delivered); err != nil {
		return err
	}
	registration := n.Getenv("REGISTRATION_DONE")
	n.Setenv("REGISTRATION", registration)
	if err := n.store.RegisterCallbacks(ctx, []string{"events", "other"}); err != nil {
		return err
	}
	sinks, err := n.store.RegisterSinks(ctx, []words.Destination{{Kind: words.SinkDestination, Key: "crm"}})
	if err != nil {
		return err
	}
	err = errors.Join(
		n.receive("SENT", "events", []int{sinks[0].ID}, `{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":1782226375123,`+
			`"composite":{"jobId":"5","batchId":"6","listId":"7","subscriberId":"8"},`+
			`"info":{"subscriberKey":"ana@example.org","messageKey":"`+registration+`.2","status":"Sent","renderedSubject":"Hi `+"\u009b"+`31mAna"}}`),
		n.receive("OPENED", "events", nil, `{"eventCategoryType":"EngagementEvents.EmailOpen","timestampUTC":1782226425000,"composite":{"jobId":"5","batchId":"6","listId":"7","subscriberId":"8"}}`),
		n.receive("OTHER", "other", nil, `["nothing","known"]`),
	)
	if err != nil {
		return err
	}
	event, err := n.store.FindEvent(ctx, n.Getenv("SENT"))
	if err != nil {
		return err
	}
	found, err := n.store.FindRegistration(ctx, registration)
	if err != nil {
		return err
	}
	n.Setenv("TO_SINK", words.DeliveryID(event.ID, sinks[0].ID))
	n.Setenv("TO_ROW", words.DeliveryID(event.ID, form.Route[0].ID))
	return n.store.SaveRuling(ctx, words.Ruling{To: event.Seq, Changes: []words.RowChange{{
		Event: event.Seq, RegistrationSeq: found.Seq, SubscriberKey: found.SubscriberKey, Destination: form.Route[0].ID, Values: []byte(`{"Welcomed":true}`),
	}}})
}

// receive stores an event twice and names it to the script.
func (n *newsroom) receive(name, callback string, sinks []int, body string) error {
	e := words.ReadEvent([]byte(body))
	e.Callback, e.ReceivedAt, e.Sinks = callback, n.at.Add(2*time.Minute), sinks
	n.Setenv(name, e.ID)
	for range 2 {
		if _, err := n.store.SaveEvents(context.Background(), callback, []words.Event{e}); err != nil {
			return err
		}
	}
	return nil
}
