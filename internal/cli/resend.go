package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/resend"
)

// resendFlags are the flags of a command that sends something again: they show what it
// would do, start it, or look after one that was started.
type resendFlags struct {
	dryRun, yes, again, list bool
	follow, cancel           int64
}

func (f *resendFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be sent")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "send it")
	cmd.Flags().BoolVar(&f.again, "again", false, "also if a resend with the same flags has sent it before")
	cmd.Flags().BoolVar(&f.list, "list", false, "list resends, newest first")
	cmd.Flags().Int64Var(&f.follow, "follow", 0, "show the progress of the resend with this number")
	cmd.Flags().Int64Var(&f.cancel, "cancel", 0, "end the resend with this number; what it has queued is still sent")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "yes", "list", "follow", "cancel")
}

// looksAfter says whether the flags are about resends that were started.
func (f *resendFlags) looksAfter() bool { return f.list || f.follow != 0 || f.cancel != 0 }

// check refuses contradictions and empty values: a script's empty variable would select
// more than meant. narrowing are the flags that select what is sent.
func (f *resendFlags) check(cmd *cobra.Command, narrowing ...string) error {
	for _, name := range append(narrowing, "again") {
		switch flag := cmd.Flags().Lookup(name); {
		case flag.Changed && f.looksAfter():
			return fmt.Errorf("--list, --follow and --cancel take no --%s", name)
		case flag.Changed && (flag.Value.String() == "" || flag.Value.String() == "[]"):
			return fmt.Errorf("--%s is empty", name)
		}
	}
	return nil
}

// resendOrLookAfter does what the flags of a command say: it looks after resends that
// were started, or sends what a filter selects.
func (c *command) resendOrLookAfter(ctx context.Context, kind string, filter any, f *resendFlags) error {
	if f.looksAfter() {
		return c.lookAfter(ctx, f)
	}
	text, err := json.Marshal(filter)
	if err != nil {
		return err
	}
	return c.resend(ctx, resend.Request{Kind: kind, Filter: text}, f)
}

// lookAfter lists, follows or cancels resends.
func (c *command) lookAfter(ctx context.Context, f *resendFlags) error {
	if f.list {
		heading := []string{"RESEND", "STARTED", "KIND", "TO", "STATE", "SENT", "PLANNED", "FILTER"}
		return printList(ctx, c, "/api/resends", nil, heading, func(r *resend.Run) []string {
			return []string{
				strconv.FormatInt(r.ID, 10), moment(r.StartedAt), r.Kind, r.Target, string(r.State),
				strconv.FormatInt(r.Sent, 10), strconv.FormatInt(r.Planned, 10), oneLine(string(r.Filter)),
			}
		})
	}
	admin, err := c.admin()
	if err != nil {
		return err
	}
	var r resend.Run
	if f.cancel != 0 {
		if err := admin.call(ctx, http.MethodPost, resendPath(f.cancel)+"/cancel", nil, &r); err != nil {
			return err
		}
		return c.printResend(&r)
	}
	if err := admin.get(ctx, resendPath(f.follow), nil, &r); err != nil {
		return err
	}
	return c.followResend(ctx, admin, &r)
}

func resendPath(id int64) string { return "/api/resends/" + strconv.FormatInt(id, 10) }

// resend shows what a resend would do and, with --yes, has the gateway do it.
func (c *command) resend(ctx context.Context, request resend.Request, f *resendFlags) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	admin.http.Timeout = 0 // it looks through everything that is stored
	var plan resend.Plan
	if err := admin.call(ctx, http.MethodPost, "/api/resends/plan", request, &plan); err != nil {
		return err
	}
	if c.output == "json" && !f.yes {
		return c.printJSON(plan)
	}
	if c.output == "text" {
		c.printResendPlan(&plan)
	}
	if !f.yes {
		if !f.dryRun {
			fmt.Fprintln(c.Stdout, "\nNothing was sent. Add --yes to send it.")
		}
		return nil
	}
	if c.output == "text" {
		fmt.Fprintln(c.Stdout)
	}
	request.Again = f.again
	var r resend.Run
	if err := admin.call(ctx, http.MethodPost, "/api/resends", request, &r); err != nil {
		return err
	}
	if c.output == "text" && r.Continued {
		fmt.Fprintf(c.Stdout, "Resend %d is already doing this.\n", r.ID)
	}
	return c.followResend(ctx, admin, &r)
}

func (c *command) printResendPlan(p *resend.Plan) {
	fmt.Fprintf(c.Stdout, "To %s again: %s\n", p.Target, countThings(p.Count, p.Kind))
	if p.Count > 0 {
		fmt.Fprintf(c.Stdout, "  received from  %s\n              to  %s\n", moment(p.From), moment(p.To))
	}
	c.printLeftOut(p.LeftOut)
	c.printDifferences(p)
	if !p.Oldest.IsZero() {
		fmt.Fprintf(c.Stdout, "Nothing received before %s is stored.\n", moment(p.Oldest))
	}
	if p.Running != nil {
		fmt.Fprintf(c.Stdout, "Resend %d to %s is running: %d of %d.\n", p.Running.ID, p.Target, p.Running.Sent, p.Running.Planned)
	}
}

// whyLeftOut explains the reasons for which a resend leaves something out.
var whyLeftOut = map[string]string{
	resend.Filtered: "the destination does not take this type",
	resend.Waiting:  "already waiting to be sent there",

	resend.Superseded:   "a newer row of the same person would be overwritten (--overwrite-newer sends it anyway)",
	resend.Got:          "the person got this journey or message, or may have (--repeat-journeys sends it again)",
	resend.Skipped:      "the condition of the step does not hold",
	resend.Erased:       "erased",
	resend.Unconfigured: "its form is no longer in the configuration",
	resend.NoStep:       "today's route of its form does not have this step",
}

func (c *command) printLeftOut(leftOut map[string]int64) {
	for _, reason := range slices.Sorted(maps.Keys(leftOut)) {
		if n := leftOut[reason]; n > 0 {
			why, known := whyLeftOut[reason]
			if !known {
				why = reason
			}
			fmt.Fprintf(c.Stdout, "  left out: %d, %s\n", n, why)
		}
	}
}

// printDifferences prints what differs from the first time. Only registrations have that.
func (c *command) printDifferences(p *resend.Plan) {
	for _, name := range slices.Sorted(maps.Keys(p.Destinations)) {
		fmt.Fprintf(c.Stdout, "  to %s: %d\n", name, p.Destinations[name])
	}
	for _, reason := range slices.Sorted(maps.Keys(p.StepsLeftOut)) {
		fmt.Fprintf(c.Stdout, "  left out of these: %s, %s\n", countThings(p.StepsLeftOut[reason], "steps"), whyLeftOut[reason])
	}
	if p.Elsewhere > 0 {
		fmt.Fprintf(c.Stdout, "  differs: %d, to a destination that they did not go to before\n", p.Elsewhere)
	}
	for _, field := range slices.Sorted(maps.Keys(p.FieldsGone)) {
		fmt.Fprintf(c.Stdout, "  differs: %d, without the field %s, which the form no longer has\n", p.FieldsGone[field], field)
	}
	if p.DeadLetters > 0 {
		fmt.Fprintf(c.Stdout, "  discarded: %s of these, which this replaces\n", countThings(p.DeadLetters, "dead letters"))
	}
}

// countThings counts what a kind of resend sends, which is named in the plural.
func countThings(n int64, kind string) string {
	if n == 1 {
		kind = strings.TrimSuffix(kind, "s")
	}
	return fmt.Sprint(n, " ", kind)
}

// followEvery is how often the progress of a resend is asked for.
const followEvery = 250 * time.Millisecond

// followResend shows the progress of a resend until it ends.
func (c *command) followResend(ctx context.Context, admin *adminClient, r *resend.Run) error {
	bar := newProgressBar(c.Stderr)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for r.State == resend.Running {
		bar.show(r)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		err := context.Cause(ctx)
		if err == nil {
			next := resend.Run{}
			if err = admin.get(ctx, resendPath(r.ID), nil, &next); err == nil {
				*r = next
			}
		}
		if err != nil {
			bar.end()
			return fmt.Errorf("%w; resend %d goes on in the gateway: to follow it, add --follow %d; to end it, --cancel %d", err, r.ID, r.ID, r.ID)
		}
	}
	bar.end()
	if err := c.printResend(r); err != nil {
		return err
	}
	if r.State == resend.Cancelled {
		return errors.New("the resend was cancelled")
	}
	return nil
}

func (c *command) printResend(r *resend.Run) error {
	if c.output == "json" {
		return c.printJSON(r)
	}
	fmt.Fprintf(c.Stdout, "Resend %d to %s is %s: %s queued.\n", r.ID, r.Target, r.State, countThings(r.Sent, r.Kind))
	c.printLeftOut(r.LeftOut)
	return nil
}

// progressBar shows on a terminal how far something is; elsewhere it shows nothing.
type progressBar struct{ out io.Writer }

func newProgressBar(out io.Writer) *progressBar {
	file, ok := out.(*os.File)
	if !ok {
		return &progressBar{io.Discard}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progressBar{io.Discard}
	}
	return &progressBar{out}
}

const barWidth = 30

func (b *progressBar) show(r *resend.Run) {
	full := barWidth
	if r.Planned > 0 {
		full = int(min(r.Sent, r.Planned) * barWidth / r.Planned)
	}
	heldUp := ""
	if r.HeldUp != "" {
		heldUp = "  held up: " + oneLine(r.HeldUp)
	}
	fmt.Fprintf(b.out, "\r\x1b[K[%s%s] %d of %d%s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), r.Sent, r.Planned, heldUp)
}

// count shows how much is done where nobody knows how much there is.
func (b *progressBar) count(n int64, things string) {
	fmt.Fprintf(b.out, "\r\x1b[K%d %s", n, things)
}

// end clears the line.
func (b *progressBar) end() { fmt.Fprint(b.out, "\r\x1b[K") }
