package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// DeliveryReader reads deliveries.
type DeliveryReader interface {
	ListDeliveries(ctx context.Context, f onramp.Filter) (page []onramp.Delivery, next string, err error)
	FindDelivery(ctx context.Context, id string) (onramp.Delivery, error)
	// ListCauses groups those that are dead or unknown by what they have in common.
	ListCauses(ctx context.Context, f onramp.Filter) ([]onramp.CauseGroup, error)
}

// DeliveryKeeper changes one delivery by an operator's hand.
type DeliveryKeeper interface {
	RetryDelivery(ctx context.Context, id string) error
	DiscardDelivery(ctx context.Context, id, reason string) error
	// EditDelivery gives the registration of a dead or unknown delivery the values
	// and key of r. edit is what was seen and changed; when that is no longer
	// what is stored the error is of kind Conflict.
	EditDelivery(ctx context.Context, id string, edit onramp.Edit, r onramp.Registration) error
}

// Keeper changes deliveries by an operator's hand.
type Keeper interface {
	DeliveryKeeper
	BulkKeeper
}

// BulkKeeper changes all deliveries that are dead or, if the filter's state says
// so, unknown.
type BulkKeeper interface {
	RetryDeliveries(ctx context.Context, f onramp.Filter) (n int64, err error)
	DiscardDeliveries(ctx context.Context, f onramp.Filter, reason string) (n int64, err error)
}

// Delivery is a delivery as operators see it.
type Delivery struct {
	ID            string          `json:"id"`
	Registration  string          `json:"registration,omitempty"` // none of an event on its way to a sink
	Event         string          `json:"event,omitempty"`        // that is delivered, or has caused it
	Form          string          `json:"form,omitempty"`         // as registration
	Destination   string          `json:"destination"`
	Step          int             `json:"step"`
	State         string          `json:"state"`
	Tries         int             `json:"tries"`
	SubscriberKey string          `json:"subscriber_key"`
	ReceivedAt    time.Time       `json:"received_at"`
	DueAt         *time.Time      `json:"due_at,omitempty"` // of its next try
	SettledAt     *time.Time      `json:"settled_at,omitempty"`
	Reason        string          `json:"reason,omitempty"`
	Cause         string          `json:"cause,omitempty"`    // what those that failed alike have in common
	Values        json.RawMessage `json:"values,omitempty"`   // not in lists
	Edits         []Edit          `json:"edits,omitempty"`    // not in lists; of the registration
	Attempts      []Attempt       `json:"attempts,omitempty"` // not in lists
}

// Attempt is one try of a delivery as operators see it.
type Attempt struct {
	Number    int       `json:"number"`
	StartedAt time.Time `json:"started_at"`
	TookMS    float64   `json:"took_ms"`
	Outcome   string    `json:"outcome"`
	Status    int       `json:"status"` // of HTTP; 0: no answer came
	Code      int       `json:"code"`   // Marketing Cloud's errorcode
	Detail    string    `json:"detail"`
	Hint      string    `json:"hint,omitempty"`
	Request   string    `json:"request,omitempty"`
	Answer    string    `json:"answer,omitempty"`
}

// Edit is a change of a registration by an operator: what it held before.
type Edit struct {
	At            time.Time       `json:"at"`
	Fields        []string        `json:"fields"`
	SubscriberKey string          `json:"subscriber_key"`
	Values        json.RawMessage `json:"values"`
}

// Cause is all dead or unknown deliveries to one destination that failed alike.
type Cause struct {
	Cause       string `json:"cause"`
	Destination string `json:"destination"`
	State       string `json:"state"`
	Reason      string `json:"reason"` // of the newest
	Count       int64  `json:"count"`
	Oldest      string `json:"oldest"` // id of a delivery
	Newest      string `json:"newest"`
}

// Causes is the answer of /api/causes.
type Causes struct {
	Items []Cause `json:"items"` // the most numerous first
}

func (a *Admin) delivery(d *onramp.Delivery) Delivery {
	v := Delivery{
		ID: d.ID(), Registration: d.RegistrationID, Form: d.Form, Destination: d.Destination, Step: d.Step,
		State: d.State.String(), Tries: d.Tries, SubscriberKey: d.SubscriberKey, ReceivedAt: d.ReceivedAt,
		SettledAt: timePointer(d.SettledAt), Reason: d.Reason, Cause: d.Cause,
	}
	if d.Event != nil {
		v.Event = d.Event.ID
	}
	if !d.DueAt.Equal(onramp.Never) {
		v.DueAt = timePointer(d.DueAt)
	}
	if flight := a.Pump.Flight(d.DestinationID, d.Seq); d.State == onramp.DeliveryPending && flight != 0 {
		v.State = flight.String()
	}
	return v
}

func edits(all []onramp.Edit) []Edit {
	var views []Edit
	for _, e := range all {
		views = append(views, Edit{At: e.At, Fields: e.Fields, SubscriberKey: e.SubscriberKey, Values: e.Values})
	}
	return views
}

func (a *Admin) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	filter, err := readFilter(r)
	if err != nil {
		return err
	}
	found, next, err := a.Read.ListDeliveries(r.Context(), filter)
	if err != nil {
		return err
	}
	page := Page[Delivery]{Items: []Delivery{}, Next: next}
	for i := range found {
		v := a.delivery(&found[i])
		if filter.State == "" || v.State == filter.State { // pending or sending is known only here
			page.Items = append(page.Items, v)
		}
	}
	return web.WriteJSON(w, http.StatusOK, page)
}

func (a *Admin) listCauses(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	groups, err := a.Read.ListCauses(r.Context(), onramp.Filter{State: q.Get("state"), Form: q.Get("form")})
	if err != nil {
		return err
	}
	causes := Causes{Items: []Cause{}}
	for _, g := range groups {
		causes.Items = append(causes.Items, Cause{
			Cause: g.Cause, Destination: g.Destination, State: g.State.String(), Reason: g.Reason,
			Count: g.Count, Oldest: g.Oldest, Newest: g.Newest,
		})
	}
	return web.WriteJSON(w, http.StatusOK, causes)
}

// findDelivery is also the answer after a delivery was changed.
func (a *Admin) findDelivery(w http.ResponseWriter, r *http.Request) error {
	d, err := a.Read.FindDelivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := a.delivery(&d)
	v.Values, v.Edits = d.Values, edits(d.Edits)
	for _, t := range d.Attempts {
		v.Attempts = append(v.Attempts, Attempt{
			Number: t.Number, StartedAt: t.StartedAt, TookMS: float64(t.Took.Microseconds()) / 1000, Outcome: t.Verdict.String(),
			Status: t.Status, Code: t.Code, Detail: t.Detail, Hint: t.Hint, Request: t.Request, Answer: t.Answer,
		})
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

var errSending = &onramp.Error{Kind: onramp.Conflict, Message: "the delivery is being sent at this moment; look again in a moment"}

func (a *Admin) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	if err := a.idle(r); err != nil {
		return err
	}
	if err := a.Keep.RetryDelivery(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return a.findDelivery(w, r)
}

var errEventEdit = &onramp.Error{Kind: onramp.Conflict, Message: "what an event brought can't be edited; retry the delivery, or discard it"}

// editDelivery needs no word to the pump: what is dead or unknown is not in its
// memory, and neither are the later steps of its route.
func (a *Admin) editDelivery(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Fields map[string]string `json:"fields"`
		Retry  bool              `json:"retry"`
	}
	if err := readJSON(r, &body, `{"fields":{"email":"ana@example.org"},"retry":true}, every value as a text`); err != nil {
		return err
	}
	d, err := a.Read.FindDelivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if d.Event != nil {
		return errEventEdit
	}
	form := a.Forms[d.Form]
	if form == nil {
		return &onramp.Error{Kind: onramp.Conflict, Message: "the form of this delivery is no longer configured, so nobody can tell what its fields may hold"}
	}
	before := onramp.Edit{Fields: slices.Sorted(maps.Keys(body.Fields)), SubscriberKey: d.SubscriberKey, Values: d.Values}
	after, err := form.Edit(onramp.Registration{ID: d.RegistrationID, SubscriberKey: d.SubscriberKey, Values: d.Values}, body.Fields)
	if err != nil {
		return err
	}
	if err := a.Keep.EditDelivery(r.Context(), d.ID(), before, after); err != nil {
		return err
	}
	if body.Retry {
		if err := a.Keep.RetryDelivery(r.Context(), d.ID()); err != nil {
			return err
		}
	}
	return a.findDelivery(w, r)
}

func (a *Admin) discardDelivery(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &body, `{"reason":"a test"}`); err != nil {
		return err
	}
	if strings.TrimSpace(body.Reason) == "" {
		return errNoReason
	}
	if err := a.idle(r); err != nil {
		return err
	}
	if err := a.Keep.DiscardDelivery(r.Context(), r.PathValue("id"), body.Reason); err != nil {
		return err
	}
	if d, err := a.Read.FindDelivery(r.Context(), r.PathValue("id")); err == nil {
		a.Pump.Forget(d.Seq)
	}
	return a.findDelivery(w, r)
}

// idle refuses a delivery that is in flight.
func (a *Admin) idle(r *http.Request) error {
	d, err := a.Read.FindDelivery(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if a.Pump.Flight(d.DestinationID, d.Seq) != 0 {
		return errSending
	}
	return nil
}

// Bulk says which deliveries are meant. Without a state it is the dead ones.
type Bulk struct {
	Cause  string `json:"cause,omitempty"`
	Form   string `json:"form,omitempty"`
	State  string `json:"state,omitempty"`  // dead or unknown
	All    bool   `json:"all,omitempty"`    // yes, really that many
	Reason string `json:"reason,omitempty"` // of a discard
}

// Count is the answer to a bulk.
type Count struct {
	Count int64 `json:"count"`
}

var errNoReason = invalidField("reason", "is required", "a discarded delivery needs a reason")

// invalidField is an error about one field of an operator's request.
func invalidField(field, what, message string) error {
	return &onramp.Error{
		Kind: onramp.Invalid, Message: message, Fields: []onramp.FieldError{{Field: field, Message: what}},
	}
}

func readBulk(r *http.Request, example string) (b Bulk, f onramp.Filter, err error) {
	if err := readJSON(r, &b, example); err != nil {
		return b, f, err
	}
	f = onramp.Filter{Cause: b.Cause, Form: b.Form, State: b.State}
	switch b.State {
	case "", onramp.DeliveryDead.String(), onramp.DeliveryUnknown.String():
		return b, f, nil
	}
	return b, f, invalidField("state", "must be dead or unknown", "only dead and unknown deliveries can be changed together")
}

func (a *Admin) retryDeliveries(w http.ResponseWriter, r *http.Request) error {
	b, filter, err := readBulk(r, `{"cause":"1e48f7c5"}`)
	if err != nil {
		return err
	}
	switch {
	case b.All:
	case b.State == onramp.DeliveryUnknown.String():
		return invalidField("all", "must be true", `deliveries whose answer was lost may have arrived already, and would then arrive twice: add "all": true to retry them all the same`)
	case b.Cause == "" && b.Form == "":
		return invalidField("all", "must be true", `this would retry every dead delivery: name a cause or a form, or add "all": true`)
	}
	n, err := a.Keep.RetryDeliveries(r.Context(), filter)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, Count{n})
}

// discardDeliveries needs no word to the pump, either.
func (a *Admin) discardDeliveries(w http.ResponseWriter, r *http.Request) error {
	b, filter, err := readBulk(r, `{"cause":"1e48f7c5","reason":"a test","all":true}`)
	if err != nil {
		return err
	}
	if strings.TrimSpace(b.Reason) == "" {
		return errNoReason
	}
	if !b.All {
		return invalidField("all", "must be true", `what is discarded is never sent, and there is no way back: add "all": true to discard several together`)
	}
	n, err := a.Keep.DiscardDeliveries(r.Context(), filter, b.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, Count{n})
}

// maxOperatorBody is the most that a request of an operator holds.
const maxOperatorBody = 64 << 10

// readJSON reads an operator's request; an empty body is an empty object.
func readJSON(r *http.Request, into any, example string) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxOperatorBody+1))
	switch {
	case err != nil:
		return malformed("the body could not be read to its end")
	case len(body) > maxOperatorBody:
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // as readBody does
		return &onramp.Error{Kind: onramp.TooLarge, Message: "the body is larger than 64 KiB"}
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(into); err == nil {
		_, err = decoder.Token() // nothing may follow
	}
	if !errors.Is(err, io.EOF) {
		return malformed("the body must be JSON such as " + example)
	}
	return nil
}
