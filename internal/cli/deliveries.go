package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

func (c *command) deliveries() *cobra.Command {
	show := &cobra.Command{
		Use: "show ID", Short: "Show a delivery and its attempts, with each request and answer",
		Example: "  onramp deliveries show 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f.1",
		Args:    oneID,
		RunE: frame.Run(func(ctx context.Context, args []string) error {
			return c.showDelivery(ctx, http.MethodGet, args[0], "", nil)
		}),
	}
	under := []*cobra.Command{c.deliveriesList(), show, c.deliveriesRetry(), c.deliveriesEdit(), c.deliveriesDiscard(), c.deliveriesMove()}
	for _, cmd := range under {
		c.outputFlag(cmd)
	}
	return frame.Group("deliveries", "List, show, retry, edit, discard and move deliveries", under...)
}

func (c *command) deliveriesList() *cobra.Command {
	var flags listFlags
	var cause string
	var byCause bool
	cmd := &cobra.Command{
		Use: "list", Short: "List deliveries, newest first",
		Long: `Lists deliveries, newest first. With --by-cause, groups dead and unknown deliveries by
the cause of the failure, largest group first.

The last column says why a delivery failed, or what a waiting or pending one waits for: the
step before it, an earlier delivery for the same person, its destination, its next try, or
just its turn. TRIES counts the attempts that count towards giving up, since the delivery was
accepted or last retried by hand: not those that found the destination blocked or throttled.
"deliveries show" lists every recorded attempt.`,
		Example: `  onramp deliveries list --state dead
  onramp deliveries list --state pending --destination journey:APIEvent-welcome
  onramp deliveries list --since 24h --until 1h
  onramp deliveries list --by-cause
  onramp deliveries list --cause 1e48f7c5`,
		Args: cobra.NoArgs,
	}
	addListFlags(cmd, &flags, onramp.DeliveryStates())
	cmd.Flags().StringVar(&cause, "cause", "", "only dead and unknown deliveries with this cause, as printed by --by-cause")
	cmd.Flags().BoolVar(&byCause, "by-cause", false, "group dead and unknown deliveries by cause")
	for _, name := range []string{"cause", "query", "cursor", "limit"} {
		cmd.MarkFlagsMutuallyExclusive("by-cause", name)
	}
	cmd.RunE = c.runList(flags.values, func(ctx context.Context, query url.Values) error {
		if byCause {
			query.Del("limit")
			return c.listCauses(ctx, query)
		}
		if cause != "" {
			query.Set("cause", cause)
		}
		return c.listDeliveries(ctx, query)
	})
	return cmd
}

func (c *command) deliveriesDiscard() *cobra.Command {
	var meant bulkFlags
	cmd := &cobra.Command{
		Use: "discard ID --reason TEXT | --all [--cause CAUSE] [--form FORM] [--destination NAME] [--since TIME] [--until TIME] --reason TEXT", Short: "Discard deliveries permanently",
		Long: `Discards one delivery, or with --all every dead one. Add --state unknown for those whose
answer was lost, or --cause, --form, --destination, --since or --until to narrow the
selection. Discarded deliveries are never sent. This can't be undone.

Later steps of the same registration wait for the discarded one, and are discarded with it;
"deliveries show" lists them as later steps.`,
		Example: `  onramp deliveries discard 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f.1 --reason "a test"
  onramp deliveries discard --cause 1e48f7c5 --reason "sent by hand on 3 May" --all`,
		Args: cobra.MaximumNArgs(1),
	}
	meant.add(cmd)
	cmd.Flags().StringVar(&meant.Reason, "reason", "", "the reason, shown in the timeline")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := meant.check(cmd, args)
		switch b := meant.Bulk; {
		case err != nil:
		case strings.TrimSpace(b.Reason) == "":
			err = errors.New("give a reason, with --reason")
		case len(args) == 0 && !b.All && !b.Narrowed():
			err = errors.New("give a delivery ID; or --cause, --form, --destination, --since or --until, with --all")
		case len(args) == 0 && !b.All:
			err = errors.New("discarded deliveries, and the later steps that wait for them, are never sent, and this can't be undone: add --all to discard several at once")
		}
		if err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				return c.showDelivery(ctx, http.MethodPost, args[0], "/discard", operator.Bulk{Reason: meant.Reason})
			}
			return c.changeDeliveries(ctx, "discard", "Discarded", meant.Bulk)
		})(cmd, args)
	}
	return cmd
}

func (c *command) deliveriesEdit() *cobra.Command {
	var set []string
	var retry, overwrite bool
	cmd := &cobra.Command{
		Use: "edit ID --set FIELD=VALUE", Short: "Change the values of a dead or unknown delivery",
		Long: `Changes fields of the form. New values are validated like a visitor's; an empty value
clears the field. The subscriber key follows the field that it is taken from. The
remaining steps of the route get the new values, too. The previous values are kept, and
shown with the delivery.`,
		Example: `  onramp deliveries edit 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f.1 --set email=ana@example.org --retry
  onramp deliveries edit 0197c2f0-6f5e-7a3b-8d14-0a1b2c3d4e5f.1 --set first_name=Ana --set last_name=`,
		Args: oneID,
	}
	// not a slice of comma-separated values: a value may hold a comma
	cmd.Flags().StringArrayVar(&set, "set", nil, "FIELD=VALUE, with the name of the field in the form; can be repeated")
	cmd.Flags().BoolVar(&retry, "retry", false, "then retry it now")
	addOverwriteNewer(cmd, &overwrite)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fields, err := parseSet(set)
		if err != nil {
			return err
		}
		return frame.Run(func(ctx context.Context, args []string) error {
			return c.showDelivery(ctx, http.MethodPost, args[0], "/edit", operator.Correction{Fields: fields, Retry: retry, OverwriteNewer: overwrite})
		})(cmd, args)
	}
	return cmd
}

// parseSet splits the values of --set. Its errors never quote a value, which may
// be personal data.
func parseSet(set []string) (map[string]string, error) {
	fields := map[string]string{}
	for _, pair := range set {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return nil, errors.New("--set takes FIELD=VALUE, such as --set email=ana@example.org")
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("--set names the field %s twice", name)
		}
		fields[name] = value
	}
	if len(fields) == 0 {
		return nil, errors.New("give at least one change, with --set FIELD=VALUE")
	}
	return fields, nil
}

var errEmptyID = errors.New("the ID is empty")

// oneID wants one argument. An empty one would lead to another URL.
func oneID(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return err
	}
	if args[0] == "" {
		return errEmptyID
	}
	return nil
}

// bulkFlags say which deliveries are to be changed together.
type bulkFlags struct{ operator.Bulk }

func (f *bulkFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Cause, "cause", "", "deliveries with this cause, as printed by list --by-cause")
	cmd.Flags().StringVar(&f.Form, "form", "", "deliveries from this form")
	cmd.Flags().StringVar(&f.Destination, "destination", "", "deliveries to this destination, such as data_extension:Web_Registrations")
	cmd.Flags().StringVar(&f.Since, "since", "", "deliveries received then or later: "+timeForms)
	cmd.Flags().StringVar(&f.Until, "until", "", "deliveries received before then")
	cmd.Flags().StringVar(&f.State, "state", "", "dead or unknown (default dead)")
	cmd.Flags().BoolVar(&f.All, "all", false, "confirm that all matching deliveries are meant")
}

// check refuses contradictions and empty values: a script's empty variable would
// select more deliveries than meant.
func (f *bulkFlags) check(cmd *cobra.Command, args []string) error {
	for _, name := range []string{"cause", "form", "destination", "since", "until", "state", "all"} {
		flag := cmd.Flags().Lookup(name)
		switch {
		case flag.Changed && len(args) > 0:
			return fmt.Errorf("give either an ID or --%s", name)
		case flag.Changed && flag.Value.String() == "":
			return fmt.Errorf("--%s is empty", name)
		}
	}
	switch {
	case len(args) > 0 && args[0] == "":
		return errEmptyID
	case f.State != "" && f.State != onramp.DeliveryDead.String() && f.State != onramp.DeliveryUnknown.String():
		return errors.New("--state must be dead or unknown")
	}
	if _, _, err := operator.ParsePeriod(f.Since, f.Until, time.Now()); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return nil
}

// changeDeliveries has many deliveries changed and prints how many they were.
func (c *command) changeDeliveries(ctx context.Context, action, done string, meant operator.Bulk) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	admin.http.Timeout = 0 // it takes as long as there are deliveries
	var n operator.Count
	if err := admin.call(ctx, http.MethodPost, "/api/deliveries/"+action, meant, &n); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(n)
	}
	if meant.DryRun {
		c.printRetryPlan(&n)
		return nil
	}
	fmt.Fprintf(c.Stdout, "%s %s.\n", done, countDeliveries(n.Count))
	if n.LaterSteps > 0 {
		fmt.Fprintf(c.Stdout, "Also discarded the later steps that waited for them: %s.\n", countDeliveries(n.LaterSteps))
	}
	if n.Superseded > 0 {
		fmt.Fprintf(c.Stdout, "Left %s alone: a newer row of the same person has been delivered, and they would overwrite it.\n"+
			"To send them anyway, add --overwrite-newer.\n", countDeliveries(n.Superseded))
	}
	if n.Unsendable > 0 {
		fmt.Fprintf(c.Stdout, "Left %s alone: their form is no longer in the configuration, or no route leads to their destination.\n"+
			"Correct the configuration, move them (onramp deliveries move), or discard them.\n", countDeliveries(n.Unsendable))
	}
	return nil
}

func countDeliveries(n int64) string {
	if n == 1 {
		return "1 delivery"
	}
	return fmt.Sprint(n, " deliveries")
}

func (c *command) listDeliveries(ctx context.Context, query url.Values) error {
	heading := []string{"ID", "DESTINATION", "STATE", "TRIES", "NEXT TRY", "CAUSE", "REASON"}
	return printList(ctx, c, "/api/deliveries", query, heading, func(d *operator.Delivery) []string {
		return []string{d.ID, d.Destination, d.State, strconv.Itoa(d.Tries), momentOrNone(d.DueAt), orNone(d.Cause), oneLine(why(d))}
	})
}

// why says why a delivery has failed, or what it waits for.
func why(d *operator.Delivery) string {
	if d.Waits != "" {
		return "waits for " + waitsFor(d)
	}
	return d.Reason
}

func waitsFor(d *operator.Delivery) string {
	if d.WaitsFor != "" {
		return d.WaitsFor + ", " + d.WaitsReason
	}
	return d.WaitsReason
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (c *command) listCauses(ctx context.Context, query url.Values) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var causes operator.Causes
	if err := admin.get(ctx, "/api/causes", query, &causes); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(causes)
	}
	rows := [][]string{{"CAUSE", "COUNT", "DESTINATION", "STATE", "REASON"}}
	for _, g := range causes.Items {
		rows = append(rows, []string{orNone(g.Cause), strconv.FormatInt(g.Count, 10), g.Destination, g.State, oneLine(g.Reason)})
	}
	if err := c.table(rows); err != nil || len(causes.Items) == 0 {
		return err
	}
	first := causes.Items[0]
	fmt.Fprintf(c.Stdout, "\nShow one:         %s\n", c.ask("deliveries show "+first.Newest))
	if first.Cause != "" {
		fmt.Fprintf(c.Stdout, "All of its cause: %s\n", c.ask("deliveries list --cause "+first.Cause))
	}
	return nil
}

// showDelivery prints what the admin API answers about one delivery.
func (c *command) showDelivery(ctx context.Context, method, id, action string, body any) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var d operator.Delivery
	if err := admin.call(ctx, method, "/api/deliveries/"+url.PathEscape(id)+action, body, &d); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(d)
	}
	c.printDelivery(&d)
	c.printEdits(d.Edits)
	for _, a := range d.Attempts {
		detail := oneLine(a.Detail)
		if a.NotSent {
			detail = "not sent: " + detail
		}
		fmt.Fprintf(c.Stdout, "\nattempt %d at %s, %.1f ms: %s\n  %s\n", a.Number, moment(a.StartedAt), a.TookMS, a.Outcome, detail)
		if a.Hint != "" {
			fmt.Fprintf(c.Stdout, "  hint    %s\n", oneLine(a.Hint))
		}
		for _, part := range []struct{ name, text string }{{"sent", a.Request}, {"answer", a.Answer}} {
			if part.text != "" {
				fmt.Fprintf(c.Stdout, "  %s\n%s", part.name, indented(part.text))
			}
		}
	}
	c.printExplain(&d)
	return nil
}

// printDelivery prints what a delivery is. What an event brought names the event,
// and the registration whose row it changes; what goes to a sink is the event.
func (c *command) printDelivery(d *operator.Delivery) {
	fmt.Fprintf(c.Stdout, "delivery        %s\n", d.ID)
	if d.Event != "" {
		fmt.Fprintf(c.Stdout, "event           %s\n", d.Event)
	}
	if d.Event != "" && d.Registration != "" {
		fmt.Fprintf(c.Stdout, "registration    %s\n", d.Registration)
	}
	tries := strconv.Itoa(d.Tries)
	if n := len(d.Attempts); n > d.Tries {
		tries = fmt.Sprintf("%d (of %d attempts, these count towards giving up)", d.Tries, n)
	}
	fmt.Fprintf(c.Stdout, "destination     %s\nstate           %s\ntries           %s\nsubscriber key  %s\n",
		d.Destination, d.State, tries, orNone(visible.Escape(d.SubscriberKey)))
	if d.Waits != "" {
		fmt.Fprintf(c.Stdout, "waits for       %s\n", oneLine(waitsFor(d)))
	}
	for _, later := range d.LaterSteps {
		fate := ""
		if later.State == onramp.DeliveryWaiting.String() {
			fate = "; it would be discarded with this one"
		}
		fmt.Fprintf(c.Stdout, "later step      %s to %s, %s%s\n", later.ID, later.Destination, later.State, fate)
	}
	if d.Registration != "" {
		c.printSent(d)
	}
	if d.Reason != "" {
		fmt.Fprintf(c.Stdout, "reason          %s\n", oneLine(d.Reason))
	}
	if d.Cause != "" {
		fmt.Fprintf(c.Stdout, "cause           %s\n", d.Cause)
	}
	if d.Registration == "" {
		fmt.Fprintf(c.Stdout, "body\n%s", indented(string(d.Values)))
	}
}

// printSent prints what a registration holds, and what is sent of it now.
func (c *command) printSent(d *operator.Delivery) {
	if d.Fields != nil {
		fmt.Fprintf(c.Stdout, "fields          %s\n", visible.Escape(string(d.Fields)))
	}
	sent := visible.Escape(string(d.Values))
	if d.Values == nil {
		sent = "(nothing: the form is no longer in the configuration)"
	}
	fmt.Fprintf(c.Stdout, "columns         %s\n", sent)
	if len(d.LeftOut) > 0 {
		fmt.Fprintf(c.Stdout, "left out        %s (not in the form any more)\n", strings.Join(d.LeftOut, ", "))
	}
}

// printEdits prints what a registration held before its edits.
func (c *command) printEdits(edits []operator.Edit) {
	for _, e := range edits {
		fmt.Fprintf(c.Stdout, "\nedited at %s: %s; before that\n  subscriber key  %s\n  fields          %s\n",
			moment(e.At), strings.Join(e.Fields, ", "), e.SubscriberKey, e.Values)
	}
}

// indented gives a request or an answer whole: a first line that is none of its
// JSON as it is, and JSON spread over lines.
func indented(text string) string {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	head, body, _ := strings.Cut(text, "\n")
	if json.Valid([]byte(text)) {
		head, body = "", text
	}
	var spread bytes.Buffer
	if json.Indent(&spread, []byte(body), "", "  ") == nil {
		text = strings.TrimPrefix(head+"\n"+spread.String(), "\n")
	}
	return "    " + strings.ReplaceAll(visible.Escape(text), "\n", "\n    ") + "\n"
}
