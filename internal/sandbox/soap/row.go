package soap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
)

// rowKind is the object type of rows; Retrieve and Describe have the data extension's
// external key, or its name, in brackets after it.
const rowKind = "DataExtensionObject"

// rowReference is what stands in the brackets.
func rowReference(objectType string) (reference string, ok bool) {
	rest, ok := strings.CutPrefix(objectType, rowKind)
	rest = strings.TrimSpace(rest)
	if !ok || !strings.HasPrefix(rest, "[") || !strings.HasSuffix(rest, "]") {
		return "", false
	}
	return strings.Trim(rest, "[]"), true
}

// rows are the rows of a data extension of one of the business units. Undocumented: what
// is said of one that there is not.
func (k *call) rows(units []*account.Unit, reference string) (list, error) {
	if !k.token.Allows("data_extensions_read") {
		return list{}, problem(lacksPermission)
	}
	for _, u := range units {
		if e := cmp.Or(u.ExtensionByKey(reference), u.ExtensionByName(reference)); e != nil {
			return rowsOf(e), nil
		}
	}
	return list{}, problem("The data extension " + reference + " does not exist.")
}

func rowsOf(e *account.Extension) list {
	d, rows := e.Table, slices.Clone(e.Rows)
	l := list{kind: rowKind, exact: true, length: len(rows), value: func(object, property int) string {
		return d.Columns[property].Render(rows[object].Cell(property).Text)
	}}
	types := map[string]string{
		table.TypeNumber: "Int32", table.TypeDecimal: "Decimal", table.TypeDate: "DateTime", table.TypeBoolean: "Boolean",
	}
	for _, c := range d.Columns {
		l.properties = append(l.properties, property{name: c.Name, dataType: cmp.Or(types[c.Type], "String")})
	}
	return l
}

// row is a row with the columns that were asked for, in that order.
func (l list) row(object int, asked []int) *node {
	values := elem("Properties")
	for _, i := range asked {
		values.add(elem("Property", text("Name", l.properties[i].name), text("Value", l.value(object, i))))
	}
	return typed("Results", rowKind, null(partnerKey), null(objectID), text("Type", rowKind), values)
}

// sentRow reads the values of a row out of an object: those of Properties, and those of
// Keys, which name it.
func (w *write) sentRow(o *node) (*account.Extension, table.SentRow, string) {
	e := w.found(o)
	if e == nil {
		return nil, table.SentRow{}, "The data extension " + o.value("CustomerKey") + " does not exist."
	}
	r := table.SentRow{Cells: make([]table.Value, len(e.Columns))}
	values := append(o.child("Properties").all("Property"), o.child("Keys").all("Key")...)
	for _, v := range values {
		name := v.value("Name")
		i, ok := e.Column(name)
		if !ok {
			return e, r, fmt.Sprintf("Invalid column name '%s'.", name)
		}
		r.Known++
		r.Cells[i] = table.Value{Kind: table.KindText, Text: v.child("Value").text}
		if v.child("Value").null {
			r.Cells[i] = table.Value{Kind: table.KindNull}
		}
	}
	e.Examine(&r)
	if len(e.Primary) > 0 && r.Identity == "" {
		return e, r, "The primary key of the row is missing."
	}
	return e, r, ""
}

// refusedRow is an error of a row. Undocumented: the words and the code, and that
// ErrorMessage says the same.
func refusedRow(kind string, o *node, why string) result {
	r := failed(codeUnexpected, why)
	r.kind, r.object = kind, echo(o)
	return r
}

// saved saves a row, or says what is wrong with it.
func (w *write) saved(e *account.Extension, r *table.SentRow, exists bool) (why string) {
	var whys []string
	for _, f := range e.Flaws(r, exists) {
		if f.What == "" {
			whys = append(whys, f.Column.Missing())
			continue
		}
		whys = append(whys, f.Column.Problem(f.What))
	}
	if whys != nil {
		return strings.Join(whys, "; ")
	}
	e.Save(r, w.now)
	return ""
}

func createRow(w *write, o *node) result {
	const kind = "DataExtensionCreateResult"
	e, r, why := w.sentRow(o)
	if why != "" {
		return refusedRow(kind, o, why)
	}
	exists := r.Identity != "" && e.Has(r.Identity)
	if exists && !w.upsert {
		return refusedRow(kind, o, fmt.Sprintf("Violation of PRIMARY KEY constraint. Cannot insert duplicate key in object 'C%s.%s'.", w.unit.MID, e.Name))
	}
	if why := w.saved(e, &r, exists); why != "" {
		return refusedRow(kind, o, why)
	}
	message := "Created DataExtensionObject"
	if exists {
		message = "Updated DataExtensionObject"
	}
	return result{kind: kind, message: message, object: echo(o)}
}

func updateRow(w *write, o *node) result {
	const kind = "DataExtensionUpdateResult"
	e, r, why := w.sentRow(o)
	if why == "" && len(e.Primary) == 0 {
		why = "The data extension has no primary key."
	}
	if why != "" {
		return refusedRow(kind, o, why)
	}
	exists := e.Has(r.Identity)
	if !exists && !w.upsert {
		return refusedRow(kind, o, "The row does not exist.")
	}
	if why := w.saved(e, &r, exists); why != "" {
		return refusedRow(kind, o, why)
	}
	return result{kind: kind, message: "Updated DataExtensionObject", object: echo(o)}
}

// removeRow has a row deleted at the end of the call. Undocumented: that one that there
// is not is no error.
func removeRow(w *write, o *node) result {
	const kind = "DataExtensionDeleteResult"
	e, r, why := w.sentRow(o)
	if why == "" && len(e.Primary) == 0 {
		why = "The data extension has no primary key."
	}
	if why != "" {
		return refusedRow(kind, o, why)
	}
	w.deletions[e] = append(w.deletions[e], r.Identity)
	return result{kind: kind, message: "Deleted DataExtensionObject"}
}
