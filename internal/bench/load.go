// Package bench measures how much of this machine's speed the product keeps:
// it drives a bare net/http handler and the product's own route with the same
// load, in turns, and compares the two.
//
// Load is the generator. Run it in a separate process: in the server's
// process the two would share a scheduler and a collector, and the ratio would
// say little. Bare is the handler to compare with, Alternate runs the rounds,
// NewReport judges them. MemoryOf and CPUOf read what a server spends.
//
// DeliverReport is for what happens after the answer: how fast, how late and
// with how many calls registrations reach their destination. TokenReport is for
// the token endpoint, beside a handler that signs the same.
//
// SendBatches plays the Event Notification Service, which sends signed batches of
// events, and EventReport judges how they were taken.
//
// The package starts no process and knows nothing of the product's routes or
// storage; package rig does. Absolute figures drift by the minute on a
// shared machine, so the report is about ratios within a round.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	defaultConnections = 64
	defaultDuration    = 5 * time.Second
	defaultStatus      = http.StatusAccepted

	// drain is how long the last answers may take once the time is over. A
	// server that hung counts its unanswered requests as errors after that.
	drain = 10 * time.Second

	maxFailures = 5
)

var errDrain = fmt.Errorf("no answer within %v of the end", drain)

// LoadConfig says what to send, where, and for how long. It can go to a child
// process as JSON.
type LoadConfig struct {
	// Addr is the server's host:port.
	Addr string `json:"addr"`
	// Connections is how many keep-alive connections send at the same time; 0
	// means 64.
	Connections int `json:"connections,omitempty"`
	// Duration is how long to measure; 0 means 5 s, or no limit when Requests is
	// set.
	Duration time.Duration `json:"duration_ns,omitempty"`
	// Requests is the number of requests after which the measurement ends, if
	// Duration has not passed before; 0 means no limit.
	Requests int64 `json:"requests,omitempty"`
	// Warmup is how long to send before anything is counted.
	Warmup time.Duration `json:"warmup_ns,omitempty"`
	// Path is the target of the POST, with its query; "" means "/".
	Path string `json:"path,omitempty"`
	// Rate is how many requests begin per second, whether or not earlier ones are
	// answered (an open loop); 0 means that each connection sends its next request
	// when the last is answered (a closed loop). With a Rate, Connections is how
	// many requests may be open at once; one that has to wait for a connection is
	// late, and its latency says so.
	Rate float64 `json:"rate,omitempty"`
	// Body is sent with every request, as it is but for a Placeholder in it.
	Body []byte `json:"body,omitempty"`
	// Header is sent too. Content-Type is application/json unless given here.
	Header http.Header `json:"header,omitempty"`
	// IdempotencyKeys adds a fresh random Idempotency-Key to every request.
	IdempotencyKeys bool `json:"idempotency_keys,omitempty"`
	// WantStatus is the answer that counts; 0 means 202.
	WantStatus int `json:"want_status,omitempty"`
	// Begun, when not nil, is called with the moment from which Warmup and Duration
	// count: the server has been reached and the first request goes out.
	Begun func(time.Time) `json:"-"`
}

// Result is what the clients saw.
type Result struct {
	// Requests counts those answered with the wanted status.
	Requests int64 `json:"requests"`
	// Errors counts all others: another status, or no proper answer.
	Errors int64 `json:"errors"`
	// Statuses counts the answers with another status.
	Statuses map[int]int64 `json:"statuses,omitempty"`
	// Failures are the first few different errors, as text.
	Failures []string `json:"failures,omitempty"`
	// Connections is how many there were.
	Connections int `json:"connections"`
	// Elapsed runs from the end of the warm-up to the last answer counted.
	Elapsed time.Duration `json:"elapsed_ns"`

	// P50, P99 and Max are latencies of Requests until the answer is read; from
	// the moment the client is free to send or, with a Rate, from the moment the
	// request was due. Reconnecting is part of it. An error has none: it is
	// often quick.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
	// Latency holds the whole distribution. Reports leave it out.
	Latency *Histogram `json:"latency,omitempty"`
}

// Rate is the number of wanted answers a second; zero when no time passed.
func (r Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Elapsed.Seconds()
}

// Load sends the same request over and over, in a closed or an open loop (see
// LoadConfig.Rate), and returns what came back. A request that began in time is
// waited for after the end, so that a server cannot look quick by leaving its
// last answers out.
//
// Wrong answers and lost connections are counted, not returned, and a lost
// connection is made again. Load returns an error when c makes no request, when
// the server cannot be reached at the start, and when ctx ends; in that last
// case it returns at once, with the cause and with what was counted so far.
func Load(ctx context.Context, c LoadConfig) (Result, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return Result{}, err
	}
	g := &generator{config: c, request: newRequest(c), plan: schedule{warmup: c.Warmup, end: math.MaxInt64}}
	defer g.disconnect()
	running := ctx
	if c.Duration > 0 {
		g.plan.end = c.Warmup + c.Duration
		limited, cancel := context.WithTimeoutCause(ctx, g.plan.end+drain, errDrain)
		defer cancel()
		running = limited
	}
	loop := g.closedLoop
	if c.Rate > 0 {
		loop = g.openLoop
	}
	if err := loop(running); err != nil {
		return Result{}, fmt.Errorf("connect to %s: %w", c.Addr, err)
	}
	res := gather(g.clients, g.plan)
	if ctx.Err() != nil {
		return res, context.Cause(ctx)
	}
	return res, nil
}

// generator is one Load.
type generator struct {
	config  LoadConfig
	request request
	plan    schedule
	clients []*client
}

func (g *generator) addClient() *client {
	k := newClient(g.config, g.request.clone(len(g.clients)))
	g.clients = append(g.clients, k)
	return k
}

func (g *generator) disconnect() {
	for _, k := range g.clients {
		k.disconnect()
	}
}

func (g *generator) begin() {
	g.plan.begin = time.Now()
	if g.config.Begun != nil {
		g.config.Begun(g.plan.begin)
	}
}

// closedLoop keeps every connection busy. It returns an error when the server
// cannot be reached.
func (g *generator) closedLoop(ctx context.Context) error {
	for range g.config.Connections {
		if err := g.addClient().connect(ctx); err != nil {
			return err
		}
	}
	g.begin()
	var wg sync.WaitGroup
	for i, k := range g.clients {
		quota := int64(math.MaxInt64)
		if g.config.Requests > 0 {
			quota = share(g.config.Requests, len(g.clients), i)
		}
		wg.Go(func() { k.run(ctx, g.plan, quota) })
	}
	wg.Wait()
	return nil
}

func (c LoadConfig) withDefaults() LoadConfig {
	c.Connections = cmp.Or(c.Connections, defaultConnections)
	c.Path = cmp.Or(c.Path, "/")
	c.WantStatus = cmp.Or(c.WantStatus, defaultStatus)
	if c.Requests == 0 {
		c.Duration = cmp.Or(c.Duration, defaultDuration)
	} else if int64(c.Connections) > c.Requests && c.Requests > 0 {
		c.Connections = int(c.Requests) // the others would have nothing to send
	}
	return c
}

// validate reports every mistake at once.
func (c LoadConfig) validate() error {
	var errs []error
	if c.Addr == "" {
		errs = append(errs, errors.New("no address to send to"))
	}
	if c.Connections < 0 || c.Requests < 0 || c.Duration < 0 || c.Warmup < 0 || c.Rate < 0 {
		errs = append(errs, errors.New("a count or a time is negative"))
	}
	if c.Connections > maxConnections {
		errs = append(errs, fmt.Errorf("more than %d connections", maxConnections))
	}
	if c.WantStatus < 200 || c.WantStatus > 999 {
		errs = append(errs, fmt.Errorf("status %d cannot be waited for", c.WantStatus))
	}
	return errors.Join(append(errs, c.validateRequest()...)...)
}

// schedule is when things happen, as distances from begin: comparing those
// takes one reading of the monotonic clock a request.
type schedule struct {
	begin  time.Time
	warmup time.Duration // counting starts
	end    time.Duration // no request starts
}

// share is part i of total cut into n nearly equal parts.
func share(total int64, n, i int) int64 {
	part := total / int64(n)
	if int64(i) < total%int64(n) {
		part++
	}
	return part
}

func gather(clients []*client, plan schedule) Result {
	res := Result{Connections: len(clients), Latency: new(Histogram)}
	var failures []failure
	statuses := map[int]int64{}
	for _, k := range clients {
		res.Latency.Merge(&k.latency)
		res.Errors += k.errors
		res.Elapsed = max(res.Elapsed, k.counted-plan.warmup)
		failures = append(failures, k.failures...)
		for status, n := range k.statuses {
			statuses[status] += n
		}
	}
	if len(statuses) > 0 {
		res.Statuses = statuses
	}
	res.Requests = res.Latency.Count()
	res.P50, res.P99, res.Max = res.Latency.Quantile(0.5), res.Latency.Quantile(0.99), res.Latency.Max()
	slices.SortStableFunc(failures, func(a, b failure) int { return cmp.Compare(a.at, b.at) })
	for _, f := range failures {
		if len(res.Failures) < maxFailures && !slices.Contains(res.Failures, f.text) {
			res.Failures = append(res.Failures, f.text)
		}
	}
	return res
}
