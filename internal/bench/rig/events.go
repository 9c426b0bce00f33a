package rig

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"time"

	"onramp/internal/app"
	"onramp/internal/bench"
	"onramp/internal/onramp"
)

// EventSettings are those of Events.
type EventSettings struct {
	Rounds            int
	Duration          time.Duration // of either part of a round, after a warm-up of a quarter of it
	Batch             int           // events in a batch, 1 to 1000
	Connections       int           // that send batches
	RepeatEvery       int           // every nth batch of a connection is sent once more; 0: none
	BatchRate         float64       // batches a second beside accepts
	AcceptConnections int           // that post registrations
	AcceptRate        float64       // registrations a second; 0: as fast as they are answered
	Data              string        // folder for the database; "": a temporary one
	Profile           string        // file for the gateway's CPU profile; "": none
}

// Events measures how fast the gateway stores batches of events, and how soon it
// answers them beside accepts, each round on a new database.
func (r *Rig) Events(ctx context.Context, s EventSettings) (*bench.EventReport, error) {
	var rounds []bench.EventRound
	for i := range s.Rounds {
		r.progress("round %d of %d", i+1, s.Rounds)
		round, err := r.eventRound(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		rounds = append(rounds, round)
	}
	return bench.NewEventReport(rounds), nil
}

const callbackPath = onramp.CallbackPath + "events"

// eventRun is a round under way.
type eventRun struct {
	*gateway
	cloud    *cloud
	settings EventSettings
	load     bench.BatchConfig
	round    bench.EventRound
}

// eventRound measures one round on a new database.
func (r *Rig) eventRound(ctx context.Context, s EventSettings) (round bench.EventRound, err error) {
	account, err := startCloud(ctx)
	if err != nil {
		return round, err
	}
	defer account.close()
	gateway, err := r.newCallbackGateway(s.Data, gatewaySettings{Account: account.url(), ClientSecret: rand.Text(), Profile: s.Profile})
	if err != nil {
		return round, err
	}
	defer gateway.close()
	if err := gateway.start(ctx); err != nil {
		return round, err
	}
	if err := account.setUp(ctx, gateway); err != nil {
		return round, err
	}
	run := &eventRun{gateway: gateway, cloud: account, settings: s}
	if err := run.store(ctx); err != nil {
		return round, fmt.Errorf("as fast as they are answered: %w", err)
	}
	if err := run.restart(ctx); err != nil {
		return round, fmt.Errorf("restart: %w", err)
	}
	if err := run.beside(ctx); err != nil {
		return round, fmt.Errorf("beside accepts: %w", err)
	}
	err = run.count(ctx)
	return run.round, err
}

// point has the batches go to the gateway that runs, with a fresh token.
func (r *eventRun) point(ctx context.Context) (err error) {
	if r.load.Addr, err = r.address(); err != nil {
		return err
	}
	token, err := r.cloud.token(ctx, r.url+onramp.TokenPath)
	if err != nil {
		return err
	}
	r.load.Path, r.load.Key = callbackPath, r.cloud.key
	r.load.Header = http.Header{"Authorization": {"Bearer " + token}}
	r.load.Connections, r.load.Events = r.settings.Connections, r.settings.Batch
	return nil
}

// send sends batches, none of whose events was sent before.
func (r *eventRun) send(ctx context.Context, d time.Duration) (bench.BatchResult, error) {
	r.load.Duration = d
	sent, err := bench.SendBatches(ctx, r.load)
	r.load.After = sent.Last
	r.round.AnsweredStored += sent.Stored
	r.round.AnsweredRepeated += sent.Repeated
	r.round.Unsure += sent.Errors
	return sent, err
}

// store measures batches that come as fast as they are answered.
func (r *eventRun) store(ctx context.Context) (err error) {
	s := &r.round.Store
	if err := r.point(ctx); err != nil {
		return err
	}
	r.load.RepeatEvery = r.settings.RepeatEvery
	s.Begin = r.memory()
	if _, err := r.send(ctx, warmUp(r.settings.Duration)); err != nil {
		return err
	}
	before, err := r.usage()
	if err != nil {
		return err
	}
	own, _ := bench.CPUOf(os.Getpid())
	if s.Batches, err = r.send(ctx, r.settings.Duration); err != nil {
		return err
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	ownAfter, _ := bench.CPUOf(os.Getpid())
	s.CPU, s.SenderCPU, s.Fsyncs = after.cpu-before.cpu, ownAfter-own, after.Fsyncs-before.Fsyncs
	s.End = r.memory()
	return nil
}

// restart stops the gateway, so that all is in the file whose size counts, and
// starts it again.
func (r *eventRun) restart(ctx context.Context) (err error) {
	r.stop()
	file, err := os.Stat(r.gateway.settings.file())
	if err != nil {
		return err
	}
	r.round.Store.DiskBytes, r.round.Store.DiskEvents = file.Size(), r.round.AnsweredStored
	r.gateway.settings.Profile = "" // it has one of the first part
	if err := r.start(ctx); err != nil {
		return err
	}
	r.round.Restart = r.ready
	return nil
}

// beside measures batches that come while registrations are accepted.
func (r *eventRun) beside(ctx context.Context) (err error) {
	if err := r.point(ctx); err != nil {
		return err
	}
	r.load.Rate, r.load.RepeatEvery = r.settings.BatchRate, 0
	s := &r.round.Beside
	if _, _, err := r.both(ctx, warmUp(r.settings.Duration)); err != nil {
		return err
	}
	s.Batches, s.Accept, err = r.both(ctx, r.settings.Duration)
	s.Memory = r.memory()
	return err
}

// both sends batches and registrations at the same time.
func (r *eventRun) both(ctx context.Context, d time.Duration) (batches bench.BatchResult, accept bench.Result, err error) {
	load := registrations(app.DemoRegistration)
	load.Addr, load.Connections, load.Rate, load.Duration = r.load.Addr, r.settings.AcceptConnections, r.settings.AcceptRate, d
	l, err := r.rig.startLoad(ctx, load)
	if err != nil {
		return batches, accept, err
	}
	defer l.kill()
	if batches, err = r.send(ctx, d); err != nil {
		return batches, accept, err
	}
	accept, err = l.result()
	r.round.AnsweredAccepted += accept.Requests
	r.round.Unsure += accept.Errors
	return batches, accept, err
}

// count asks the gateway what it has.
func (r *eventRun) count(ctx context.Context) error {
	status, err := r.status(ctx)
	if err != nil {
		return err
	}
	r.round.CountedStored, r.round.CountedRepeated = status.Events.Stored, status.Events.Repeated
	r.round.CountedAccepted = status.Accepted
	return nil
}
