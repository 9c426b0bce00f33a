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
	blame := &blame{call: c}
	return attempt.Isolate(c.Deliveries, func(deliveries []onramp.Delivery) ([]onramp.Outcome, []int) {
		if len(deliveries) == 1 {
			return s.fireOne(ctx, blame, deliveries)
		}
		return s.fireMany(ctx, blame, deliveries)
	})
}

// eventData are the columns of an event: the data extension behind it wants the
// subscriber key among them.
func eventData(to onramp.Destination, d *onramp.Delivery) json.RawMessage {
	return withKeys(to, d, d.SubscriberKey)
}

func (s *Sender) fireOne(ctx context.Context, b *blame, one []onramp.Delivery) (outcomes []onramp.Outcome, refused []int) {
	to, d := b.call.Destination, &one[0]
	ctx, out, end := s.begin(ctx)
	defer end()
	instance, err := s.client.FireEvent(ctx, sfmc.JourneyEntry{
		ContactKey: d.SubscriberKey, EventDefinitionKey: to.Key, EstablishContactKey: to.EstablishContactKey, Data: eventData(to, d),
	})
	if err == nil {
		return []onramp.Outcome{{Verdict: onramp.Delivered, Status: http.StatusCreated, Detail: "event accepted, instance " + instance}}, nil
	}
	// a second welcome mail can't be taken back: an event that may have been accepted is not repeated
	return b.refused(err, one, out)
}

func (s *Sender) fireMany(ctx context.Context, b *blame, deliveries []onramp.Delivery) (outcomes []onramp.Outcome, refused []int) {
	to := b.call.Destination
	members := make([]sfmc.Member, len(deliveries))
	for i := range deliveries {
		members[i] = sfmc.Member{ContactKey: deliveries[i].SubscriberKey, Data: eventData(to, &deliveries[i])}
	}
	ctx, out, end := s.begin(ctx)
	defer end()
	fired, err := s.client.FireEvents(ctx, to.Key, members)
	if err != nil {
		return b.refused(err, deliveries, out)
	}
	outcomes = attempt.Alike(len(deliveries), onramp.Outcome{
		Verdict: onramp.Delivered, Status: http.StatusAccepted, Detail: "event accepted, request " + fired.RequestID, RequestID: fired.RequestID,
	})
	for i, m := range fired.Members {
		if m.Err != nil {
			outcomes[i] = judge(m.Err, to, true)
			outcomes[i].RequestID = fired.RequestID
			b.columns(&outcomes[i], append(m.Err.Additional, sfmc.Detail{Code: m.Err.Code, Message: m.Err.Message}), &deliveries[i], true)
		}
	}
	return out.note(outcomes), nil
}
