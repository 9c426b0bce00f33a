package cli

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

// listFlags are the flags of the commands that list.
type listFlags struct {
	state, form, query, cursor string
	limit                      int
}

// addListFlags adds the flags to a command that lists what can be in one of the
// states.
func addListFlags[S fmt.Stringer](cmd *cobra.Command, f *listFlags, states []S) {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = s.String()
	}
	cmd.Flags().StringVar(&f.state, "state", "", "only those in this state: "+strings.Join(names, ", "))
	cmd.Flags().StringVar(&f.form, "form", "", "only those from this form")
	cmd.Flags().StringVarP(&f.query, "query", "q", "", "only those with this text in the subscriber key or the values")
	cmd.Flags().StringVar(&f.cursor, "cursor", "", "continue after the previous page, with the cursor printed below it")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "maximum number to list, up to 500")
}

func (f *listFlags) values() url.Values {
	q := url.Values{"limit": {strconv.Itoa(f.limit)}}
	for name, value := range map[string]string{"state": f.state, "form": f.form, "q": f.query, "cursor": f.cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func (c *command) registrations() *cobra.Command {
	var flags listFlags
	list := &cobra.Command{
		Use: "list", Short: "List registrations, newest first",
		Example: "  onramp registrations list --state failed\n  onramp registrations list -q user@example.com --output json",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.listRegistrations(ctx, flags) }),
	}
	addListFlags(list, &flags, onramp.RegistrationStates())
	c.outputFlag(list)
	show := &cobra.Command{
		Use: "show ID", Short: "Show a registration, its deliveries and its timeline",
		Example: "  onramp registrations show 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f",
		Args:    cobra.ExactArgs(1),
		RunE:    run(func(ctx context.Context, args []string) error { return c.showRegistration(ctx, args[0]) }),
	}
	c.outputFlag(show)
	return group("registrations", "List and show registrations", list, show)
}

func (c *command) listRegistrations(ctx context.Context, f listFlags) error {
	heading := []string{"ID", "RECEIVED", "FORM", "STATUS", "SUBSCRIBER KEY"}
	return printList(ctx, c, "/api/registrations", f.values(), heading, func(r *operator.Registration) []string {
		return []string{r.ID, moment(r.ReceivedAt), r.Form, r.Status, r.SubscriberKey}
	})
}

// registrationWithTimeline is what show prints as JSON.
type registrationWithTimeline struct {
	operator.Registration
	Timeline []onramp.TimelineItem `json:"timeline"`
}

func (c *command) showRegistration(ctx context.Context, id string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	shown, err := admin.registration(ctx, id)
	if err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(shown)
	}
	fmt.Fprintf(c.Stdout, "registration    %s\nform            %s\nstatus          %s\nsubscriber key  %s\nreceived        %s\nvalues          %s\n\n",
		shown.ID, shown.Form, shown.Status, shown.SubscriberKey, moment(shown.ReceivedAt), shown.Values)
	if err := c.printDeliveries(shown.Deliveries); err != nil {
		return err
	}
	c.printEdits(shown.Edits)
	fmt.Fprintln(c.Stdout)
	return c.printTimeline(shown.Timeline)
}

func (a *adminClient) registration(ctx context.Context, id string) (*registrationWithTimeline, error) {
	shown := &registrationWithTimeline{}
	path := "/api/registrations/" + url.PathEscape(id)
	if err := a.get(ctx, path, nil, &shown.Registration); err != nil {
		return nil, err
	}
	var timeline struct{ Items []onramp.TimelineItem }
	if err := a.get(ctx, path+"/timeline", nil, &timeline); err != nil {
		return nil, err
	}
	shown.Timeline = timeline.Items
	return shown, nil
}

func (c *command) printTimeline(items []onramp.TimelineItem) error {
	rows := [][]string{{"AT", "WHAT", "DESTINATION", "DETAIL"}}
	for _, i := range items {
		rows = append(rows, []string{moment(i.At), i.What, i.Destination, oneLine(i.Detail)})
	}
	return c.table(rows)
}

func oneLine(s string) string { return visible(strings.Join(strings.Fields(s), " ")) }
