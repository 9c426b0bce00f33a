package operator

import (
	"context"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// Failures groups the dead or unknown deliveries to a destination by cause, the
// largest group first, and tells when the newest of the largest group failed; zero
// when that is not known.
func (d *Desk) Failures(ctx context.Context, destination string, state onramp.DeliveryState) (groups []onramp.CauseGroup, last time.Time, err error) {
	all, err := d.Deliveries.ListCauses(ctx, onramp.Filter{State: state.String()})
	if err != nil {
		return nil, time.Time{}, err
	}
	groups = slices.DeleteFunc(all, func(g onramp.CauseGroup) bool { return g.Destination != destination })
	if len(groups) == 0 {
		return nil, time.Time{}, nil
	}
	newest, err := d.Deliveries.FindDelivery(ctx, groups[0].Newest)
	if n := len(newest.Attempts); err == nil && n > 0 {
		last = newest.Attempts[n-1].StartedAt.Add(newest.Attempts[n-1].Took)
	}
	return groups, last, err
}
