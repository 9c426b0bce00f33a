package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
)

func (c *command) events() *cobra.Command {
	show := &cobra.Command{
		Use: "show ID", Short: "Show an event as received, and its deliveries",
		Example: "  onramp events show 019b8a3e-7c00-8123-8a45-6789abcdef01",
		Args:    oneID,
		RunE:    frame.Run(func(ctx context.Context, args []string) error { return c.showEvent(ctx, args[0]) }),
	}
	under := []*cobra.Command{c.eventsList(), show, c.eventsResend(), c.eventsTrigger()}
	for _, cmd := range under {
		c.outputFlag(cmd)
	}
	return frame.Group("events", "Inspect events from Marketing Cloud; resend them to sinks; trigger test events in the sandbox", under...)
}

// eventFlags are the flags of events list.
type eventFlags struct {
	kind, callback, query string
	pageFlags
}

func (f *eventFlags) values() (url.Values, error) {
	return f.pageFlags.query(map[string]string{"type": f.kind, "callback": f.callback, "q": f.query})
}

func (c *command) eventsList() *cobra.Command {
	var flags eventFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List events, newest first",
		Long: `Lists the events that the callbacks received, newest first, each one once even if it
was sent several times. Shows when the event happened, or when it arrived if it carries
no time.`,
		Example: `  onramp events list --type 'EngagementEvents.*'
  onramp events list --destination sink:crm --since 2026-06-23 --until 2026-06-24
  onramp events list -q user@example.com --output json`,
		Args: cobra.NoArgs,
		RunE: c.runList(flags.values, c.listEvents),
	}
	cmd.Flags().StringVar(&flags.kind, "type", "", "only events of this type; * matches any text")
	cmd.Flags().StringVar(&flags.callback, "callback", "", "only events received by this callback")
	cmd.Flags().StringVarP(&flags.query, "query", "q", "", "only events that contain this text")
	flags.add(cmd, "only events that go on to this sink, such as sink:crm, or have changed a row of this data extension")
	return cmd
}

func (c *command) listEvents(ctx context.Context, query url.Values) error {
	heading := []string{"TIME", "TYPE", "CALLBACK", "SUBSCRIBER KEY", "ID"}
	return printList(ctx, c, "/api/events", query, heading, func(e *operator.Event) []string {
		at := &e.ReceivedAt
		if e.At != nil {
			at = e.At
		}
		return []string{moment(*at), orNone(oneLine(e.Type)), orNone(oneLine(e.Callback)), orNone(oneLine(e.SubscriberKey)), e.ID}
	})
}

func (c *command) showEvent(ctx context.Context, id string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var e operator.Event
	if err := admin.get(ctx, "/api/events/"+url.PathEscape(id), nil, &e); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(e)
	}
	for _, line := range []struct{ name, value string }{
		{"event", e.ID},
		{"type", orNone(e.Type)},
		{"callback", e.Callback},
		{"happened", momentOrNone(e.At)},
		{"received", moment(e.ReceivedAt)},
		{"subscriber key", e.SubscriberKey},
		{"message key", e.MessageKey},
		{"registration", e.Registration},
		{"send", e.Send},
	} {
		if line.value != "" {
			fmt.Fprintf(c.Stdout, "%-14s  %s\n", line.name, oneLine(line.value))
		}
	}
	fmt.Fprintf(c.Stdout, "body\n%s", indented(string(e.Body)))
	if len(e.Deliveries) == 0 {
		return nil
	}
	fmt.Fprintln(c.Stdout)
	return c.printDeliveries(e.Deliveries)
}

// printDeliveries prints what belongs to one registration or event.
func (c *command) printDeliveries(deliveries []operator.Delivery) error {
	rows := [][]string{{"DELIVERY", "DESTINATION", "STATE", "TRIES", "NEXT TRY", "REASON"}}
	for i := range deliveries {
		d := &deliveries[i]
		rows = append(rows, []string{d.ID, d.Destination, d.State, strconv.Itoa(d.Tries), momentOrNone(d.DueAt), oneLine(why(d))})
	}
	return c.table(rows)
}

func (c *command) eventsTrigger() *cobra.Command {
	var t trigger
	var fields []string
	var sandbox string
	cmd := &cobra.Command{
		Use: "trigger TYPE", Short: "Have the sandbox send an event to its callbacks",
		Long: `Makes the sandbox send an event of a type, such as EngagementEvents.EmailOpen or just
EmailOpen, to the callbacks that subscribe to it. The event is about the latest message,
or the latest one that matches the flags; if no message was sent, one is made up.

The real Marketing Cloud can't be asked to send an event.`,
		Example: `  onramp events trigger EmailOpen
  onramp events trigger EmailBounced --to user@example.com --field info.bounceCode=SOFT
  onramp events trigger EmailSent --count 1000 --callback onramp-events`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&t.MessageKey, "message-key", "", "make the event about the message with this key")
	cmd.Flags().StringVar(&t.ContactKey, "contact-key", "", "make the event about the latest message to this contact")
	cmd.Flags().StringVar(&t.To, "to", "", "make the event about the latest message to this address")
	cmd.Flags().IntVar(&t.Count, "count", 1, "number of events, one millisecond apart")
	cmd.Flags().StringVar(&t.Callback, "callback", "", "send only to the callback with this ID, or this name in the sandbox, such as onramp-events")
	// not a slice of comma-separated values: a value may hold a comma
	cmd.Flags().StringArrayVar(&fields, "field", nil, "NAME=VALUE to set in the event, such as info.reason=\"Spam\"; a value that is valid JSON is used as JSON; can be repeated")
	cmd.Flags().StringVar(&sandbox, "sandbox", "http://127.0.0.1:8090", "address of the sandbox")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		t.Type = args[0]
		switch t.Fields, err = parseEventFields(fields); {
		case err != nil:
			return err
		case t.Type == "":
			return errors.New("the TYPE is empty")
		case t.Count < 1:
			return errors.New("--count must be at least 1")
		}
		for _, name := range []string{"message-key", "contact-key", "to", "callback"} {
			// such as a script's empty variable, which would mean any
			if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
				return fmt.Errorf("--%s is empty", name)
			}
		}
		return frame.Run(func(ctx context.Context, _ []string) error { return c.trigger(ctx, sandbox, t) })(cmd, args)
	}
	return cmd
}
