package tracing

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	mostWaiting = 8192        // spans that wait to be sent: a large call and its deliveries, several times
	tellEvery   = time.Minute // how often the log says that spans are lost
)

// queue holds the spans that have ended until they are sent, in batches. The library's
// processor, which does that, drops what is too much without a word: here it is counted
// before, so that there is never too much for it.
type queue struct {
	sdktrace.SpanProcessor
	log     *slog.Logger
	stopped context.Context
	stop    context.CancelFunc // gives up what is being sent

	waiting, sent, failed, dropped atomic.Int64

	mu     sync.Mutex
	reason string // why the last ones failed
	told   lost   // what the log has said
}

// lost is what the log says of spans.
type lost struct {
	at              time.Time
	failed, dropped int64
}

func newQueue(to sdktrace.SpanExporter, log *slog.Logger) *queue {
	q := &queue{log: log}
	q.stopped, q.stop = context.WithCancel(context.Background())
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(exporter{to, q}, sdktrace.WithMaxQueueSize(mostWaiting))
	return q
}

// OnEnd takes a span that has ended.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.waiting.Add(1) > mostWaiting {
		q.waiting.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// exporter sends a batch, and has the queue count it.
type exporter struct {
	sdktrace.SpanExporter
	queue *queue
}

// ExportSpans sends spans. It returns no error: that is counted, and told now and then.
func (e exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.queue.stopped, cancel)()
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.queue.left(int64(len(spans)), err)
	return nil
}

// left takes into account that n spans were sent, or were not.
func (q *queue) left(n int64, err error) {
	q.waiting.Add(-n)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reason = ""
	if err != nil {
		q.failed.Add(n)
		q.reason = err.Error()
	} else {
		q.sent.Add(n)
	}
	now := lost{time.Now(), q.failed.Load(), q.dropped.Load()}
	failed, dropped := now.failed-q.told.failed, now.dropped-q.told.dropped
	if failed+dropped == 0 || now.at.Sub(q.told.at) < tellEvery {
		return
	}
	q.told = now
	q.log.Warn("spans were lost; registrations and events are not affected", "failed", failed, "dropped", dropped, "err", q.reason)
}

func (q *queue) status() Status {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Status{Sent: q.sent.Load(), Failed: q.failed.Load(), Dropped: q.dropped.Load(), Waiting: q.waiting.Load(), Reason: q.reason}
}
