package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"onramp/internal/answers"
	"onramp/internal/cli/frame"
	"onramp/internal/onramp"
	"onramp/internal/operator"
)

func (c *command) explain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain [CODE]", Short: "Say what an answer of Marketing Cloud means, whose turn it is and what to do",
		Long: `Prints what is known of an errorcode, HTTP status or name; all of it, if the code has several
meanings. Letter case and blanks don't count. Without a code it lists what is known.

"explain runbook NAME" prints what to do about an alert, which ends with this command.`,
		Example: "  onramp explain 10006\n  onramp explain CustomObjectNotFound\n  onramp explain invalid_client --output json\n  onramp explain runbook dead-letters",
	}
	cmd.RunE = frame.Run(func(_ context.Context, args []string) error {
		found, err := answers.Explain(strings.Join(args, " "))
		switch {
		case err != nil:
			return err
		case c.output == "json":
			return c.printJSON(map[string]any{"answers": found})
		case len(args) == 0:
			return found.WriteTitles(c.Stdout)
		}
		return found.Write(c.Stdout)
	})
	c.outputFlag(cmd)
	cmd.AddCommand(c.explainRunbook())
	return cmd
}

func (c *command) explainRunbook() *cobra.Command {
	return &cobra.Command{
		Use: "runbook [NAME]", Short: "Print what to do about an alert; without a name, the list of alerts",
		Example: "  onramp explain runbook\n  onramp explain runbook dead-letters", Args: cobra.MaximumNArgs(1),
		RunE: frame.Run(func(_ context.Context, args []string) error {
			text, err := answers.Runbook(strings.Join(args, ""))
			if err != nil {
				return err
			}
			_, err = io.WriteString(c.Stdout, text)
			return err
		}),
	}
}

// printExplain says how to look up what Marketing Cloud answered last.
func (c *command) printExplain(d *operator.Delivery) {
	if n := len(d.Attempts); n > 0 && d.Attempts[n-1].Outcome != onramp.Delivered.String() && !strings.HasPrefix(d.Destination, "sink:") {
		if code := answers.CodeOf(d.Attempts[n-1].Status, d.Attempts[n-1].Code); code != "" {
			fmt.Fprintf(c.Stdout, "\nWhat %s means: onramp explain %[1]s\n", code)
		}
	}
}
