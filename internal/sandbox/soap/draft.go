package soap

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
)

// draft is what a request changes of a data extension beside its name and columns. It is
// read, and refused, before anything is changed.
type draft struct {
	unit     *account.Unit
	isNew    bool
	category int64 // 0: stays
	changes  []func(*account.Extension)
}

func (d *draft) apply(e *account.Extension) {
	if d.category != 0 {
		e.Category = d.category
	}
	for _, change := range d.changes {
		change(e)
	}
}

func (d *draft) change(change func(*account.Extension)) { d.changes = append(d.changes, change) }

// read reads an object, or says what is wrong with it. The columns are those that the
// data extension will have.
func (d *draft) read(o *node, columns []table.Column) string {
	if o.has("Description") {
		d.change(func(e *account.Extension) { e.Description = o.value("Description") })
	}
	if o.has("IsTestable") {
		d.change(func(e *account.Extension) { e.Testable = isTrue(o.value("IsTestable")) })
	}
	if id := o.value("CategoryID"); id != "" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || d.unit.Folder(n) == nil {
			return "The CategoryID " + id + " does not exist."
		}
		d.category = n
	}
	if why := d.readSendable(o, columns); why != "" {
		return why
	}
	return d.readRetention(o)
}

// readSendable reads the send relationship.
func (d *draft) readSendable(o *node, columns []table.Column) string {
	if !o.has("IsSendable") {
		return ""
	}
	if !isTrue(o.value("IsSendable")) {
		d.change(func(e *account.Extension) { e.Sendable, e.SendableField, e.SubscriberField = false, "", "" })
		return ""
	}
	field := o.child("SendableDataExtensionField").value("Name")
	at := slices.IndexFunc(columns, func(c table.Column) bool { return strings.EqualFold(c.Name, field) })
	if at < 0 {
		return "The SendableDataExtensionField '" + field + "' is not a field of the data extension."
	}
	subscriber := ""
	switch name := o.child("SendableSubscriberField").value("Name"); name {
	case "Subscriber Key": // it reads back otherwise, and that is refused
		subscriber = account.SubscriberKey
	case "Subscriber ID":
		subscriber = account.SubscriberID
	case "Email Address":
		subscriber = account.SubscriberEmail
	default:
		return "The SendableSubscriberField '" + name + "' is not valid."
	}
	d.change(func(e *account.Extension) {
		e.Sendable, e.SendableField, e.SubscriberField = true, columns[at].Name, subscriber
	})
	return ""
}

// readRetention reads the policy of retention, whose unit has two properties. An update
// does not change it, as users report.
func (d *draft) readRetention(o *node) string {
	if !d.isNew {
		return ""
	}
	r := account.Retention{
		Rows: isTrue(o.value("RowBasedRetention")), DeleteAtEnd: isTrue(o.value("DeleteAtEndOfRetentionPeriod")),
		ResetOnImport: isTrue(o.value("ResetRetentionPeriodOnImport")),
	}
	if n := o.value("DataRetentionPeriodLength"); n != "" {
		var err error
		if r.Period, err = strconv.Atoi(n); err != nil || r.Period < 0 {
			return "The DataRetentionPeriodLength '" + n + "' is not valid."
		}
		r.Unit = readUnit(cmp.Or(o.value("DataRetentionPeriod"), o.value("DataRetentionPeriodUnitOfMeasure")))
		if r.Period > 0 && unitNumber(r.Unit) == "" {
			return "The unit of the retention period is not valid."
		}
	}
	if until := o.value("RetainUntil"); until != "" {
		t, ok := parseDate(until)
		if !ok {
			return "RetainUntil '" + until + "' is not a date."
		}
		r.Until = t.In(time.UTC)
	}
	d.change(func(e *account.Extension) { e.Retention = r })
	return ""
}

// readUnit reads the unit of a retention period: by its name, by that of the schema's
// enumeration, or by its number.
func readUnit(s string) string {
	if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(retentionUnits()) {
		return retentionUnits()[i]
	}
	if unit, ok := map[string]string{"Daily": "Days", "Weekly": "Weeks", "Monthly": "Months", "Yearly": "Years"}[s]; ok {
		return unit
	}
	return s
}
