package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// dataExtension is a table of an account. It is not safe for concurrent use:
// the sandbox's mutex guards it. What was set at the start does not change.
type dataExtension struct {
	id, key, name string
	columns       []Column
	ordinals      map[string]int // by lower-case name: names are case-insensitive
	primary       []int          // ordinals of the primary key
	rows          [][]any        // in order of insertion; a cell that was never set is nil
	index         map[string]int // from the primary key to the row
}

// newDataExtension makes an empty table. Column names must differ in more than
// case.
func newDataExtension(id, key, name string, columns []Column) *dataExtension {
	d := &dataExtension{
		id: id, key: key, name: name, columns: columns, ordinals: map[string]int{}, index: map[string]int{},
	}
	for i, c := range columns {
		d.ordinals[strings.ToLower(c.Name)] = i
		if c.PrimaryKey {
			d.primary = append(d.primary, i)
		}
	}
	return d
}

// registrationsColumns are the columns of section 2.2 of the specification.
func registrationsColumns() []Column {
	return []Column{
		{Name: "SubscriberKey", Type: typeText, Length: 254, PrimaryKey: true},
		{Name: "EmailAddress", Type: typeEmail, Length: 254},
		{Name: "FirstName", Type: typeText, Length: 100, Nullable: true},
		{Name: "LastName", Type: typeText, Length: 100, Nullable: true},
		{Name: "OptInStatus", Type: typeBoolean, Default: false},
		{Name: "RegistrationTimestamp", Type: typeDate},
		{Name: "Source", Type: typeText, Length: 50, Nullable: true},
		{Name: "IPAddress", Type: typeText, Length: 45, Nullable: true},
		{Name: "UserAgent", Type: typeText, Length: 255, Nullable: true},
		{Name: "PageURL", Type: typeText, Length: 500, Nullable: true},
	}
}

// column finds a column's ordinal by its name in any case.
func (d *dataExtension) column(name string) (int, bool) {
	if i, ok := d.ordinals[name]; ok {
		return i, true
	}
	i, ok := d.ordinals[strings.ToLower(name)]
	return i, ok
}

// cell is a value on its way into a column: a string, a bool, a json.Number,
// or nil for JSON's null.
type cell struct {
	ordinal int
	value   any
}

// cells finds the columns of what was sent and leaves out unknown names, which
// it returns sorted. Two spellings of one column are an error.
func (d *dataExtension) cells(sent map[string]any) (known []cell, unknown []string, err error) {
	known = make([]cell, 0, len(sent))
	for name, value := range sent {
		if i, ok := d.column(name); ok {
			known = append(known, cell{i, value})
		} else {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	slices.SortFunc(known, func(a, b cell) int { return a.ordinal - b.ordinal })
	for i := 1; i < len(known); i++ {
		if known[i].ordinal == known[i-1].ordinal {
			return nil, nil, fmt.Errorf("column %s is named twice", d.columns[known[i].ordinal].Name)
		}
	}
	return known, unknown, nil
}

// identity joins the primary key's values, which key holds in the order of
// d.primary, into the row's key in the index.
func (d *dataExtension) identity(key []any) string {
	if len(d.primary) == 1 {
		return d.columns[d.primary[0]].identity(key[0])
	}
	var b strings.Builder
	for i, ordinal := range d.primary {
		part := d.columns[ordinal].identity(key[i])
		b.WriteString(strconv.Itoa(len(part)) + ":" + part) // no value can be taken for two
	}
	return b.String()
}

// check returns what is wrong with the values of a row that is to be saved
// under the identity: the complaints in order of columns, and whether a null
// is among the values that a column would allow.
func (d *dataExtension) check(identity string, values []cell) (problems []string, null bool) {
	set := make([]bool, len(d.columns))
	for _, v := range values {
		set[v.ordinal] = true
	}
	for _, ordinal := range d.primary {
		set[ordinal] = true
	}
	_, exists := d.index[identity]
	next := 0
	for i, c := range d.columns {
		if !set[i] && !exists && !c.Nullable && c.Default == nil {
			problems = append(problems, c.missing())
		}
		if next == len(values) || values[next].ordinal != i {
			continue
		}
		value := values[next].value
		next++
		switch {
		case value == nil && c.Nullable:
			null = true
		case value == nil:
			problems = append(problems, c.missing())
		default:
			if p := c.check(value); p != "" {
				problems = append(problems, p)
			}
		}
	}
	return problems, null
}

// save updates the row with the primary key, keeping the columns that are not
// named, or inserts it with its columns' defaults. Everything has been checked:
// values holds no null and no column of the primary key.
func (d *dataExtension) save(key []any, values []cell) {
	identity := d.identity(key)
	at, exists := d.index[identity]
	if !exists {
		row := make([]any, len(d.columns))
		for i, c := range d.columns {
			row[i] = c.Default
		}
		for i, ordinal := range d.primary {
			row[ordinal] = key[i]
		}
		at = len(d.rows)
		d.rows = append(d.rows, row)
		d.index[identity] = at
	}
	for _, v := range values {
		d.rows[at][v.ordinal] = v.value
	}
}

// asMap is a row under its columns' exact names, without the cells that were
// never set.
func (d *dataExtension) asMap(row []any) map[string]any {
	m := make(map[string]any, len(row))
	for i, value := range row {
		if value != nil {
			m[d.columns[i].Name] = value
		}
	}
	return m
}
