package operator

import (
	"context"
	"strings"

	"onramp/internal/onramp"
)

// Bulk says which deliveries are to be changed together: those that are dead, or
// unknown if State says so.
type Bulk struct {
	Cause  string `json:"cause,omitempty"`
	Form   string `json:"form,omitempty"`
	State  string `json:"state,omitempty"`  // dead or unknown; default dead
	All    bool   `json:"all,omitempty"`    // confirms what can't be undone, or names no cause and no form
	Reason string `json:"reason,omitempty"` // of a discard

	// OverwriteNewer also retries those that would overwrite a newer row.
	OverwriteNewer bool `json:"overwrite_newer,omitempty"`
}

// Count is how many deliveries were changed.
type Count struct {
	Count      int64 `json:"count"`
	Superseded int64 `json:"superseded,omitempty"` // left alone, since a newer row has been delivered
}

var errNoReason = invalidField("reason", "is required", "a discarded delivery needs a reason")

// RetryDeliveries makes deliveries due at once. The error is of kind Invalid when
// the bulk needs All: unknown deliveries may arrive twice, and neither cause nor
// form means everything.
func (d *Desk) RetryDeliveries(ctx context.Context, b Bulk) (Count, error) {
	filter, err := b.filter()
	switch {
	case err != nil:
		return Count{}, err
	case b.All:
	case b.State == onramp.DeliveryUnknown.String():
		return Count{}, invalidField("all", "must be true", `deliveries whose answer was lost may already have arrived; add "all": true to retry them anyway`)
	case b.Cause == "" && b.Form == "":
		return Count{}, invalidField("all", "must be true", `this would retry every dead delivery: specify a cause or a form, or add "all": true`)
	}
	n, superseded, err := d.Changes.RetryDeliveries(ctx, filter, b.OverwriteNewer)
	return Count{n, superseded}, err
}

// DiscardDeliveries gives deliveries up for good. The error is of kind Invalid
// without a reason, or without All. The pump need not know: see EditDelivery.
func (d *Desk) DiscardDeliveries(ctx context.Context, b Bulk) (Count, error) {
	filter, err := b.filter()
	switch {
	case err != nil:
		return Count{}, err
	case strings.TrimSpace(b.Reason) == "":
		return Count{}, errNoReason
	case !b.All:
		return Count{}, invalidField("all", "must be true", `discarding can't be undone: add "all": true to discard several deliveries`)
	}
	n, err := d.Changes.DiscardDeliveries(ctx, filter, b.Reason)
	return Count{Count: n}, err
}

func (b Bulk) filter() (onramp.Filter, error) {
	switch b.State {
	case "", onramp.DeliveryDead.String(), onramp.DeliveryUnknown.String():
		return onramp.Filter{Cause: b.Cause, Form: b.Form, State: b.State}, nil
	}
	return onramp.Filter{}, invalidField("state", "must be dead or unknown", "only dead and unknown deliveries can be changed together")
}
