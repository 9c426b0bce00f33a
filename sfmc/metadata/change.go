package metadata

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// restField is a column as REST wants it: complete, or it is refused one member at a
// time. The flags have no documentation; they are those that clients in production send.
type restField struct {
	Name          string `json:"name"`
	Type          string `json:"type"`
	Length        int    `json:"length,omitempty"`
	Scale         *int   `json:"scale,omitempty"`
	Ordinal       int    `json:"ordinal"`
	PrimaryKey    bool   `json:"isPrimaryKey"`
	Nullable      bool   `json:"isNullable"`
	Default       string `json:"defaultValue,omitempty"`
	MaskType      string `json:"maskType"`
	StorageType   string `json:"storageType"`
	TemplateField bool   `json:"isTemplateField"`
	Inheritable   bool   `json:"isInheritable"`
	Overridable   bool   `json:"isOverridable"`
	Hidden        bool   `json:"isHidden"`
	ReadOnly      bool   `json:"isReadOnly"`
	MustOverride  bool   `json:"mustOverride"`
}

func newRestField(f Field, ordinal int) restField {
	r := restField{
		Name: f.Name, Type: f.Type, Ordinal: ordinal, PrimaryKey: f.PrimaryKey, Nullable: !f.Required, Default: f.Default,
		MaskType: "None", StorageType: "Plain", Inheritable: true, Overridable: true,
	}
	if f.hasLength() {
		r.Length = f.Length
	}
	if f.Type == Decimal {
		r.Scale = &f.Scale
	}
	return r
}

func (f Field) hasLength() bool {
	return f.Type == Text || f.Type == EmailAddress || f.Type == Decimal
}

// restRetention is a retention as REST wants it.
type restRetention struct {
	Rows          bool   `json:"isRowBasedRetention"`
	Period        int    `json:"dataRetentionPeriodLength,omitempty"`
	Unit          int    `json:"dataRetentionPeriodUnitOfMeasure,omitempty"`
	DeleteAtEnd   bool   `json:"isDeleteAtEndOfRetentionPeriod"`
	ResetOnImport bool   `json:"isResetRetentionPeriodOnImport"`
	Until         string `json:"retainUntil,omitempty"`
}

func newRestRetention(r Retention) restRetention {
	made := restRetention{Rows: r.Rows, Period: r.Period, DeleteAtEnd: r.DeleteAtEnd, ResetOnImport: r.ResetOnImport}
	if r.Period > 0 {
		made.Unit = firstUnit + slices.Index(units, r.Unit)
	} else if !r.Until.IsZero() {
		made.Until = r.Until.Format(time.DateOnly)
	}
	return made
}

// restDataExtension is a data extension as REST wants it.
type restDataExtension struct {
	Name            string        `json:"name"`
	Key             string        `json:"key"`
	Description     string        `json:"description"`
	CategoryID      int64         `json:"categoryId"`
	Sendable        bool          `json:"isSendable"`
	Testable        bool          `json:"isTestable"`
	SendableField   string        `json:"sendableCustomObjectField,omitempty"`
	SubscriberField string        `json:"sendableSubscriberField,omitempty"`
	Retention       restRetention `json:"dataRetentionProperties"`
	Fields          []restField   `json:"fields"`
}

// CreateDataExtension creates a data extension with its columns, which are placed in the
// order of Fields: POST /data/v1/customobjects. It returns its id, of which it is best to make a note:
// searches find a new data extension only seconds later.
//
// A name, a key, a CategoryID and columns are needed; columns of the primary key must
// be Required, and a sendable one needs both fields of its send relationship. ID
// and Ordinal are not sent. A name or key that is taken is an [*sfmc.Error] with Status 409.
func (c *Client) CreateDataExtension(ctx context.Context, d DataExtension) (id string, err error) {
	if why := d.wrong(); why != "" {
		return "", invalid(OpCreateDataExtension, why)
	}
	body := restDataExtension{
		Name: d.Name, Key: d.Key, Description: d.Description, CategoryID: d.CategoryID, Sendable: d.Sendable, Retention: newRestRetention(d.Retention),
	}
	if d.Sendable {
		body.SendableField, body.SubscriberField = d.SendableField, d.SubscriberField
	}
	for i, f := range d.Fields {
		body.Fields = append(body.Fields, newRestField(f, i))
	}
	var a struct {
		ID string `json:"id"`
	}
	if err := c.post(ctx, OpCreateDataExtension, "/data/v1/customobjects", body, &a); err != nil {
		return "", err
	}
	if a.ID == "" {
		return "", unfit(OpCreateDataExtension, "no id")
	}
	return a.ID, nil
}

// wrong says what would be refused; empty if nothing is.
func (d DataExtension) wrong() string {
	switch {
	case strings.TrimSpace(d.Name) == "" || strings.TrimSpace(d.Key) == "":
		return "no name or no key"
	case d.CategoryID <= 0:
		return "no folder"
	case len(d.Fields) == 0:
		return "no columns"
	case d.Sendable && (d.SendableField == "" || d.SubscriberField == ""):
		return "no send relationship"
	case d.Retention.Period > 0 && !slices.Contains(units, d.Retention.Unit):
		return fmt.Sprintf("unit %.80q of the retention", d.Retention.Unit)
	}
	return wrongFields(d.Fields)
}

var types = []string{Text, EmailAddress, Boolean, Date, Number, Decimal, Phone, Locale}

// wrongFields says what would be refused of columns.
func wrongFields(fields []Field) string {
	for _, f := range fields {
		switch {
		case strings.TrimSpace(f.Name) == "":
			return "a column has no name"
		case !slices.Contains(types, f.Type):
			return fmt.Sprintf("column %.200s: no such type: %.80q", f.Name, f.Type)
		case f.PrimaryKey && !f.Required:
			return fmt.Sprintf("column %.200s of the primary key is not required", f.Name)
		case f.Length < 0 || f.Scale < 0:
			return fmt.Sprintf("column %.200s has a negative length or scale", f.Name)
		}
	}
	return ""
}

// soapExtension is a data extension in an Update: its columns are all that is changed.
type soapExtension struct {
	Type        string `xml:"xsi:type,attr"`
	CustomerKey string
	Fields      []soapField `xml:"Fields>Field"`
}

// soapField is a column to add or, with an ObjectID, to change.
type soapField struct {
	ObjectID     string `xml:",omitempty"`
	Name         string
	FieldType    string `xml:",omitempty"`
	MaxLength    int    `xml:",omitempty"`
	Scale        *int   `xml:",omitempty"`
	IsPrimaryKey bool
	IsRequired   bool
	DefaultValue string `xml:",omitempty"`
}

// AddFields adds columns to a data extension: SOAP's Update of DataExtension, since REST
// answers 200 and adds nothing. Once there are rows, a column that is Required needs a
// Default. Ordinal is not sent: they come last. A column that exists already is refused
// by Marketing Cloud, or changed as [Client.LengthenField] does; read the columns first.
func (c *Client) AddFields(ctx context.Context, key string, fields []Field) error {
	why := wrongFields(fields)
	switch {
	case strings.TrimSpace(key) == "":
		why = "empty key"
	case len(fields) == 0:
		why = "no columns"
	}
	if why != "" {
		return invalid(OpAddFields, why)
	}
	object := soapExtension{Type: "DataExtension", CustomerKey: key}
	for _, f := range fields {
		added := soapField{Name: f.Name, FieldType: f.Type, IsPrimaryKey: f.PrimaryKey, IsRequired: f.Required, DefaultValue: f.Default}
		if f.hasLength() {
			added.MaxLength = f.Length
		}
		if f.Type == Decimal {
			added.Scale = &f.Scale
		}
		object.Fields = append(object.Fields, added)
	}
	_, err := c.change(ctx, OpAddFields, "Update", object)
	return err
}

// LengthenField makes a column as long as f says: SOAP's Update of DataExtension. Only
// Name and Length of f are used. The names of columns are compared as Marketing Cloud
// does, in any case of letters. A column that is as long or longer stays as it is, and
// nothing is sent but the reading of it. A column that does not exist is [ErrNotFound].
func (c *Client) LengthenField(ctx context.Context, key string, f Field) error {
	if strings.TrimSpace(key) == "" || strings.TrimSpace(f.Name) == "" {
		return invalid(OpLengthenField, "empty key or name")
	}
	fields, err := c.fields(ctx, key)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(fields, func(g field) bool { return strings.EqualFold(g.Name, f.Name) })
	if at < 0 {
		return fmt.Errorf("%s: column %.200q of data extension %.200q: %w", OpLengthenField, f.Name, key, ErrNotFound)
	}
	is := fields[at]
	switch {
	case is.Length >= f.Length:
		return nil
	case !is.hasLength():
		return invalid(OpLengthenField, fmt.Sprintf("column %.200s of type %s has no length", is.Name, is.Type))
	}
	// without its type, which Marketing Cloud refuses in a change
	longer := soapField{ObjectID: is.id, Name: is.Name, MaxLength: f.Length, IsPrimaryKey: is.PrimaryKey, IsRequired: is.Required, DefaultValue: is.Default}
	if is.Type == Decimal {
		longer.Scale = &is.Scale
	}
	_, err = c.change(ctx, OpLengthenField, "Update", soapExtension{Type: "DataExtension", CustomerKey: key, Fields: []soapField{longer}})
	return err
}
