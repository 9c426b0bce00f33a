package cli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/visible"
)

// listFlags are the flags of the commands that list.
type listFlags struct {
	state, form, query string
	pageFlags
}

// pageFlags are those that all of them have.
type pageFlags struct {
	destination, since, until, cursor string
	limit                             int
}

func (f *pageFlags) add(cmd *cobra.Command, destination string) {
	cmd.Flags().StringVar(&f.destination, "destination", "", destination)
	cmd.Flags().StringVar(&f.since, "since", "", "only those received then or later: "+timeForms)
	cmd.Flags().StringVar(&f.until, "until", "", "only those received before then")
	cmd.Flags().StringVar(&f.cursor, "cursor", "", "continue after the previous page, with the cursor printed below it")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "maximum number to list, up to 500")
}

const timeForms = "a time (2026-06-23T14:52:45Z), a date in UTC (2026-06-23), or how long ago (24h, 7d)"

// query are the parameters of a list; what is empty is left out. A time that can't be read is
// wrong use.
func (f *pageFlags) query(more map[string]string) (url.Values, error) {
	if _, _, err := operator.ParsePeriod(f.since, f.until, time.Now()); err != nil {
		return nil, fmt.Errorf("--%w", err)
	}
	q := url.Values{"limit": {strconv.Itoa(f.limit)}}
	maps.Copy(more, map[string]string{"destination": f.destination, "since": f.since, "until": f.until, "cursor": f.cursor})
	for name, value := range more {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q, nil
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
	f.add(cmd, "only those to this destination, such as data_extension:Web_Registrations")
}

func (f *listFlags) values() (url.Values, error) {
	return f.pageFlags.query(map[string]string{"state": f.state, "form": f.form, "q": f.query})
}

func (c *command) registrations() *cobra.Command {
	var flags listFlags
	list := &cobra.Command{
		Use: "list", Short: "List registrations, newest first",
		Example: `  onramp registrations list --state failed
  onramp registrations list --form registration --since 24h
  onramp registrations list -q user@example.com --output json
  onramp registrations list --since 7d --output csv > registrations.csv`,
		Args: cobra.NoArgs,
		RunE: c.runList(flags.values, c.listRegistrations),
	}
	addListFlags(list, &flags, onramp.RegistrationStates())
	c.listFlag(list)
	show := &cobra.Command{
		Use: "show ID", Short: "Show a registration, its deliveries and its timeline",
		Example: "  onramp registrations show 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f",
		Args:    cobra.ExactArgs(1),
		RunE:    frame.Run(func(ctx context.Context, args []string) error { return c.showRegistration(ctx, args[0]) }),
	}
	c.outputFlag(show)
	return frame.Group("registrations", "List, show, resend, release, import, export and erase registrations", list, show,
		c.registrationsResend(), c.registrationsRemind(), c.registrationsRelease(), c.registrationsDiscard(), c.registrationsImport(),
		c.registrationsExport(), c.registrationsErase(), c.registrationsRestrict())
}

func (c *command) listRegistrations(ctx context.Context, query url.Values) error {
	heading := []string{"ID", "RECEIVED", "FORM", "STATUS", "SUBSCRIBER KEY"}
	return printList(ctx, c, "/api/registrations", query, heading, func(r *operator.Registration) []string {
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
	fmt.Fprintf(c.Stdout, "registration    %s\nform            %s\nstatus          %s\nsubscriber key  %s\nreceived        %s\nfields          %s\n\n",
		shown.ID, shown.Form, shown.Status, shown.SubscriberKey, moment(shown.ReceivedAt), shown.Fields)
	c.printHeld(shown.Held)
	if err := c.printDeliveries(shown.Deliveries); err != nil {
		return err
	}
	c.printEdits(shown.Edits)
	fmt.Fprintln(c.Stdout)
	return c.printTimeline(shown.Timeline)
}

// printHeld says why a registration is held.
func (c *command) printHeld(h *operator.Held) {
	if h == nil {
		return
	}
	fmt.Fprintf(c.Stdout, "held since %s: %s", moment(h.Since), h.Reason)
	if h.Detail != "" {
		fmt.Fprintf(c.Stdout, ", %s", oneLine(h.Detail))
	}
	fmt.Fprint(c.Stdout, "\n\n")
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

func oneLine(s string) string { return visible.Escape(strings.Join(strings.Fields(s), " ")) }
