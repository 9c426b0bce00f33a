package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"onramp/internal/config"
	"onramp/internal/setting"
)

const configurationHead = "Every key of `onramp.yaml`. [configuration.md](../configuration.md) says how the file is read, and has examples. " +
	"A key in a list or a form has no environment variable. A [reload](../running.md#reload) applies every key except those marked with \"restart\"."

func configuration() string {
	var b strings.Builder
	b.WriteString(head("Configuration", configurationHead))
	for _, s := range setting.Sections() {
		fmt.Fprintf(&b, "\n## %s\n", s.Title)
		if s.Path != "" {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(code(s.Path)+". "+s.About))
		}
		columns := []string{"key", "default", "meaning"}
		if s.IsSingle() {
			columns = []string{"key", "default", "variable", "meaning"}
		}
		var rows [][]string
		for _, k := range s.Keys {
			row := []string{code(k.Name), without(k)}
			if s.IsSingle() {
				row = append(row, variable(s, k))
			}
			rows = append(rows, append(row, meaning(k)))
		}
		table(&b, columns, rows)
	}
	b.WriteString("\n## Event types\n\nFor `subscribe` and `types`. Filters are written as `NAME=value`.\n")
	types := config.EventTypes()
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(types)) {
		var filters []string
		for _, f := range types[name] {
			filters = append(filters, code(f))
		}
		rows = append(rows, []string{code(name), strings.Join(filters, ", ")})
	}
	table(&b, []string{"type", "filters"}, rows)
	return b.String()
}

func without(k setting.Key) string {
	if k.Default != "" {
		return code(k.Default)
	}
	return cell(k.Without)
}

func variable(s setting.Section, k setting.Key) string {
	if k.Several {
		return ""
	}
	return code(setting.Variable(s.In(k.Name)))
}

func meaning(k setting.Key) string {
	if k.Restart {
		return cell(k.Meaning) + " (restart)"
	}
	return cell(k.Meaning)
}
