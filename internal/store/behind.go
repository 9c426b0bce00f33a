package store

import (
	"context"

	"onramp/internal/onramp"
)

// mostBehind is up to where those are counted that wait, so that a status costs
// little however many there are.
const mostBehind = 10_000

var (
	countBehind = numbered(`SELECT COUNT(*) FROM (SELECT 1 FROM delivery d
		WHERE d.destination_id = $1 AND d.due_at = $2 AND d.state = {{pending}} LIMIT $3) b`)

	// those with a due time of their own that keep others back
	countEarlier = `SELECT COUNT(*), COALESCE(MIN(e.seq), 0) FROM (SELECT d.seq FROM delivery d
		WHERE d.destination_id = $1 AND d.due_at IS NOT NULL AND d.due_at < $2 AND EXISTS (SELECT 1 FROM delivery l
			WHERE l.destination_id = d.destination_id AND l.ordering_key = d.ordering_key AND l.due_at IS NOT NULL AND l.seq > d.seq)
		LIMIT $3) e`

	findEarlier = `WHERE d.seq = (SELECT MIN(e.seq) FROM delivery e
		WHERE e.destination_id = $1 AND e.ordering_key = $2 AND e.due_at IS NOT NULL AND e.seq < $3)`
)

// Behind tells how many deliveries to a destination wait for earlier ones of their
// keys, how many those are, each up to 10,000, and the oldest of these; it has no
// Seq when there is none.
func (s *Store) Behind(ctx context.Context, destination string) (waiting, earlier int64, oldest onramp.Delivery, err error) {
	id, _ := s.names.destination(destination)
	err = s.readers.QueryRowContext(ctx, countBehind, id, micros(onramp.Never), mostBehind).Scan(&waiting)
	if err != nil || waiting == 0 {
		return 0, 0, oldest, readerErr("count waiting deliveries", err)
	}
	var first int64
	if err := s.readers.QueryRowContext(ctx, countEarlier, id, micros(onramp.Never), mostBehind).Scan(&earlier, &first); err != nil {
		return 0, 0, oldest, readerErr("count earlier deliveries", err)
	}
	found, err := s.listDeliveries(ctx, `WHERE d.seq = $1`, first)
	if len(found) > 0 {
		oldest = found[0]
	}
	return waiting, earlier, oldest, readerErr("find earlier delivery", err)
}

// nameWaitedFor names for pending deliveries what they wait for: the earliest of their
// key in the retry set.
func (s *Store) nameWaitedFor(ctx context.Context, deliveries []onramp.Delivery) error {
	for i := range deliveries {
		d := &deliveries[i]
		if d.State != onramp.DeliveryPending || !d.DueAt.Equal(onramp.Never) {
			continue
		}
		found, err := s.listDeliveries(ctx, findEarlier, d.DestinationID, d.OrderingKey, d.Seq)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			d.WaitsFor = found[0].ID()
		}
	}
	return nil
}
