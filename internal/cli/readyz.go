package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
)

// readyEvery is how often readyz asks while it waits.
const readyEvery = 250 * time.Millisecond

func (c *command) readyz() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "readyz",
		Short: "Check that the gateway takes registrations, or wait until it does",
		Long: `Asks the running gateway whether it takes registrations. Exits with 0 if it does, and
with 1 and the reason if it does not: while it starts, and while its database can't be
written. With --wait it asks until it does, or the time is over.

It is meant for compose files and CI. It needs no admin token.`,
		Example: "  onramp readyz\n  onramp readyz --wait 30s",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.runReadyz(ctx, wait) }),
	}
	c.outputFlag(cmd)
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for it at most")
	return cmd
}

// readiness is what /readyz answers.
type readiness struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

func (c *command) runReadyz(ctx context.Context, wait time.Duration) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	end := time.Now().Add(wait)
	for {
		r := admin.ready(ctx)
		left := time.Until(end)
		if r.Ready || left <= 0 || ctx.Err() != nil {
			return c.printReady(r)
		}
		select {
		case <-time.After(min(readyEvery, left)):
		case <-ctx.Done():
		}
	}
}

func (c *command) printReady(r readiness) error {
	if c.output == "json" {
		if err := c.printJSON(r); err != nil {
			return err
		}
	}
	switch {
	case !r.Ready:
		return errors.New("not ready: " + r.Reason)
	case c.output != "json":
		fmt.Fprintln(c.Stdout, "ready")
	}
	return nil
}

// ready asks once.
func (a *adminClient) ready(ctx context.Context) readiness {
	ctx, end := context.WithTimeout(ctx, 5*time.Second)
	defer end()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/readyz", nil)
	if err != nil {
		return readiness{Reason: err.Error()}
	}
	answer, err := a.http.Do(request)
	if err != nil {
		return readiness{Reason: "no gateway answers at " + a.base + ": " + errors.Unwrap(err).Error()}
	}
	defer answer.Body.Close()
	var r readiness
	if err := json.NewDecoder(answer.Body).Decode(&r); err != nil {
		return readiness{Reason: fmt.Sprintf("%s answers %s, which is not Onramp's", a.base, answer.Status)}
	}
	return r
}
