package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// redial is how long a client waits when the server refuses connections, so
// that a server on its way up or down is not flooded.
const redial = 10 * time.Millisecond

// client is one connection's sender, and its counts. Only one goroutine uses
// it; the counts are read when that has ended.
type client struct {
	addr    string
	want    int
	request request
	random  *rand.PCG

	conn   net.Conn // nil when not connected
	reader *bufio.Reader
	stop   func() bool // detaches conn from the context

	latency  Histogram
	errors   int64
	statuses map[int]int64
	failures []failure
	counted  time.Duration // when the last counted request ended
}

type failure struct {
	at   time.Duration
	text string
}

func newClient(c LoadConfig, r request) *client {
	return &client{
		addr: c.Addr, want: c.WantStatus, request: r,
		random:   rand.NewPCG(rand.Uint64(), rand.Uint64()),
		reader:   bufio.NewReaderSize(nil, 4096),
		statuses: map[int]int64{},
	}
}

// run sends one request after the other until the plan or the quota of counted
// requests is at its end, or ctx is.
func (k *client) run(ctx context.Context, plan schedule, quota int64) {
	start := time.Since(plan.begin)
	for quota > 0 && start < plan.end {
		end, ok := k.once(ctx, plan, start)
		if !ok {
			return
		}
		if start >= plan.warmup {
			quota--
		}
		start = end
	}
}

// once makes one request that is to start at start, and counts it unless it
// belongs to the warm-up. It is not ok when the caller gave up.
func (k *client) once(ctx context.Context, plan schedule, start time.Duration) (end time.Duration, ok bool) {
	a, err := k.exchange(ctx)
	end = time.Since(plan.begin)
	if ctx.Err() != nil {
		if !errors.Is(context.Cause(ctx), errDrain) {
			return end, false // this is not the server's error
		}
		if err != nil {
			err = errDrain
		}
	}
	if start >= plan.warmup {
		k.count(start, end, a, err)
	}
	if isRefused(err) {
		pause(ctx, redial)
		end = time.Since(plan.begin)
	}
	return end, true
}

// exchange sends one request and reads its answer, on a new connection if the
// last one is gone.
func (k *client) exchange(ctx context.Context) (answer, error) {
	if k.conn == nil {
		if err := k.connect(ctx); err != nil {
			return answer{}, err
		}
	}
	k.request.renew(k.random)
	a, err := k.ask()
	if err != nil || a.last {
		k.disconnect()
	}
	return a, err
}

func (k *client) ask() (answer, error) {
	if _, err := k.conn.Write(k.request.bytes); err != nil {
		return answer{}, err
	}
	a, err := readAnswer(k.reader, k.want)
	if err == nil && !a.last && k.reader.Buffered() > 0 {
		// It would be taken for the answer to the next request.
		return answer{}, errors.New("bytes after the end of the answer")
	}
	return a, err
}

func (k *client) count(start, end time.Duration, a answer, err error) {
	k.counted = end
	switch {
	case err == nil && a.status == k.want:
		k.latency.Record(end - start)
		return
	case err == nil:
		k.statuses[a.status]++
		err = fmt.Errorf("status %d: %s", a.status, a.shown)
	}
	k.errors++
	if len(k.failures) < maxFailures {
		k.failures = append(k.failures, failure{at: end, text: failureText(err)})
	}
}

// isRefused says that there is no connection, as against one that broke.
func isRefused(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// failureText leaves the addresses out: the local port differs each time, and
// the same error would fill the list.
func failureText(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	return err.Error()
}

// connect makes the connection and ties it to ctx: when that ends, a read or a
// write under way returns at once.
func (k *client) connect(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", k.addr)
	if err != nil {
		return err
	}
	k.conn = conn
	k.stop = context.AfterFunc(ctx, func() {
		// It fails on a closed connection only, where nothing waits.
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	k.reader.Reset(conn)
	return nil
}

// disconnect may be called when not connected.
func (k *client) disconnect() {
	if k.conn == nil {
		return
	}
	k.stop()
	// The answer is read or given up; closing cannot lose anything.
	_ = k.conn.Close()
	k.conn = nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
