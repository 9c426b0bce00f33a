package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"onramp/internal/operator"
)

func (c *command) events() *cobra.Command {
	show := &cobra.Command{
		Use: "show ID", Short: "Show an event as it came, and where it goes on to",
		Example: "  onramp events show 019b8a3e-7c00-8123-8a45-6789abcdef01",
		Args:    oneID,
		RunE:    run(func(ctx context.Context, args []string) error { return c.showEvent(ctx, args[0]) }),
	}
	under := []*cobra.Command{c.eventsList(), show, c.eventsTrigger()}
	for _, cmd := range under {
		c.outputFlag(cmd)
	}
	return group("events", "Look at what Marketing Cloud has told of sends, and have the sandbox tell something", under...)
}

// eventFlags are the flags of events list.
type eventFlags struct {
	kind, callback, query, cursor string
	limit                         int
}

func (c *command) eventsList() *cobra.Command {
	var flags eventFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List events, newest first",
		Long: `Lists the events that came to the callbacks, the newest first, each once however
often it came. The time is when it happened or, when it doesn't say, when it came.`,
		Example: `  onramp events list --type 'EngagementEvents.*'
  onramp events list -q user@example.com --output json`,
		Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error { return c.listEvents(ctx, &flags) }),
	}
	cmd.Flags().StringVar(&flags.kind, "type", "", "only those of this type; * stands for any text")
	cmd.Flags().StringVar(&flags.callback, "callback", "", "only those that came to this callback")
	cmd.Flags().StringVarP(&flags.query, "query", "q", "", "only those with this text in them")
	cmd.Flags().StringVar(&flags.cursor, "cursor", "", "go on where the page before has ended")
	cmd.Flags().IntVar(&flags.limit, "limit", 50, "how many at the most (500)")
	return cmd
}

func (c *command) listEvents(ctx context.Context, f *eventFlags) error {
	query := url.Values{"limit": {strconv.Itoa(f.limit)}}
	for name, value := range map[string]string{"type": f.kind, "callback": f.callback, "q": f.query, "cursor": f.cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
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
		rows = append(rows, []string{d.ID, d.Destination, d.State, strconv.Itoa(d.Tries), momentOrNone(d.DueAt), oneLine(d.Reason)})
	}
	return c.table(rows)
}

func (c *command) eventsTrigger() *cobra.Command {
	var t trigger
	var fields []string
	var sandbox string
	cmd := &cobra.Command{
		Use: "trigger TYPE", Short: "Have the sandbox send an event to its callbacks",
		Long: `Has the sandbox send an event of a type, such as EngagementEvents.EmailOpen or just
EmailOpen, to the callbacks whose subscriptions take it. It is about the newest
send, or the newest that fits what is given; without any send one is made up.

The real Marketing Cloud can't be asked for events.`,
		Example: `  onramp events trigger EmailOpen
  onramp events trigger EmailBounced --to user@example.com --field info.bounceCode=SOFT
  onramp events trigger EmailSent --count 1000 --callback events`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&t.MessageKey, "message-key", "", "about the message with this key")
	cmd.Flags().StringVar(&t.ContactKey, "contact-key", "", "about the newest message to this contact")
	cmd.Flags().StringVar(&t.To, "to", "", "about the newest message to this address")
	cmd.Flags().IntVar(&t.Count, "count", 1, "so many events, each a millisecond after the one before")
	cmd.Flags().StringVar(&t.Callback, "callback", "", "only to the callback with this name or id")
	// not a slice of comma-separated values: a value may hold a comma
	cmd.Flags().StringArrayVar(&fields, "field", nil, "NAME=VALUE that the event is to have, such as info.reason=\"Spam\"; a value that is JSON is taken as such; may be given several times")
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
			return errors.New("--count must be 1 at least")
		}
		for _, name := range []string{"message-key", "contact-key", "to", "callback"} {
			// such as a script's empty variable, which would mean any
			if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
				return fmt.Errorf("--%s is empty", name)
			}
		}
		return run(func(ctx context.Context, _ []string) error { return c.trigger(ctx, sandbox, t) })(cmd, args)
	}
	return cmd
}
