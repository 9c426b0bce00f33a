package sandbox

import (
	"strconv"
	"strings"
)

// dataExtension is a table of an account. It is not safe for concurrent use:
// the sandbox's mutex guards rows, index and scratch. The rest does not change.
type dataExtension struct {
	id, key, name string
	columns       []Column
	ordinals      map[string]int // by exact and by lower-case name: names are case-insensitive
	primary       []int          // ordinals of the primary key
	defaults      []value        // of columns
	rows          []row          // in order of insertion
	index         map[string]int // from the primary key to the row
	scratch       []byte         // for the row being made
}

// newDataExtension makes an empty table. Column names must differ in more than
// case.
func newDataExtension(id, key, name string, columns []Column) *dataExtension {
	d := &dataExtension{
		id: id, key: key, name: name, columns: columns, ordinals: map[string]int{}, index: map[string]int{},
	}
	for i, c := range columns {
		d.defaults = append(d.defaults, valueOf(c.Default))
		d.ordinals[c.Name], d.ordinals[strings.ToLower(c.Name)] = i, i
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

// sentRow is one row of a call: what was sent, by column, and what was found
// out about it without a look at the table. Its texts are parts of the body.
type sentRow struct {
	cells    []value // by ordinal; of kindNone where nothing was sent
	identity string  // in the index; "" when the keys do not name a row
	wrongKey string  // the first name among the keys that is no primary key
	known    int     // columns among the values, the primary key's included
	bad      bool    // a value does not fit its column
	null     bool    // a null is among the values that a column would allow
	partial  bool    // a column that an insert needs is missing
}

// rowReader reads the rows of one call out of its body. It does not touch the
// table, so that no lock is held while it works.
type rowReader struct {
	scanner
	d     *dataExtension
	names []string // of the object being read, by ordinal, as they were sent
	block []value  // memory for the cells of rows to come
	twice bool     // an object named a column twice, in two spellings
	deep  bool     // an object or a list stood where a scalar belongs
	// stranger is the first, by its letters, of the names without a column.
	stranger    string
	hasStranger bool
}

// reservedField is a name in an event's data that never counts as unknown.
const reservedField = "eventInstanceId"

func (d *dataExtension) reader(text string) *rowReader {
	return &rowReader{scanner: scanner{text: text}, d: d, names: make([]string, len(d.columns))}
}

// row makes an empty row. Cells are made for many rows at once.
func (p *rowReader) row() sentRow {
	n := len(p.d.columns)
	if len(p.block) < n {
		// As many as the rest of the body can hold, within reason.
		p.block = make([]value, n*min(max((len(p.text)-p.at)/256, 1), 64))
	}
	r := sentRow{cells: p.block[:n:n]}
	p.block = p.block[n:]
	return r
}

// part says which of a row's columns an object of the body is for.
type part int

const (
	allColumns   part = iota // of a flat row
	keyColumns               // of "keys"
	otherColumns             // of "values": the primary key among them counts, but changes nothing
)

// object reads an object of scalars into a row; null is an empty one. A name
// that is sent twice counts as it was sent last.
func (p *rowReader) object(r *sentRow, which part) {
	if p.null() {
		return
	}
	clear(p.names)
	next := 0 // the column that most likely comes next
	for more := p.enter('{'); more; more = p.more('{') {
		name := p.name()
		v := p.value()
		if v.kind == kindDeep {
			p.deep = true
		}
		i, ok := next, next < len(p.d.columns) && p.d.columns[next].Name == name
		if !ok {
			i, ok = p.d.column(name)
		}
		next = i + 1
		key := ok && p.d.columns[i].PrimaryKey
		if which == keyColumns && !key {
			if r.wrongKey == "" {
				r.wrongKey = name
			}
			continue
		}
		if !ok {
			if !strings.EqualFold(name, reservedField) && (!p.hasStranger || name < p.stranger) {
				p.stranger, p.hasStranger = name, true
			}
			continue
		}
		if p.names[i] != "" && p.names[i] != name {
			p.twice = true
		}
		p.names[i] = name
		if which != keyColumns {
			r.known++
		}
		if which == allColumns || key == (which == keyColumns) {
			r.cells[i] = v
		}
	}
}

// valid tells whether the body was read without a mistake of form.
func (p *rowReader) valid() bool {
	return !p.bad && !p.twice && !p.deep
}

// examine finds out what there is to know about a row without the table.
func (d *dataExtension) examine(r *sentRow) {
	for i := range d.columns {
		c, v := &d.columns[i], r.cells[i]
		switch {
		case v.kind == kindNone:
			r.partial = r.partial || !c.PrimaryKey && !c.Nullable && !d.defaulted(i)
		case v.kind == kindNull && c.PrimaryKey:
		case v.kind == kindNull && c.Nullable:
			r.null = true
		case v.kind == kindNull:
			r.bad = true
		default:
			r.bad = r.bad || c.check(v) != ""
		}
	}
	r.identity = d.identity(r.cells)
}

// defaulted tells whether an insert gives a column a value by itself.
func (d *dataExtension) defaulted(ordinal int) bool {
	return !d.defaults[ordinal].empty()
}

// identity joins the primary key's values into the row's key in the index. It
// is "" when one of them is missing or empty, or when there is no primary key.
func (d *dataExtension) identity(cells []value) string {
	if len(d.primary) == 1 {
		i := d.primary[0]
		if cells[i].text == "" {
			return ""
		}
		return d.columns[i].identity(cells[i].text)
	}
	var b strings.Builder
	for _, i := range d.primary {
		if cells[i].text == "" {
			return ""
		}
		part := d.columns[i].identity(cells[i].text)
		b.WriteString(strconv.Itoa(len(part)) + ":" + part) // no value can be taken for two
	}
	return b.String()
}

// flaw is what is wrong with one column of a row.
type flaw struct {
	column *Column
	what   string // the end of the vendor's sentence; "" when the value is missing
}

// flaws are a row's, the primary key's first, then in order of columns. A
// column that is not named is missing only when the row does not exist.
func (d *dataExtension) flaws(r *sentRow, exists bool) []flaw {
	var list []flaw
	for _, keys := range []bool{true, false} {
		for i := range d.columns {
			c, v := &d.columns[i], r.cells[i]
			if c.PrimaryKey != keys {
				continue
			}
			switch {
			case v.kind == kindNone && (exists || keys || c.Nullable || d.defaulted(i)):
			case v.kind == kindNull && c.Nullable:
			case v.empty():
				list = append(list, flaw{c, ""})
			default:
				if what := c.check(v); what != "" {
					list = append(list, flaw{c, what})
				}
			}
		}
	}
	return list
}

// save updates the row that r names, keeping the columns that are not named, or
// inserts it with its columns' defaults. Everything has been checked. A table
// without a primary key gets a row more. It returns the row as it is stored.
func (d *dataExtension) save(r *sentRow) row {
	at, exists := -1, false
	if r.identity != "" {
		at, exists = d.index[r.identity]
	}
	b := d.scratch[:0]
	if exists {
		rest, old := d.rows[at], value{}
		for i, v := range r.cells {
			old, rest = rest.next()
			if v.kind == kindNone || d.columns[i].PrimaryKey {
				v = old
			}
			b = appendCell(b, v)
		}
	} else {
		for i, v := range r.cells {
			if v.kind == kindNone {
				v = d.defaults[i]
			}
			b = appendCell(b, v)
		}
	}
	d.scratch = b
	stored := row(b)
	if exists {
		d.rows[at] = stored
	} else {
		at = len(d.rows)
		d.rows = append(d.rows, stored)
	}
	if r.identity == "" {
		return stored
	}
	// The key in the index is a part of the row where it can be: it costs no
	// memory, and does not hold on to the body. Storing it on an update too
	// lets go of the row before.
	if len(d.primary) == 1 {
		if text := stored.cell(d.primary[0]).text; text == r.identity {
			d.index[text] = at
			return stored
		}
	}
	if !exists {
		d.index[strings.Clone(r.identity)] = at
	}
	return stored
}

// asMap is a row under its columns' exact names, without the cells that have no
// value.
func (d *dataExtension) asMap(r row) map[string]any {
	m := make(map[string]any, len(d.columns))
	for i := range d.columns {
		var v value
		if v, r = r.next(); !v.empty() {
			m[d.columns[i].Name] = v.public()
		}
	}
	return m
}
