package rig

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	rnd "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"onramp/internal/bench"
	"onramp/internal/sandbox"
	"onramp/internal/web"
)

// SoakSettings are those of Soak.
type SoakSettings struct {
	Duration  time.Duration // of the load
	Rate      float64       // registrations a second
	EventRate float64       // events a second
	KillEvery time.Duration // between two kills of the gateway in the first half
	Seed      uint64        // of the faults; 0: another one each time
	Data      string        // folder for the database; "": a temporary one
}

const (
	hurriedTimeout = 2 * time.Second
	hurriedLate    = 4 * time.Second
	settleLimit    = 5 * time.Minute // for what waits when the load is over
	sampleEvery    = 500 * time.Millisecond
	faultEvery     = time.Second
	planted        = "planted" // in a registration that the sandbox refuses
)

// soak is a soak under way.
type soak struct {
	rig      *Rig
	settings SoakSettings
	cloud    *cloud
	sandbox  *server
	hook     *hook
	random   *rnd.Rand
	begun    time.Time
	report   bench.SoakReport

	mu      sync.Mutex // held while the gateway is replaced, or asked for what it uses
	gateway *gateway
	url     string // of the gateway, whichever runs

	people people
	events eventSender
}

// Soak loads a gateway for a while with registrations and events, while the sandbox and the
// sink fail at random and the gateway is killed now and then. It says whether everything adds up
// in the end, and whether the gateway grew. All kills are in the first half, so that the second one
// shows one process.
func (r *Rig) Soak(ctx context.Context, s SoakSettings) (_ *bench.SoakReport, err error) {
	s.Seed = cmp.Or(s.Seed, rnd.Uint64())
	k := &soak{
		rig: r, settings: s, random: rnd.New(rnd.NewPCG(s.Seed, 0)),
		report: bench.SoakReport{Duration: s.Duration, Rate: s.Rate, EventRate: s.EventRate, Seed: s.Seed, Faults: map[string]int64{}},
	}
	defer k.close()
	if err := k.start(ctx); err != nil {
		return nil, err
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	if err := k.settle(ctx); err != nil {
		return nil, err
	}
	if err := k.count(ctx); err != nil {
		return nil, err
	}
	return bench.NewSoakReport(k.report), nil
}

// start has the gateway set up its callback with a stub, whose signature key is known, and
// then use the sandbox.
func (k *soak) start(ctx context.Context) (err error) {
	settings := gatewaySettings{Mode: "sync", Steps: 1, NoRules: true, ClientSecret: rand.Text(), Hurried: true}
	if k.gateway, err = k.rig.newGateway(k.settings.Data, settings); err != nil {
		return err
	}
	if k.cloud, err = startCloud(ctx); err != nil {
		return err
	}
	if k.hook, err = startHook(ctx, k.settings.Seed); err != nil {
		return err
	}
	if k.sandbox, err = k.rig.startServer(ctx, partSandbox, nil); err != nil {
		return err
	}
	k.gateway.settings.Account, k.gateway.settings.Hook = k.cloud.url(), k.hook.url()
	if err := k.gateway.start(ctx); err != nil {
		return err
	}
	if err := k.cloud.setUp(ctx, k.gateway); err != nil {
		return err
	}
	k.url = k.gateway.url
	if k.gateway.settings.Listen, err = k.gateway.address(); err != nil { // so that the tokens' issuer stays
		return err
	}
	k.gateway.settings.Account = k.sandbox.url
	k.gateway.stop()
	if err := k.gateway.start(ctx); err != nil {
		return err
	}
	return k.setFaults(ctx, nil)
}

// close stops the gateway first: it has calls in flight.
func (k *soak) close() {
	if k.gateway != nil {
		k.gateway.close()
	}
	if k.sandbox != nil {
		k.sandbox.stop()
	}
	if k.hook != nil {
		k.hook.close()
	}
	if k.cloud != nil {
		k.cloud.close()
	}
}

// load runs everything at the same time until the duration is over.
func (k *soak) load(ctx context.Context) error {
	k.rig.progress("load for %v", k.settings.Duration)
	k.begun = time.Now()
	k.people = people{target: k.url, rate: k.settings.Rate}
	k.events = eventSender{target: k.url, rate: k.settings.EventRate, cloud: k.cloud, key: k.cloud.key}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := k.begun.Add(k.settings.Duration)
	var all sync.WaitGroup
	for _, part := range []func(context.Context, time.Time) error{k.people.run, k.events.run, k.breakThings, k.killNowAndThen, k.watch} {
		all.Go(func() {
			if err := part(ctx, over); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// wait waits until a moment; it returns false when ctx ends before.
func wait(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// The calls that have the faults of a soak: those that deliver, and those for a token.
const (
	rowsPath  = "/hub/"
	tokenPath = "/v2/token"
)

// faults are what a soak does to the gateway's calls, at random, for some calls each.
func faults() map[string]sandbox.Fault {
	return map[string]sandbox.Fault{
		"429":            {Match: rowsPath, Status: http.StatusTooManyRequests, RetryAfter: 1},
		"500":            {Match: rowsPath, Status: http.StatusInternalServerError},
		"503":            {Match: rowsPath, Status: http.StatusServiceUnavailable},
		"bare 10006":     {Match: rowsPath, Name: sandbox.FaultBare10006},
		"time-out":       {Match: rowsPath, Name: sandbox.FaultHang},
		"dropped":        {Match: rowsPath, Name: sandbox.FaultDropRequest},
		"answer lost":    {Match: rowsPath, Name: sandbox.FaultDropAnswer},
		"reset":          {Match: rowsPath, Name: sandbox.FaultReset},
		"answer cut":     {Match: rowsPath, Name: sandbox.FaultCutBody},
		"slow":           {Match: rowsPath, DelayMS: 400},
		"tokens revoked": {Name: sandbox.FaultRevokeTokens},
		"no token":       {Match: tokenPath, Status: http.StatusServiceUnavailable},
		"gateway page":   {Match: rowsPath, Name: sandbox.FaultHTML, Status: http.StatusBadGateway},
	}
}

// breakThings sets another fault or two every second.
func (k *soak) breakThings(ctx context.Context, over time.Time) error {
	kinds := faults()
	names := slices.Sorted(maps.Keys(kinds)) // so that a seed gives the same faults
	for next := time.Now().Add(faultEvery); next.Before(over) && wait(ctx, next); next = next.Add(faultEvery) {
		var chosen []sandbox.Fault
		for range 1 + k.random.IntN(2) {
			name := names[k.random.IntN(len(names))]
			fault := kinds[name]
			if fault.Name != sandbox.FaultRevokeTokens {
				fault.Count = 1 + k.random.IntN(5)
			}
			chosen = append(chosen, fault)
			k.report.Faults[name]++
		}
		if err := k.setFaults(ctx, chosen); err != nil {
			return err
		}
	}
	return nil
}

// setFaults replaces the faults of the sandbox. What is planted is always refused, and that comes
// first: a fault that loses the answer would store it.
func (k *soak) setFaults(ctx context.Context, chosen []sandbox.Fault) error {
	refuse := sandbox.Fault{Match: rowsPath, Contains: planted, Status: http.StatusBadRequest, Errorcode: 10001}
	client := web.Client{Base: k.sandbox.url}
	if err := client.Call(ctx, http.MethodPut, "/_sandbox/faults", append([]sandbox.Fault{refuse}, chosen...), nil); err != nil {
		return fmt.Errorf("set the sandbox's faults: %w", err)
	}
	return nil
}

// killNowAndThen kills the gateway in the first half.
func (k *soak) killNowAndThen(ctx context.Context, over time.Time) error {
	half := over.Add(-k.settings.Duration / 2)
	for next := time.Now().Add(k.settings.KillEvery); next.Before(half) && wait(ctx, next); next = next.Add(k.settings.KillEvery) {
		k.rig.progress("kill -9 after %v", time.Since(k.begun).Round(time.Second))
		if err := k.kill(ctx); err != nil {
			return err
		}
	}
	return nil
}

// kill ends the gateway as a crash does, and starts it again.
func (k *soak) kill(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gateway.kill()
	if err := k.gateway.start(ctx); err != nil {
		return fmt.Errorf("start after a kill: %w", err)
	}
	k.report.Kills++
	k.report.Slowest = max(k.report.Slowest, k.gateway.ready)
	return nil
}

// watch takes samples of what the gateway uses.
func (k *soak) watch(ctx context.Context, over time.Time) error {
	for next := time.Now(); next.Before(over) && wait(ctx, next); next = next.Add(sampleEvery) {
		sample, err := k.sample()
		if err != nil {
			return err
		}
		k.report.Samples = append(k.report.Samples, sample)
	}
	return nil
}

func (k *soak) sample() (s bench.Sample, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, err := k.gateway.counts()
	if err != nil {
		return s, err
	}
	files, _ := bench.FilesOf(k.gateway.cmd.Process.Pid) // 0 where there is no /proc
	return bench.Sample{At: time.Since(k.begun), Resident: k.gateway.memory().Resident, Goroutines: n.Goroutines, Files: files}, nil
}

// settle ends the faults, kills the gateway once more, and waits until nothing is under way.
func (k *soak) settle(ctx context.Context) error {
	k.rig.progress("settle")
	ended := time.Now()
	k.hook.mend()
	if err := k.setFaults(ctx, nil); err != nil {
		return err
	}
	if err := k.kill(ctx); err != nil {
		return err
	}
	for limit := ended.Add(settleLimit); ; {
		s, err := k.gateway.status(ctx)
		if err != nil {
			return err
		}
		k.report.Settled = time.Since(ended)
		if s.settled() || time.Now().After(limit) {
			return nil
		}
		if !wait(ctx, time.Now().Add(pollEvery)) {
			return context.Cause(ctx)
		}
	}
}

// settled says that nothing waits any more, of registrations and of events.
func (s status) settled() bool {
	for _, d := range s.Destinations {
		if d.Waiting > 0 || d.Late != nil {
			return false
		}
	}
	return s.Accepted == s.Registrations["delivered"]+s.Registrations["failed"]
}

// count compares what was answered with what there is.
func (k *soak) count(ctx context.Context) error {
	s, err := k.gateway.status(ctx)
	if err != nil {
		return err
	}
	g := &k.report.Registrations
	g.Sent, g.Repeats, g.Planted = k.people.sent(), k.people.repeats.Load(), k.people.planted()
	g.Accepted, g.Delivered, g.Dead = s.Accepted, s.Registrations["delivered"], s.Registrations["failed"]
	g.Other = g.Accepted - g.Delivered - g.Dead
	k.events.count(&k.report.Events)
	k.report.Events.Stored = s.Events.Stored
	k.hook.count(&k.report.Events, k.events.last())
	return errors.Join(k.countRows(ctx), k.countDead(ctx))
}
