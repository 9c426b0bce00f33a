package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/budget"
	"onramp/internal/cli/frame"
	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/visible"
)

func (c *command) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show counts of registrations, deliveries and events, and how the gateway and its destinations are doing",
		Long: `Shows how many registrations were accepted and what state they are in (the counts add up;
removed are those that retention no longer keeps),
how many events arrived, and the state of each destination: running, throttled, blocked,
paused (see onramp destinations), or unconfigured. The lines of the gateway are about its
database and disk, the certificates of its listeners, the access token, Marketing Cloud's
clock, whether what the configuration names is there, whether what is sent arrives (watch),
and traces, if they are sent. The calls to Marketing Cloud are
those of today (UTC) and of the contract's year. Deliveries with the same destination and
key go one after the other: what waits behind the retry of an earlier one is shown below.
Ignored are the inputs that came with a form and are no field of it (see unknown_fields).
Suspicions are why registrations were held; those released were held for nothing.`,
		Example: "  onramp status\n  onramp status --output json",
		Args:    cobra.NoArgs,
		RunE:    frame.Run(func(ctx context.Context, _ []string) error { return c.runStatus(ctx) }),
	}
	c.outputFlag(cmd)
	return cmd
}

func (c *command) runStatus(ctx context.Context) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var s operator.Status
	if err := admin.get(ctx, "/api/status", nil, &s); err != nil {
		return err
	}
	if c.output == "json" {
		return c.printJSON(s)
	}
	for _, notice := range s.Notices {
		fmt.Fprintf(c.Stdout, "NOTICE: %s\n\n", notice)
	}
	c.printConfiguration(s.Configuration)
	rows := append([][]string{{"REGISTRATIONS", ""}}, stateRows(onramp.RegistrationStates(), onramp.RegistrationRemoved, s.Registrations)...)
	rows = append(rows, []string{"accepted", strconv.FormatInt(s.Accepted, 10)}, []string{"", ""}, []string{"DELIVERIES", ""})
	rows = append(rows, stateRows(onramp.DeliveryStates(), onramp.DeliveryRemoved, s.Deliveries)...)
	rows = append(rows, []string{"", ""}, []string{"EVENTS", ""},
		[]string{"stored", strconv.FormatInt(s.Events.Stored, 10)}, []string{"repeated", strconv.FormatInt(s.Events.Repeated, 10)})
	if err := c.table(rows); err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout)
	rows = [][]string{{"DESTINATION", "STATE", "WAITING", "OLDEST", "REASON"}}
	for _, d := range s.Destinations {
		rows = append(rows, []string{d.Name, d.State, strconv.FormatInt(d.Waiting, 10), momentOrNone(d.Oldest), d.Reason})
	}
	if err := c.table(rows); err != nil {
		return err
	}
	for _, d := range s.Destinations {
		for _, warning := range d.Warnings {
			fmt.Fprintf(c.Stdout, "\nWARNING: %s: %s\n", d.Name, warning)
		}
	}
	if err := c.printIgnored(s.Forms); err != nil {
		return err
	}
	if err := c.printSuspicions(&s); err != nil {
		return err
	}
	c.printBehind(s.Destinations)
	c.printLate(s.Destinations)
	fmt.Fprintln(c.Stdout)
	more := slices.Concat(s.Watch.Rows(), tracingRows(s.Tracing), retentionRows(s.Retention))
	if err := c.table(healthRows(&s.Status, more)); err != nil {
		return err
	}
	if err := c.printKept(s.Retention); err != nil {
		return err
	}
	return c.printCalls(s.Calls)
}

// stateRows are the counts by state, with those that were removed, if any were.
func stateRows[S fmt.Stringer](states []S, removed S, counts map[string]int64) (rows [][]string) {
	for _, state := range append(states, removed) {
		if n, counted := counts[state.String()]; counted || state.String() != removed.String() {
			rows = append(rows, []string{state.String(), strconv.FormatInt(n, 10)})
		}
	}
	return rows
}

// tracingRows is the line of tracing; none while it is off.
func tracingRows(t *operator.Tracing) [][]string {
	if t == nil {
		return nil
	}
	state, text := "ok", fmt.Sprintf("%d spans sent, %d failed, %d dropped", t.Sent, t.Failed, t.Dropped)
	if t.Reason != "" {
		state, text = "failing", text+"; operator: let this machine reach the collector; "+t.Reason
	}
	return [][]string{{"tracing", state, text}}
}

// printSuspicions prints what registrations were held for, with the share of those that
// were held for nothing, and the forms that get far more submissions than usual.
func (c *command) printSuspicions(s *operator.Status) error {
	for i := range s.Surges {
		fmt.Fprintf(c.Stdout, "\nWARNING: form %s: %s\n", s.Surges[i].Form, s.Surges[i].Explain())
	}
	if len(s.Suspicions) == 0 {
		return nil
	}
	rows := [][]string{{"SUSPICION", "HELD", "RELEASED", "DISCARDED", "WAITING"}}
	for i := range s.Suspicions {
		one := &s.Suspicions[i]
		released := strconv.FormatInt(one.Released, 10)
		if one.Released > 0 {
			released += fmt.Sprintf(" (%.0f%%)", 100*float64(one.Released)/float64(one.Held))
		}
		rows = append(rows, []string{visible.Escape(one.Reason), strconv.FormatInt(one.Held, 10), released, strconv.FormatInt(one.Discarded, 10), strconv.FormatInt(one.Waiting, 10)})
	}
	fmt.Fprintln(c.Stdout)
	return c.table(rows)
}

// printIgnored prints what came with forms and is no field of theirs.
func (c *command) printIgnored(forms []operator.FormStatus) error {
	if len(forms) == 0 {
		return nil
	}
	rows := [][]string{{"FORM", "IGNORED", "COUNT", ""}}
	for _, form := range forms {
		for _, field := range form.Ignored {
			hint := ""
			if field.DidYouMean != "" {
				hint = "did you mean " + field.DidYouMean + "?"
			}
			rows = append(rows, []string{form.Name, visible.Escape(field.Field), strconv.FormatInt(field.Count, 10), visible.Escape(hint)})
		}
		if form.Others > 0 {
			rows = append(rows, []string{form.Name, "(other names)", strconv.FormatInt(form.Others, 10), ""})
		}
	}
	fmt.Fprintln(c.Stdout)
	return c.table(rows)
}

// healthRows are the lines of the gateway itself and of the account, and more.
func healthRows(s *health.Status, more [][]string) [][]string {
	rows := [][]string{{"GATEWAY", "STATE", ""}, {"store", s.Store.State, s.Store.Reason}}
	if d := s.Disk; d != nil {
		text := d.Reason
		if text == "" {
			text = fmt.Sprintf("%.1f of %.1f GB free", float64(d.Free)/1e9, float64(d.Total)/1e9)
		}
		rows = append(rows, []string{"disk", d.State, text})
	}
	for _, c := range s.Certificates {
		rows = append(rows, []string{"certificate", c.State, describeCertificate(&c)})
	}
	if t := s.Token; t != nil {
		rows = append(rows, []string{"token", t.State, describeToken(t)})
	}
	if k := s.Clock; k != nil {
		text := "not compared yet"
		if !k.CheckedAt.IsZero() {
			text = "Marketing Cloud's is " + k.Describe() + " this machine's"
		}
		if k.Failed() {
			text += "; operator: let this machine take its time from a time server (NTP); see onramp check --only clock"
		}
		rows = append(rows, []string{"clock", k.State, text})
	}
	for _, check := range s.Checks {
		rows = append(rows, []string{check.Name, string(check.State), withHint(check.Detail, check.Hint)})
	}
	if u := s.Calls; u != nil && u.PerYear > 0 {
		text := u.Reason
		if text == "" {
			text = u.Forecast()
		}
		rows = append(rows, []string{"calls", u.State, fmt.Sprintf("%d%% of %d used until %s; %s", u.Percent, u.PerYear, u.To.Format(time.DateOnly), text)})
	}
	rows = append(rows, more...)
	for _, row := range rows {
		row[2] = visible.Escape(row[2])
	}
	return rows
}

// describeCertificate says what a listener shows until when, and what is wrong with it.
func describeCertificate(c *health.Certificate) string {
	text := c.Listener + ": " + strings.Join(c.Hosts, ", ")
	if !c.ExpiresAt.IsZero() {
		text += ", expires at " + moment(c.ExpiresAt)
	}
	return withHint(withHint(text, c.Reason), c.Hint)
}

func describeToken(t *health.Token) string {
	switch {
	case !t.FailedAt.IsZero():
		return "refused at " + moment(t.FailedAt) + ": " + withHint(t.Reason, t.Hint)
	case t.Since.IsZero():
		return "none was needed yet"
	case t.ExpiresAt.IsZero():
		return "since " + moment(t.Since)
	}
	return "since " + moment(t.Since) + ", renewed before " + moment(t.ExpiresAt)
}

// withHint puts what to do behind what there is.
func withHint(detail, hint string) string {
	if detail == "" || hint == "" {
		return detail + hint
	}
	return detail + "; " + hint
}

// printCalls prints how many calls there were, by kind.
func (c *command) printCalls(u *budget.Usage) error {
	if u == nil {
		return nil
	}
	rows, today := [][]string{{"CALLS", "TODAY", "YEAR"}}, int64(0)
	for _, kind := range budget.Kinds() {
		if u.Year[kind] > 0 {
			rows = append(rows, []string{string(kind), strconv.FormatInt(u.Today[kind], 10), strconv.FormatInt(u.Year[kind], 10)})
		}
		today += u.Today[kind]
	}
	fmt.Fprintln(c.Stdout)
	return c.table(append(rows, []string{"total", strconv.FormatInt(today, 10), strconv.FormatInt(u.Used, 10)}))
}

// printConfiguration prints when the configuration was loaded, and what of the file
// does not hold.
func (c *command) printConfiguration(loaded *operator.Configuration) {
	if loaded == nil {
		return
	}
	fmt.Fprintf(c.Stdout, "Configuration loaded at %s\n", moment(loaded.LoadedAt))
	if len(loaded.NeedsRestart) > 0 {
		fmt.Fprintf(c.Stdout, "Changed since, and in effect after the next restart: %s\n", strings.Join(loaded.NeedsRestart, ", "))
	}
	if r := loaded.Refused; r != nil {
		fmt.Fprintf(c.Stdout, "The reload at %s was refused:\n  %s\n", moment(r.At), strings.ReplaceAll(r.Reason, "\n", "\n  "))
	}
	fmt.Fprintln(c.Stdout)
}

// printBehind prints what waits for the retry of something else.
func (c *command) printBehind(destinations []operator.DestinationStatus) {
	for _, d := range destinations {
		b := d.Behind
		if b == nil {
			continue
		}
		fmt.Fprintf(c.Stdout, "\n%s: %d %s behind %d earlier %s of the same keys", d.Name,
			b.Waiting, plural(b.Waiting, "delivery waits", "deliveries wait"), b.Earlier, plural(b.Earlier, "delivery", "deliveries"))
		if b.Oldest != "" {
			fmt.Fprintf(c.Stdout, "; the oldest of these is %s, %d %s, next try at %s", b.Oldest, b.Tries, plural(int64(b.Tries), "try", "tries"), momentOrNone(b.DueAt))
		}
		fmt.Fprintln(c.Stdout)
	}
}

// printLate prints what is sent once more, or may have to be.
func (c *command) printLate(destinations []operator.DestinationStatus) {
	for _, d := range destinations {
		if d.Late == nil {
			continue
		}
		if n := d.Late.Resend; n > 0 {
			fmt.Fprintf(c.Stdout, "\n%s: %d %s sent once more, because an older row may have been written after a newer one\n",
				d.Name, n, plural(n, "delivery is", "deliveries are"))
		}
		if n := d.Late.Keys; n > 0 {
			fmt.Fprintf(c.Stdout, "\n%s: calls for %d %s may still be carried out until %s; what is newer is then sent once more\n",
				d.Name, n, plural(n, "person", "people"), momentOrNone(d.Late.Until))
		}
	}
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
