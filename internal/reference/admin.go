package reference

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"onramp/internal/admin"
)

// writeAdmin writes the routes, and then the types that they take and give.
func writeAdmin(b *strings.Builder, root string) error {
	types := objects{}
	parameters := admin.Parameters()
	used := map[string]bool{}
	for _, r := range admin.Routes() {
		fmt.Fprintf(b, "\n### %s\n\n%s Role: `%s`.\n", code(r.Pattern), r.Does, r.Role)
		var list []string
		for _, name := range r.Query {
			used[name] = true
			list = append(list, fmt.Sprintf("[`%s`](#parameters)", name))
		}
		if list != nil {
			fmt.Fprintf(b, "\nParameters: %s.\n", strings.Join(list, ", "))
		}
		if r.Body != nil {
			fmt.Fprintf(b, "\nBody: %s.\n\n```json\n%s\n```\n", types.name(r.Body), r.Example)
		}
		fmt.Fprintf(b, "\nAnswer: %s.\n", types.name(r.Answer))
	}
	b.WriteString("\n### Parameters\n")
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(used)) {
		rows = append(rows, []string{code(name), cell(parameters[name])})
	}
	table(b, []string{"parameter", "meaning"}, rows)
	b.WriteString("\n## Objects\n\nOf the admin API. Times are RFC 3339, in UTC. What is optional is left out when there is nothing to say.\n")
	return types.write(b, root)
}

// objects are types with fields, by their headings.
type objects map[string]reflect.Type

var plainName = regexp.MustCompile(`^Page\[.*\.(\w+)\]$`)

// name writes a type for people, and notes those that have fields.
func (o objects) name(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[json.RawMessage]():
		return "object"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return o.name(t.Elem())
	case reflect.Slice, reflect.Array:
		return "list of " + o.name(t.Elem())
	case reflect.Map:
		return "map to " + o.name(t.Elem())
	case reflect.Struct:
		return o.object(t)
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "text"
	}
	return "number"
}

func (o objects) object(t reflect.Type) string {
	heading := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if m := plainName.FindStringSubmatch(t.Name()); m != nil {
		heading = "Page of " + m[1]
	} else if other, taken := o[heading]; taken && other != t {
		heading = t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:] + " " + heading
	}
	if o[heading] == nil {
		o[heading] = t
	}
	return fmt.Sprintf("[%s](#object-%s)", heading, strings.ToLower(strings.ReplaceAll(heading, " ", "-")))
}

// write writes each object with its fields. Their own objects are found on the way.
func (o objects) write(b *strings.Builder, root string) error {
	source := comments{root: root}
	sections := map[string]string{}
	for len(sections) < len(o) {
		for _, heading := range slices.Sorted(maps.Keys(o)) { // those that were found meanwhile come in the next round
			if sections[heading] != "" {
				continue
			}
			var s strings.Builder
			fmt.Fprintf(&s, "\n### Object: %s\n", heading)
			rows, err := o.rows(o[heading], &source)
			if err != nil {
				return err
			}
			table(&s, []string{"field", "type", "meaning"}, rows)
			sections[heading] = s.String()
		}
	}
	for _, heading := range slices.Sorted(maps.Keys(sections)) {
		b.WriteString(sections[heading])
	}
	return nil
}

func (o objects) rows(t reflect.Type, source *comments) (rows [][]string, err error) {
	said, err := source.of(t)
	if err != nil {
		return nil, err
	}
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && tag == "":
			inner, err := o.rows(f.Type, source)
			if err != nil {
				return nil, err
			}
			rows = append(rows, inner...)
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		kind := o.name(f.Type)
		if strings.Contains(options, "omit") {
			kind += ", optional"
		}
		rows = append(rows, []string{code(name), kind, cell(said[f.Name])})
	}
	return rows, nil
}
