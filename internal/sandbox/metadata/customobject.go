package metadata

import (
	"crypto/sha256"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// The scopes of data extensions.
const (
	readExtensions  = "data_extensions_read"
	writeExtensions = "data_extensions_write"
)

// customObjectRoutes are the routes of data extensions. Vendor page mc-custom_objects.
func customObjectRoutes() []operation {
	return []operation{
		{"GET", "/data/v1/customobjects", readExtensions, searchObjects},
		{"POST", "/data/v1/customobjects", writeExtensions, createObject},
		{"GET", "/data/v1/customobjects/category/{categoryId}", readExtensions, listCategory},
		{"GET", "/data/v1/customobjects/{id}", readExtensions, getObject},
		{"PATCH", "/data/v1/customobjects/{id}", writeExtensions, changeObject},
		{"DELETE", "/data/v1/customobjects/{id}", writeExtensions, deleteObject},
		{"GET", "/data/v1/customobjects/{id}/fields", readExtensions, listFields},
		{"POST", "/data/v1/customobjects/{id}/cleardata", writeExtensions, clearObject},
		{"POST", "/data/v1/customobjectsasync/{id}/fields", writeExtensions, addFields},
		{"PATCH", "/data/v1/customobjectsasync/{id}/fields", writeExtensions, changeFields},
	}
}

// objectsPage is how many data extensions are on a page, whatever is asked for. Known
// from a tenant.
const objectsPage = 25

// searchObjects answers GET /data/v1/customObjects. Known from a tenant: $search must be
// there, also with a category; it looks through name, key and description; a data extension
// that was made a moment ago is not found. Clients search for _ to find all, so it is taken as
// SQL's LIKE takes it. Undocumented: the order, which is that of the keys.
func searchObjects(c *call) (wire.Answer, error) {
	search := c.Query("search")
	if search == "" {
		return wire.Answer{}, missing("$search")
	}
	category, err := c.category(c.Query("categoryId"))
	if err != nil {
		return wire.Answer{}, err
	}
	fits := like(search)
	var found []*account.Extension
	for _, e := range c.unit.AllExtensions() {
		in := category == 0 || e.Category == category
		if in && !c.now.Before(e.Indexed) && (fits(e.Name) || fits(e.Key) || fits(e.Description)) {
			found = append(found, e)
		}
	}
	return paged(c, found, objectsPage, viewObject)
}

// like is SQL's LIKE with the pattern anywhere in the text, in any case.
func like(pattern string) func(string) bool {
	pattern = strings.NewReplacer("_", ".", "%", ".*").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("(?is)" + pattern).MatchString // quoted, it is a good one
}

// category reads the id of a folder; "" is 0.
func (c *call) category(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "Parameter {categoryId} is invalid.")
	}
	return id, nil
}

// listCategory answers GET /data/v1/customobjects/category/{categoryId}. Undocumented: that
// a folder which there is not is empty, and that new data extensions are there at once.
func listCategory(c *call) (wire.Answer, error) {
	category, err := c.category(c.Param("categoryId"))
	if err != nil {
		return wire.Answer{}, err
	}
	var found []*account.Extension
	for _, e := range c.unit.AllExtensions() {
		if e.Category == category {
			found = append(found, e)
		}
	}
	return paged(c, found, objectsPage, viewObject)
}

// object is the data extension that a path names, by its GUID alone.
func (c *call) object() (*account.Extension, error) {
	id := c.Param("id")
	if !wire.IsGUID(id) {
		return nil, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "Parameter {id} is invalid.")
	}
	e := c.unit.ExtensionByID(id)
	if e == nil {
		return nil, wire.Failure(http.StatusNotFound, wire.CodeNotFound)
	}
	return e, nil
}

// getObject answers GET /data/v1/customobjects/{id}.
func getObject(c *call) (wire.Answer, error) {
	e, err := c.object()
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, viewObject(e)), nil
}

// retention is that of a data extension in an answer.
type retention struct {
	Period        int    `json:"dataRetentionPeriodLength,omitempty"`
	Unit          int    `json:"dataRetentionPeriodUnitOfMeasure,omitempty"`
	DeleteAtEnd   bool   `json:"isDeleteAtEndOfRetentionPeriod"`
	Rows          bool   `json:"isRowBasedRetention"`
	ResetOnImport bool   `json:"isResetRetentionPeriodOnImport"`
	Until         string `json:"retainUntil,omitempty"`
}

// userName is the user's behind the packages.
const userName = "sandbox-api-user"

// periods are the vendor's numbers for units of time.
var periods = map[string]int{"Days": 3, "Weeks": 4, "Months": 5, "Years": 6}

// viewObject is a data extension as recorded answers have it. The count of rows is known
// to be approximate; undocumented is how far it is off: here it has one digit that counts.
func viewObject(e *account.Extension) any {
	r := retention{e.Retention.Period, periods[e.Retention.Unit], e.Retention.DeleteAtEnd, e.Retention.Rows, e.Retention.ResetOnImport, ""}
	if !e.Retention.Until.IsZero() {
		r.Until = shown(e.Retention.Until)
	}
	v := map[string]any{
		"id": e.ID, "name": e.Name, "key": e.Key, "description": e.Description, "isActive": true,
		"isSendable": e.Sendable, "isTestable": e.Testable, "categoryId": e.Category, "ownerId": account.UserID,
		"isObjectDeletable": true, "isFieldAdditionAllowed": true, "isFieldModificationAllowed": true,
		"createdDate": shown(e.Created), "createdById": account.UserID, "createdByName": userName,
		"modifiedDate": shown(e.Modified), "modifiedById": account.UserID, "modifiedByName": userName, "ownerName": userName,
		"partnerApiObjectTypeId": 310, "partnerApiObjectTypeName": "DataExtension",
		"rowCount": rough(len(e.Rows)), "fieldCount": len(e.Columns), "dataRetentionProperties": r,
	}
	if e.Sendable {
		v["sendableCustomObjectField"], v["sendableSubscriberField"] = e.SendableField, e.SubscriberField
	}
	return v
}

// rough is a number of which only the first digit counts.
func rough(n int) int {
	unit := 1
	for n/unit >= 10 {
		unit *= 10
	}
	return n / unit * unit
}

// field is a column in an answer.
type field struct {
	Name            string `json:"name"`
	ID              string `json:"id"`
	Type            string `json:"type"`
	Length          int    `json:"length,omitempty"`
	Scale           *int   `json:"scale,omitempty"` // of a Decimal
	MaskType        string `json:"maskType"`
	StorageType     string `json:"storageType"`
	Description     string `json:"description"`
	Ordinal         int    `json:"ordinal"`
	IsNullable      bool   `json:"isNullable"`
	IsPrimaryKey    bool   `json:"isPrimaryKey"`
	IsTemplateField bool   `json:"isTemplateField"`
	IsInheritable   bool   `json:"isInheritable"`
	IsOverridable   bool   `json:"isOverridable"`
	IsHidden        bool   `json:"isHidden"`
	IsReadOnly      bool   `json:"isReadOnly"`
	MustOverride    bool   `json:"mustOverride"`
	DefaultValue    string `json:"defaultValue,omitempty"`
}

// listFields answers GET /data/v1/customobjects/{id}/fields.
func listFields(c *call) (wire.Answer, error) {
	e, err := c.object()
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, map[string]any{"id": e.ID, "fields": viewFields(e), "fieldCount": len(e.Columns)}), nil
}

// viewFields are the columns. Those flags that the sandbox has no use for are as they are
// in the vendor's own samples.
func viewFields(e *account.Extension) []field {
	list := make([]field, len(e.Columns))
	for i, column := range e.Columns {
		list[i] = field{
			Name: column.Name, ID: fieldID(e, column.Name), Type: column.Type, Length: column.Length,
			MaskType: "None", StorageType: "Plain", Ordinal: i,
			IsNullable: column.Nullable, IsPrimaryKey: column.PrimaryKey, IsInheritable: true, IsOverridable: true,
			DefaultValue: table.ValueOf(column.Default).Text,
		}
		if column.Type == table.TypeDecimal {
			list[i].Scale = &column.Scale
		}
	}
	return list
}

// fieldID is a GUID that a column has as long as its name stays.
func fieldID(e *account.Extension, name string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(e.ID + " " + name)))
	return wire.GUID(sum[:16]).Other().String()
}
