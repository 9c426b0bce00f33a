package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/bench"
)

// eventSettings are what the flags of bench events say.
type eventSettings struct {
	rounds            int
	duration          time.Duration
	batch             int
	connections       int
	repeatEvery       int
	batchRate         float64
	acceptConnections int
	acceptRate        float64
	data              string
	profile           string
}

func (c *command) benchEvents() *cobra.Command {
	s := eventSettings{}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Measure how many events are stored, and how soon beside accepts",
		Long: `Measures how fast Onramp takes batches of events, each event on disk and told from
repeats before the batch is answered. The callback is set up first, as
Marketing Cloud would have it: each batch brings an access token and a signature
over its body, and Onramp checks both. Every event is about another person.

A round, on a database of its own:

  as fast as they are answered   some connections send one batch after the other.
                                 Every so many batches one is sent once more, and
                                 its answer has to say that all of it is known;
                                 events that are repeated do not count as stored.
  beside accepts                 after a restart on the database so filled,
                                 batches come at a steady pace, while connections
                                 post registrations as fast as they are answered,
                                 or at --accept-rate. The latency of a batch runs
                                 from the moment it was due.

At the end the gateway's own counts are held against what it has answered. It has
no sinks and no on_event rules here, and deliveries are written but not sent. This
process makes, signs and sends the batches, on the same processors: its share of
processor time is told beside the gateway's. It exits with 1 when a figure misses
its bar.`,
		Example: "  onramp bench events\n  onramp bench events --rounds 5 --duration 30s --data /var/lib/onramp --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.validate(); err != nil {
				return err
			}
			return run(func(ctx context.Context, _ []string) error { return c.runBenchEvents(ctx, s) })(cmd, args)
		},
	}
	cmd.Flags().IntVar(&s.rounds, "rounds", 3, "how often all is measured")
	cmd.Flags().DurationVar(&s.duration, "duration", 10*time.Second, "of either part of a round, after a warm-up of a quarter of it")
	cmd.Flags().IntVar(&s.batch, "batch", 1000, "events in a batch; the bars are for 1000")
	cmd.Flags().IntVar(&s.connections, "connections", 4, "keep-alive connections that send batches")
	cmd.Flags().IntVar(&s.repeatEvery, "repeat-every", 10, "of so many batches of a connection send one once more (0: none)")
	cmd.Flags().Float64Var(&s.batchRate, "batch-rate", 5, "batches a second beside accepts")
	cmd.Flags().IntVar(&s.acceptConnections, "accept-connections", 16, "keep-alive connections that post registrations")
	cmd.Flags().Float64Var(&s.acceptRate, "accept-rate", 0, "registrations a second (0: as fast as they are answered)")
	cmd.Flags().StringVar(&s.data, "data", "", "folder for the database (default: a temporary one); it decides which disk is measured")
	profileFlag(cmd, &s.profile)
	c.outputFlag(cmd)
	return cmd
}

// validate reports every mistake at once.
func (s eventSettings) validate() error {
	var errs []error
	if s.rounds < 1 || s.duration <= 0 || s.connections < 1 || s.acceptConnections < 1 {
		errs = append(errs, errors.New("--rounds, --duration, --connections and --accept-connections must be more than nothing"))
	}
	if s.batch < 1 || s.batch > 1000 {
		errs = append(errs, errors.New("--batch is 1 to 1000, which is the most that Marketing Cloud sends"))
	}
	if s.batchRate <= 0 {
		errs = append(errs, errors.New("--batch-rate must be more than 0"))
	}
	if s.repeatEvery < 0 || s.acceptRate < 0 {
		errs = append(errs, errors.New("--repeat-every and --accept-rate must not be negative"))
	}
	return errors.Join(errs...)
}

func (c *command) runBenchEvents(ctx context.Context, s eventSettings) error {
	var rounds []bench.EventRound
	for i := range s.rounds {
		c.progress("round %d of %d", i+1, s.rounds)
		round, err := c.eventRound(ctx, s)
		if err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
		rounds = append(rounds, round)
	}
	return c.report(bench.NewEventReport(rounds))
}

// eventRun is a round under way.
type eventRun struct {
	*callbackRig
	cloud    *cloud
	settings eventSettings
	load     bench.BatchConfig
	round    bench.EventRound
}

// eventRound measures one round on a database of its own.
func (c *command) eventRound(ctx context.Context, s eventSettings) (round bench.EventRound, err error) {
	account, err := startCloud(ctx)
	if err != nil {
		return round, err
	}
	defer account.close()
	rig, err := c.startCallbackRig(ctx, s.data, account.url(), s.profile)
	if err != nil {
		return round, err
	}
	defer rig.close()
	if err := account.setUp(ctx, rig.gateway); err != nil {
		return round, err
	}
	r := &eventRun{callbackRig: rig, cloud: account, settings: s}
	if err := r.store(ctx); err != nil {
		return round, fmt.Errorf("as fast as they are answered: %w", err)
	}
	if err := r.restart(ctx); err != nil {
		return round, fmt.Errorf("restart: %w", err)
	}
	if err := r.beside(ctx); err != nil {
		return round, fmt.Errorf("beside accepts: %w", err)
	}
	err = r.count(ctx)
	return r.round, err
}

// point has the batches go to the gateway that runs, with a fresh token.
func (r *eventRun) point(ctx context.Context) error {
	u, err := url.Parse(r.gateway.url)
	if err != nil {
		return err
	}
	token, err := r.cloud.token(ctx, r.gateway.url+tokenPath)
	if err != nil {
		return err
	}
	r.load.Addr, r.load.Path, r.load.Key = u.Host, callbackPath, r.cloud.key
	r.load.Header = http.Header{"Authorization": {"Bearer " + token}}
	r.load.Connections, r.load.Events = r.settings.connections, r.settings.batch
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
	r.load.RepeatEvery = r.settings.repeatEvery
	s.Begin = r.memory()
	if _, err := r.send(ctx, warmUp(r.settings.duration)); err != nil {
		return err
	}
	before, err := r.gateway.figures()
	if err != nil {
		return err
	}
	own, _ := bench.CPUOf(os.Getpid())
	if s.Batches, err = r.send(ctx, r.settings.duration); err != nil {
		return err
	}
	after, err := r.gateway.figures()
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
	r.gateway.stop()
	file, err := os.Stat(r.database())
	if err != nil {
		return err
	}
	r.round.Store.DiskBytes, r.round.Store.DiskEvents = file.Size(), r.round.AnsweredStored
	if err := r.start(ctx); err != nil {
		return err
	}
	r.round.Restart = r.gateway.ready
	return nil
}

// beside measures batches that come while registrations are accepted.
func (r *eventRun) beside(ctx context.Context) (err error) {
	if err := r.point(ctx); err != nil {
		return err
	}
	r.load.Rate, r.load.RepeatEvery = r.settings.batchRate, 0
	s := &r.round.Beside
	if _, _, err := r.both(ctx, warmUp(r.settings.duration)); err != nil {
		return err
	}
	s.Batches, s.Accept, err = r.both(ctx, r.settings.duration)
	s.Memory = r.memory()
	return err
}

// both sends batches and registrations at the same time.
func (r *eventRun) both(ctx context.Context, d time.Duration) (batches bench.BatchResult, accept bench.Result, err error) {
	l, err := startLoad(ctx, bench.LoadConfig{
		Addr: r.load.Addr, Path: registrationsPath, Body: []byte(app.DemoRegistration), Header: browserHeader(),
		Connections: r.settings.acceptConnections, Rate: r.settings.acceptRate, Duration: d,
	})
	if err != nil {
		return batches, accept, err
	}
	defer l.stop()
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
