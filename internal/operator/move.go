package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"onramp/internal/onramp"
)

// Move says what is to go where: all that is not delivered or discarded.
type Move struct {
	From string `json:"from"` // name of a destination that nothing is sent to any more
	To   string `json:"to"`   // of a configured one of the same kind
	Dry  bool   `json:"dry_run,omitempty"`
}

// MoveDeliveries has what waits for a destination that was renamed go to its new name,
// and returns how much. The error is of kind Invalid when a name is not that of such
// a destination.
func (d *Desk) MoveDeliveries(ctx context.Context, m Move) (Count, error) {
	if m.Dry {
		return d.moveDeliveries(ctx, m)
	}
	return audited(ctx, d, change{what: "deliveries.move", role: onramp.RoleOperate, object: m.From + "..." + m.To}, func(ctx context.Context) (Count, error) {
		return d.moveDeliveries(ctx, m)
	})
}

func (d *Desk) moveDeliveries(ctx context.Context, m Move) (Count, error) {
	var served, left []string
	for _, o := range d.Overview().Destinations {
		if o.Configured {
			served = append(served, o.Name)
		} else {
			left = append(left, o.Name)
		}
	}
	switch {
	case slices.Contains(served, m.From):
		return Count{}, invalidField("from", "is still configured", fmt.Sprintf("%s is still in the configuration, so what waits for it will be sent there; pause or change the route first", m.From))
	case !slices.Contains(left, m.From):
		return Count{}, invalidField("from", "is unknown", fmt.Sprintf("nothing waits for a destination %q; deliveries that no route leads to any more: %s", m.From, listOf(left)))
	case !slices.Contains(served, m.To):
		return Count{}, invalidField("to", "is unknown", fmt.Sprintf("the configuration has no destination %q; it has: %s", m.To, listOf(served)))
	case onramp.KindOf(m.From) != onramp.KindOf(m.To):
		return Count{}, invalidField("to", "is of another kind", fmt.Sprintf("%s and %s are of different kinds", m.From, m.To))
	}
	n, err := d.Changes.MoveDeliveries(ctx, m.From, m.To, m.Dry)
	if err == nil && !m.Dry {
		d.Log.InfoContext(ctx, "deliveries were moved", "from", m.From, "destination", m.To, "deliveries", n)
	}
	return Count{Count: n}, err
}

// leftNotices say what is not sent, and what to do: what waits where no route leads any
// more, and the values of fields that are gone.
func (d *Desk) leftNotices() []string {
	var notices []string
	if d.Rows != nil {
		notices = d.Rows.LeftOut()
	}
	if d.Left == nil {
		return notices
	}
	for _, l := range d.Left() {
		why := "the form's route no longer has this step: correct the route"
		if d.Forms[l.Form] == nil {
			why = "the form is no longer in the configuration: add it again"
		}
		notices = append(notices, fmt.Sprintf("%d deliveries of form %s to %s can't be sent, because %s, or move them (onramp deliveries move), or discard them",
			l.Deliveries, l.Form, l.Destination, why))
	}
	return notices
}

// refuseUnsendable is the error of sending a delivery for which the configuration no
// longer says how.
func (d *Desk) refuseUnsendable(one *onramp.Delivery) error {
	_, needsNoForm := onramp.ColumnsAsStored(one.Values)
	if one.Event == nil && d.Forms[one.Form] == nil && !needsNoForm {
		return &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf("the form %s of this delivery is no longer in the configuration, so it can't be sent: add the form again, or discard the delivery", one.Form)}
	}
	if d.served()[one.DestinationID] {
		return nil
	}
	return &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf("the configuration no longer leads to %s, so the delivery can't be sent: correct the route, move it (onramp deliveries move), or discard it", one.Destination)}
}

// served are the destinations that are sent to.
func (d *Desk) served() map[int]bool {
	served := map[int]bool{}
	for _, h := range d.Pump.Health() {
		served[h.Destination.ID] = true
	}
	return served
}

// sendable says of deliveries whether the configuration says how to send them.
func (d *Desk) sendable() func(*onramp.Delivery) bool {
	served := d.served()
	return func(one *onramp.Delivery) bool {
		return served[one.DestinationID] && (one.Event != nil || d.Forms[one.Form] != nil)
	}
}

func listOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
