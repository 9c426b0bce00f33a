package outbound

import (
	"context"
	"encoding/json"
	"net/http"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

// fire lets contacts enter journeys: one by the route for one, several by the
// route for batches.
func (s *Sender) fire(ctx context.Context, c onramp.Call) []onramp.Outcome {
	return attempt.Isolate(c.Deliveries, func(deliveries []onramp.Delivery) ([]onramp.Outcome, []int) {
		if len(deliveries) == 1 {
			o := s.fireOne(ctx, c.Destination, &deliveries[0])
			return alone(o)
		}
		return s.fireMany(ctx, c.Destination, deliveries)
	})
}

// eventData are the columns of an event: the data extension behind it wants the
// subscriber key among them.
func eventData(to onramp.Destination, d *onramp.Delivery) json.RawMessage {
	return withKey(d.Values, to.KeyColumn, d.SubscriberKey)
}

func (s *Sender) fireOne(ctx context.Context, to onramp.Destination, d *onramp.Delivery) onramp.Outcome {
	ctx, out, end := s.begin(ctx)
	defer end()
	instance, err := s.client.FireEvent(ctx, sfmc.JourneyEntry{
		ContactKey: d.SubscriberKey, EventDefinitionKey: to.Key, EstablishContactKey: to.EstablishContactKey, Data: eventData(to, d),
	})
	if err == nil {
		return onramp.Outcome{Verdict: onramp.Delivered, Status: http.StatusCreated, Detail: "event accepted, instance " + instance}
	}
	// a second welcome mail can't be taken back: an event that may have been accepted is not repeated
	return out.note([]onramp.Outcome{judge(err, to, out.sent(err))})[0]
}

func (s *Sender) fireMany(ctx context.Context, to onramp.Destination, deliveries []onramp.Delivery) (outcomes []onramp.Outcome, refused []int) {
	members := make([]sfmc.Member, len(deliveries))
	for i := range deliveries {
		members[i] = sfmc.Member{ContactKey: deliveries[i].SubscriberKey, Data: eventData(to, &deliveries[i])}
	}
	ctx, out, end := s.begin(ctx)
	defer end()
	fired, err := s.client.FireEvents(ctx, to.Key, members)
	if err != nil {
		outcomes, refused = attempt.Alike(len(deliveries), judge(err, to, out.sent(err))), suspects(err, len(deliveries))
	} else {
		outcomes = attempt.Alike(len(deliveries), onramp.Outcome{
			Verdict: onramp.Delivered, Status: http.StatusAccepted, Detail: "event accepted, request " + fired.RequestID,
		})
		for i, m := range fired.Members {
			if m.Err != nil {
				outcomes[i] = judge(m.Err, to, true)
			}
		}
	}
	return out.note(outcomes), refused
}
