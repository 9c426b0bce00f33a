package rig

import (
	"context"
	"time"

	"onramp/internal/app"
	"onramp/internal/bench"
)

// AcceptSettings are those of Accept.
type AcceptSettings struct {
	Rounds          int           // how often each server is measured
	Duration        time.Duration // of one measurement
	Connections     int
	IdempotencyKeys bool   // each request has a fresh Idempotency-Key
	Clear           bool   // personal data is stored in clear text
	Data            string // folder for the database; "": a temporary one
}

// Accept measures how many registrations a second the gateway accepts, each on disk
// before its answer, in turns with a bare handler that keeps nothing.
func (r *Rig) Accept(ctx context.Context, s AcceptSettings) (*bench.Report, error) {
	gateway, err := r.newGateway(s.Data, gatewaySettings{NoPump: true, Clear: s.Clear})
	if err != nil {
		return nil, err
	}
	defer gateway.close()
	bare, err := r.startServer(ctx, partBare, nil)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	if err := gateway.start(ctx); err != nil {
		return nil, err
	}
	load := registrations(app.DemoRegistration)
	load.Connections, load.Duration, load.IdempotencyKeys = s.Connections, s.Duration, s.IdempotencyKeys
	measure := func(server *server) bench.Measure {
		return func(ctx context.Context) (bench.Run, error) { return server.measure(ctx, load) }
	}
	rounds, err := bench.Alternate(ctx, s.Rounds, measure(bare), measure(gateway.server), nil)
	if err != nil {
		return nil, err
	}
	report := bench.NewReport(rounds, gateway.ready, s.IdempotencyKeys)
	report.ClearText = s.Clear
	return report, nil
}
