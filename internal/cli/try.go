package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/cli/frame"
	"onramp/internal/cli/proof"
	"onramp/internal/web"
)

func (c *command) try() *cobra.Command {
	return &cobra.Command{
		Use:   "try",
		Short: "Submit one registration and follow it end to end",
		Long: `Starts the gateway and the sandbox on free ports and submits one registration over
HTTP. Waits until it is in the sandbox's data extension, its contact has entered the
journey and the event for the journey's email has come back. Then prints the timeline.`,
		Example: "  onramp try",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.runTry(ctx) }),
	}
}

func (c *command) runTry(ctx context.Context) error {
	const free = "127.0.0.1:0"
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	d, err := c.startDemo(ctx, demoSettings{public: free, admin: free, sandbox: free, quiet: true})
	if err != nil {
		return err
	}
	running, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.run(running) }()
	err = c.tryOnce(ctx, d)
	end()
	return errors.Join(err, <-ended)
}

func (c *command) tryOnce(ctx context.Context, d *demo) error {
	select {
	case <-d.ready:
	case <-ctx.Done():
		return fmt.Errorf("the gateway did not become ready: %w", context.Cause(ctx))
	}
	id, err := submit(ctx, d.gateway.PublicURL())
	if err != nil {
		return err
	}
	admin := &adminClient{base: d.gateway.AdminURL(), http: http.DefaultClient}
	shown, err := awaitMail(ctx, admin, id)
	if err != nil {
		return err
	}
	var state proof.State
	sandbox := web.Client{Base: d.sandbox.URL()}
	if err := sandbox.Call(ctx, http.MethodGet, "/_sandbox/state", nil, &state); err != nil {
		return fmt.Errorf("read the sandbox's state: %w", err)
	}
	steps, err := state.Prove(&shown.Registration, shown.Timeline)
	if err != nil {
		return errors.Join(err, c.printTimeline(shown.Timeline))
	}
	fmt.Fprintf(c.Stdout, "Registration %s went through.\n\n", id)
	rows := [][]string{}
	for _, s := range steps {
		after := s.At.Sub(shown.ReceivedAt)
		rows = append(rows, []string{moment(s.At), fmt.Sprintf("%+7.1f ms", float64(after.Microseconds())/1000), s.What, s.Detail})
	}
	return c.table(rows)
}

// awaitMail reads the registration until the event of its mail has come, which
// Marketing Cloud sends a moment after the contact has entered the journey. When
// it does not come, Prove says what is missing.
func awaitMail(ctx context.Context, admin *adminClient, id string) (*registrationWithTimeline, error) {
	const look, patience = 20 * time.Millisecond, 10 * time.Second
	end := time.After(patience)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		shown, err := admin.registration(ctx, id)
		if err != nil || slices.ContainsFunc(shown.Timeline, proof.IsMail) {
			return shown, err
		}
		select {
		case <-tick.C:
		case <-end:
			return shown, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// submit posts the registration as a website's back end would and waits for the
// outcome.
func submit(ctx context.Context, base string) (id string, err error) {
	site := web.Client{Base: base, Header: http.Header{"Prefer": {"wait=30"}, "Referer": {"https://example.com/register"}}}
	var answer struct{ ID string }
	if err := site.Call(ctx, http.MethodPost, app.DemoPath, json.RawMessage(app.DemoRegistration), &answer); err != nil {
		return "", fmt.Errorf("submit registration: %w", err)
	}
	return answer.ID, nil
}
