package store

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
)

const (
	arrivalsAtOnce = 20_000  // registrations that one call looks at
	mostArrivals   = 200_000 // registrations that are looked at of the time before
	sampledFrom    = 200_000 // the newest deliveries, of which a sample is taken
)

// ListArrivals tells when registrations were received after a seq, and how many, by form and minute, the
// oldest first, but for those with the ids of without. It looks at a bounded number of
// them, and returns how far: to is after when there are no more. After 0 it begins with
// what was received since a time, or with the newest 200,000.
func (s *Store) ListArrivals(ctx context.Context, after int64, since time.Time, without []string, each func(form string, first, last time.Time, n int)) (to int64, err error) {
	var newest int64
	if err := s.readers.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM registration`).Scan(&newest); err != nil {
		return after, readerErr("list arrivals", err)
	}
	if after == 0 {
		from, _, err := s.period(ctx, "registration", since, time.Time{})
		if err != nil {
			return 0, readerErr("list arrivals", err)
		}
		after = max(from-1, newest-mostArrivals)
	}
	to = max(min(newest, after+arrivalsAtOnce), after)
	args := []any{after, to}
	left := strings.Builder{}
	for _, id := range without {
		args = append(args, id)
		left.WriteString(` AND id <> $` + strconv.Itoa(len(args)))
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT form_id, MIN(received_at), MAX(received_at), COUNT(*) FROM registration
		WHERE seq > $1 AND seq <= $2`+left.String()+` GROUP BY form_id, received_at / 60000000 ORDER BY MIN(received_at)`, args...)
	_, err = collect(rows, err, func(rows *sql.Rows) (none struct{}, err error) {
		var form, n int
		var first, last int64
		if err = rows.Scan(&form, &first, &last, &n); err == nil {
			each(s.names.formName(form), fromMicros(first), fromMicros(last), n)
		}
		return none, err
	})
	if err != nil {
		return after, readerErr("list arrivals", err)
	}
	return to, nil
}

// SampleDelivered picks at most n deliveries of registrations that were received since a
// time and are delivered to a destination, spread over that time; of many only of the
// newest 200,000 deliveries. What was edited is left out: its values may not be those
// that were sent.
func (s *Store) SampleDelivered(ctx context.Context, destination string, since time.Time, n int) ([]onramp.Delivery, error) {
	id, known := s.names.destination(destination)
	from, err := s.firstDelivery(ctx, since)
	if err != nil || !known {
		return nil, readerErr("sample deliveries", err)
	}
	below := s.newest() + 1
	from = max(from, below-sampledFrom)
	step := max((below-from+int64(n)-1)/int64(n), 1)
	var sample []onramp.Delivery
	for low := from; low < below; low += step {
		high := min(low+step, below)
		start := low + rand.Int64N(high-low)
		for _, part := range [][2]int64{{start, high}, {low, start}} {
			found, err := s.listDeliveries(ctx, numbered(`WHERE d.seq >= $1 AND d.seq < $2 AND d.destination_id = $3 AND d.state = {{delivered}}
				AND d.event_seq IS NULL AND d.steps IS NULL AND r.received_at >= $4
				AND NOT EXISTS (SELECT 1 FROM edit WHERE edit.registration_seq = d.registration_seq) ORDER BY d.seq LIMIT 1`),
				part[0], part[1], id, micros(since))
			if err != nil {
				return nil, readerErr("sample deliveries", err)
			}
			if sample = append(sample, found...); len(found) > 0 {
				break
			}
		}
	}
	return sample, nil
}

// HasNewer says whether anything that was stored after a delivery is for the same person
// and destination: its row may hold that, by now or soon.
func (s *Store) HasNewer(ctx context.Context, d *onramp.Delivery) (bool, error) {
	var newer bool
	err := s.readers.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM delivery WHERE seq > $1 AND destination_id = $2 AND ordering_key = $3)`,
		d.Seq, d.DestinationID, d.OrderingKey).Scan(&newer)
	return newer, readerErr("look for a newer delivery", err)
}
