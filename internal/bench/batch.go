package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// BatchConfig says which batches of events to send, where, and for how long.
type BatchConfig struct {
	// Addr is the server's host:port, Path the callback's.
	Addr, Path string
	// Header is sent too, such as an Authorization.
	Header http.Header
	// Key signs each batch, as the Event Notification Service does.
	Key []byte
	// Events is how many a batch has; 0 means 1,000, the most that there can be.
	Events int
	// Connections is how many keep-alive connections send at the same time; 0
	// means 4.
	Connections int
	// Rate is how many batches begin per second, whether or not earlier ones are
	// answered; 0 means that each connection sends its next batch when the last is
	// answered. With a Rate a batch that has to wait for its connection is late,
	// and its latency says so.
	Rate float64
	// RepeatEvery n sends every nth batch of a connection once more, right after
	// its answer; 0: none.
	RepeatEvery int
	// Duration is how long batches begin.
	Duration time.Duration
	// After is the number of the event that was sent before the first one: the
	// BatchResult.Last of an earlier SendBatches to the same server.
	After int64
}

// BatchResult is what the senders of batches saw.
type BatchResult struct {
	// Result has one request for each batch, repeats included. A batch whose answer
	// does not count the events that it has is an error.
	Result
	// Events is how many a batch had.
	Events int `json:"events"`
	// Stored and Repeated are the events that the answers have counted.
	Stored   int64 `json:"stored"`
	Repeated int64 `json:"repeated"`
	// Last is the number of the last event that was made.
	Last int64 `json:"last"`
}

// StoredRate is the number of events stored a second; zero when no time passed.
func (r BatchResult) StoredRate() float64 { return perSecond(r.Stored, r.Elapsed) }

// SendBatches sends batches of signed events to a callback, all of them
// different, and returns what came back. It builds them in this process, so that its
// processor time is to be shown beside the server's. Errors and the wait for the
// last answers are as Load's.
func SendBatches(ctx context.Context, c BatchConfig) (BatchResult, error) {
	c.Events, c.Connections = cmp.Or(c.Events, 1000), cmp.Or(c.Connections, 4)
	if err := c.validate(); err != nil {
		return BatchResult{}, err
	}
	s := &batchSender{config: c, plan: schedule{end: c.Duration}}
	s.last.Store(c.After)
	running, cancel := context.WithTimeoutCause(ctx, s.plan.end+drain, errDrain)
	defer cancel()
	defer s.disconnect()
	for range c.Connections {
		if err := s.add().connect(running); err != nil {
			return BatchResult{}, fmt.Errorf("connect to %s: %w", c.Addr, err)
		}
	}
	s.plan.begin = time.Now()
	var wg sync.WaitGroup
	for i, k := range s.clients {
		wg.Go(func() { s.run(running, k, i) })
	}
	wg.Wait()
	r := s.result()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, nil
}

// validate reports every mistake at once.
func (c BatchConfig) validate() error {
	var errs []error
	if c.Events < 0 || c.Connections < 0 || c.Rate < 0 || c.RepeatEvery < 0 {
		errs = append(errs, errors.New("a count or a time is negative"))
	}
	if c.Duration <= 0 {
		errs = append(errs, errors.New("there is no time to send in"))
	}
	if c.After < 0 || c.After > lastNumber-firstNumber {
		errs = append(errs, fmt.Errorf("no event has the number %d", c.After))
	}
	load := LoadConfig{Addr: c.Addr, Path: c.Path, Header: c.Header}.withDefaults()
	return errors.Join(append(errs, load.validate())...)
}

// batchSender is one SendBatches.
type batchSender struct {
	config  BatchConfig
	plan    schedule
	last    atomic.Int64 // number of the last event that a connection has made
	clients []*batchClient
}

// batchClient is one connection's sender of batches.
type batchClient struct {
	*client
	batch    *eventBatch
	received receipt // what the answers have counted
}

func (s *batchSender) add() *batchClient {
	c := LoadConfig{Addr: s.config.Addr, WantStatus: http.StatusOK}
	k := &batchClient{client: newClient(c, request{}), batch: newEventBatch(s.config)}
	s.clients = append(s.clients, k)
	return k
}

func (s *batchSender) disconnect() {
	for _, k := range s.clients {
		k.disconnect()
	}
}

// run sends the batches of connection i. With a rate they fall due in turn on all
// connections.
func (s *batchSender) run(ctx context.Context, k *batchClient, i int) {
	size := int64(s.config.Events)
	for n := 0; ; n++ {
		last := s.last.Add(size)
		if last > lastNumber-firstNumber {
			return // no other numbers are left
		}
		k.batch.renew(firstNumber+last-size, time.Now())
		start := time.Since(s.plan.begin)
		if s.config.Rate > 0 {
			start = time.Duration(float64(i+n*len(s.clients)) / s.config.Rate * float64(time.Second))
			if start < s.plan.end {
				pause(ctx, start-time.Since(s.plan.begin))
			}
		}
		if start >= s.plan.end || !k.send(ctx, s.plan.begin, start, receipt{Stored: size}) {
			return
		}
		if every := s.config.RepeatEvery; every == 0 || n%every != every-1 {
			continue
		}
		if !k.send(ctx, s.plan.begin, time.Since(s.plan.begin), receipt{Repeated: size}) {
			return
		}
	}
}

// send sends the batch that was to start so long after the begin, and counts it.
// It is false when the caller gave up.
func (k *batchClient) send(ctx context.Context, begin time.Time, start time.Duration, want receipt) bool {
	got, a, err := k.exchange(ctx)
	end := time.Since(begin)
	if ctx.Err() != nil {
		if !errors.Is(context.Cause(ctx), errDrain) {
			return false // this is not the server's error
		}
		if err != nil {
			err = errDrain
		}
	}
	if err == nil && a.status == k.want && got != want {
		err = fmt.Errorf("answered %v, want %v", got, want)
	}
	k.received.Stored += got.Stored
	k.received.Repeated += got.Repeated
	k.count(start, end, a, err)
	if isRefused(err) {
		pause(ctx, redial)
	}
	return true
}

// exchange sends the batch and reads its answer, on a new connection if the last
// one is gone.
func (k *batchClient) exchange(ctx context.Context) (got receipt, a answer, err error) {
	if k.conn == nil {
		if err := k.connect(ctx); err != nil {
			return got, a, err
		}
	}
	if _, err = k.conn.Write(k.batch.bytes); err == nil {
		a, err = readAnswer(k.reader, 0) // 0: the start of the body is always shown
	}
	if err != nil || a.last {
		k.disconnect()
	}
	if err == nil && a.status == k.want {
		err = json.Unmarshal(bytes.TrimSpace([]byte(a.shown)), &got)
	}
	return got, a, err
}

func (s *batchSender) result() BatchResult {
	clients := make([]*client, len(s.clients))
	r := BatchResult{Events: s.config.Events, Last: s.last.Load()}
	for i, k := range s.clients {
		clients[i] = k.client
		r.Stored += k.received.Stored
		r.Repeated += k.received.Repeated
	}
	r.Result = gather(clients, s.plan)
	return r
}
