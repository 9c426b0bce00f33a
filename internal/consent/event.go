package consent

import (
	"context"

	"onramp/internal/onramp"
)

// Events reads the stored events in their order.
type Events interface {
	// ConsentEventsTo tells how far events were looked at, and which wait for their person.
	ConsentEventsTo(ctx context.Context) (to int64, waiting []int64, err error)
	ListEventsAfter(ctx context.Context, seq int64, n int) ([]onramp.Event, error)
	// FindSend finds the event that says whom a send went to.
	FindSend(ctx context.Context, send string) (onramp.Event, bool, error)
	SaveConsentEvents(ctx context.Context, e onramp.ConsentEvents) error
}

const (
	eventsTogether = 500
	mostWaiting    = 200 // events that wait for their send; older ones are given up
)

// follow looks at the events that have come: whoever unsubscribes has withdrawn their
// consent, and what comes back of confirmations is counted.
func (d *Desk) follow(ctx context.Context) error {
	for {
		to, waiting, err := d.cfg.Events.ConsentEventsTo(ctx)
		if err != nil {
			return err
		}
		events, err := d.cfg.Events.ListEventsAfter(ctx, to, eventsTogether)
		if err != nil {
			return err
		}
		before := len(waiting)
		found := onramp.ConsentEvents{To: to}
		for _, seq := range waiting {
			again, err := d.cfg.Events.ListEventsAfter(ctx, seq-1, 1)
			if err != nil {
				return err
			}
			if len(again) > 0 && again[0].Seq == seq {
				events = append(events, again[0])
			}
		}
		for i := range events {
			if err := d.judge(ctx, &events[i], &found); err != nil {
				return err
			}
		}
		if extra := len(found.Waiting) - mostWaiting; extra > 0 {
			found.Waiting = found.Waiting[extra:]
		}
		if found.To == to && len(found.Waiting) == before {
			return nil
		}
		if err := d.cfg.Events.SaveConsentEvents(ctx, found); err != nil || len(events)-before < eventsTogether {
			return err
		}
	}
}

// judge says what one event means.
func (d *Desk) judge(ctx context.Context, e *onramp.Event, found *onramp.ConsentEvents) error {
	found.To = max(found.To, e.Seq)
	leaves, bounced := e.IsUnsubscribe(), e.IsHardBounce()
	if !leaves && !bounced {
		return nil
	}
	about := *e
	if _, known := e.Person(); !known {
		send, known, err := d.cfg.Events.FindSend(ctx, e.Send)
		if err != nil {
			return err
		}
		if !known {
			found.Waiting = append(found.Waiting, e.Seq)
			return nil
		}
		about = send
	}
	if leaves && about.SubscriberKey != "" {
		found.Withdrawn = append(found.Withdrawn, onramp.Withdrawal{Subscriber: d.keys.Subscriber(about.SubscriberKey), At: e.HappenedAt()})
	}
	if onramp.IsConfirmationID(about.MessageKey) {
		found.Returned = append(found.Returned, onramp.Returned{DeliveryID: about.MessageKey, At: e.HappenedAt(), Bounced: bounced})
	}
	return nil
}
