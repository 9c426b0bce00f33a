package metadata

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DataExtension is a data extension with its columns.
type DataExtension struct {
	ID          string // Marketing Cloud's own, a GUID
	Key         string // the external key, by which rows are sent
	Name        string
	Description string
	CategoryID  int64 // of its folder
	Sendable    bool  // whether mail can be sent to its rows
	// SendableField is the column of the send relationship, and SubscriberField what
	// it is compared with: "_SubscriberKey" or "_EmailAddress". Empty if not sendable.
	SendableField, SubscriberField string
	Retention                      Retention
	Fields                         []Field // by Ordinal
}

// Retention is when Marketing Cloud deletes rows by itself. The zero value means never.
type Retention struct {
	Rows          bool   // each row by its own age, and not all at once
	Period        int    // after how many of Unit; 0: at Until, if that is set
	Unit          string // "Days", "Weeks", "Months" or "Years"; empty without a Period
	DeleteAtEnd   bool   // the data extension goes, too
	ResetOnImport bool   // an import starts the period again
	Until         time.Time
}

// The types of columns.
const (
	Text         = "Text"
	EmailAddress = "EmailAddress"
	Boolean      = "Boolean"
	Date         = "Date"
	Number       = "Number"
	Decimal      = "Decimal"
	Phone        = "Phone"
	Locale       = "Locale"
)

// Field is a column of a data extension.
type Field struct {
	Name string
	Type string // Text, EmailAddress, …
	// Length is that of a text in characters, or the number of all digits of a Decimal. 0
	// where the type has none.
	Length     int
	Scale      int // digits after the point, of a Decimal
	PrimaryKey bool
	Required   bool   // a row must have a value, unless there is a Default
	Default    string // for rows without a value; empty: none
	Ordinal    int    // its place, from 0
}

// Summary is a data extension without its columns.
type Summary struct {
	ID, Key, Name string
	CategoryID    int64
	Sendable      bool
}

// ofDataExtension are the properties of a data extension that are asked for. There is
// no way to ask for all.
var ofDataExtension = []string{
	"ObjectID", "CustomerKey", "Name", "Description", "CategoryID", "IsSendable", "SendableDataExtensionField.Name", "SendableSubscriberField.Name",
	"RowBasedRetention", "DataRetentionPeriodLength", "DataRetentionPeriodUnitOfMeasure", "DeleteAtEndOfRetentionPeriod", "ResetRetentionPeriodOnImport", "RetainUntil",
}

// DataExtension reads a data extension and its columns by its key, side by side. What was
// created or changed a moment ago is found. It is SOAP's Retrieve of DataExtension
// and DataExtensionField. If there is none with the key, errors.Is(err, [ErrNotFound]).
func (c *Client) DataExtension(ctx context.Context, key string) (*DataExtension, error) {
	if strings.TrimSpace(key) == "" {
		return nil, invalid(OpDataExtension, "empty key")
	}
	var fields []field
	var failed error
	var both sync.WaitGroup
	both.Go(func() { fields, failed = c.fields(ctx, key) })
	found, err := c.find(ctx, "CustomerKey", key)
	both.Wait()
	if err := cmp.Or(err, failed); err != nil {
		return nil, err
	}
	return found.with(fields), nil
}

// DataExtensionByID reads a data extension by its id, which event definitions name. Apart
// from that it is as [Client.DataExtension].
func (c *Client) DataExtensionByID(ctx context.Context, id string) (*DataExtension, error) {
	if strings.TrimSpace(id) == "" {
		return nil, invalid(OpDataExtension, "empty id")
	}
	found, err := c.find(ctx, "ObjectID", id)
	if err != nil {
		return nil, err
	}
	fields, err := c.fields(ctx, found.Key)
	if err != nil {
		return nil, err
	}
	return found.with(fields), nil
}

// DataExtensions lists all data extensions of the business unit, by key, such as to
// find the one that somebody meant. They come 2,500 at a time.
func (c *Client) DataExtensions(ctx context.Context) ([]Summary, error) {
	found, err := c.retrieve(ctx, OpDataExtensions, query{ObjectType: "DataExtension", Properties: []string{"ObjectID", "CustomerKey", "Name", "CategoryID", "IsSendable"}})
	if err != nil {
		return nil, err
	}
	all := make([]Summary, len(found))
	for i, r := range found {
		all[i] = Summary{ID: r.ObjectID, Key: r.CustomerKey, Name: r.Name, CategoryID: int64(r.CategoryID), Sendable: isTrue(r.IsSendable)}
	}
	slices.SortStableFunc(all, func(a, b Summary) int { return cmp.Compare(a.Key, b.Key) })
	return all, nil
}

// find reads a data extension without its columns.
func (c *Client) find(ctx context.Context, property, value string) (*DataExtension, error) {
	found, err := c.retrieve(ctx, OpDataExtension, query{ObjectType: "DataExtension", Properties: ofDataExtension, Filter: equals(property, value)})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: data extension %q: %w", OpDataExtension, value, ErrNotFound)
	}
	r := found[0]
	return &DataExtension{
		ID: r.ObjectID, Key: r.CustomerKey, Name: r.Name, Description: r.Description, CategoryID: int64(r.CategoryID), Sendable: isTrue(r.IsSendable),
		SendableField: r.SendableDataExtensionField.Name, SubscriberField: subscriberField(r.SendableSubscriberField.Name), Retention: r.retention(),
	}, nil
}

// subscriberField is the name of what a send relationship compares with as it is read. SOAP wants
// another one when it is written.
func subscriberField(name string) string {
	switch name {
	case "Subscriber Key":
		return "_SubscriberKey"
	case "Email Address":
		return "_EmailAddress"
	}
	return name
}

// The units of a retention period, and their names in SOAP (RecurrenceTypeEnum). The
// number of the first one is firstUnit.
var (
	units     = []string{"Days", "Weeks", "Months", "Years"}
	soapUnits = []string{"Daily", "Weekly", "Monthly", "Yearly"}
)

const firstUnit = 3

// unit reads a unit, a number or a name; one that is not known is given as it came.
func unit(s string) string {
	n, err := strconv.Atoi(s)
	if err != nil {
		n = firstUnit + slices.Index(soapUnits, s)
	}
	if n -= firstUnit; n >= 0 && n < len(units) {
		return units[n]
	}
	return s
}

func (r *result) retention() Retention {
	kept := Retention{
		Rows: isTrue(r.RowBasedRetention), Period: int(r.DataRetentionPeriodLength), DeleteAtEnd: isTrue(r.DeleteAtEndOfRetentionPeriod),
		ResetOnImport: isTrue(r.ResetRetentionPeriodOnImport), Until: moment(r.RetainUntil),
	}
	if kept.Period > 0 {
		kept.Unit = unit(r.DataRetentionPeriodUnitOfMeasure)
	}
	return kept
}

// field is a column with its id.
type field struct {
	id string
	Field
}

// fields reads the columns of a data extension; none if it does not exist.
func (c *Client) fields(ctx context.Context, key string) ([]field, error) {
	found, err := c.retrieve(ctx, OpFields, query{
		ObjectType: "DataExtensionField",
		Properties: []string{"ObjectID", "Name", "FieldType", "MaxLength", "Scale", "IsPrimaryKey", "IsRequired", "DefaultValue", "Ordinal"},
		Filter:     equals("DataExtension.CustomerKey", key),
	})
	if err != nil {
		return nil, err
	}
	all := make([]field, len(found))
	for i, r := range found {
		all[i] = field{r.ObjectID, Field{
			Name: r.Name, Type: r.FieldType, Length: int(r.MaxLength), Scale: int(r.Scale),
			PrimaryKey: isTrue(r.IsPrimaryKey), Required: isTrue(r.IsRequired), Default: r.DefaultValue, Ordinal: int(r.Ordinal),
		}}
	}
	slices.SortStableFunc(all, func(a, b field) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
	return all, nil
}

func (d *DataExtension) with(fields []field) *DataExtension {
	for i := range fields {
		d.Fields = append(d.Fields, fields[i].Field)
	}
	return d
}

func isTrue(s string) bool { return strings.EqualFold(s, "true") }

// moment reads a time in the server's time as SOAP writes it, or in the form of XML; zero if it is
// neither. It is only as exact as a day.
func moment(s string) time.Time {
	for _, layout := range []string{"1/2/2006 3:04:05 PM", time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at
		}
	}
	return time.Time{}
}
