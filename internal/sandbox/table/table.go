// Package table holds what a data extension holds: columns, the rows with their
// values, and how rows are read out of the bodies of calls, checked, stored,
// filtered and sorted. It knows no routes and no answers; begin with [New].
package table

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Table is a data extension. Its rows are not safe for concurrent use: one lock
// must guard Rows, Has, Find, Save, Delete, Remove and Pack. The rest does not change.
type Table struct {
	ID, Key, Name string // Key is the external key
	Columns       []Column
	Primary       []int // ordinals of the primary key's columns
	Rows          []Row // in order of insertion; only Save, Delete and Remove change them

	RefusesUnknown bool // rows that name a column that there is not; else such columns are passed over

	ordinals map[string]int // by exact and by lower-case name: names are case-insensitive
	defaults []Value        // of columns
	index    map[string]int // from the primary key to the row
	scratch  []byte         // for the row being made
}

// New makes an empty table. Column names must differ in more than case.
func New(id, key, name string, columns []Column) *Table {
	d := &Table{
		ID: id, Key: key, Name: name, Columns: columns, ordinals: map[string]int{}, index: map[string]int{},
	}
	for i, c := range columns {
		d.defaults = append(d.defaults, ValueOf(c.Default))
		d.ordinals[c.Name], d.ordinals[strings.ToLower(c.Name)] = i, i
		if c.PrimaryKey {
			d.Primary = append(d.Primary, i)
		}
	}
	return d
}

// Column finds a column's ordinal by its name in any case.
func (d *Table) Column(name string) (int, bool) {
	if i, ok := d.ordinals[name]; ok {
		return i, true
	}
	i, ok := d.ordinals[strings.ToLower(name)]
	return i, ok
}

// Examine checks what can be known about a row without the stored rows.
func (d *Table) Examine(r *SentRow) {
	for i := range d.Columns {
		c, v := &d.Columns[i], r.Cells[i]
		switch {
		case v.Kind == KindNone:
			r.Partial = r.Partial || !c.PrimaryKey && !c.Nullable && !d.Defaulted(i)
		case v.Kind == KindNull && c.PrimaryKey:
		case v.Kind == KindNull && c.Nullable:
			r.Null = true
		case v.Kind == KindNull:
			r.Bad = true
		default:
			r.Bad = r.Bad || c.Check(v) != ""
		}
	}
	r.Identity = d.Identity(r.Cells)
}

// Defaulted reports whether an insert gives a column a value by itself.
func (d *Table) Defaulted(ordinal int) bool {
	return !d.defaults[ordinal].Empty()
}

// Identity joins the primary key's values into the row's key in the index. It
// is "" when one of them is missing or empty, or when there is no primary key.
func (d *Table) Identity(cells []Value) string {
	if len(d.Primary) == 1 {
		i := d.Primary[0]
		if cells[i].Text == "" {
			return ""
		}
		return d.Columns[i].identity(cells[i].Text)
	}
	var b strings.Builder
	for _, i := range d.Primary {
		if cells[i].Text == "" {
			return ""
		}
		part := d.Columns[i].identity(cells[i].Text)
		b.WriteString(strconv.Itoa(len(part)) + ":" + part) // no value can be taken for two
	}
	return b.String()
}

// Has reports whether a row with the Identity is stored.
func (d *Table) Has(identity string) bool {
	_, exists := d.index[identity]
	return exists
}

// Find is where among Rows the one with the Identity is.
func (d *Table) Find(identity string) (at int, ok bool) {
	at, ok = d.index[identity]
	return at, ok
}

// Flaw is what is wrong with one column of a row.
type Flaw struct {
	Column *Column
	What   string // the end of the vendor's sentence; "" when the value is missing
}

// Flaws are a row's, the primary key's first, then in order of columns. A
// column that is not named is missing only when the row does not exist.
func (d *Table) Flaws(r *SentRow, exists bool) []Flaw {
	var list []Flaw
	for _, keys := range []bool{true, false} {
		for i := range d.Columns {
			c, v := &d.Columns[i], r.Cells[i]
			if c.PrimaryKey != keys {
				continue
			}
			switch {
			case v.Kind == KindNone && (exists || keys || c.Nullable || d.Defaulted(i)):
			case v.Kind == KindNull && c.Nullable:
			case v.Empty():
				list = append(list, Flaw{c, ""})
			default:
				if what := c.Check(v); what != "" {
					list = append(list, Flaw{c, what})
				}
			}
		}
	}
	return list
}

// Save updates the row that r names, keeping the columns that are not named, or
// inserts it with its columns' defaults; now is the time on the sandbox's clock. Everything has been checked. A table
// without a primary key gets a row more. It returns the row as it is stored.
func (d *Table) Save(r *SentRow, now time.Time) Row {
	at, exists := -1, false
	if r.Identity != "" {
		at, exists = d.index[r.Identity]
	}
	b := d.scratch[:0]
	if exists {
		rest, old := d.Rows[at], Value{}
		for i, v := range r.Cells {
			old, rest = rest.Next()
			if v = d.Columns[i].kept(v); v.Kind == KindNone || d.Columns[i].PrimaryKey {
				v = old
			}
			b = appendCell(b, v)
		}
	} else {
		for i, v := range r.Cells {
			if v = d.Columns[i].kept(v); v.Kind == KindNone {
				v = d.Columns[i].presumed(d.defaults[i], now)
			}
			b = appendCell(b, v)
		}
	}
	d.scratch = b
	stored := Row(b)
	if exists {
		d.Rows[at] = stored
	} else {
		at = len(d.Rows)
		d.Rows = append(d.Rows, stored)
	}
	if r.Identity == "" {
		return stored
	}
	// The key in the index is a part of the row where it can be: it costs no
	// memory, and does not hold on to the body. Storing it on an update too
	// lets go of the row before.
	if len(d.Primary) == 1 {
		if text := stored.Cell(d.Primary[0]).Text; text == r.Identity {
			d.index[text] = at
			return stored
		}
	}
	if !exists {
		d.index[strings.Clone(r.Identity)] = at
	}
	return stored
}

// Delete removes the rows with the Identities, those that there are. It takes as long as
// the table is large.
func (d *Table) Delete(identities ...string) {
	var at []int
	for _, identity := range identities {
		if place, exists := d.index[identity]; exists {
			at = append(at, place)
		}
	}
	d.Remove(at...)
}

// Remove is Delete for rows by their places among Rows, in any order.
func (d *Table) Remove(at ...int) {
	if len(at) == 0 {
		return
	}
	at = slices.Compact(slices.Sorted(slices.Values(at)))
	kept := make([]Row, 0, len(d.Rows)-len(at)) // whoever reads the rows keeps those that were
	from := 0
	for _, place := range append(at, len(d.Rows)) {
		kept = append(kept, d.Rows[from:place]...)
		from = place + 1
	}
	for identity, place := range d.index {
		if before, gone := slices.BinarySearch(at, place); gone {
			delete(d.index, identity)
		} else if before > 0 {
			d.index[identity] = place - before
		}
	}
	d.Rows = kept
}

// Moved is a row that was read for a table that this one stands for from now on, as far
// as it has its columns.
func (d *Table) Moved(old *Table, r SentRow) SentRow {
	cells := make([]Value, len(d.Columns))
	for i := range old.Columns {
		if at, ok := d.Column(old.Columns[i].Name); ok {
			cells[at] = r.Cells[i]
		}
	}
	moved := SentRow{Cells: cells, WrongKey: r.WrongKey, Unknown: r.Unknown, Known: r.Known}
	d.Examine(&moved)
	return moved
}

// Pack makes a row of cells that is not stored: without defaults, and without
// what was not sent. If like has the same cells, Pack returns like, to save
// memory.
func (d *Table) Pack(cells []Value, like Row) Row {
	b := d.scratch[:0]
	for _, v := range cells {
		b = appendCell(b, v)
	}
	d.scratch = b
	if string(like) == string(b) {
		return like
	}
	return Row(b)
}

// AsMap is a row under its columns' exact names, without the cells that have no
// value.
func (d *Table) AsMap(r Row) map[string]any {
	m := make(map[string]any, len(d.Columns))
	for i := range d.Columns {
		var v Value
		if v, r = r.Next(); !v.Empty() {
			m[d.Columns[i].Name] = v.public()
		}
	}
	return m
}
