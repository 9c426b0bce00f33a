package soap

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

func extensionKind() kind {
	return kind{
		read: "data_extensions_read", write: "data_extensions_write",
		list: listExtensions, create: createExtension, update: updateExtension, remove: removeExtension,
	}
}

// listExtensions lists data extensions with the properties that recorded answers have.
func listExtensions(_ *call, units []*account.Unit) list {
	type object struct {
		*account.Extension
		unit *account.Unit
	}
	of := func(get func(e *account.Extension) string) func(object) string {
		return func(o object) string { return get(o.Extension) }
	}
	plain := func(name, dataType string, get func(e *account.Extension) string) column[object] {
		return column[object]{property{name: name, dataType: dataType}, of(get)}
	}
	optional := func(name, dataType string, get func(e *account.Extension) string) column[object] {
		return column[object]{property{name, dataType, true}, of(get)}
	}
	columns := []column[object]{{property{name: "Client.ID", dataType: "Int32"}, func(o object) string { return o.unit.MID }}}
	columns = append(columns, base(nil,
		of(func(e *account.Extension) string { return e.ID }), of(func(e *account.Extension) string { return e.Key }),
		of(func(e *account.Extension) string { return showDate(e.Created) }), of(func(e *account.Extension) string { return showDate(e.Modified) }))...)
	columns = append(columns,
		plain("Name", "String", func(e *account.Extension) string { return e.Name }),
		plain("Description", "String", func(e *account.Extension) string { return e.Description }),
		plain("IsSendable", "Boolean", func(e *account.Extension) string { return strconv.FormatBool(e.Sendable) }),
		plain("IsTestable", "Boolean", func(e *account.Extension) string { return strconv.FormatBool(e.Testable) }),
		column[object]{property: property{name: "SendableDataExtensionField.PartnerKey", dataType: "String"}},
		column[object]{property: property{name: "SendableDataExtensionField.ObjectID", dataType: "String"}},
		optional("SendableDataExtensionField.Name", "String", func(e *account.Extension) string { return e.SendableField }),
		// a quirk of the vendor's: it reads back another name than what is written
		optional("SendableSubscriberField.Name", "String", func(e *account.Extension) string { return e.SubscriberField }),
		optional("Template.CustomerKey", "String", func(*account.Extension) string { return "" }),
		optional("DataRetentionPeriodLength", "Int32", func(e *account.Extension) string { return positive(e.Retention.Period) }),
		optional("DataRetentionPeriodUnitOfMeasure", "Int32", func(e *account.Extension) string { return unitNumber(e.Retention.Unit) }),
		optional("DataRetentionPeriod", "String", func(e *account.Extension) string { return e.Retention.Unit }),
		plain("RowBasedRetention", "Boolean", func(e *account.Extension) string { return strconv.FormatBool(e.Retention.Rows) }),
		plain("ResetRetentionPeriodOnImport", "Boolean", func(e *account.Extension) string { return strconv.FormatBool(e.Retention.ResetOnImport) }),
		plain("DeleteAtEndOfRetentionPeriod", "Boolean", func(e *account.Extension) string { return strconv.FormatBool(e.Retention.DeleteAtEnd) }),
		plain("RetainUntil", "String", showUntil),
		plain("CategoryID", "Int32", func(e *account.Extension) string { return strconv.FormatInt(e.Category, 10) }),
		plain("Status", "String", func(*account.Extension) string { return "Active" }),
		plain("IsPlatformObject", "Boolean", func(*account.Extension) string { return "false" }))
	var objects []object
	for _, u := range units {
		for _, e := range u.AllExtensions() {
			objects = append(objects, object{e, u})
		}
	}
	return listOf("DataExtension", columns, objects)
}

// positive is a number, or "" for 0.
func positive(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// retentionUnits are the units of a retention period by their numbers: the first has 3.
func retentionUnits() []string { return []string{"", "", "", "Days", "Weeks", "Months", "Years"} }

func unitNumber(unit string) string {
	for i, name := range retentionUnits() {
		if name != "" && name == unit {
			return strconv.Itoa(i)
		}
	}
	return ""
}

func showUntil(e *account.Extension) string {
	if e.Retention.Until.IsZero() {
		return ""
	}
	return e.Retention.Until.Format("1/2/2006 3:04:05 PM")
}

// found is the data extension that an object names: by its ObjectID, or by its external
// key.
func (w *write) found(o *node) *account.Extension {
	if id := o.value(objectID); id != "" {
		return w.unit.ExtensionByID(id)
	}
	return w.unit.ExtensionByKey(o.value("CustomerKey"))
}

// taken is recorded, with the blank at its end; programs look for it.
const taken = "Updating an existing Data Extension definition is not allowed when doing an add-only operation. "

func createExtension(w *write, o *node) result {
	key, name := cmp.Or(o.value("CustomerKey"), strings.ToUpper(wire.NewGUID())), o.value("Name")
	if e := cmp.Or(w.unit.ExtensionByKey(key), w.unit.ExtensionByName(name)); e != nil {
		if w.upsert {
			return updateExtension(w, o)
		}
		return refusedExtension(o, taken)
	}
	if name == "" {
		return refusedExtension(o, "The Name property is required.")
	}
	columns, why := newColumns(nil, o, false)
	if why == "" && len(columns) == 0 {
		why = "At least one field is required."
	}
	d := draft{unit: w.unit, isNew: true, category: w.unit.Folders[0].ID}
	if why == "" {
		why = d.read(o, columns)
	}
	if why != "" {
		return refusedExtension(o, why)
	}
	e := &account.Extension{Table: table.New(wire.NewGUID(), key, name, columns), Created: w.now, Modified: w.now}
	w.unit.Extensions[key] = e
	d.apply(e)
	return result{
		message: "Data Extension created.", guid: e.ID,
		object: echo(o, text(objectID, e.ID), text("CustomerKey", key)),
	}
}

// refusedExtension is an error of a data extension. Undocumented: the words of all but
// taken; what is refused is known from users' reports and the vendor's help.
func refusedExtension(o *node, why string) result {
	r := failed(codeUnexpected, why)
	r.object = echo(o)
	return r
}

func updateExtension(w *write, o *node) result {
	e := w.found(o)
	if e == nil {
		if w.upsert && o.value(objectID) == "" && w.unit.ExtensionByName(o.value("Name")) == nil {
			return createExtension(w, o)
		}
		return refusedExtension(o, fmt.Sprintf("The data extension %s does not exist.", cmp.Or(o.value("CustomerKey"), o.value(objectID), o.value("Name"))))
	}
	key, name := cmp.Or(o.value("CustomerKey"), e.Key), cmp.Or(o.value("Name"), e.Name)
	for _, other := range []*account.Extension{w.unit.ExtensionByKey(key), w.unit.ExtensionByName(name)} {
		if other != nil && other != e {
			return refusedExtension(o, taken)
		}
	}
	columns, why := newColumns(e, o, len(e.Rows) > 0)
	d := draft{unit: w.unit}
	if why == "" {
		why = d.read(o, columns)
	}
	if why != "" {
		return refusedExtension(o, why)
	}
	if len(o.child("Fields").all("Field")) > 0 {
		extend(e, columns, w.now)
	}
	e.Name, e.Modified = name, w.now
	if key != e.Key && !strings.EqualFold(key, e.Key) {
		delete(w.unit.Extensions, e.Key)
		e.Key = key
		w.unit.Extensions[key] = e
	}
	d.apply(e)
	return result{message: "Data Extension updated.", object: echo(o, text(objectID, e.ID))}
}

// removeExtension deletes a data extension, or, when fields are named, these.
func removeExtension(w *write, o *node) result {
	e := w.found(o)
	if e == nil {
		return refusedExtension(o, fmt.Sprintf("The data extension %s does not exist.", cmp.Or(o.value("CustomerKey"), o.value(objectID))))
	}
	ids := []*node{text(objectID, e.ID), text("CustomerKey", e.Key)}
	if fields := o.child("Fields").all("Field"); len(fields) > 0 {
		if why := removeFields(e, fields, w.now); why != "" {
			return refusedExtension(o, why)
		}
		e.Modified = w.now
		return result{message: "Data Extension Fields deleted", object: echo(o, ids...)}
	}
	w.unit.RemoveExtension(e)
	return result{message: "Data Extension deleted. / Data Extension Fields deleted", object: echo(o, ids...)}
}
