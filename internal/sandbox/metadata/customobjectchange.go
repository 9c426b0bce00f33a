package metadata

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

const (
	// indexTime is how long $search does not find a new data extension. Known from a
	// tenant: about 8 seconds.
	indexTime = 8 * time.Second
	// fieldsTime is how long a change of columns takes. Undocumented.
	fieldsTime = 300 * time.Millisecond
	// maxKey is the longest external key. Reported: 200 characters are taken.
	maxKey = 200
	// maxText is the longest text of a column.
	maxText = 4000
)

// sentObject is the body of a call that makes or changes a data extension. What is nil
// was not sent.
type sentObject struct {
	Name, Key, Description *string
	CategoryID             *int64
	IsSendable, IsTestable *bool

	SendableCustomObjectField, SendableSubscriberField *string

	DataRetentionProperties *sentRetention
	Fields                  []sentField
}

type sentRetention struct {
	Period        int             `json:"dataRetentionPeriodLength"`
	Unit          json.RawMessage `json:"dataRetentionPeriodUnitOfMeasure"` // the number or the name
	DeleteAtEnd   bool            `json:"isDeleteAtEndOfRetentionPeriod"`
	Rows          bool            `json:"isRowBasedRetention"`
	ResetOnImport bool            `json:"isResetRetentionPeriodOnImport"`
	Until         string          `json:"retainUntil"`
}

// sentField is a column in a call.
type sentField struct {
	Name, Type              *string
	Length, Scale, Ordinal  *int
	IsPrimaryKey            *bool
	IsNullable              *bool
	DefaultValue            any // text, number or boolean
	IsTemplateField         *bool
	IsInheritable           *bool
	IsOverridable           *bool
	IsHidden, IsReadOnly    *bool
	MustOverride            *bool
	MaskType, StorageType   *string
	Description, ExternalID *string
}

// createObject answers POST /data/v1/customobjects with 201 and the data extension.
func createObject(c *call) (wire.Answer, error) {
	var sent sentObject
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	e, err := sent.make(c)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusCreated, viewObject(e)), nil
}

// make makes the data extension.
func (o *sentObject) make(c *call) (*account.Extension, error) {
	columns, err := o.check(c.unit)
	if err != nil {
		return nil, err
	}
	key := text(o.Key, strings.ToUpper(wire.NewGUID()))
	e := &account.Extension{
		Table:   table.New(wire.NewGUID(), key, *o.Name, columns),
		Created: c.now, Modified: c.now, Indexed: c.now.Add(indexTime),
		Category: *o.CategoryID,
	}
	if err := o.apply(e); err != nil {
		return nil, err
	}
	c.unit.Extensions[key] = e
	return e, nil
}

// check says why no data extension is made, and reads its columns. Known from tenants:
// that a folder and complete columns are wanted, and that they are refused one property at
// a time; name and key must be new. Undocumented: the words but for the form of the first.
func (o *sentObject) check(u *account.Unit) ([]table.Column, error) {
	switch {
	case text(o.Name, "") == "":
		return nil, missing("name")
	case o.CategoryID == nil:
		return nil, missing("categoryId")
	case u.Folder(*o.CategoryID) == nil:
		return nil, invalid("categoryId", "is not the id of a folder of data extensions")
	case len(text(o.Key, "")) > maxKey:
		return nil, invalid("key", "is longer than "+strconv.Itoa(maxKey)+" characters")
	case u.ExtensionByName(*o.Name) != nil:
		return nil, taken("A data extension with the name %s already exists.", *o.Name)
	case o.Key != nil && u.ExtensionByKey(*o.Key) != nil:
		return nil, taken("A data extension with the key %s already exists.", *o.Key)
	case len(o.Fields) == 0:
		return nil, missing("fields")
	}
	return readFields(o.Fields)
}

// apply changes what of a data extension a call can change: name, description, send
// relationship and retention. What it can't change, columns among it, is passed over: known
// from a tenant. When it returns an error, nothing has changed.
func (o *sentObject) apply(e *account.Extension) error {
	sendable, column, subscriber := e.Sendable, text(o.SendableCustomObjectField, e.SendableField), text(o.SendableSubscriberField, e.SubscriberField)
	if o.IsSendable != nil {
		sendable = *o.IsSendable
	}
	if err := checkSendable(e, sendable, column, subscriber); err != nil {
		return err
	}
	kept, err := o.DataRetentionProperties.read(e.Retention)
	if err != nil {
		return err
	}
	e.Retention, e.Sendable, e.SendableField, e.SubscriberField = kept, sendable, "", ""
	if sendable {
		i, _ := e.Column(column)
		e.SendableField, e.SubscriberField = e.Columns[i].Name, subscriber
	}
	e.Name = text(o.Name, e.Name)
	if o.Description != nil {
		e.Description = *o.Description
	}
	if o.IsTestable != nil {
		e.Testable = *o.IsTestable
	}
	return nil
}

// checkSendable refuses a send relationship. Undocumented: the words; a client has those
// for a blank column.
func checkSendable(e *account.Extension, sendable bool, column, subscriber string) error {
	if !sendable {
		return nil
	}
	if column == "" {
		return wire.Failuref(http.StatusBadRequest, wire.CodeMissingField, "SendableCustomObjectField cannot be blank when creating a sendable Data Extension")
	}
	if _, ok := e.Column(column); !ok {
		return invalid("sendableCustomObjectField", "is not a field of the data extension")
	}
	if !slices.Contains([]string{account.SubscriberKey, account.SubscriberID}, subscriber) {
		return invalid("sendableSubscriberField", "must be "+account.SubscriberKey+" or "+account.SubscriberID)
	}
	return nil
}

// read is the retention that is wanted; without any, that of before.
func (r *sentRetention) read(before account.Retention) (account.Retention, error) {
	if r == nil {
		return before, nil
	}
	kept := account.Retention{Period: r.Period, Rows: r.Rows, DeleteAtEnd: r.DeleteAtEnd, ResetOnImport: r.ResetOnImport}
	unit := strings.Trim(string(r.Unit), `"`)
	for name, number := range periods {
		if strings.EqualFold(unit, name) || unit == strconv.Itoa(number) {
			kept.Unit = name
		}
	}
	if r.Period < 0 || r.Period > 0 && kept.Unit == "" {
		return before, invalid("dataRetentionProperties", "needs a period and its unit: 3 for days, 4 for weeks, 5 for months, 6 for years")
	}
	if r.Until != "" {
		until, err := time.Parse("2006-01-02", r.Until[:min(len(r.Until), len("2006-01-02"))])
		if err != nil {
			return before, invalid("retainUntil", "is not a date")
		}
		kept.Until = until
	}
	return kept, nil
}

// readFields reads columns, in the order of their ordinals.
func readFields(sent []sentField) ([]table.Column, error) {
	sent = slices.Clone(sent)
	columns := make([]table.Column, len(sent))
	for i := range sent {
		if err := sent[i].check(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(sent, func(a, b sentField) int { return *a.Ordinal - *b.Ordinal })
	for i := range sent {
		columns[i] = sent[i].column()
	}
	if err := account.CheckColumns(columns); err != nil {
		return nil, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidValue, "fields: %v", err)
	}
	return columns, nil
}

// check refuses a column for the first property that is missing or wrong.
func (f *sentField) check() error {
	for _, property := range []struct {
		name string
		sent bool
	}{
		{"name", text(f.Name, "") != ""},
		{"type", text(f.Type, "") != ""},
		{"ordinal", f.Ordinal != nil && *f.Ordinal >= 0 && *f.Ordinal < 1<<20},
		{"isPrimaryKey", f.IsPrimaryKey != nil},
		{"isNullable", f.IsNullable != nil},
		{"isTemplateField", f.IsTemplateField != nil},
		{"isInheritable", f.IsInheritable != nil},
		{"isOverridable", f.IsOverridable != nil},
		{"isHidden", f.IsHidden != nil},
		{"isReadOnly", f.IsReadOnly != nil},
		{"mustOverride", f.MustOverride != nil},
	} {
		if !property.sent {
			return missing(property.name)
		}
	}
	switch {
	case !table.IsType(*f.Type):
		return invalid("type", fmt.Sprintf("%q is not supported", *f.Type))
	case *f.IsPrimaryKey && *f.IsNullable:
		return invalid("isNullable", "must be false for a primary key")
	}
	if err := f.checkLength(); err != nil {
		return err
	}
	if column := f.column(); !f.fits(&column) {
		return invalid("defaultValue", "does not fit the type")
	}
	return nil
}

// checkLength refuses a length, and the scale of a Decimal.
func (f *sentField) checkLength() error {
	most := maxText
	switch *f.Type {
	case table.TypeDecimal:
		most = maxDigits
	case table.TypeText:
	default:
		return nil
	}
	switch {
	case f.Length == nil:
		return missing("length")
	case *f.Length < 1 || *f.Length > most:
		return invalid("length", "must be from 1 to "+strconv.Itoa(most))
	case f.Scale != nil && (*f.Scale < 0 || *f.Scale > *f.Length):
		return invalid("scale", "must be from 0 to the length")
	}
	return nil
}

// fits reports whether the default is a value for the column.
func (f *sentField) fits(column *table.Column) bool {
	switch f.DefaultValue.(type) {
	case nil:
		return true
	case string, bool, float64:
		return f.DefaultValue == "" || column.CanDefault(f.DefaultValue)
	}
	return false
}

// maxDigits is how many digits a Decimal has at most.
const maxDigits = 29

// lengths are those of types that have one of their own.
var lengths = map[string]int{table.TypeEmail: 254, table.TypePhone: 50, table.TypeLocale: 5}

// column is the column, which was checked.
func (f *sentField) column() table.Column {
	column := table.Column{Name: *f.Name, Type: *f.Type, PrimaryKey: *f.IsPrimaryKey, Nullable: *f.IsNullable, Length: lengths[*f.Type]}
	switch *f.Type {
	case table.TypeText, table.TypeDecimal:
		column.Length = *f.Length
	}
	if *f.Type == table.TypeDecimal && f.Scale != nil {
		column.Scale = *f.Scale
	}
	if f.DefaultValue != "" {
		column.Default = f.DefaultValue
	}
	return column
}

// changeObject answers PATCH /data/v1/customobjects/{id} with the data extension, whatever
// of the call had an effect.
func changeObject(c *call) (wire.Answer, error) {
	e, err := c.object()
	if err != nil {
		return wire.Answer{}, err
	}
	var sent sentObject
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	if sent.Name != nil {
		if other := c.unit.ExtensionByName(*sent.Name); other != nil && other != e {
			return wire.Answer{}, taken("A data extension with the name %s already exists.", *sent.Name)
		}
	}
	if err := sent.apply(e); err != nil {
		return wire.Answer{}, err
	}
	e.Modified = c.now
	return wire.JSON(http.StatusOK, viewObject(e)), nil
}

// deleteObject answers DELETE /data/v1/customobjects/{id}.
func deleteObject(c *call) (wire.Answer, error) {
	e, err := c.object()
	if err != nil {
		return wire.Answer{}, err
	}
	c.unit.RemoveExtension(e)
	return done()
}

// clearObject answers POST /data/v1/customobjects/{id}/cleardata.
func clearObject(c *call) (wire.Answer, error) {
	e, err := c.object()
	if err != nil {
		return wire.Answer{}, err
	}
	e.Clear()
	return done()
}

// sentFields reads the columns of a call, and finds the data extension that they are for.
// Undocumented: the body; a list, or an object with fields.
func (c *call) sentFields() (*account.Extension, []sentField, error) {
	e, err := c.object()
	if err != nil {
		return nil, nil, err
	}
	var sent struct{ Fields []sentField }
	if json.Unmarshal(c.Body, &sent.Fields) == nil && sent.Fields != nil {
		return e, sent.Fields, nil
	}
	err = wire.DecodeObject(c.Body, &sent)
	if err == nil && len(sent.Fields) == 0 {
		err = missing("fields")
	}
	return e, sent.Fields, err
}

// addFields answers POST /data/v1/customobjectsasync/{id}/fields. Undocumented: the answer,
// which is that of other asynchronous calls; that a data extension with rows takes a
// required column only with a default is known of SOAP.
func addFields(c *call) (wire.Answer, error) {
	e, sent, err := c.sentFields()
	if err != nil {
		return wire.Answer{}, err
	}
	columns, err := readFields(sent)
	if err != nil {
		return wire.Answer{}, err
	}
	for _, column := range columns {
		switch _, exists := e.Column(column.Name); {
		case exists:
			return wire.Answer{}, taken("A field with the name %s already exists.", column.Name)
		case column.PrimaryKey && len(e.Rows) > 0:
			return wire.Answer{}, invalid("isPrimaryKey", "must be false for a data extension with rows")
		case !column.Nullable && column.Default == nil && len(e.Rows) > 0:
			return wire.Answer{}, invalid("defaultValue", "is required for a field that is not nullable, since the data extension has rows")
		}
	}
	due := c.now.Add(fieldsTime)
	c.unit.Later(due, func() {
		columns = slices.DeleteFunc(columns, func(column table.Column) bool { _, exists := e.Column(column.Name); return exists })
		e.SetColumns(append(slices.Clone(e.Columns), columns...), due)
	})
	return accepted()
}

// changeFields answers PATCH /data/v1/customobjectsasync/{id}/fields: columns get longer,
// nullable, or another default. Undocumented: that all else is passed over.
func changeFields(c *call) (wire.Answer, error) {
	e, sent, err := c.sentFields()
	if err != nil {
		return wire.Answer{}, err
	}
	for _, f := range sent {
		if _, exists := e.Column(text(f.Name, "")); !exists {
			return wire.Answer{}, invalid("name", fmt.Sprintf("%q is not a field of the data extension", text(f.Name, "")))
		}
	}
	due := c.now.Add(fieldsTime)
	c.unit.Later(due, func() {
		columns := slices.Clone(e.Columns)
		for _, f := range sent {
			if i, exists := e.Column(*f.Name); exists {
				f.widen(&columns[i])
			}
		}
		e.SetColumns(columns, due)
	})
	return accepted()
}

// widen changes a column as far as no value of it can become wrong.
func (f *sentField) widen(column *table.Column) {
	if f.Length != nil && column.Length > 0 && *f.Length > column.Length && *f.Length <= maxText && column.Type == table.TypeText {
		column.Length = *f.Length
	}
	if f.IsNullable != nil && *f.IsNullable && !column.PrimaryKey {
		column.Nullable = true
	}
	if f.DefaultValue != nil && f.fits(column) {
		column.Default = f.DefaultValue
	}
}

// accepted is the answer to a call that is carried out later.
func accepted() (wire.Answer, error) {
	return wire.JSON(http.StatusAccepted, map[string]any{"requestId": wire.NewGUID(), "resultMessages": []any{}}), nil
}
