package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/chain"
	"onramp/internal/cli/frame"
	"onramp/internal/operator"
)

func (c *command) audit() *cobra.Command {
	verify := c.verifier("audit", "/api/audit/verify", `Walks the audit log and checks that no line was changed, removed, added or moved, and that none
is missing at the end. With --anchor it also compares the log with the anchors that consent.anchor_file
has collected: they tell even if somebody has rewritten the whole database. Exits 1 and prints what is
wrong, by the number of the line.`)
	under := []*cobra.Command{c.auditList(), verify}
	for _, cmd := range under {
		c.outputFlag(cmd)
	}
	return frame.Group("audit", "List what operators did, and verify that the list is complete", under...)
}

// auditFlags are the flags of audit list.
type auditFlags struct {
	by, action, since, until, cursor string
	limit                            int
}

func (f *auditFlags) values() (url.Values, error) {
	page := pageFlags{since: f.since, until: f.until, cursor: f.cursor, limit: f.limit}
	return page.query(map[string]string{"by": f.by, "action": f.action})
}

func (c *command) auditList() *cobra.Command {
	var flags auditFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List what operators did, newest first",
		Long: `Lists what was done through the admin API, newest first: when, with the token of which name,
what, to what, and how it ended. A result "unknown" means that Onramp ended before the action did.
Reasons are shown to tokens with the role privacy.`,
		Example: `  onramp audit list --since 7d
  onramp audit list --by night-shift --action deliveries.discard --output json`,
		Args: cobra.NoArgs,
		RunE: c.runList(flags.values, c.listActions),
	}
	cmd.Flags().StringVar(&flags.by, "by", "", "only what was done with the token of this `name`")
	cmd.Flags().StringVar(&flags.action, "action", "", "only this action, such as deliveries.retry")
	cmd.Flags().StringVar(&flags.since, "since", "", "only what was done then or later: "+timeForms)
	cmd.Flags().StringVar(&flags.until, "until", "", "only what was done before then")
	cmd.Flags().StringVar(&flags.cursor, "cursor", "", "continue after the previous page, with the cursor printed below it")
	cmd.Flags().IntVar(&flags.limit, "limit", 50, "maximum number to list, up to 500")
	return cmd
}

func (c *command) listActions(ctx context.Context, query url.Values) error {
	heading := []string{"NUMBER", "TIME", "BY", "ACTION", "OBJECT", "RESULT", "COUNT", "REASON"}
	return printList(ctx, c, "/api/audit", query, heading, func(a *operator.Action) []string {
		count := "-"
		if a.Count > 0 {
			count = strconv.FormatInt(a.Count, 10)
		}
		return []string{strconv.FormatInt(a.Number, 10), moment(a.At), orNone(oneLine(a.By)), oneLine(a.What), orNone(oneLine(a.Object)), a.Result, count, oneLine(a.Reason)}
	})
}

// verifyFor is how long a verification may take: a second for some hundred thousand entries.
const verifyFor = time.Hour

// verifier is the command that verifies a log.
func (c *command) verifier(log, path, long string) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "verify", Short: "Verify that nothing in the " + log + " log was changed or is missing", Long: long,
		Example: "  onramp " + log + " verify\n  onramp " + log + " verify --anchor /mnt/elsewhere/anchors.jsonl",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&file, "anchor", "", "also compare with the anchors in this `file`")
	cmd.RunE = frame.Run(func(ctx context.Context, _ []string) error { return c.verifyLog(ctx, path, file) })
	return cmd
}

func (c *command) verifyLog(ctx context.Context, path, file string) error {
	admin, err := c.admin()
	if err != nil {
		return err
	}
	admin.http.Timeout = verifyFor
	method, kept := http.MethodGet, operator.Anchors{}
	var send any
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--anchor: %w", err)
		}
		if kept.Anchors, err = chain.ReadAnchors(data); err != nil {
			return fmt.Errorf("--anchor: %s: %w", file, err)
		}
		method, send = http.MethodPost, kept
	}
	var report chain.Report
	if err := admin.call(ctx, method, path, send, &report); err != nil {
		return err
	}
	return c.printReport(&report)
}

var errProblems = errors.New("the log is not as it was written")

func (c *command) printReport(r *chain.Report) error {
	switch {
	case c.output == "json":
		if err := c.printJSON(r); err != nil {
			return err
		}
	default:
		for _, p := range r.Problems {
			fmt.Fprintf(c.Stdout, "%s: %s\n", entryName(p), oneLine(p.Detail))
		}
		if r.More > 0 {
			fmt.Fprintf(c.Stdout, "and %d more\n", r.More)
		}
		fmt.Fprintf(c.Stdout, "%d %s, %d %s", r.Entries, plural(r.Entries, "entry", "entries"), r.Anchors, plural(int64(r.Anchors), "anchor agrees", "anchors agree"))
		if !r.Newest.IsZero() {
			fmt.Fprintf(c.Stdout, " (the newest of %s)", moment(r.Newest))
		}
		fmt.Fprintf(c.Stdout, ", %d with an erased personal part\n", r.Erased)
		if r.Unsigned {
			fmt.Fprintln(c.Stdout, "Nothing is signed: set encryption_key, so that a cut or rewritten log is found.")
		}
	}
	if len(r.Problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errProblems, r.Advice)
}

func entryName(p chain.Problem) string {
	name := "entry " + strconv.FormatInt(p.Number, 10)
	if p.Number == 0 {
		name = "the log"
	}
	if p.Chain > 1 {
		name += " of chain " + strconv.Itoa(p.Chain)
	}
	return name
}
