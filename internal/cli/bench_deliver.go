package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
)

// The routes that bench deliver knows.
const (
	routeRows = "data_extension"
	routeBoth = "both"
)

func (c *command) benchDeliver() *cobra.Command {
	s := rig.DeliverSettings{}
	var route string
	cmd := &cobra.Command{
		Use:   "deliver",
		Short: "Measure how fast registrations reach their destination, and with how many calls",
		Long: `Measures the way from the request to the destination, with the sandbox in place
of Marketing Cloud and each of its calls but those for a token slowed down by
--delay. Gateway, sandbox and load generator are processes of their own, on this
machine. Every registration is another person's.

For each mode and delay, one after the other:

  quiet       a registration every 20 ms, whether or not earlier ones are
              answered, with Prefer: wait=30. The latency runs from the moment the
              request was due to the answer that it is delivered. "Beyond the
              calls" is that without one delay for each step of the route. In
              async mode it holds the time of the sandbox's job, and is not judged.
  saturation  64 connections that send as fast as they are answered. Accepted and
              delivered are counted over the same time, without a warm-up before
              and without what is delivered after. Calls are counted from the first
              registration to the last delivery, polls of asynchronous jobs included.

With --backlog N, for each mode with the first delay: the sandbox blocks its
caller, N registrations are accepted, the gateway is stopped and started again,
the block is lifted. Memory, the time to ready and the deliveries of the first
seconds are told.

All processes share this machine's processors, the sandbox too, which is quicker
and kinder than Marketing Cloud: what is shown is what Onramp makes of a given
delay, not what an account will take. Memory is the gateway's alone, without a
PostgreSQL server's. It exits with 1 when a figure misses its bar; throughput and
calls have bars for a delay of 50 ms only (calls of async also for 300 ms).`,
		Example: `  onramp bench deliver
  onramp bench deliver --mode sync --delay 50ms --duration 10s --output json
  onramp bench deliver --mode auto --delay 50ms --backlog 1000000 --data /var/lib/onramp`,
		Args: cobra.NoArgs,
		RunE: checked(
			func() error {
				s.Steps = steps(route)
				return checkDeliverSettings(s, route)
			},
			func(ctx context.Context) error {
				report, err := c.rig().Deliver(ctx, s)
				if err != nil {
					return err
				}
				return c.report(report)
			},
		),
	}
	cmd.Flags().StringSliceVar(&s.Modes, "mode", []string{"sync", "async"}, "of the data extension: sync, async, auto, or several")
	cmd.Flags().DurationSliceVar(&s.Delays, "delay", []time.Duration{50 * time.Millisecond, 300 * time.Millisecond}, "of each call to the sandbox, in whole milliseconds; one or several")
	cmd.Flags().StringVar(&route, "route", routeRows, routeRows+", or "+routeBoth+" for the journey after it as well")
	cmd.Flags().IntVar(&s.Connections, "connections", 64, "keep-alive connections of saturation and backlog")
	cmd.Flags().DurationVar(&s.Duration, "duration", 30*time.Second, "of saturation, after its warm-up")
	cmd.Flags().Float64Var(&s.QuietRate, "quiet-rate", 50, "registrations a second when quiet")
	cmd.Flags().DurationVar(&s.QuietDuration, "quiet-duration", 20*time.Second, "of quiet, after its warm-up")
	cmd.Flags().Int64Var(&s.Backlog, "backlog", 0, "also measure with so many registrations waiting, such as 1000000 (0: not)")
	dataFlag(cmd, &s.Data)
	cmd.Flags().StringVar(&s.Database, "database", "", "postgres:// URL of a database made for this, which keeps the registrations (default: SQLite in --data)")
	c.outputFlag(cmd)
	return cmd
}

// checkDeliverSettings reports every mistake at once.
func checkDeliverSettings(s rig.DeliverSettings, route string) error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(len(s.Modes) == 0 || len(s.Delays) == 0, "--mode and --delay need a value")
	for _, mode := range s.Modes {
		wrong(!slices.Contains([]string{"sync", "async", "auto"}, mode), "--mode is sync, async or auto, not %q", mode)
	}
	for _, delay := range s.Delays {
		wrong(delay < 0 || delay > time.Minute || delay%time.Millisecond != 0, "--delay is whole milliseconds up to a minute, not %v", delay)
	}
	wrong(s.Steps == 0, "--route is %s or %s, not %q", routeRows, routeBoth, route)
	wrong(s.Connections < 1, "--connections must be at least 1")
	wrong(s.Duration <= 0 || s.QuietDuration <= 0, "--duration and --quiet-duration must be more than nothing")
	wrong(s.QuietRate <= 0, "--quiet-rate must be more than 0")
	wrong(s.Backlog < 0, "--backlog is negative")
	wrong(s.Database != "" && s.Backlog > 0 && len(s.Modes) > 1, "--database with --backlog needs one --mode: the first leaves a backlog to the second")
	return errors.Join(errs...)
}

// steps counts those of a route; 0: there is no such route.
func steps(route string) int {
	switch route {
	case routeRows:
		return 1
	case routeBoth:
		return 2
	}
	return 0
}
