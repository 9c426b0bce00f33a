package outbound

import (
	"context"
	"errors"
	"net/http"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

// sendMessages sends transactional messages. The delivery's id is the message
// key, of which Marketing Cloud takes only one: a repeated call does no harm.
func (s *Sender) sendMessages(ctx context.Context, c onramp.Call) []onramp.Outcome {
	blame := &blame{call: c}
	return attempt.Isolate(c.Deliveries, func(deliveries []onramp.Delivery) ([]onramp.Outcome, []int) {
		if len(deliveries) == 1 {
			return s.sendMessage(ctx, blame, deliveries)
		}
		return s.sendBatch(ctx, blame, deliveries)
	})
}

// recipient is who gets the message of a delivery. A missing address is left to
// Marketing Cloud to refuse.
func recipient(to onramp.Destination, d *onramp.Delivery) sfmc.Recipient {
	address := d.Address
	if d.Confirmation == nil {
		address = text(d.Values, to.ToColumn)
	}
	return sfmc.Recipient{ContactKey: d.SubscriberKey, To: address, MessageKey: d.ID(), Attributes: d.Values}
}

func (s *Sender) sendMessage(ctx context.Context, b *blame, one []onramp.Delivery) (outcomes []onramp.Outcome, refused []int) {
	to := b.call.Destination
	r := recipient(to, &one[0])
	ctx, out, end := s.begin(ctx)
	defer end()
	id, err := s.client.SendMessage(ctx, r.MessageKey, to.Key, r)
	if err == nil {
		return []onramp.Outcome{{Verdict: onramp.Delivered, Status: http.StatusAccepted, Detail: "message accepted, request " + id, RequestID: id}}, nil
	}
	if o := judgeMessage(err, to, out.sent(err)); o.Verdict == onramp.Delivered {
		return []onramp.Outcome{o}, nil
	}
	return b.refused(err, one, out)
}

func (s *Sender) sendBatch(ctx context.Context, b *blame, deliveries []onramp.Delivery) (outcomes []onramp.Outcome, refused []int) {
	to := b.call.Destination
	recipients := make([]sfmc.Recipient, len(deliveries))
	for i := range deliveries {
		recipients[i] = recipient(to, &deliveries[i])
	}
	ctx, out, end := s.begin(ctx)
	defer end()
	sent, err := s.client.SendMessages(ctx, to.Key, recipients)
	if err != nil {
		return b.refused(err, deliveries, out)
	}
	outcomes = attempt.Alike(len(deliveries), onramp.Outcome{
		Verdict: onramp.Delivered, Status: http.StatusAccepted, Detail: "message accepted, request " + sent.RequestID, RequestID: sent.RequestID,
	})
	for i, m := range sent.Messages {
		if m.Err != nil {
			outcomes[i] = judgeMessage(m.Err, to, false)
			outcomes[i].RequestID = sent.RequestID
			b.columns(&outcomes[i], append(m.Err.Additional, sfmc.Detail{Code: m.Err.Code, Message: m.Err.Message}), &deliveries[i], true)
		}
	}
	return out.note(outcomes), nil
}

// judgeMessage takes a message key that is known already for what it is: our own
// earlier call has arrived.
func judgeMessage(err error, to onramp.Destination, sent bool) onramp.Outcome {
	if e, ok := errors.AsType[*sfmc.Error](err); ok && e.DuplicateMessageKey() {
		return onramp.Outcome{Verdict: onramp.Delivered, Status: e.Status, Detail: "message was accepted from an earlier attempt"}
	}
	return judge(err, to, sent)
}
