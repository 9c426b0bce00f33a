package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

// store upserts rows by the synchronous route.
func (s *Sender) store(ctx context.Context, c onramp.Call) []onramp.Outcome {
	to, blame := c.Destination, &blame{call: c}
	return attempt.Isolate(c.Deliveries, func(deliveries []onramp.Delivery) ([]onramp.Outcome, []int) {
		rows := make([]sfmc.Row, len(deliveries))
		for i := range deliveries {
			rows[i] = sfmc.Row{Keys: rowKeys(to, &deliveries[i]), Values: rowValues(&deliveries[i])}
		}
		ctx, out, end := s.begin(ctx)
		defer end()
		err := s.client.StoreRows(ctx, to.Key, rows)
		if err == nil {
			return attempt.Alike(len(rows), onramp.Outcome{Verdict: onramp.Delivered, Status: http.StatusOK, Detail: "row stored"}), nil
		}
		return blame.refused(err, deliveries, out)
	})
}

// storeAsync gives rows to the asynchronous route and waits for their results. Those
// that an earlier call has submitted it only waits for.
func (s *Sender) storeAsync(ctx context.Context, c onramp.Call) []onramp.Outcome {
	to, blame := c.Destination, &blame{call: c}
	if c.RequestID != "" {
		return s.finish(ctx, job{c.RequestID, c.Deliveries, blame}, new(outgoing))
	}
	write := s.client.UpsertRowsAsync
	if to.InsertOnly {
		write = s.client.InsertRowsAsync
	}
	return attempt.Isolate(c.Deliveries, func(deliveries []onramp.Delivery) ([]onramp.Outcome, []int) {
		rows := make([]any, len(deliveries))
		for i := range deliveries {
			rows[i] = withKeys(to, &deliveries[i], rowKey(to, &deliveries[i]))
		}
		limited, out, end := s.begin(ctx)
		defer end()
		id, err := write(limited, to.Key, rows)
		if err != nil {
			return blame.refused(err, deliveries, out)
		}
		if c.Submitted != nil {
			c.Submitted(id, deliveries)
		}
		if !to.InsertOnly {
			out.hold(deliveries)
		}
		return s.finish(ctx, job{id, deliveries, blame}, out), nil
	})
}

// job is a request by the asynchronous route.
type job struct {
	id    string
	rows  []onramp.Delivery
	blame *blame
}

// finish waits for the results of rows that were submitted, by the call of out.
func (s *Sender) finish(ctx context.Context, j job, out *outgoing) []onramp.Outcome {
	outcomes, existing := s.await(ctx, j)
	for i := range outcomes {
		outcomes[i].RequestID = j.id
	}
	out.note(outcomes)
	if to := j.blame.call.Destination; to.InsertOnly && to.OnExisting == onramp.Update {
		s.update(ctx, to, j.rows, existing, outcomes)
	}
	return outcomes
}

// update stores those rows by the synchronous route that the asynchronous insert
// refused because they exist, and writes their outcomes over the others.
func (s *Sender) update(ctx context.Context, to onramp.Destination, deliveries []onramp.Delivery, existing []int, outcomes []onramp.Outcome) {
	for part := range slices.Chunk(existing, to.MostInCall(false)) {
		again := make([]onramp.Delivery, len(part))
		for i, at := range part {
			again[i] = deliveries[at]
		}
		for i, o := range s.store(ctx, onramp.Call{Destination: to, Deliveries: again}) {
			outcomes[part[i]] = o
		}
	}
}

// How the results of an asynchronous request are waited for. A small one takes
// half a second to two; the status of one that was just submitted is often not
// there yet, and an unknown request is answered in the same way.
const (
	firstPoll    = 500 * time.Millisecond // after the submission; grows by a half up to
	slowestPoll  = 5 * time.Second
	rareFactor   = 6                // so much longer while calls are saved
	longestTrace = 2 * time.Minute  // without any status
	longestJob   = 15 * time.Minute // until it is complete
	pollTroubles = 5                // failed polls in a row
)

// await polls until every row of a request has its outcome. existing are the rows
// that were not inserted because they exist. A request of which that can't be told
// may be carried out yet.
func (s *Sender) await(ctx context.Context, j job) (outcomes []onramp.Outcome, existing []int) {
	to, id := j.blame.call.Destination, j.id
	all := func(o onramp.Outcome) ([]onramp.Outcome, []int) {
		o.MayHaveArrived, o.NotSent = true, false // what was not sent is only the question
		return attempt.Alike(len(j.rows), o), nil
	}
	begun := time.Now()
	troubles, asked := 0, time.Duration(0) // asked: by the answer, to wait
	for pause := firstPoll; ; pause = min(pause+pause/2, slowestPoll) {
		select {
		case <-time.After(max(s.pollPause(pause), asked)):
		case <-ctx.Done():
			return all(judge(context.Cause(ctx), to, false))
		}
		status, err := s.status(ctx, id)
		if err == nil && status.Done() {
			outcomes, existing, err = s.results(ctx, j, status)
		}
		waited := time.Since(begun).Round(time.Second)
		switch {
		case err != nil:
			o := judge(err, to, false)
			if troubles++; troubles >= pollTroubles || o.Verdict == onramp.Rejected {
				o.Verdict = passing(o.Verdict)
				o.Detail = "result of request " + id + ": " + o.Detail
				return all(o)
			}
			asked = min(o.RetryAfter, longestTrace)
		case outcomes != nil:
			return outcomes, existing
		case !status.Found && waited >= longestTrace:
			return all(onramp.Outcome{Verdict: onramp.Retry, Status: http.StatusOK, Detail: fmt.Sprintf("Marketing Cloud knows no request %s after %v", id, waited)})
		case waited >= longestJob:
			return all(onramp.Outcome{Verdict: onramp.Retry, Status: http.StatusOK, Detail: fmt.Sprintf("request %s is %q after %v", id, status.RequestStatus, waited)})
		default:
			troubles, asked = 0, 0
		}
	}
}

// pollPause makes a pause between polls longer while calls are saved.
func (s *Sender) pollPause(usual time.Duration) time.Duration {
	if s.calls.Saving().Wait > 0 {
		return rareFactor * usual
	}
	return usual
}

// passing turns a refusal to tell the result into another try: nothing is wrong
// with the rows.
func passing(v onramp.Verdict) onramp.Verdict {
	if v == onramp.Rejected {
		return onramp.Retry
	}
	return v
}

// status asks how far a request has come. 404 says that it is not known, as a 200
// without a status does: not yet, or no longer.
func (s *Sender) status(ctx context.Context, id string) (sfmc.AsyncStatus, error) {
	ctx, _, end := s.begin(ctx)
	defer end()
	status, err := s.client.AsyncStatus(ctx, id)
	if e, ok := errors.AsType[*sfmc.Error](err); ok && e.Op == sfmc.OpAsyncStatus && e.Status == http.StatusNotFound {
		return sfmc.AsyncStatus{}, nil
	}
	return status, err
}

// results gives the outcome of each row of a complete request, and which rows were
// not inserted because they exist. That all went well the status has said already;
// only errors are looked up.
func (s *Sender) results(ctx context.Context, j job, status sfmc.AsyncStatus) (outcomes []onramp.Outcome, existing []int, err error) {
	to, id, rows := j.blame.call.Destination, j.id, len(j.rows)
	stored := onramp.Outcome{Verdict: onramp.Delivered, Status: http.StatusOK, Detail: "row stored, request " + id}
	if status.AllOK() {
		return attempt.Alike(rows, stored), nil, nil
	}
	outcomes = make([]onramp.Outcome, 0, rows)
	for page := 1; len(outcomes) < rows; page++ {
		limited, _, end := s.begin(ctx)
		found, err := s.client.AsyncResults(limited, id, page)
		end()
		if page > 1 && errors.Is(err, sfmc.ErrAnswer) || err == nil && len(found.Items) == 0 {
			break // there are no more, or always the same ones
		}
		if err == nil && found.Count > rows {
			err = fmt.Errorf("%w: %d results for %d rows", sfmc.ErrAnswer, found.Count, rows)
		}
		if err != nil {
			return nil, nil, err
		}
		for _, item := range found.Items[:min(len(found.Items), rows-len(outcomes))] {
			o, exists := stored, false
			if !item.OK {
				o, exists = judgeRow(to, item)
				j.blame.columns(&o, append(item.Errors, item.Detail), &j.rows[len(outcomes)], true)
			}
			if exists {
				existing = append(existing, len(outcomes))
			}
			outcomes = append(outcomes, o)
		}
	}
	for len(outcomes) < rows {
		outcomes = append(outcomes, onramp.Outcome{
			Verdict: onramp.Retry, Status: http.StatusOK, MayHaveArrived: true,
			Detail: fmt.Sprintf("request %s is %q and says nothing of this row", id, status.RequestStatus),
		})
	}
	return outcomes, existing, nil
}

// text is a column's value among those of a registration; "" when it is missing
// or no text.
func text(values json.RawMessage, column string) string {
	var columns map[string]json.RawMessage
	var value string
	if json.Unmarshal(values, &columns) != nil || json.Unmarshal(columns[column], &value) != nil {
		return ""
	}
	return value
}
