package operator

import (
	"context"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// Bulk says which deliveries are to be changed together: those that are dead, or
// unknown if State says so.
type Bulk struct {
	Cause       string `json:"cause,omitempty"`
	Form        string `json:"form,omitempty"`
	Destination string `json:"destination,omitempty"`
	Since       string `json:"since,omitempty"`  // received then or later, see ParsePeriod
	Until       string `json:"until,omitempty"`  // received before
	State       string `json:"state,omitempty"`  // dead or unknown; default dead
	All         bool   `json:"all,omitempty"`    // confirms what can't be undone, or is not narrowed
	Reason      string `json:"reason,omitempty"` // of a discard

	DryRun bool `json:"dry_run,omitempty"` // of a retry: only say what it would do

	// OverwriteNewer also retries those that would overwrite a newer row.
	OverwriteNewer bool `json:"overwrite_newer,omitempty"`
}

// Narrowed says whether it means less than all deliveries in its state.
func (b Bulk) Narrowed() bool {
	return b.Cause != "" || b.Form != "" || b.Destination != "" || b.Since != "" || b.Until != ""
}

// object is the bulk in the audit log: by names and times, which are nobody's.
func (b Bulk) object() string {
	state := b.State
	if state == "" {
		state = onramp.DeliveryDead.String()
	}
	parts := []string{state}
	for _, part := range []string{b.Cause, b.Form, b.Destination, b.Since, b.Until} {
		if part = plainName(part); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "...")
}

// Count is how many deliveries were changed.
type Count struct {
	Count      int64            `json:"count"`
	To         map[string]int64 `json:"to,omitempty"`          // how many would go to each destination; only of a dry run
	Superseded int64            `json:"superseded,omitempty"`  // left alone, since a newer row has been delivered
	Unsendable int64            `json:"unsendable,omitempty"`  // left alone, since their form is gone, or no route leads to their destination
	LaterSteps int64            `json:"later_steps,omitempty"` // discarded in addition, since they waited for one of these
}

// changed is the count in the audit log.
func (c Count) changed() int64 { return c.Count + c.LaterSteps }

var errNoReason = invalidField("reason", "is required", "a discarded delivery needs a reason")

// RetryDeliveries makes deliveries due at once, or says what it would do. The error is of kind Invalid when
// the bulk needs All: unknown deliveries may arrive twice, and one that is not
// narrowed means everything.
func (d *Desk) RetryDeliveries(ctx context.Context, b Bulk) (Count, error) {
	if b.DryRun {
		return d.retryDeliveries(ctx, b)
	}
	return audited(ctx, d, change{what: "deliveries.retry_all", role: onramp.RoleOperate, object: b.object()}, func(ctx context.Context) (Count, error) {
		return d.retryDeliveries(ctx, b)
	})
}

func (d *Desk) retryDeliveries(ctx context.Context, b Bulk) (Count, error) {
	filter, err := b.filter()
	switch {
	case err != nil:
		return Count{}, err
	case b.All || b.DryRun:
	case b.State == onramp.DeliveryUnknown.String():
		return Count{}, invalidField("all", "must be true", `deliveries whose answer was lost may already have arrived; add "all": true to retry them anyway`)
	case !b.Narrowed():
		return Count{}, invalidField("all", "must be true", `this would retry every dead delivery: specify a cause, form, destination or time, or add "all": true`)
	}
	retry := d.Changes.RetryDeliveries
	if b.DryRun {
		retry = d.Deliveries.PlanRetry
	}
	r, err := retry(ctx, filter, b.OverwriteNewer, d.sendable())
	return Count{Count: r.Count, To: r.To, Superseded: r.Superseded, Unsendable: r.Unsendable}, err
}

// DiscardDeliveries gives deliveries up for good, and with each one the later steps of its
// registration, which wait for it. The error is of kind Invalid
// without a reason, or without All. The pump need not know: see EditDelivery.
func (d *Desk) DiscardDeliveries(ctx context.Context, b Bulk) (Count, error) {
	return audited(ctx, d, change{what: "deliveries.discard_all", role: onramp.RoleOperate, object: b.object(), reason: b.Reason}, func(ctx context.Context) (Count, error) {
		return d.discardDeliveries(ctx, b)
	})
}

func (d *Desk) discardDeliveries(ctx context.Context, b Bulk) (Count, error) {
	filter, err := b.filter()
	switch {
	case err != nil:
		return Count{}, err
	case b.DryRun:
		return Count{}, invalidField("dry_run", "can only be used with retry", "discarding has no dry run")
	case strings.TrimSpace(b.Reason) == "":
		return Count{}, errNoReason
	case !b.All:
		return Count{}, invalidField("all", "must be true", `discarding can't be undone: add "all": true to discard several deliveries`)
	}
	n, later, err := d.Changes.DiscardDeliveries(ctx, filter, b.Reason)
	return Count{Count: n, LaterSteps: later}, err
}

func (b Bulk) filter() (onramp.Filter, error) {
	switch b.State {
	case "", onramp.DeliveryDead.String(), onramp.DeliveryUnknown.String():
	default:
		return onramp.Filter{}, invalidField("state", "must be dead or unknown", "only dead and unknown deliveries can be changed together")
	}
	since, until, err := ParsePeriod(b.Since, b.Until, time.Now())
	return onramp.Filter{Cause: b.Cause, Form: b.Form, Destination: b.Destination, State: b.State, Since: since, Until: until}, err
}
