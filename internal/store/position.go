package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"

	"onramp/internal/onramp"
)

// Resume returns the seq up to which every delivery of a destination is settled or
// parked: reading begins after it. With it come the asynchronous requests whose
// outcomes are not settled. It takes note of what else the process before this one may
// have had in flight when it was killed: it may still be carried out.
func (s *Store) Resume(ctx context.Context, d onramp.Destination) (readTo int64, jobs []onramp.Job, err error) {
	reading, cancel := limited(ctx, s.waits.read)
	defer cancel()
	var sentTo int64
	err = s.readers.QueryRowContext(reading, `SELECT read_to, sent_to FROM destination WHERE id = $1`, d.ID).Scan(&readTo, &sentTo)
	if err != nil {
		return 0, nil, readerErr("find read mark", because(reading, err))
	}
	if jobs, err = s.listJobs(reading, d.ID); err != nil {
		return 0, nil, err
	}
	if sentTo != 0 && (d.Upserts() || d.Kind == onramp.Journey) {
		err = s.noteInFlight(ctx, d.ID, readTo, sentTo, jobs)
	}
	return readTo, jobs, err
}

// noteInFlight notes what may have been sent, but for what jobs have taken: their
// outcomes are waited for.
func (s *Store) noteInFlight(ctx context.Context, destination int, readTo, sentTo int64, jobs []onramp.Job) error {
	inFlight, err := s.listMaybeInFlight(ctx, destination, readTo, sentTo)
	if err != nil {
		return err
	}
	taken := map[int64]bool{}
	for _, j := range jobs {
		for i := range j.Deliveries {
			taken[j.Deliveries[i].Seq] = true
		}
	}
	inFlight = slices.DeleteFunc(inFlight, func(d onramp.Delivery) bool { return taken[d.Seq] })
	for part := range slices.Chunk(inFlight, lateTogether) {
		err := s.writer.write(ctx, &op{rows: len(part), run: func(t *tx) error {
			woken := map[int]wakeUp{}
			for i := range part {
				if err := t.noteLateCall(&onramp.Settlement{Delivery: &part[i], Late: true}, woken); err != nil {
					return err
				}
			}
			t.wakeAfter(woken)
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	freshInFlight = numbered(`SELECT MIN(seq), MIN(step), ordering_key FROM delivery
		WHERE seq > $2 AND seq <= $3 AND destination_id = $1 AND state = {{pending}} AND due_at IS NULL
		GROUP BY ordering_key ORDER BY MIN(seq) LIMIT $4`)
	dueInFlight = numbered(`SELECT seq, step, ordering_key FROM delivery
		WHERE destination_id = $1 AND due_at <= $2 AND state = {{pending}} ORDER BY due_at, seq LIMIT $3`)
	resendsInFlight = `SELECT seq, 1, ordering_key FROM resend WHERE destination_id = $1 AND due_at <= $2 ORDER BY due_at, seq LIMIT $3 + 0`
)

// listMaybeInFlight lists the first delivery of each key that may have been sent, and
// those that may have been sent once more.
func (s *Store) listMaybeInFlight(ctx context.Context, destination int, readTo, sentTo int64) ([]onramp.Delivery, error) {
	scan := func(rows *sql.Rows) (d onramp.Delivery, err error) {
		d.DestinationID = destination
		err = rows.Scan(&d.Seq, &d.Step, &d.OrderingKey)
		return d, err
	}
	ctx, cancel := limited(ctx, s.waits.lease)
	defer cancel()
	rows, err := s.readers.QueryContext(ctx, freshInFlight, destination, readTo, sentTo, mostFresh)
	fresh, err := collect(rows, err, scan)
	if err != nil {
		return nil, readerErr("list what was in flight", err)
	}
	rows, err = s.readers.QueryContext(ctx, dueInFlight, destination, micros(s.now()), mostDue)
	due, err := collect(rows, err, scan)
	if err != nil {
		return nil, readerErr("list what was in flight", err)
	}
	rows, err = s.readers.QueryContext(ctx, resendsInFlight, destination, micros(s.now()), mostDue)
	resends, err := collect(rows, err, scan)
	return slices.Concat(fresh, due, resends), readerErr("list what was in flight", err)
}

// SavePosition saves how far a destination is: everything up to readTo is settled or
// parked, and nothing after sentTo has been sent. sentTo is 0 when nothing is in
// flight.
func (s *Store) SavePosition(ctx context.Context, destination int, readTo, sentTo int64) error {
	ctx, cancel := limited(ctx, s.waits.lease)
	defer cancel()
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`UPDATE destination SET read_to = $1, sent_to = $2 WHERE id = $3`, readTo, sentTo, destination)
	}})
}

// SaveJob keeps what an asynchronous request has taken, so that its result can be
// asked for after a restart.
func (s *Store) SaveJob(ctx context.Context, destination int, j onramp.Job) error {
	ctx, cancel := limited(ctx, s.waits.lease)
	defer cancel()
	seqs := make([]int64, len(j.Deliveries))
	for i := range j.Deliveries {
		seqs[i] = j.Deliveries[i].Seq
	}
	list, err := json.Marshal(seqs)
	if err != nil {
		return err
	}
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		return t.exec(`INSERT INTO job (request_id, destination_id, submitted_at, seqs) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			storable(j.RequestID), destination, micros(j.SubmittedAt), string(list))
	}})
}

// EndJobs forgets asynchronous requests whose outcomes are settled.
func (s *Store) EndJobs(ctx context.Context, requestIDs []string) error {
	ctx, cancel := limited(ctx, s.waits.lease)
	defer cancel()
	return s.writer.write(ctx, &op{run: func(t *tx) error {
		for _, id := range requestIDs {
			if err := t.exec(`DELETE FROM job WHERE request_id = $1`, storable(id)); err != nil {
				return err
			}
		}
		return nil
	}})
}

// listJobs lists the asynchronous requests of a destination whose outcomes are not
// settled, with all their deliveries in the order of their rows. One whose row is
// no longer there has only its seq.
func (s *Store) listJobs(ctx context.Context, destination int) ([]onramp.Job, error) {
	type row struct {
		id, seqs    string
		submittedAt int64
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT request_id, submitted_at, seqs FROM job WHERE destination_id = $1 ORDER BY submitted_at`, destination)
	found, err := collect(rows, err, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.id, &r.submittedAt, &r.seqs)
		return r, err
	})
	if err != nil {
		return nil, readerErr("list jobs", err)
	}
	jobs := make([]onramp.Job, len(found))
	for i, r := range found {
		jobs[i] = onramp.Job{RequestID: r.id, SubmittedAt: fromMicros(r.submittedAt)}
		if jobs[i].Deliveries, err = s.listOfJob(ctx, r.seqs); err != nil {
			return nil, readerErr("list deliveries of job", err)
		}
	}
	return jobs, nil
}

// numberList writes numbers into a query.
func numberList(numbers []int64) string {
	var b []byte
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(b)
}

func (s *Store) listOfJob(ctx context.Context, list string) ([]onramp.Delivery, error) {
	var seqs []int64
	if err := json.Unmarshal([]byte(list), &seqs); err != nil || len(seqs) == 0 {
		return nil, err
	}
	bySeq := make(map[int64]onramp.Delivery, len(seqs))
	for part := range slices.Chunk(seqs, lateTogether) {
		found, err := s.listDeliveries(ctx, `WHERE d.seq IN (`+numberList(part)+`)`)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			bySeq[d.Seq] = d
		}
	}
	deliveries := make([]onramp.Delivery, len(seqs))
	for i, seq := range seqs {
		deliveries[i] = bySeq[seq]
		deliveries[i].Seq = seq
	}
	return deliveries, nil
}
