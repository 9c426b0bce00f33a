package reference

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"onramp/internal/cli"
)

const commandsHead = "What `onramp COMMAND --help` prints, on one page. Exit status: 0 done, 1 failed, 2 wrong use; `onramp check` exits with 1 if there " +
	"are warnings, and with 2 if there are failures. Every command takes `--config FILE`: the configuration file, by default `onramp.yaml`, or what `ONRAMP_CONFIG` names."

// commands writes the whole tree.
func commands() string {
	var b strings.Builder
	b.WriteString(head("Commands", commandsHead))
	root := cli.Root(cli.System{})
	var rows [][]string
	walk(root, func(c *cobra.Command) {
		rows = append(rows, []string{fmt.Sprintf("[`%s`](#%s)", c.CommandPath(), anchor(c.CommandPath())), cell(c.Short)})
	})
	table(&b, []string{"command", "what it does"}, rows)
	walk(root, func(c *cobra.Command) { command(&b, c) })
	return b.String()
}

// walk visits what can be run, in the order of the help.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	for _, under := range c.Commands() {
		if under.Hidden {
			continue
		}
		visit(under)
		walk(under, visit)
	}
}

func anchor(path string) string { return strings.ReplaceAll(path, " ", "-") }

func command(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n%s.\n", c.CommandPath(), strings.TrimSuffix(c.Short, "."))
	if c.Long != "" {
		fmt.Fprintf(b, "\n```text\n%s\n```\n", strings.TrimSpace(c.Long))
	}
	fmt.Fprintf(b, "\n```text\n%s\n```\n", c.UseLine())
	if c.Example != "" {
		fmt.Fprintf(b, "\nFor example:\n\n```text\n%s\n```\n", lessIndented(c.Example))
	}
	var rows [][]string
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { rows = append(rows, flag(f)) })
	c.PersistentFlags().VisitAll(func(f *pflag.Flag) { rows = append(rows, flag(f)) })
	table(b, []string{"flag", "default", "meaning"}, rows)
}

func flag(f *pflag.Flag) []string {
	kind, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if kind != "" {
		name += " " + kind
	}
	otherwise := f.DefValue
	if otherwise == "false" || otherwise == "[]" || otherwise == "0s" {
		otherwise = ""
	}
	return []string{code(name), code(otherwise), cell(usage)}
}

func lessIndented(example string) string {
	return strings.TrimSpace(strings.ReplaceAll("\n"+example, "\n  ", "\n"))
}
