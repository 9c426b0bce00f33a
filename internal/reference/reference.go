// Package reference writes docs/reference from the code: the configuration from package setting, the
// commands from cli's tree, the API from the OpenAPI document that the gateway serves and from
// admin's routes and their types. Use Pages; go generate writes them, and a test fails where a
// page differs from what it would write.
package reference

import (
	"fmt"
	"strings"
)

//go:generate go run ./generate ../..

// Pages are the pages by their names in docs/reference. They are read from the source, whose top
// folder is root.
func Pages(root string) (map[string]string, error) {
	api, err := routes(root)
	if err != nil {
		return nil, err
	}
	return map[string]string{"configuration.md": configuration(), "commands.md": commands(), "api.md": api}, nil
}

// head begins a page.
func head(title, about string) string {
	return "<!-- Made by go generate ./internal/reference: change the code, not this page. -->\n\n# " + title + "\n\n" + about + "\n"
}

// table writes the rows of a table; none is nothing.
func table(b *strings.Builder, columns []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

// code writes a text as code, which may stand in a table.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
