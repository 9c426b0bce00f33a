package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/app"
	"onramp/internal/bench"
	"onramp/internal/onramp"
)

const (
	soakSenders  = 64
	soakBatch    = 100 // events
	plantedEvery = 500 // registrations
	repeatEvery  = 20  // batches
	againAfter   = 100 * time.Millisecond
)

// pace runs numbered work at a rate, each in its turn, with several workers, until it is over.
// What is late, since the gateway was away, is caught up with. It returns how many numbers were
// given out; all of their work is done.
func pace(ctx context.Context, rate float64, over time.Time, work func(ctx context.Context, n int64) error) (int64, error) {
	begun := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range soakSenders {
		all.Go(func() {
			for {
				n := next.Add(1) - 1
				due := begun.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				if !due.Before(over) || !wait(ctx, due) {
					next.Add(-1) // nobody works on numbers beyond the end
					return
				}
				if err := work(ctx, n); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	all.Wait()
	return next.Load(), context.Cause(ctx)
}

// people register, each once.
type people struct {
	target  string // URL of the gateway
	rate    float64
	n       int64 // who have registered
	repeats atomic.Int64
}

func (p *people) run(ctx context.Context, over time.Time) (err error) {
	p.n, err = pace(ctx, p.rate, over, p.register)
	return err
}

func (p *people) sent() int64 { return p.n }

// planted counts those whose registration the sandbox refuses.
func (p *people) planted() int64 { return (p.n + plantedEvery - 1) / plantedEvery }

func isPlanted(n int64) bool { return n%plantedEvery == 0 }

func soakAddress(n int64) string { return fmt.Sprintf("soak-%d@example.org", n) }

// register posts a registration until it is accepted, under one key, so that it is one.
func (p *people) register(ctx context.Context, n int64) error {
	name := "Jane"
	if isPlanted(n) {
		name = planted
	}
	body := fmt.Appendf(nil, `{"email":%q,"first_name":%q,"last_name":"Doe","opt_in":true}`, soakAddress(n), name)
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"soak-" + strconv.FormatInt(n, 10)}}
	for {
		status, answer, err := post(ctx, p.target+app.DemoPath, header, body)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && status == http.StatusAccepted:
			return nil
		case err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests && status != http.StatusConflict:
			return fmt.Errorf("registration %d was answered %d: %.200s", n, status, answer)
		}
		p.repeats.Add(1)
		if !wait(ctx, time.Now().Add(againAfter)) {
			return context.Cause(ctx)
		}
	}
}

// post sends a request as any program does, over connections that are kept.
func post(ctx context.Context, url string, header http.Header, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header = header
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, errors.Join(err, response.Body.Close())
}

// eventSender plays the Event Notification Service, which repeats a batch until it is answered.
type eventSender struct {
	target string
	rate   float64 // events a second
	cloud  *cloud
	key    []byte // of the signature

	n       int64 // batches that were answered
	repeats atomic.Int64
	token   atomic.Pointer[string]
}

func (e *eventSender) run(ctx context.Context, over time.Time) (err error) {
	if err := e.renewToken(ctx); err != nil {
		return err
	}
	e.n, err = pace(ctx, e.rate/soakBatch, over, e.send)
	return err
}

func (e *eventSender) renewToken(ctx context.Context) error {
	token, err := e.cloud.token(ctx, e.target+onramp.TokenPath)
	if err == nil {
		e.token.Store(&token)
	}
	return err
}

// send sends a batch until it is answered 2xx, and some batches once more.
func (e *eventSender) send(ctx context.Context, n int64) error {
	body, signature := bench.SignedBatch(e.key, bench.FirstEvent+n*soakBatch, soakBatch, time.Now())
	wanted := 1
	if n%repeatEvery == 0 {
		wanted = 2
	}
	for tries := 0; wanted > 0; tries++ {
		if tries > 0 {
			e.repeats.Add(1)
		}
		header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + *e.token.Load()}, bench.SignatureHeader: {signature}}
		status, answer, err := post(ctx, e.target+callbackPath, header, body)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && status == http.StatusOK:
			wanted--
			continue
		case err == nil && status == http.StatusUnauthorized:
			_ = e.renewToken(ctx) // it has expired; without an answer, it is asked for with the next try
		case err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests:
			return fmt.Errorf("a batch was answered %d: %.200s", status, answer)
		}
		if !wait(ctx, time.Now().Add(againAfter)) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// last is the number after that of the last event.
func (e *eventSender) last() int64 { return bench.FirstEvent + e.n*soakBatch }

func (e *eventSender) count(into *bench.SoakEvents) {
	into.Sent, into.Repeats = e.n*soakBatch, e.repeats.Load()
}
