package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/bench/rig"
	"onramp/internal/cli/frame"
)

// The routes that bench deliver knows.
const (
	routeRows = "data_extension"
	routeBoth = "both"
)

func (c *measurements) deliver() *cobra.Command {
	s := rig.DeliverSettings{}
	var route string
	cmd := &cobra.Command{
		Use:   "deliver",
		Short: "Measure how fast registrations are delivered, and with how many calls",
		Long: `Measures the time from request to delivery, with the sandbox in place of Marketing Cloud.
Each call to the sandbox, except for a token, is delayed by --delay. Gateway, sandbox and
load generator are separate processes on this machine. Every registration is from a
different person.

For each mode and delay, one after the other:

  quiet       A registration every 20 ms, whether or not earlier ones are answered, with
              Prefer: wait=30. Latency is measured from the time at which the request was
              due to the answer that it is delivered. "Beyond the calls" is the latency
              less one delay for each step of the route. In async mode it includes the
              time of the sandbox's job and has no limit.
  saturation  64 connections that send as fast as they are answered. Accepted and
              delivered registrations are counted over the same period, without the
              warm-up and without what is delivered later. Calls are counted from the
              first registration to the last delivery, including polls of async jobs.

With --backlog N, for each mode with the first delay: the sandbox blocks its caller, N
registrations are accepted, the gateway is restarted, and the block is lifted. Prints the
memory, the time to ready and the deliveries in the first seconds.

All processes share this machine's processors, and the sandbox is faster and more lenient
than Marketing Cloud: the figures show what Onramp achieves at a given delay, not what an
account can take. Memory is the gateway's alone, without a PostgreSQL server's. Exits with
1 if a figure misses its limit; limits for throughput and calls apply to a delay of 50 ms
only (for calls in async mode also 300 ms).`,
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
	cmd.Flags().StringSliceVar(&s.Modes, "mode", []string{"sync", "async"}, "mode of the data extension: sync, async or auto; can be a list")
	cmd.Flags().DurationSliceVar(&s.Delays, "delay", []time.Duration{50 * time.Millisecond, 300 * time.Millisecond}, "delay of each call to the sandbox, in whole milliseconds; can be a list")
	cmd.Flags().StringVar(&route, "route", routeRows, routeRows+", or "+routeBoth+" for a journey after it as well")
	cmd.Flags().IntVar(&s.Connections, "connections", 64, "number of keep-alive connections for saturation and backlog")
	cmd.Flags().DurationVar(&s.Duration, "duration", 30*time.Second, "length of saturation, after its warm-up")
	cmd.Flags().Float64Var(&s.QuietRate, "quiet-rate", 50, "registrations per second for quiet")
	cmd.Flags().DurationVar(&s.QuietDuration, "quiet-duration", 20*time.Second, "length of quiet, after its warm-up")
	cmd.Flags().Int64Var(&s.Backlog, "backlog", 0, "also measure with this many registrations waiting, such as 1000000 (0: skip)")
	dataFlag(cmd, &s.Data)
	cmd.Flags().StringVar(&s.Database, "database", "", "postgres:// URL of a database for this measurement only; the registrations stay in it (default: SQLite in --data)")
	frame.OutputFlag(cmd, &c.output)
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
		wrong(!slices.Contains([]string{"sync", "async", "auto"}, mode), "--mode must be sync, async or auto, not %q", mode)
	}
	for _, delay := range s.Delays {
		wrong(delay < 0 || delay > time.Minute || delay%time.Millisecond != 0, "--delay must be whole milliseconds, at most a minute, not %v", delay)
	}
	wrong(s.Steps == 0, "--route must be %s or %s, not %q", routeRows, routeBoth, route)
	wrong(s.Connections < 1, "--connections must be at least 1")
	wrong(s.Duration <= 0 || s.QuietDuration <= 0, "--duration and --quiet-duration must be greater than zero")
	wrong(s.QuietRate <= 0, "--quiet-rate must be greater than 0")
	wrong(s.Backlog < 0, "--backlog must not be negative")
	wrong(s.Database != "" && s.Backlog > 0 && len(s.Modes) > 1, "--database with --backlog needs one --mode: the second would find the backlog of the first")
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
