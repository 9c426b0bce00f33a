package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/onramp"
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
		RunE:    run(func(ctx context.Context, _ []string) error { return c.runTry(ctx) }),
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

// step is one line of what try prints.
type step struct {
	at     time.Time
	what   string
	detail string
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
	var state sandboxState
	sandbox := web.Client{Base: d.sandbox.URL()}
	if err := sandbox.Call(ctx, http.MethodGet, "/_sandbox/state", nil, &state); err != nil {
		return fmt.Errorf("read the sandbox's state: %w", err)
	}
	steps, err := state.prove(shown)
	if err != nil {
		return errors.Join(err, c.printTimeline(shown.Timeline))
	}
	fmt.Fprintf(c.Stdout, "Registration %s went through.\n\n", id)
	rows := [][]string{}
	for _, s := range steps {
		after := s.at.Sub(shown.ReceivedAt)
		rows = append(rows, []string{moment(s.at), fmt.Sprintf("%+7.1f ms", float64(after.Microseconds())/1000), s.what, s.detail})
	}
	return c.table(rows)
}

// awaitMail reads the registration until the event of its mail has come, which
// Marketing Cloud sends a moment after the contact has entered the journey. When
// it does not come, prove says what is missing.
func awaitMail(ctx context.Context, admin *adminClient, id string) (*registrationWithTimeline, error) {
	const look, patience = 20 * time.Millisecond, 10 * time.Second
	end := time.After(patience)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		shown, err := admin.registration(ctx, id)
		if err != nil || slices.ContainsFunc(shown.Timeline, isMail) {
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

const mailSent = "TransactionalSendEvents.EmailSent"

func isMail(item onramp.TimelineItem) bool {
	return item.What == "event" && strings.HasPrefix(item.Detail, mailSent)
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

// sandboxState is the part of /_sandbox/state that try looks at.
type sandboxState struct {
	Tokens []struct {
		IssuedAt time.Time `json:"issued_at"`
	} `json:"tokens"`
	DataExtensions map[string]struct {
		Rows []map[string]any `json:"rows"`
	} `json:"data_extensions"`
	Journeys map[string]struct {
		Contacts []struct {
			ContactKey string    `json:"contact_key"`
			At         time.Time `json:"at"`
		} `json:"contacts"`
	} `json:"journeys"`
}

// prove looks for every trace that the registration must have left, on both
// sides, and says when.
func (s *sandboxState) prove(r *registrationWithTimeline) ([]step, error) {
	steps := []step{{r.ReceivedAt, "accepted", "on disk, form " + r.Form}}
	if len(s.Tokens) == 0 {
		return nil, errors.New("the sandbox has issued no token")
	}
	steps = append(steps, step{s.Tokens[0].IssuedAt, "token", fmt.Sprintf("%d requested", len(s.Tokens))})
	for _, d := range r.Deliveries {
		if d.State != onramp.DeliveryDelivered.String() {
			return nil, fmt.Errorf("the delivery to %s is %s, not delivered: %s", d.Destination, d.State, d.Reason)
		}
	}
	stored, err := s.findRow(r)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(r.Timeline, isMail) {
		return nil, errors.New("the sandbox's event " + mailSent + " has not come back")
	}
	for _, item := range r.Timeline {
		if item.What == "event" {
			steps = append(steps, step{item.At, "event", item.Detail})
		}
		if item.What != "delivered" {
			continue
		}
		what := "row"
		detail := fmt.Sprintf("in %s, %d columns", item.Destination, stored)
		if item.Destination == "journey:"+onlyKey(s.Journeys) {
			what, detail = "contact", "in "+item.Destination
			if !s.hasContact(r.SubscriberKey) {
				return nil, errors.New("the sandbox's journey does not have the contact")
			}
		}
		steps = append(steps, step{item.At, what, detail + ", " + item.Detail})
	}
	return steps, nil
}

// findRow checks that the row holds exactly what was accepted, and counts its
// columns.
func (s *sandboxState) findRow(r *registrationWithTimeline) (columns int, err error) {
	var want map[string]any
	if err := json.Unmarshal(r.Values, &want); err != nil {
		return 0, fmt.Errorf("read values: %w", err)
	}
	want["SubscriberKey"] = r.SubscriberKey
	for _, table := range s.DataExtensions {
		for _, row := range table.Rows {
			if row["SubscriberKey"] != r.SubscriberKey {
				continue
			}
			for column, value := range want {
				if row[column] != value {
					return 0, fmt.Errorf("the row's column %s does not hold what was submitted", column)
				}
			}
			return len(row), nil
		}
	}
	return 0, errors.New("the sandbox's data extension does not have the row")
}

func (s *sandboxState) hasContact(key string) bool {
	for _, journey := range s.Journeys {
		for _, contact := range journey.Contacts {
			if contact.ContactKey == key {
				return true
			}
		}
	}
	return false
}

func onlyKey[V any](m map[string]V) string {
	for key := range m {
		return key
	}
	return ""
}
