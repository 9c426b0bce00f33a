package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"onramp/internal/api"
)

func (c *command) deliveries() *cobra.Command {
	var flags listFlags
	list := &cobra.Command{
		Use: "list", Short: "List deliveries, newest first",
		Example: "  onramp deliveries list --state dead",
		Args:    cobra.NoArgs,
		RunE:    run(func(ctx context.Context, _ []string) error { return c.listDeliveries(ctx, flags) }),
	}
	flags.add(list)
	show := &cobra.Command{
		Use: "show ID", Short: "Show a delivery with its attempts: what was sent, what came back",
		Example: "  onramp deliveries show 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f.1",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(ctx context.Context, args []string) error {
			return c.showDelivery(ctx, http.MethodGet, args[0], "")
		}),
	}
	retry := &cobra.Command{
		Use: "retry ID", Short: "Try a dead, held or waiting delivery again, now",
		Example: "  onramp deliveries retry 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f.1",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(ctx context.Context, args []string) error {
			return c.showDelivery(ctx, http.MethodPost, args[0], "/retry")
		}),
	}
	for _, cmd := range []*cobra.Command{list, show, retry} {
		c.outputFlag(cmd)
	}
	return group("deliveries", "Look at deliveries, and retry them", list, show, retry)
}

func (c *command) listDeliveries(ctx context.Context, f listFlags) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var page api.Page[api.Delivery]
	if err := admin.get(ctx, "/api/deliveries", f.values(), &page); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(page)
	}
	rows := [][]string{{"ID", "DESTINATION", "STATE", "TRIES", "NEXT TRY", "REASON"}}
	for _, d := range page.Items {
		rows = append(rows, []string{d.ID, d.Destination, d.State, strconv.Itoa(d.Tries), momentOrNone(d.DueAt), oneLine(d.Reason)})
	}
	return c.page(rows, page.Next)
}

// showDelivery prints what the admin API answers about one delivery.
func (c *command) showDelivery(ctx context.Context, method, id, action string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var d api.Delivery
	if err := admin.call(ctx, method, "/api/deliveries/"+url.PathEscape(id)+action, &d); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(d)
	}
	fmt.Fprintf(c.Stdout, "delivery        %s\ndestination     %s\nstate           %s\ntries           %d\nsubscriber key  %s\nvalues          %s\n",
		d.ID, d.Destination, d.State, d.Tries, d.SubscriberKey, d.Values)
	if d.Reason != "" {
		fmt.Fprintf(c.Stdout, "reason          %s\n", oneLine(d.Reason))
	}
	for _, a := range d.Attempts {
		fmt.Fprintf(c.Stdout, "\nattempt %d at %s, %.1f ms: %s\n  %s\n", a.Number, moment(a.StartedAt), a.TookMS, a.Outcome, oneLine(a.Detail))
		for _, part := range []struct{ name, text string }{{"mend", a.Mend}, {"sent", a.Request}, {"answer", a.Answer}} {
			if part.text != "" {
				fmt.Fprintf(c.Stdout, "  %-8s%s\n", part.name, oneLine(part.text))
			}
		}
	}
	return nil
}
