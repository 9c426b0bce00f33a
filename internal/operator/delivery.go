package operator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// Delivery is a delivery as operators see it.
type Delivery struct {
	ID            string          `json:"id"`
	Registration  string          `json:"registration,omitempty"` // none of an event on its way to a sink
	Event         string          `json:"event,omitempty"`        // that is delivered, or has caused it
	Form          string          `json:"form,omitempty"`         // as registration
	Destination   string          `json:"destination"`
	Step          int             `json:"step"`
	State         string          `json:"state"`
	Tries         int             `json:"tries"` // attempts that count towards giving up, since it was accepted or last retried here
	SubscriberKey string          `json:"subscriber_key"`
	ReceivedAt    time.Time       `json:"received_at"`
	DueAt         *time.Time      `json:"due_at,omitempty"`       // of its next try
	Waits         string          `json:"waits,omitempty"`        // what a waiting or pending one waits for: step, person, destination, retry or turn
	WaitsFor      string          `json:"waits_for,omitempty"`    // with step and person: id of that delivery
	WaitsReason   string          `json:"waits_reason,omitempty"` // the same, for people
	SettledAt     *time.Time      `json:"settled_at,omitempty"`
	Reason        string          `json:"reason,omitempty"`
	Cause         string          `json:"cause,omitempty"`       // what those that failed alike have in common
	Resend        int64           `json:"resend,omitempty"`      // number of the resend that sends it again; received_at of an event is then when it was queued for that
	Fields        json.RawMessage `json:"fields,omitempty"`      // not in lists; of the registration
	Values        json.RawMessage `json:"values,omitempty"`      // not in lists; by column, as they are sent now
	LeftOut       []string        `json:"left_out,omitempty"`    // not in lists; fields that are not sent, since the form no longer has them
	Edits         []Edit          `json:"edits,omitempty"`       // not in lists; of the registration
	Attempts      []Attempt       `json:"attempts,omitempty"`    // not in lists; all that were recorded, whether or not they count as tries
	LaterSteps    []Delivery      `json:"later_steps,omitempty"` // not in lists; of the same registration: they are discarded with this one
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
	NotSent   bool      `json:"not_sent,omitempty"` // nothing has left this machine; detail says why
	Hint      string    `json:"hint,omitempty"`
	Request   string    `json:"request,omitempty"`
	Answer    string    `json:"answer,omitempty"`
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

// Causes are groups of deliveries that failed alike, the largest first.
type Causes struct {
	Items []Cause `json:"items"`
}

// fillFor is how long more pages are read for one.
const fillFor = 400 * time.Millisecond

// ListDeliveries lists deliveries, the newest first. What is in flight is stored as pending, and
// only here it is known which is which: it goes on to read until the page is full.
func (d *Desk) ListDeliveries(ctx context.Context, f onramp.Filter) (Page[Delivery], error) {
	if err := maySearch(ctx, f.Query); err != nil {
		return Page[Delivery]{}, err
	}
	page, err := d.listDeliveries(ctx, f)
	return shownPage(ctx, d, reveal{what: "deliveries.reveal"}, page, err)
}

func (d *Desk) listDeliveries(ctx context.Context, f onramp.Filter) (Page[Delivery], error) {
	var page Page[Delivery]
	limit := cmp.Or(max(f.Limit, 0), 50)
	for begun := time.Now(); ; {
		f.Limit = limit - len(page.Items)
		found, next, looked, err := d.Deliveries.ListDeliveries(ctx, f)
		if err != nil {
			return page, err
		}
		more := newPage(found, next, looked, d.delivery)
		more.Items = slices.DeleteFunc(more.Items, func(v Delivery) bool { return f.State != "" && v.State != f.State })
		more.Items = append(page.Items, more.Items...)
		short := len(more.Items) < len(page.Items)+len(found)
		page, f.Cursor = more, next
		switch {
		case !short || next == "" || len(page.Items) >= limit:
			return page, nil
		case time.Since(begun) >= fillFor:
			page.LookedTo = &found[len(found)-1].ReceivedAt
			return page, nil
		}
	}
}

// ListCauses groups dead and unknown deliveries by what they have in common. The
// filter may name a state and a form.
func (d *Desk) ListCauses(ctx context.Context, f onramp.Filter) (Causes, error) {
	groups, err := d.Deliveries.ListCauses(ctx, f)
	causes := Causes{Items: []Cause{}}
	for _, g := range groups {
		causes.Items = append(causes.Items, Cause{
			Cause: g.Cause, Destination: g.Destination, State: g.State.String(), Reason: g.Reason,
			Count: g.Count, Oldest: g.Oldest, Newest: g.Newest,
		})
	}
	return causes, err
}

// FindDelivery returns a delivery with its values, edits and attempts, or an error
// of kind NotFound.
func (d *Desk) FindDelivery(ctx context.Context, id string) (Delivery, error) {
	v, err := d.viewDelivery(ctx, id)
	return shown(ctx, d, reveal{"deliveries.reveal", v.ID}, v, err)
}

func (d *Desk) viewDelivery(ctx context.Context, id string) (Delivery, error) {
	found, err := d.Deliveries.FindDelivery(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	v := d.delivery(&found)
	for i := range found.Later {
		v.LaterSteps = append(v.LaterSteps, d.delivery(&found.Later[i]))
	}
	v.Values, v.Edits = found.Values, edits(found.Edits)
	if found.Event == nil {
		v.Fields = found.Values
		v.Values, v.LeftOut = d.columns(&onramp.Registration{ID: found.RegistrationID, Form: found.Form, ReceivedAt: found.ReceivedAt, Values: found.Values})
	}
	for _, t := range found.Attempts {
		v.Attempts = append(v.Attempts, Attempt{
			Number: t.Number, StartedAt: t.StartedAt, TookMS: float64(t.Took.Microseconds()) / 1000, Outcome: t.Verdict.String(),
			Status: t.Status, Code: t.Code, Detail: t.Detail, NotSent: t.NotSent, Hint: t.Hint, Request: t.Request, Answer: t.Answer,
		})
	}
	return v, nil
}

func (d *Desk) delivery(one *onramp.Delivery) Delivery {
	v := Delivery{
		ID: one.ID(), Registration: one.RegistrationID, Form: one.Form, Destination: one.Destination, Step: one.Step,
		State: one.State.String(), Tries: one.Tries, SubscriberKey: one.SubscriberKey, ReceivedAt: one.ReceivedAt,
		SettledAt: timePointer(one.SettledAt), Reason: one.Reason, Cause: one.Cause, Resend: one.Run,
	}
	if one.Event != nil {
		v.Event = one.Event.ID
	}
	if !one.DueAt.Equal(onramp.Never) {
		v.DueAt = timePointer(one.DueAt)
	}
	if flight := d.Pump.Flight(one.DestinationID, one.Seq); one.State == onramp.DeliveryPending && flight != 0 {
		v.State = flight.String()
	}
	d.sayWhy(&v, one)
	return v
}

// sayWhy says why a delivery is not being sent.
func (d *Desk) sayWhy(v *Delivery, one *onramp.Delivery) {
	switch v.State {
	case onramp.DeliveryWaiting.String():
		v.Waits, v.WaitsReason = "step", "the step before it"
		if one.Run == 0 { // a resend may leave that one out
			v.WaitsFor = onramp.DeliveryID(one.RegistrationID, one.Step-1)
		}
		return
	case onramp.DeliveryPending.String():
	default:
		return
	}
	stopped, how := d.stopped(one)
	switch {
	case one.DueAt.Equal(onramp.Never):
		v.Waits, v.WaitsFor, v.WaitsReason = "person", one.WaitsFor, "an earlier delivery for the same person"
	case stopped:
		v.Waits, v.WaitsReason = "destination", "its destination, which is "+how
	case one.DueAt.After(time.Now()):
		v.Waits, v.WaitsReason = "retry", "its next try at "+one.DueAt.Format("2006-01-02 15:04:05 UTC")
	default:
		v.Waits, v.WaitsReason = "turn", "its turn"
	}
}

// stopped says whether the destination of a delivery is not sent to, and how it is doing.
func (d *Desk) stopped(one *onramp.Delivery) (stopped bool, how string) {
	for _, h := range d.Pump.Health() {
		if h.Destination.ID != one.DestinationID {
			continue
		}
		how = h.State
		if why := h.Explain(); why != "" {
			how += ": " + why
		}
		return h.State != "running", how
	}
	return true, unconfigured + ": " + whyUnconfigured(one.Destination)
}

// RetryDelivery makes a delivery due at once and returns it. The error is of kind
// NotFound, or Conflict when its state forbids it, or when it would overwrite a
// newer row of the same person and overwrite is not set.
func (d *Desk) RetryDelivery(ctx context.Context, id string, overwrite bool) (Delivery, error) {
	return audited(ctx, d, change{what: "deliveries.retry", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (Delivery, error) {
		return d.retryDelivery(ctx, id, overwrite)
	})
}

func (d *Desk) retryDelivery(ctx context.Context, id string, overwrite bool) (Delivery, error) {
	found, err := d.findIdle(ctx, id)
	if err == nil {
		err = d.refuseUnsendable(&found)
	}
	if err != nil {
		return Delivery{}, err
	}
	if err := d.Changes.RetryDelivery(ctx, id, overwrite); err != nil {
		return Delivery{}, err
	}
	v, err := d.viewDelivery(ctx, id)
	return shownAgain(ctx, v, err)
}

// Correction is new values for a delivery's registration.
type Correction struct {
	Fields map[string]string `json:"fields"` // by the form's names, every value as a text
	Retry  bool              `json:"retry"`  // try the delivery again

	// OverwriteNewer retries it although it would overwrite a newer row.
	OverwriteNewer bool `json:"overwrite_newer,omitempty"`
}

var (
	errEventEdit = &onramp.Error{Kind: onramp.Conflict, Message: "a delivery of an event can't be edited; retry or discard it"}
	errNoForm    = &onramp.Error{Kind: onramp.Conflict, Message: "the form of this delivery is no longer configured, so its values can't be validated"}
)

// EditDelivery changes values of a dead or unknown delivery's registration, checked
// as its form checks them, and returns the delivery. What the registration held
// before is kept with it. The error is of kind Invalid with the fields that are
// wrong, NotFound, or Conflict.
//
// The pump need not know: what is dead or unknown is not in its memory, and
// neither are the later steps of the route.
func (d *Desk) EditDelivery(ctx context.Context, id string, c Correction) (Delivery, error) {
	return audited(ctx, d, change{what: "deliveries.edit", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (Delivery, error) {
		return d.editDelivery(ctx, id, c)
	})
}

func (d *Desk) editDelivery(ctx context.Context, id string, c Correction) (Delivery, error) {
	found, err := d.Deliveries.FindDelivery(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	form := d.Forms[found.Form]
	switch {
	case found.Event != nil:
		return Delivery{}, errEventEdit
	case form == nil:
		return Delivery{}, errNoForm
	}
	before := onramp.Edit{Fields: slices.Sorted(maps.Keys(c.Fields)), SubscriberKey: found.SubscriberKey, Values: found.Values}
	after, err := form.Edit(onramp.Registration{ID: found.RegistrationID, SubscriberKey: found.SubscriberKey, Values: found.Values}, c.Fields)
	if err != nil {
		return Delivery{}, err
	}
	if err := d.Changes.EditDelivery(ctx, found.ID(), before, after); err != nil {
		return Delivery{}, err
	}
	if c.Retry {
		if err := d.Changes.RetryDelivery(ctx, found.ID(), c.OverwriteNewer); err != nil {
			return Delivery{}, err
		}
	}
	v, err := d.viewDelivery(ctx, id)
	return shownAgain(ctx, v, err)
}

// DiscardDelivery gives a delivery up for good, with the later steps of the same
// registration, and returns it. It needs a reason.
// The error is of kind Invalid, NotFound, or Conflict when its state forbids it.
func (d *Desk) DiscardDelivery(ctx context.Context, id, reason string) (Delivery, error) {
	return audited(ctx, d, change{what: "deliveries.discard", role: onramp.RoleOperate, object: id, reason: reason}, func(ctx context.Context) (Delivery, error) {
		return d.discardDelivery(ctx, id, reason)
	})
}

func (d *Desk) discardDelivery(ctx context.Context, id, reason string) (Delivery, error) {
	if strings.TrimSpace(reason) == "" {
		return Delivery{}, errNoReason
	}
	found, err := d.findIdle(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	if err := d.discard(ctx, id, reason); err != nil {
		return Delivery{}, err
	}
	d.Pump.Forget(found.Seq)
	v, err := d.viewDelivery(ctx, id)
	return shownAgain(ctx, v, err)
}

// discard tries twice: the first one may be on disk though its answer was lost, and
// then the pump must hear of it.
func (d *Desk) discard(ctx context.Context, id, reason string) error {
	err := d.Changes.DiscardDelivery(ctx, id, reason)
	if e, ok := errors.AsType[*onramp.Error](err); ok && e.Kind == onramp.Unavailable {
		err = d.Changes.DiscardDelivery(ctx, id, reason)
	}
	return err
}

var errSending = &onramp.Error{Kind: onramp.Conflict, Message: "the delivery is being sent right now; try again shortly"}

// findIdle finds a delivery that is not in flight.
func (d *Desk) findIdle(ctx context.Context, id string) (onramp.Delivery, error) {
	found, err := d.Deliveries.FindDelivery(ctx, id)
	if err == nil && d.Pump.Flight(found.DestinationID, found.Seq) != 0 {
		err = errSending
	}
	return found, err
}
