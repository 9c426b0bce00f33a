package soap

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// fieldKind is DataExtensionField: fields are written with their data extension.
func fieldKind() kind {
	return kind{read: "data_extensions_read", write: "data_extensions_write", list: listFields}
}

// fieldOf is a column of a data extension.
type fieldOf struct {
	extension *account.Extension
	ordinal   int
}

func (f fieldOf) column() *table.Column { return &f.extension.Columns[f.ordinal] }

// id is the field's ObjectID: made of the data extension's and the name, so that it need
// not be kept.
func (f fieldOf) id() string { return derivedID(f.extension.ID, strings.ToLower(f.column().Name)) }

// derivedID is the GUID of a part of an object.
func derivedID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	g := wire.GUID(sum[:16])
	return g.Other().String()
}

func listFields(_ *call, units []*account.Unit) list {
	columns := base(nil, fieldOf.id,
		func(f fieldOf) string { return "[" + f.extension.Key + "].[" + f.column().Name + "]" },
		func(f fieldOf) string { return showDate(f.extension.Created) }, func(f fieldOf) string { return showDate(f.extension.Modified) })
	columns = append(columns,
		column[fieldOf]{property{name: "Name", dataType: "String"}, func(f fieldOf) string { return f.column().Name }},
		column[fieldOf]{property{name: "Scale", dataType: "Int32"}, func(f fieldOf) string { return strconv.Itoa(f.column().Scale) }},
		column[fieldOf]{property{name: "DefaultValue", dataType: "String"}, func(f fieldOf) string { return showDefault(f.column()) }},
		column[fieldOf]{property{"MaxLength", "Int32", true}, func(f fieldOf) string { return positive(f.column().Length) }},
		column[fieldOf]{property{name: "IsRequired", dataType: "Boolean"}, func(f fieldOf) string { return strconv.FormatBool(!f.column().Nullable) }},
		column[fieldOf]{property{name: "Ordinal", dataType: "Int32"}, func(f fieldOf) string { return strconv.Itoa(f.ordinal) }},
		column[fieldOf]{property{name: "IsPrimaryKey", dataType: "Boolean"}, func(f fieldOf) string { return strconv.FormatBool(f.column().PrimaryKey) }},
		column[fieldOf]{property{name: "FieldType", dataType: "String"}, func(f fieldOf) string { return f.column().Type }},
		column[fieldOf]{property: property{name: "DataExtension.PartnerKey", dataType: "String"}},
		column[fieldOf]{property: property{name: "DataExtension.ObjectID", dataType: "String"}},
		column[fieldOf]{property{name: "DataExtension.CustomerKey", dataType: "String"}, func(f fieldOf) string { return f.extension.Key }},
		column[fieldOf]{property{name: "StorageType", dataType: "String"}, func(fieldOf) string { return "Plain" }})
	var fields []fieldOf
	for _, u := range units {
		for _, e := range u.AllExtensions() {
			for i := range e.Columns {
				fields = append(fields, fieldOf{e, i})
			}
		}
	}
	return listOf("DataExtensionField", columns, fields)
}

func showDefault(c *table.Column) string {
	if c.Default == nil {
		return ""
	}
	return c.Render(fmt.Sprint(c.Default))
}

// newColumns are the columns that a data extension has after a Create or an Update: those
// that it has, changed, and new ones. Or it says what is wrong. Users report what the
// vendor refuses: a type for a field that there is, a length that gets less, a field that
// becomes required, and a new required field without a default where there are rows.
func newColumns(e *account.Extension, o *node, filled bool) ([]table.Column, string) {
	var columns []table.Column
	if e != nil {
		columns = slices.Clone(e.Columns)
	}
	for _, f := range o.child("Fields").all("Field") {
		at, why := fieldIndex(e, f)
		if why != "" {
			return nil, why
		}
		if at >= 0 {
			if why := changeColumn(&columns[at], f); why != "" {
				return nil, why
			}
			continue
		}
		c, why := newColumn(f)
		if why == "" && filled && !c.Nullable && c.Default == nil {
			why = "The field '" + c.Name + "' is required and needs a default value, since the data extension has rows."
		}
		if why == "" && filled && c.PrimaryKey {
			why = "The field '" + c.Name + "' can not become a primary key, since the data extension has rows."
		}
		if why != "" {
			return nil, why
		}
		columns = append(columns, c)
	}
	if err := account.CheckColumns(columns); err != nil {
		return nil, "The fields are not valid: " + err.Error() + "."
	}
	return columns, ""
}

// extend changes the columns: those of before in their order, perhaps under other names
// or longer, and others after them. Rows keep what they have.
func extend(e *account.Extension, columns []table.Column, now time.Time) {
	old := e.Table
	e.Table = table.New(old.ID, old.Key, old.Name, columns)
	e.RefusesUnknown = old.RefusesUnknown
	for _, row := range old.Rows {
		sent := table.SentRow{Cells: make([]table.Value, len(columns))}
		for i := range old.Columns {
			sent.Cells[i], row = row.Next()
		}
		e.Examine(&sent)
		e.Save(&sent, now)
	}
}

// fieldIndex finds a field that there is, by its ObjectID or its name; -1 is a new one.
func fieldIndex(e *account.Extension, f *node) (at int, why string) {
	if e == nil {
		return -1, ""
	}
	if id := f.value(objectID); id != "" {
		for i := range e.Columns {
			if strings.EqualFold(fieldOf{e, i}.id(), id) {
				return i, ""
			}
		}
		return -1, "The field " + id + " does not exist."
	}
	if i, ok := e.Column(f.value("Name")); ok {
		return i, ""
	}
	return -1, ""
}

// changeColumn changes what a request names of a column.
func changeColumn(c *table.Column, f *node) (why string) {
	if f.has("FieldType") {
		return "The FieldType of the field '" + c.Name + "' can not be changed."
	}
	if f.has("IsRequired") {
		required := isTrue(f.value("IsRequired"))
		if required && c.Nullable {
			return "The field '" + c.Name + "' can not become required."
		}
		c.Nullable = !required
	}
	if f.has("IsPrimaryKey") && isTrue(f.value("IsPrimaryKey")) != c.PrimaryKey {
		return "The primary key can not be changed: '" + c.Name + "'."
	}
	if n := f.value("MaxLength"); n != "" {
		length, err := strconv.Atoi(n)
		if err != nil || length < c.Length {
			return "The MaxLength of the field '" + c.Name + "' can not be decreased."
		}
		c.Length = length
	}
	if f.has("DefaultValue") {
		var why string
		if c.Default, why = readDefault(c, f.value("DefaultValue")); why != "" {
			return why
		}
	}
	c.Name = cmp.Or(f.value("Name"), c.Name)
	return ""
}

// newColumn reads a field that there is not yet. Vendor page dataextensionfield: without
// a type it is Text, and Text without a length has 50.
func newColumn(f *node) (c table.Column, why string) {
	c = table.Column{
		Name: f.value("Name"), Type: cmp.Or(f.value("FieldType"), table.TypeText),
		PrimaryKey: isTrue(f.value("IsPrimaryKey")), Nullable: !isTrue(f.value("IsRequired")),
	}
	if c.Name == "" {
		return c, "The Name property of a field is required."
	}
	if c.PrimaryKey && c.Nullable {
		return c, "The primary key field '" + c.Name + "' must be required."
	}
	usual := map[string]string{table.TypeText: "50", table.TypeEmail: "254", table.TypePhone: "50", table.TypeLocale: "5", table.TypeDecimal: "18"}
	var err error
	if n := cmp.Or(f.value("MaxLength"), usual[c.Type], "0"); n != "0" {
		if c.Length, err = strconv.Atoi(n); err != nil || c.Length < 1 || c.Length > 4000 {
			return c, "The MaxLength of the field '" + c.Name + "' is not valid."
		}
	}
	if n := f.value("Scale"); n != "" {
		if c.Scale, err = strconv.Atoi(n); err != nil || c.Scale < 0 || c.Scale > max(c.Length, 0) && c.Type == table.TypeDecimal {
			return c, "The Scale of the field '" + c.Name + "' is not valid."
		}
	}
	if !table.IsType(c.Type) {
		return c, "'" + c.Type + "' is not a valid FieldType."
	}
	c.Default, why = readDefault(&c, f.value("DefaultValue"))
	return c, why
}

// readDefault reads a default value; "" is none.
func readDefault(c *table.Column, value string) (any, string) {
	switch {
	case value == "":
		return nil, ""
	case !c.CanDefault(value):
		return nil, "The DefaultValue of the field '" + c.Name + "' is not valid."
	}
	return value, ""
}

// removeFields takes fields away, or says why not. That of the primary key and that of
// the send relationship stay. Undocumented.
func removeFields(e *account.Extension, fields []*node, now time.Time) string {
	gone := map[int]bool{}
	for _, f := range fields {
		at, why := fieldIndex(e, f)
		if why == "" && at < 0 {
			why = "The field '" + f.value("Name") + "' does not exist."
		}
		if why == "" && (e.Columns[at].PrimaryKey || e.Sendable && strings.EqualFold(e.SendableField, e.Columns[at].Name)) {
			why = "The field '" + e.Columns[at].Name + "' can not be deleted."
		}
		if why != "" {
			return why
		}
		gone[at] = true
	}
	var columns []table.Column
	for i, c := range e.Columns {
		if !gone[i] {
			columns = append(columns, c)
		}
	}
	if len(columns) == 0 {
		return "The last field of a data extension can not be deleted."
	}
	e.SetColumns(columns, now)
	return ""
}
