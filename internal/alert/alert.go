// Package alert sends alerts to operators when something needs them.
//
// Use New, and Run it beside the pump. Every second it looks at how the
// destinations, the store and the disk are doing, and compares that with the alerts
// it has sent. You get one alert per cause and hour, and one when it clears. Every
// alert is in the log; those who are named by URLs (https://shoutrrr.nickfedor.com)
// are sent it as well.
//
// It never repairs anything, keeps nothing over a restart, and promises no alert
// to arrive: who must know for sure watches /healthz too.
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
	Callbacks   []string        // names of those that events come to; none: Events has no effect
}

// Desk tells how everything is. An [operator.Desk] is one.
type Desk interface {
	// Overview returns at once.
	Overview() operator.Overview
	// Oldest returns when the oldest registration was accepted that is still to
	// be sent to a destination; zero when there is none.
	Oldest(ctx context.Context, destination string) (time.Time, error)
}

// Sources are what is watched.
type Sources struct {
	Desk    Desk
	Trouble func() error                           // why the store can't be written, without secrets, or nil; answers at once; may be nil
	Free    func() (free, total uint64, err error) // space on the store's disk, see FreeSpace; nil: there is none to watch
}

const (
	lookEvery  = time.Second
	slowEvery  = 15 * time.Second // for what asks the database or the disk
	slowFor    = 5 * time.Second  // longest time for these
	lastChance = 5 * time.Second  // for what is still to be sent when Run is to end
)

// Watcher looks for trouble and sends alerts about it.
type Watcher struct {
	cfg       Config
	from      Sources
	log       *slog.Logger
	receivers []*receiver

	ledger     ledger
	dead, gave map[string]*growth   // by destination
	unknown    map[string]*growth   // the same
	still      map[string]time.Time // when a destination was last seen blocked
	silence    silence
	slow       []Condition // what the last slow look found
	freeOnce   sync.Once   // says in the log that the free space is not known
}

// New checks the receivers' URLs. Its error names every one that is wrong, as
// alerts[0] and so on, and shows none.
func New(cfg Config, from Sources, log *slog.Logger) (*Watcher, error) {
	if cfg.Oldest == 0 {
		cfg.Oldest = 15 * time.Minute
	}
	if cfg.FreePercent == 0 && cfg.FreeBytes == 0 {
		cfg.FreePercent = 5
	}
	w := &Watcher{
		cfg: cfg, from: from, log: log, ledger: ledger{},
		dead: map[string]*growth{}, gave: map[string]*growth{}, unknown: map[string]*growth{}, still: map[string]time.Time{},
	}
	var wrong []error
	for i, u := range cfg.Receivers {
		r, err := newReceiver(i, u, log)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		w.receivers = append(w.receivers, r)
	}
	return w, errors.Join(wrong...)
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
	for _, r := range w.receivers {
		sending.Go(func() { r.run(ctx, work) })
	}
	w.watch(ctx)
	for _, r := range w.receivers {
		close(r.queue)
	}
	sending.Wait()
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
		case <-tick.C:
		}
		now := time.Now()
		w.look(ctx, now)
		if !looking && now.Sub(slowAt) >= slowEvery {
			looking, slowAt = true, now
			s := slowLook{w.from, w.cfg, w.backlogs(), w.slow, w.unknownFree}
			go func() { found <- s.look(ctx, now) }()
		}
	}
}

// look compares what is with what was sent, and sends the difference.
func (w *Watcher) look(ctx context.Context, now time.Time) {
	for _, m := range w.ledger.compare(now, append(w.quick(now), w.slow...)) {
		w.tell(ctx, m)
	}
}

func (w *Watcher) tell(ctx context.Context, m message) {
	level := slog.LevelWarn
	if m.Severe && m.stage != over {
		level = slog.LevelError
	}
	w.log.Log(ctx, level, "alert", "cause", m.Cause, "title", m.title(), "detail", m.Detail,
		"waiting", m.Waiting, "since", m.since, "hint", m.Hint)
	for _, r := range w.receivers {
		r.put(m)
	}
}

func (w *Watcher) unknownFree(err error) {
	w.freeOnce.Do(func() { w.log.Warn("free disk space unknown", "err", err) })
}
