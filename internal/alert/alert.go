// Package alert sends alerts to operators when something needs them.
//
// Use New, and Run it beside the pump. Every second it looks at how the
// destinations, the store and the disk are doing, and compares that with the alerts
// it has sent. You get one alert per cause and hour, and one when it clears. Every
// alert is in the log; those who are named by URLs (https://shoutrrr.nickfedor.com)
// are sent it as well.
//
// It never repairs anything, and promises no alert to arrive: who must know for
// sure watches /readyz too. What it has sent is kept over a restart, which repeats
// nothing and forgets no end.
package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

// Config says when to alert, and whom. A zero value means the default, if there
// is one.
type Config struct {
	Receivers   []onramp.Secret // URLs such as slack://…, which hold credentials; none: the log only
	Oldest      time.Duration   // alert when the oldest undelivered registration is older; 15m
	FreePercent float64         // alert when less of the disk is free; 5, unless FreeBytes is set
	FreeBytes   uint64          // alert when fewer bytes than this are free; 0: see FreePercent
	Events      time.Duration   // alert when messages went out and no event has come for so long; 0: never
	Returned    float64         // alert when such a share of the confirmations of a form comes back, in percent; 0: never
	Callbacks   []string        // names of those that events come to; none: Events has no effect
}

// Desk tells how everything is. An [operator.Desk] is one.
type Desk interface {
	// Overview returns at once.
	Overview() operator.Overview
	// Oldest returns when the oldest registration was accepted that is still to
	// be sent to a destination; zero when there is none.
	Oldest(ctx context.Context, destination string) (time.Time, error)
	// Failures groups what is dead or unknown by cause, and tells when the newest of
	// the largest group failed.
	Failures(ctx context.Context, destination string, state onramp.DeliveryState) (groups []onramp.CauseGroup, last time.Time, err error)
}

// Keeper keeps what was sent over a restart.
type Keeper interface {
	// LoadAlerts returns what SaveAlerts was last given, nil if there is nothing.
	LoadAlerts(ctx context.Context) ([]byte, error)
	SaveAlerts(ctx context.Context, data []byte) error
}

// Sources are what is watched.
type Sources struct {
	Desk    Desk
	Trouble func() error                           // why the store can't be written, without secrets, or nil; answers at once; may be nil
	Free    func() (free, total uint64, err error) // space on the store's disk, see FreeSpace; nil: there is none to watch
	Kept    Keeper                                 // nil: nothing is kept over a restart
}

const (
	lookEvery  = time.Second
	slowEvery  = 15 * time.Second // for what asks the database or the disk
	slowFor    = 5 * time.Second  // longest time for these
	lastChance = 5 * time.Second  // for what is still to be sent when Run is to end
)

// Watcher looks for trouble and sends alerts about it.
type Watcher struct {
	from Sources
	log  *slog.Logger

	mu        sync.Mutex // held while it looks, and while the configuration changes
	cfg       Config
	receivers []*receiver
	send      func(*receiver) // has a receiver send what is queued; nil: Run has not begun, or has ended

	ledger   ledger
	growths  map[string]*growth // by cause
	silence  silence
	whys     map[string]why // by cause
	told     chan why
	keeping  keeping
	still    map[string]time.Time // when a destination was last kept from sending, see noteStopped
	slow     []Condition          // what the last slow look found
	freeOnce sync.Once            // says in the log that the free space is not known
}

func (c Config) withDefaults() Config {
	if c.Oldest == 0 {
		c.Oldest = 15 * time.Minute
	}
	if c.FreePercent == 0 && c.FreeBytes == 0 {
		c.FreePercent = 5
	}
	return c
}

// New checks the receivers' URLs. Its error names every one that is wrong, as
// alerts[0] and so on, and shows none.
func New(cfg Config, from Sources, log *slog.Logger) (*Watcher, error) {
	w := &Watcher{
		from: from, log: log, ledger: ledger{}, growths: map[string]*growth{}, whys: map[string]why{}, told: make(chan why),
		still: map[string]time.Time{}, keeping: keeping{done: make(chan bool, 1)},
	}
	return w, w.Change(cfg)
}

// Change replaces the configuration. The watcher still knows what it has alerted: what
// lasts is not alerted again, and its end is. Receivers that stay where they are keep
// what is queued; those that leave still send it. Its error is that of New, and then
// nothing is changed.
func (w *Watcher) Change(cfg Config) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	receivers := make([]*receiver, len(cfg.Receivers))
	var wrong []error
	for i, u := range cfg.Receivers {
		var err error
		if w.stays(i, u) {
			receivers[i] = w.receivers[i]
		} else if receivers[i], err = newReceiver(i, u, w.log); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	for i, r := range w.receivers {
		if i >= len(cfg.Receivers) || receivers[i] != r {
			close(r.queue)
		}
	}
	for i, r := range receivers {
		if !w.stays(i, cfg.Receivers[i]) && w.send != nil {
			w.send(r)
		}
	}
	w.cfg, w.receivers = cfg.withDefaults(), receivers
	return nil
}

// stays says whether the receiver in a place has the URL that it had before.
func (w *Watcher) stays(i int, u onramp.Secret) bool {
	return i < len(w.cfg.Receivers) && w.cfg.Receivers[i] == u
}

// Run watches until ctx ends, and then takes a few seconds at most to send what
// is queued. It may be called once.
func (w *Watcher) Run(ctx context.Context) {
	// sending goes on for a while after ctx has ended
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(lastChance)
		defer timer.Stop()
		select {
		case <-timer.C:
			abandon()
		case <-work.Done():
		}
	})
	defer stop()
	var sending sync.WaitGroup
	w.load(ctx)
	w.begin(func(r *receiver) { sending.Go(func() { r.run(ctx, work) }) })
	w.watch(ctx)
	w.keepLast(work)
	w.end()
	sending.Wait()
}

func (w *Watcher) begin(send func(*receiver)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send = send
	for _, r := range w.receivers {
		send(r)
	}
}

func (w *Watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send = nil
	for _, r := range w.receivers {
		close(r.queue)
	}
	w.cfg.Receivers, w.receivers = nil, nil
}

// watch looks every second. The slow look runs beside it: a database or a disk
// that hangs must not hold up the other alerts.
func (w *Watcher) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	found := make(chan []Condition, 1) // has room, so that a late look ends even when nobody waits
	var slowAt time.Time
	looking := false
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case w.slow = <-found:
			looking = false
		case answer := <-w.told:
			w.whys[answer.cause] = answer
		case written := <-w.keeping.done:
			w.keeping.ended(written)
		case <-tick.C:
		}
		now := time.Now()
		cfg, sent := w.look(ctx, now)
		w.keep(ctx, now, sent)
		if !looking && now.Sub(slowAt) >= slowEvery {
			looking, slowAt = true, now
			s := slowLook{w.from, cfg, w.backlogs(), w.slow, w.unknownFree}
			go func() { found <- s.look(ctx, now) }()
		}
	}
}

// look compares what is with what was sent, and sends the difference. It returns the
// configuration that it went by, and whether there was a difference.
func (w *Watcher) look(ctx context.Context, now time.Time) (cfg Config, sent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	messages := w.ledger.compare(now, append(w.quick(ctx, now), w.slow...))
	for _, m := range messages {
		w.tell(ctx, m)
	}
	return w.cfg, len(messages) > 0
}

func (w *Watcher) tell(ctx context.Context, m message) {
	level := slog.LevelWarn
	if m.Severe && m.stage != over {
		level = slog.LevelError
	}
	w.log.Log(ctx, level, "alert", "cause", m.Cause, "title", m.title(), "detail", m.Detail,
		"waiting", m.Waiting, "since", m.since, "hint", m.Hint, "runbook", m.Runbook.Path())
	for _, r := range w.receivers {
		r.put(m)
	}
}

func (w *Watcher) unknownFree(err error) {
	w.freeOnce.Do(func() { w.log.Warn("free disk space unknown", "err", err) })
}
