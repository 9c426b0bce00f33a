package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"onramp/internal/operator"
)

// reloadWithin is how long a reload waits for the database, while deliveries go on.
const reloadWithin = 10 * time.Second

// deliver delivers as the configuration that runs says, and by the next one once there
// is one, until claim ends. What is in flight then is finished under work.
func (a *App) deliver(claim, work context.Context) {
	for {
		lanes := a.startLanes(claim, work)
		next := a.awaitReload(claim)
		lanes.stop()
		if next == nil {
			<-lanes.ended
			return
		}
		before := a.running.Load()
		a.use(next.running)
		a.endLanes(lanes, before.cfg.Drain)
		if err := before.close(); err != nil {
			a.options.Log.Warn("a sink of the previous configuration could not be closed", "err", err)
		}
		if claim.Err() != nil {
			return
		}
		if err := a.prepareLanes(claim); err != nil {
			a.options.Log.Error("deliveries to renamed destinations could not be moved; the next reload or start tries again", "err", err)
		}
		a.reloaded(next)
	}
}

// lanes are the deliveries of one configuration, under way.
type lanes struct {
	stop, abandon context.CancelFunc
	ended         chan struct{}
}

// startLanes delivers as the configuration that runs says. With the lanes of the pump
// run the rules of its forms, and what keeps the token endpoint's keys fresh.
func (a *App) startLanes(claim, work context.Context) *lanes {
	l := &lanes{ended: make(chan struct{})}
	claim, l.stop = context.WithCancel(claim)
	work, l.abandon = context.WithCancel(work)
	running, pump := a.running.Load(), a.pump.Load()
	go func() {
		defer close(l.ended)
		defer l.abandon()
		defer l.stop()
		var parts sync.WaitGroup
		parts.Go(func() { running.run(claim) })
		parts.Go(func() { running.desk.Resends.Run(claim) })
		parts.Go(func() { running.erasures.Run(claim) })
		parts.Go(func() { running.consent.Run(claim) })
		parts.Go(func() { running.screen.Run(claim) })
		parts.Go(func() { running.desk.Retention.Run(claim) })
		if !a.options.NoPump {
			parts.Go(func() { running.checks.Run(claim) })
			parts.Go(func() { running.account.ReadBack(claim) })
			parts.Go(func() { a.watch.Run(claim) })
			parts.Go(func() { pump.Run(claim, work) })
		}
		parts.Wait()
	}()
	return l
}

// endLanes waits for what is in flight, up to a limit. The position of what is
// abandoned then is on disk, as after a stop.
func (a *App) endLanes(l *lanes, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-l.ended:
		return
	case <-timer.C:
	}
	a.options.Log.Warn("drain limit reached; requests in flight are repeated with the new configuration", "limit", limit.String())
	l.abandon()
	<-l.ended
}

// reload is a configuration that is ready to run in place of the one that does.
type reload struct {
	*running
	changed      []string // what is different
	needsRestart []string // what the file has changed and stays as it was
}

// awaitReload returns the next configuration, or nil when ctx has ended. One that is
// wrong changes nothing.
func (a *App) awaitReload(ctx context.Context) *reload {
	for {
		select {
		case <-a.options.Hangups:
		case <-ctx.Done():
			return nil
		}
		a.options.Manager.Reloading()
		next, err := a.load(ctx)
		switch {
		case err == nil:
			return next
		case ctx.Err() != nil:
			return nil
		}
		a.options.Log.Error("configuration not reloaded, the previous one stays in effect", "err", err)
		a.loads.refused(err)
		a.options.Manager.Reloaded(err)
	}
}

// load reads the configuration and builds what it needs. With an error nothing has
// changed.
func (a *App) load(ctx context.Context) (*reload, error) {
	cfg, err := a.options.Load()
	if err != nil {
		return nil, err
	}
	if err := a.store.Trouble(); err != nil {
		return nil, fmt.Errorf("the database can't be written: %w", err)
	}
	before := a.running.Load().cfg
	next := &reload{needsRestart: keepFixed(before, cfg), changed: changes(before, cfg)}
	ctx, cancel := context.WithTimeout(ctx, reloadWithin)
	defer cancel()
	if next.running, err = a.build(ctx, cfg); err != nil {
		return nil, err
	}
	if err := a.alerts.Change(next.alerts()); err != nil {
		return nil, errors.Join(err, next.close())
	}
	return next, nil
}

// reloaded says what has changed, in one line.
func (a *App) reloaded(r *reload) {
	var level slog.Level
	if a.options.Level != nil && level.UnmarshalText([]byte(r.cfg.Log.Level)) == nil { // config has checked it
		defer a.options.Level.Set(level)
		a.options.Level.Set(min(level, a.options.Level.Level())) // so that the line is there whichever of the two allows it
	}
	if len(r.needsRestart) > 0 {
		a.options.Log.Warn("configuration reloaded; some settings need a restart and stay as they were", "changed", r.changed, "needs_restart", r.needsRestart)
	} else {
		a.options.Log.Info("configuration reloaded", "changed", r.changed)
	}
	a.loads.succeeded(r.needsRestart)
	a.options.Manager.Reloaded(nil)
}

// loads are what operators are told about the configuration.
type loads struct {
	mu   sync.Mutex
	last operator.Configuration
}

func (l *loads) succeeded(needsRestart []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = operator.Configuration{LoadedAt: time.Now().UTC(), NeedsRestart: needsRestart}
}

func (l *loads) refused(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.Refused = &operator.Refusal{At: time.Now().UTC(), Reason: err.Error()}
}

func (l *loads) view() operator.Configuration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
