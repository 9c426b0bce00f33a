package contact

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// sentOperation is the body of a call that deletes contacts, or restricts their
// processing.
type sentOperation struct {
	Values              []json.RawMessage // keys or numbers
	DeleteOperationType string
	TargetList          *struct {
		ListType struct{ ListTypeID int }
		ListKey  string
	}
	DeleteListWhenCompleted         bool
	DeleteListContentsWhenCompleted bool
}

// maxValues is the most contacts in one call. Undocumented.
const maxValues = 1_000_000

// begin answers POST …/actions/delete?type=keys, ids or listReference, and its twin that
// restricts: a job begins.
func begin(restrict bool) func(*call) (wire.Answer, error) {
	return func(c *call) (wire.Answer, error) {
		var sent sentOperation
		if err := wire.DecodeObject(c.Body, &sent); err != nil {
			return wire.Answer{}, err
		}
		if !restrict && !strings.EqualFold(sent.DeleteOperationType, "ContactAndAttributes") {
			return wire.Answer{}, invalid("DeleteOperationType", "must be ContactAndAttributes")
		}
		o := &account.Operation{MID: c.unit.MID, Restrict: restrict}
		body := map[string]any{"operationInitiated": true, "hasErrors": false}
		var err error
		switch kind := strings.ToLower(c.Query("type")); kind {
		case "keys", "ids":
			o.Keys, err = c.named(sent.Values, kind == "ids")
		case "listreference":
			var e *account.Extension
			if e, err = c.target(&sent); err == nil {
				o.List, o.Keys = e.Key, c.listed(e)
				o.After = c.afterwards(e, &sent)
				body["targetListInformation"] = viewList(e)
			}
		default:
			err = invalid("type", "must be keys, ids or listReference")
		}
		if err != nil {
			return wire.Answer{}, err
		}
		c.account.Begin(o, c.now)
		body["operationID"] = o.ID
		return c.answer(body)
	}
}

// named are the keys of the contacts that a call names. A number that no contact has
// becomes "", which no contact's key is.
func (c *call) named(values []json.RawMessage, byID bool) ([]string, error) {
	if len(values) == 0 {
		return nil, missing("values")
	}
	if len(values) > maxValues {
		return nil, invalid("values", "has too many contacts")
	}
	known := c.keysByID()
	keys := make([]string, len(values))
	for i, raw := range values {
		text := strings.Trim(string(raw), `"`)
		if !byID && json.Unmarshal(raw, &text) != nil {
			return nil, invalid("values", "must be contact keys")
		}
		if _, err := strconv.ParseInt(text, 10, 64); byID && err != nil {
			return nil, invalid("values", "must be contact ids")
		}
		if keys[i] = text; byID {
			keys[i] = known[text]
		}
	}
	return keys, nil
}

// keysByID are the keys of all contacts by their numbers.
func (c *call) keysByID() map[string]string {
	return c.keysBy(func(contact *account.Contact) string { return strconv.FormatInt(contact.ID, 10) })
}

// keysBy are the keys of all contacts by something else of theirs; where some share it,
// one of them.
func (c *call) keysBy(name func(*account.Contact) string) map[string]string {
	keys := make(map[string]string, len(c.account.Contacts))
	for key, contact := range c.account.Contacts {
		keys[name(contact)] = key
	}
	return keys
}

// dataExtensionList is the only type of a list that names contacts, as documented.
const dataExtensionList = 3

// target is the data extension that a call names.
func (c *call) target(sent *sentOperation) (*account.Extension, error) {
	switch {
	case sent.TargetList == nil || sent.TargetList.ListKey == "":
		return nil, missing("targetList.listKey")
	case sent.TargetList.ListType.ListTypeID != dataExtensionList:
		return nil, invalid("targetList.listType.listTypeID", "must be 3")
	}
	e := c.unit.ExtensionByKey(sent.TargetList.ListKey)
	if e == nil || !e.Sendable {
		return nil, invalid("targetList.listKey", "is not the key of a sendable data extension")
	}
	return e, nil
}

// listed are the keys of the contacts in a sendable data extension.
func (c *call) listed(e *account.Extension) []string {
	column, _ := e.Column(e.SendableField)
	var known map[string]string // nil: the column has the keys
	switch e.SubscriberField {
	case account.SubscriberID:
		known = c.keysByID()
	case account.SubscriberEmail:
		known = c.keysBy(func(contact *account.Contact) string { return contact.Email })
	}
	keys := make([]string, len(e.Rows))
	for i, row := range e.Rows {
		keys[i] = row.Cell(column).Text
		if known != nil {
			keys[i] = known[keys[i]]
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(keys)))
}

// afterwards is what becomes of a list when its contacts are gone.
func (c *call) afterwards(e *account.Extension, sent *sentOperation) func() {
	u := c.unit
	switch {
	case sent.DeleteListWhenCompleted:
		return func() { u.RemoveExtension(e) }
	case sent.DeleteListContentsWhenCompleted:
		return e.Clear
	}
	return nil
}

func viewList(e *account.Extension) any {
	return map[string]any{
		"listName": map[string]any{"value": e.Name}, "listItemType": "ContactReference",
		"operationSupport": map[string]any{"canDeleteList": true, "canDeleteListContents": true},
		"listType":         map[string]any{"listTypeID": dataExtensionList, "listTypeKey": "DataExtension"},
		"listIdentifier":   e.ID, "listKey": e.Key,
	}
}

// The states of an operation, with their numbers.
const (
	processing = "Processing" // 1
	completed  = "Completed"  // 5
	void       = "Invalid"    // 7
)

var statusIDs = map[string]string{"1": processing, "5": completed, "7": void}

// state is where an operation stands. Undocumented: one is invalid if none of its contacts
// exists.
func state(o *account.Operation) string {
	switch {
	case !o.Done:
		return processing
	case o.Found == 0:
		return void
	}
	return completed
}

// operation finds an operation by the number in a text.
func (c *call) operation(text string, restrict bool) (*account.Operation, error) {
	for _, o := range c.account.Operations {
		if strconv.FormatInt(o.ID, 10) == text && o.Restrict == restrict {
			return o, nil
		}
	}
	if text == "" {
		return nil, missing("operationID")
	}
	return nil, wire.Failure(http.StatusNotFound, wire.CodeNotFound)
}

// status answers GET …/actions/delete/status?operationID=N, and its twin. As documented, the
// operation's own status is that of the phase before: only the last value of the background
// operation says that contacts are gone.
func status(restrict bool) func(*call) (wire.Answer, error) {
	return func(c *call) (wire.Answer, error) {
		o, err := c.operation(c.Query("operationID"), restrict)
		if err != nil {
			return wire.Answer{}, err
		}
		background, days := []any{}, -1
		if !restrict {
			days = c.account.RestorableDays
			background = append(background, map[string]any{
				"backgroundOperationID": o.ID, "createdDate": table.ServerTime(o.Began), "backgroundOperationStatusID": state(o),
			})
		}
		return c.answer(map[string]any{
			"operationMappings": []any{}, "backgroundOperationsSummary": background, "numberofRestorableDays": days, "operation": viewOperation(o),
		})
	}
}

// viewOperation is an operation as the vendor's samples have it.
func viewOperation(o *account.Operation) map[string]any {
	first := completed
	if o.Restrict {
		first = state(o) // it has no second phase
	}
	list, listType := o.List, dataExtensionList
	if list == "" {
		list, listType = o.Request, 5
	}
	mid, _ := strconv.Atoi(o.MID)
	return map[string]any{
		"contextType": 0, "isRestrictedForProcessing": o.Restrict, "listTypeID": listType, "listIdentifier": list, "listKey": list,
		"expectedListCount": len(o.Keys), "actualListCount": o.Found, "deleteType": "ContactAndAttributes", "deleteListOnCompleted": false,
		"errorsOccurredInBatchProcess": false, "lastProcessedMilestone": first, "operationID": o.ID, "operationRequestID": o.Request, "requestID": o.Request,
		"eID": account.Enterprise, "mID": mid, "employeeID": account.UserID, "status": first, "retryCount": o.Retries,
		"scheduledDate": table.ServerTime(o.Began), "startDate": table.ServerTime(o.Began), "endDate": table.ServerTime(o.Began),
		"createdDate": table.ServerTime(o.Began), "createdBy": account.UserID, "modifiedDate": table.ServerTime(o.Began), "modifiedBy": account.UserID,
	}
}

// configure answers POST …/actions/delete/configSettings, which knows one setting: -1 means 0
// days.
func configure(c *call) (wire.Answer, error) {
	var sent struct {
		Items []struct{ SettingKey, Value string }
	}
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	if len(sent.Items) == 0 {
		return wire.Answer{}, missing("items")
	}
	days := 0
	for _, item := range sent.Items {
		var err error
		if days, err = strconv.Atoi(item.Value); item.SettingKey != "SuppressionRestoreUntilDays" || err != nil || days < -1 {
			return wire.Answer{}, invalid("items", "must be SuppressionRestoreUntilDays with a number of days")
		}
	}
	c.account.RestorableDays = max(days, 0)
	return c.answer(map[string]any{"rowsEffected": len(sent.Items)})
}

// deleteRequests answers GET …/analytics/deleterequests: the deletions that were asked for
// within a time, newest first.
func deleteRequests(c *call) (wire.Answer, error) {
	from, fromErr := readTime(c.Query("startdateutc"))
	to, toErr := readTime(c.Query("enddateutc"))
	number, size := c.positive("page", 1), c.positive("pagesize", 20)
	wanted, named := statusIDs[c.Query("statusid")]
	switch {
	case fromErr != nil:
		return wire.Answer{}, invalid("startdateutc", "must be a time")
	case toErr != nil:
		return wire.Answer{}, invalid("enddateutc", "must be a time")
	case number == 0 || size == 0:
		return wire.Answer{}, invalid("$page", "and $pagesize must be 1 or more")
	}
	list := []any{}
	for _, o := range slices.Backward(c.account.Operations) {
		if o.Restrict || o.Began.Before(from) || o.Began.After(to) || named && state(o) != wanted {
			continue
		}
		method, last := "Contact Key/ID", o.Began
		if o.List != "" {
			method = "List"
		}
		if o.Done {
			last = o.Due
		}
		list = append(list, map[string]any{
			"operationId": o.ID, "totalContactCount": len(o.Keys), "completedContactCount": o.Found, "receivedDateUtc": utc(o.Began),
			"status": state(o), "lastStatusDateUtc": utc(last), "deleteMethod": method,
		})
	}
	return c.answer(map[string]any{
		"startDateUtc": utc(from), "endDateUtc": utc(to), "statusAsOfDateUtc": utc(c.now) + "Z", "pageNumber": number, "pageSize": size,
		"operations": wire.Part(list, number, size),
	})
}

// deleteOperations answers GET …/deleteOperations. Undocumented: the frame.
func deleteOperations(c *call) (wire.Answer, error) {
	number, size := c.positive("page", 1), c.positive("pagesize", 50)
	if number == 0 || size == 0 {
		return wire.Answer{}, invalid("$page", "and $pageSize must be 1 or more")
	}
	list := []any{}
	for _, o := range slices.Backward(c.account.Operations) {
		if !o.Restrict {
			list = append(list, viewOperation(o))
		}
	}
	return c.answer(map[string]any{"count": len(list), "page": number, "pageSize": size, "items": wire.Part(list, number, size)})
}

// retry answers POST /contacts/v1/operations/delete/{operationId}/retry, and its twin: the
// same contacts once more, as a new operation. Undocumented: that one which is on its way is
// refused.
func retry(restrict bool) func(*call) (wire.Answer, error) {
	return func(c *call) (wire.Answer, error) {
		o, err := c.operation(c.Param("operationId"), restrict)
		if err != nil {
			return wire.Answer{}, err
		}
		if !o.Done {
			return wire.Answer{}, wire.Failuref(http.StatusConflict, wire.CodeInvalidTransition, "The operation is being processed.")
		}
		again := &account.Operation{MID: o.MID, List: o.List, Restrict: restrict, Keys: o.Keys, Retries: o.Retries + 1}
		c.account.Begin(again, c.now)
		return c.answer(map[string]any{"operationInitiated": true, "operationID": again.ID, "hasErrors": false})
	}
}

// positive is a parameter that is a number from 1 up; 0 when it is something else.
func (c *call) positive(name string, otherwise int) int {
	text := c.Query(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// readTime reads a time in UTC, with a Z or without.
func readTime(text string) (time.Time, error) {
	return time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(text, "Z"))
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999") }
