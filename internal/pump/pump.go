// Package pump moves deliveries from the store to their destinations: it
// leases, picks, batches, sends and settles. It knows no SQL and no HTTP.
//
// Each destination has its own lane, so that a slow or blocked one holds
// up no other. Within a lane, deliveries with the same ordering key go one
// after the other, oldest first, also across retries.
package pump

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// Outbox is what the pump needs from a store: deliveries that were never parked,
// found by a cursor over their order; those in the retry set, found by their due
// time; and where the outcomes go.
type Outbox interface {
	// Wake gives two channels of a destination. fresh yields a value when there may
	// be new deliveries, due when a parked one may be due earlier than ListDue has
	// said.
	Wake(destination int) (fresh, due <-chan struct{})

	// ListFresh returns at most n after a seq, oldest first, pending ones and
	// ones that wait for the step before them, and where to go on reading: at once
	// if there may be more.
	ListFresh(ctx context.Context, destination int, after int64, n int) (found []onramp.Delivery, to int64, more bool, err error)
	// ListFreshOf returns those of some seqs, which ascend, that ListFresh would
	// still return, and the last seq that it has looked at: it may end early.
	ListFreshOf(ctx context.Context, seqs []int64) (found []onramp.Delivery, to int64, err error)

	// ListDue returns at most n that are due, parked ones not after the seq to and
	// delivered ones that are to be sent once more, and when to look again: now if
	// there may be more, otherwise when the next one becomes due; zero: none.
	ListDue(ctx context.Context, destination int, to int64, now time.Time, n int) (due []onramp.Delivery, next time.Time, err error)
	// Park puts those into the retry set that have an earlier one of their key there,
	// or wait for the step before them, and returns which.
	Park(ctx context.Context, seqs []int64) (parked map[int64]bool, err error)

	// Pause tells whether an operator has paused a destination, at once. due yields a
	// value when that changes.
	Pause(destination int) onramp.Pause

	// Settle records outcomes. Those of deliveries that are no longer pending
	// are ignored. It returns later steps whose state or due time has changed, and
	// dead ones that a delivered one has overtaken.
	Settle(ctx context.Context, settlements []onramp.Settlement) (followers []onramp.Delivery, err error)
}

// Journal is what the pump needs to know after a restart.
type Journal interface {
	// Resume returns where reading begins, as SavePosition has kept it, and the
	// asynchronous requests that SaveJob has. What else may have been in flight when
	// the process before this one was killed is taken care of.
	Resume(ctx context.Context, d onramp.Destination) (readTo int64, jobs []onramp.Job, err error)
	// SavePosition keeps that everything up to readTo is settled or parked, and that
	// nothing after sentTo was sent; sentTo is 0 when nothing is in flight.
	SavePosition(ctx context.Context, destination int, readTo, sentTo int64) error

	// SaveJob keeps an asynchronous request until EndJobs.
	SaveJob(ctx context.Context, destination int, j onramp.Job) error
	EndJobs(ctx context.Context, requestIDs []string) error
}

// Sender makes calls.
type Sender interface {
	// Send makes one attempt for the deliveries of a call, and returns one
	// outcome for each, in their order. It never fails: whatever goes wrong is an
	// outcome. The values of the deliveries are then those that were sent.
	Send(ctx context.Context, c onramp.Call) []onramp.Outcome
}

// Config is how the pump works. Zero values mean the defaults.
type Config struct {
	Senders     int           // calls in flight for each destination; default 16
	Window      int           // ordering keys of a destination in memory; default 2048, or four asynchronous calls
	GiveUpAfter time.Duration // age at which a failing delivery becomes a dead letter; default 72 h
	Log         *slog.Logger  // default: nowhere

	// Fence returns an error while no call may begin, since another process may be
	// delivering. Default: never.
	Fence func() error

	// Skips says why a delivery is not to be sent, "" when it is. It goes by what the
	// delivery holds. Default: all are sent.
	Skips func(d *onramp.Delivery) (why string)

	// Saving says how long a call to Marketing Cloud may wait to be filled because calls
	// are rare; 0: they aren't. It is asked before each call. Default: 0.
	Saving func() time.Duration

	// Before is how the destinations were doing when the pump before this one in the
	// process had ended: what is counted since the start goes on from there.
	Before []onramp.Health
}

func (c Config) withDefaults() Config {
	if c.Senders <= 0 {
		c.Senders = 16
	}
	if c.GiveUpAfter <= 0 {
		c.GiveUpAfter = 72 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Fence == nil {
		c.Fence = func() error { return nil }
	}
	if c.Saving == nil {
		c.Saving = func() time.Duration { return 0 }
	}
	return c
}

// Pump runs the lanes of all destinations. For others, or another sender, there is
// another pump, once Run has ended.
type Pump struct {
	cfg     Config
	outbox  Outbox
	journal Journal
	sender  Sender
	lanes   map[int]*lane
	order   []*lane
}

// New makes a pump for destinations that the store knows.
func New(cfg Config, outbox Outbox, journal Journal, sender Sender, destinations []onramp.Destination) *Pump {
	p := &Pump{cfg: cfg.withDefaults(), outbox: outbox, journal: journal, sender: sender, lanes: map[int]*lane{}}
	for _, d := range destinations {
		if p.lanes[d.ID] == nil {
			l := newLane(p, d)
			p.lanes[d.ID] = l
			p.order = append(p.order, l)
		}
	}
	return p
}

// Run sends until claim is cancelled; what is in flight then is finished and
// settled under work. Cancel claim to drain, work to abandon. It may be called once.
func (p *Pump) Run(claim, work context.Context) {
	claim, stop := context.WithCancel(claim)
	defer stop()
	defer context.AfterFunc(work, stop)()
	var lanes sync.WaitGroup
	for _, l := range p.order {
		lanes.Go(func() { l.run(claim, work) })
	}
	lanes.Wait()
}

// Health returns how each destination is doing, in the order given to New.
func (p *Pump) Health() []onramp.Health {
	all := make([]onramp.Health, len(p.order))
	for i, l := range p.order {
		all[i] = l.health()
	}
	return all
}

// Flight says whether a delivery is in flight: DeliverySending, or
// DeliverySubmitted when an asynchronous route has taken it and its outcome is
// not known yet; else 0.
func (p *Pump) Flight(destination int, seq int64) onramp.DeliveryState {
	if l := p.lanes[destination]; l != nil {
		return l.flight(seq)
	}
	return 0
}

// Forget drops a delivery from memory that the store has settled by an
// operator, and the later steps of its route. One that is in flight is
// not called back.
func (p *Pump) Forget(seq int64) {
	for _, l := range p.order { // the later steps may go to any of them
		l.tell(message{forget: seq})
	}
}
