package sfmc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// maxContacts is how many contacts are named in one call here. The vendor's pages give no
// limit for keys in the body.
const maxContacts = 1000

// ContactOperation is how far the deletion of contacts, or the restriction of their
// processing, has come.
type ContactOperation struct {
	// ID is the operation's number.
	ID int64
	// Status is the last that Marketing Cloud says of it: "Processing", "Completed", "Aborted"
	// or "Invalid", which an operation also is if none of its contacts exists.
	Status string
	// RestorableDays is for how many days contacts can still be restored; −1: unknown.
	RestorableDays int
}

// Completed reports whether the operation is at its end and has done what it was to do.
func (o ContactOperation) Completed() bool { return strings.EqualFold(o.Status, "Completed") }

// Ended reports whether nothing more will happen by itself: it is Completed, Aborted or
// Invalid.
func (o ContactOperation) Ended() bool {
	return o.Completed() || strings.EqualFold(o.Status, "Aborted") || strings.EqualFold(o.Status, "Invalid")
}

// DeleteContacts begins to delete the contacts with the given contact keys, with their
// attributes: POST /contacts/v1/contacts/actions/delete?type=keys (vendor page "Delete
// Contacts"). It concerns all business units of the enterprise, takes hours at times, and
// can't be undone once the days of restoring are over. Rows of data extensions that are not
// sendable stay: see [Client.DeleteRows]. It needs the scope list_and_subscribers_write, and
// Contact Builder's permission to delete contacts.
//
// It returns the number of the operation, for [Client.FindDeletion]. That it has begun says
// nothing of its end. Marketing Cloud works on one deletion at a time. No keys, more than
// 1,000, or an empty one are refused with [ErrInvalid].
func (c *Client) DeleteContacts(ctx context.Context, keys []string) (operation int64, err error) {
	return c.beginContacts(ctx, OpDeleteContacts, "delete", keys, map[string]any{"DeleteOperationType": "ContactAndAttributes"})
}

// RestrictContacts begins to restrict the processing of the contacts with the given contact
// keys (GDPR, article 18): POST /contacts/v1/contacts/actions/restrict?type=keys. It is like
// [Client.DeleteContacts] otherwise; [Client.FindRestriction] tells how far it is.
func (c *Client) RestrictContacts(ctx context.Context, keys []string) (operation int64, err error) {
	return c.beginContacts(ctx, OpRestrictContacts, "restrict", keys, map[string]any{})
}

func (c *Client) beginContacts(ctx context.Context, op, action string, keys []string, body map[string]any) (int64, error) {
	if len(keys) == 0 || len(keys) > maxContacts {
		return 0, fmt.Errorf("%s: contact keys: %w: %d, want 1 to %d", op, ErrInvalid, len(keys), maxContacts)
	}
	for _, key := range keys {
		if strings.TrimSpace(key) == "" {
			return 0, fmt.Errorf("%s: contact key: %w: empty", op, ErrInvalid)
		}
	}
	body["values"] = keys
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %w", op, ErrInvalid, err)
	}
	a, err := c.call(ctx, op, http.MethodPost, "contacts/v1/contacts/actions/"+action+"?type=keys", raw)
	if err != nil {
		return 0, err
	}
	return a.operation()
}

// operation reads the answer to a call that begins an operation.
func (a *answer) operation() (int64, error) {
	v, err := a.success()
	if err != nil {
		return 0, err
	}
	m, _ := v.(map[string]any)
	if begun, said := member(m, "operationInitiated").(bool); said && !begun {
		return 0, a.unfit("the operation was not begun")
	}
	id, err := strconv.ParseInt(text(m, "operationID"), 10, 64)
	if err != nil || id <= 0 {
		return 0, a.unfit("no operationID")
	}
	return id, nil
}

// FindDeletion asks how far a deletion of contacts has come: GET
// /contacts/v1/contacts/actions/delete/status (vendor page "Delete Contacts"). Of the states
// in the answer it takes the last one of the background operation, since only that says that
// contacts are gone. It needs the scope list_and_subscribers_read. An operation that does not
// exist is an [*Error].
func (c *Client) FindDeletion(ctx context.Context, operation int64) (ContactOperation, error) {
	return c.findOperation(ctx, OpFindDeletion, "delete", operation)
}

// FindRestriction asks how far a restriction of contacts has come. It is like
// [Client.FindDeletion], but that the operation has a single phase, whose state counts.
func (c *Client) FindRestriction(ctx context.Context, operation int64) (ContactOperation, error) {
	return c.findOperation(ctx, OpFindRestriction, "restrict", operation)
}

func (c *Client) findOperation(ctx context.Context, op, action string, operation int64) (ContactOperation, error) {
	found := ContactOperation{ID: operation, RestorableDays: -1}
	a, err := c.call(ctx, op, http.MethodGet, "contacts/v1/contacts/actions/"+action+"/status?operationID="+strconv.FormatInt(operation, 10), nil)
	if err != nil {
		return found, err
	}
	v, err := a.success()
	if err != nil {
		return found, err
	}
	m, _ := v.(map[string]any)
	if found.Status = lastStatus(m, action == "restrict"); found.Status == "" {
		return found, a.unfit("no status of the operation")
	}
	if days, err := strconv.Atoi(text(m, "numberofRestorableDays")); err == nil && days >= 0 {
		found.RestorableDays = days
	}
	return found, nil
}

// lastStatus is that of the last background operation. While there is none, the first phase
// has not ended; an operation with a single phase has only its own.
func lastStatus(m map[string]any, single bool) string {
	background := list(m, "backgroundOperationsSummary")
	if len(background) > 0 {
		last, _ := background[len(background)-1].(map[string]any)
		return text(last, "backgroundOperationStatusID")
	}
	own, _ := member(m, "operation").(map[string]any)
	status := text(own, "status")
	if !single && strings.EqualFold(status, "Completed") {
		return "Processing"
	}
	return status
}

// FindContacts finds the contact keys that an email address has: POST
// /contacts/v1/addresses/email/search (vendor page "Search Contacts by Email Address"). It
// needs the scope list_and_subscribers_read. It returns at most 50 keys, none if no contact
// has the address. An empty address is refused with [ErrInvalid].
func (c *Client) FindContacts(ctx context.Context, address string) (keys []string, err error) {
	if strings.TrimSpace(address) == "" {
		return nil, fmt.Errorf("%s: address: %w: empty", OpFindContacts, ErrInvalid)
	}
	raw, err := json.Marshal(map[string]any{"ChannelAddressList": []string{address}, "MaximumCount": 50})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", OpFindContacts, ErrInvalid, err)
	}
	a, err := c.call(ctx, OpFindContacts, http.MethodPost, "contacts/v1/addresses/email/search", raw)
	if err != nil {
		return nil, err
	}
	v, err := a.success()
	if err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	entities, ok := member(m, "channelAddressResponseEntities").([]any)
	if !ok {
		return nil, a.unfit("no channelAddressResponseEntities")
	}
	for _, e := range entities {
		entity, _ := e.(map[string]any)
		for _, d := range list(entity, "contactKeyDetails") {
			details, _ := d.(map[string]any)
			if key := text(details, "contactKey"); key != "" {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}
