package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/operator"
)

func (c *command) destinations() *cobra.Command {
	resume := &cobra.Command{
		Use: "resume NAME", Short: "Resume a paused destination",
		Long: `Resumes a destination: everything that has waited for it is sent, in order. For
deliveries that keep failing, delivery.give_up_after counts from now.

The exception are messages that were tried before the pause and failed, more than 47 hours
ago: Marketing Cloud may no longer recognise a repeat, so they become unknown.`,
		Example: "  onramp destinations resume data_extension:Web_Registrations",
		Args:    oneDestination,
		RunE:    frame.Run(func(ctx context.Context, args []string) error { return c.resumeDestination(ctx, args[0]) }),
	}
	under := []*cobra.Command{c.destinationsList(), c.destinationsPause(), resume}
	for _, cmd := range under {
		c.outputFlag(cmd)
	}
	return frame.Group("destinations", "List, pause and resume destinations", under...)
}

func oneDestination(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return errors.New("give the name of one destination, such as data_extension:Web_Registrations; onramp destinations list shows all")
	}
	return nil
}

func (c *command) destinationsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List destinations: their state, since when and why, and what waits for them",
		Long: `Lists the destinations of all routes, and the sinks: the state of each (running,
throttled, blocked, paused by an operator, or unconfigured), since when and why, how many
deliveries wait for it, and when the oldest of these was accepted. BEHIND are those that
wait for the retry of an earlier one with the same key, AGAIN those that are sent once more
because an older row may have been written after a newer one.`,
		Example: "  onramp destinations list\n  onramp destinations list --output json",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.listDestinations(ctx) }),
	}
}

func (c *command) listDestinations(ctx context.Context) error {
	heading := []string{"DESTINATION", "STATE", "SINCE", "WAITING", "OLDEST", "BEHIND", "AGAIN", "REASON"}
	return printList(ctx, c, "/api/destinations", nil, heading, func(d *operator.DestinationStatus) []string {
		behind, again := int64(0), int64(0)
		if d.Behind != nil {
			behind = d.Behind.Waiting
		}
		if d.Late != nil {
			again = d.Late.Resend
		}
		return []string{
			oneLine(d.Name), d.State, momentOrNone(d.Since), strconv.FormatInt(d.Waiting, 10), momentOrNone(d.Oldest),
			strconv.FormatInt(behind, 10), strconv.FormatInt(again, 10), oneLine(d.Reason),
		}
	})
}

func (c *command) destinationsPause() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "pause NAME --reason TEXT", Short: "Pause a destination: nothing is sent to it until it is resumed",
		Long: `Pauses a destination, for example while its data extension is rebuilt. From then on nothing
is sent to it, also after a restart, until onramp destinations resume; calls that are
already in flight are finished. Registrations are accepted as usual and wait, with the
later steps of their routes; other destinations go on. No tries are used up, and nothing
becomes a dead letter because of the pause. After a day, and every day from then on, an
alert reminds you of it.

If the destination is paused already, this changes the reason.`,
		Example: `  onramp destinations pause data_extension:Web_Registrations --reason "new columns until noon"
  onramp destinations pause sink:warehouse --reason "warehouse is being moved"`,
		Args: oneDestination,
	}
	cmd.Flags().StringVar(&reason, "reason", "", "the reason, shown in onramp status")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(reason) == "" {
			return errors.New("give a reason, with --reason")
		}
		return frame.Run(func(ctx context.Context, args []string) error { return c.pauseDestination(ctx, args[0], reason) })(cmd, args)
	}
	return cmd
}

func (c *command) pauseDestination(ctx context.Context, name, reason string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var d operator.DestinationStatus
	body := struct {
		Reason string `json:"reason"`
	}{reason}
	if err := admin.call(ctx, http.MethodPost, destinationPath(name, "pause"), body, &d); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(d)
	}
	fmt.Fprintf(c.Stdout, "Paused %s; %d %s. To go on: onramp destinations resume %[1]s\n",
		oneLine(d.Name), d.Waiting, plural(d.Waiting, "delivery waits", "deliveries wait"))
	return nil
}

func (c *command) resumeDestination(ctx context.Context, name string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var d operator.DestinationStatus
	if err := admin.call(ctx, http.MethodPost, destinationPath(name, "resume"), nil, &d); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(d)
	}
	fmt.Fprintf(c.Stdout, "Resumed %s; %d %s to send.\n", oneLine(d.Name), d.Waiting, plural(d.Waiting, "delivery", "deliveries"))
	if d.Unknown > 0 {
		fmt.Fprintf(c.Stdout, "%d %s unknown and not sent: see onramp deliveries list --state unknown\n", d.Unknown, plural(d.Unknown, "delivery is", "deliveries are"))
	}
	return nil
}

func destinationPath(name, action string) string {
	return "/api/destinations/" + url.PathEscape(name) + "/" + action
}
