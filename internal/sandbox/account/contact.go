package account

import (
	"slices"
	"strconv"
	"time"

	"onramp/internal/sandbox/wire"
)

// operationTime is how long an operation takes. Undocumented: the vendor suppresses
// contacts for days first, and needs hours.
const operationTime = 2 * time.Second

// Contact is a person of the whole enterprise. An event of a journey, a message, a new
// subscriber and the contacts API make one; a row of a data extension alone does not.
type Contact struct {
	ID         int64     `json:"id"`
	Key        string    `json:"key"`
	Email      string    `json:"email"` // the newest that is known; "" when none is
	Created    time.Time `json:"created_at"`
	Restricted bool      `json:"restricted"` // its processing is
}

// Establish finds or makes the contact with a key; an address that is not "" becomes its own.
func (a *Account) Establish(key, email string, now time.Time) (c *Contact, isNew bool) {
	c = a.Contacts[key]
	if isNew = c == nil; isNew {
		c = &Contact{ID: a.nextID(), Key: key, Created: now}
		a.Contacts[key] = c
	}
	if email != "" {
		c.Email = email
	}
	return c, isNew
}

// Operation deletes contacts, or restricts their processing, a while after it was asked for.
type Operation struct {
	ID       int64     `json:"id"`
	Request  string    `json:"request_id"`
	MID      string    `json:"mid"`                      // of the business unit that asked for it
	List     string    `json:"data_extension,omitempty"` // that names the contacts; "" when the call did
	Restrict bool      `json:"restrict"`                 // else it deletes
	Keys     []string  `json:"keys"`                     // of the contacts
	Began    time.Time `json:"began_at"`
	Due      time.Time `json:"due_at"`
	Found    int       `json:"found"` // contacts that there were, once it is done
	Done     bool      `json:"done"`  // from Due on
	Retries  int       `json:"retries"`
	After    func()    `json:"-"` // what follows; nil: nothing
}

// Begin starts an operation: one runs at a time.
func (a *Account) Begin(o *Operation, now time.Time) {
	o.ID, o.Request, o.Began = int64(len(a.Operations)+1), wire.NewGUID(), now
	a.Operations = append(a.Operations, o)
	o.Due = now
	for _, before := range a.Operations {
		if before.Due.After(o.Due) {
			o.Due = before.Due
		}
	}
	o.Due = o.Due.Add(operationTime)
	a.Units[MID].Later(o.Due, func() { a.carryOut(o) })
}

// carryOut does what an operation is for. Undocumented: a key that no contact has is
// passed over; rows with it stay, since they are no contact's.
func (a *Account) carryOut(o *Operation) {
	for _, key := range o.Keys {
		c := a.Contacts[key]
		if c == nil {
			continue
		}
		o.Found++
		if o.Restrict {
			c.Restricted = true
		} else {
			a.remove(c)
		}
	}
	if o.After != nil {
		o.After()
	}
	o.Done = true
}

// remove takes a contact away, and in all business units what is its: the subscriber, the
// rows in sendable data extensions and the entries in journeys. Rows of other data extensions stay.
func (a *Account) remove(c *Contact) {
	delete(a.Contacts, c.Key)
	for _, u := range a.Units {
		delete(u.Subscribers, c.Key)
		for _, e := range u.Extensions {
			e.removeContact(c)
		}
		for _, j := range u.Journeys {
			if slices.ContainsFunc(j.Entries, func(e Entry) bool { return e.ContactKey == c.Key }) {
				// whoever reads the entries keeps those that were
				j.Entries = slices.DeleteFunc(slices.Clone(j.Entries), func(e Entry) bool { return e.ContactKey == c.Key })
			}
			delete(j.exits, c.Key)
		}
	}
}

// removeContact takes the rows of a contact away.
func (e *Extension) removeContact(c *Contact) {
	column, ok := e.Column(e.SendableField)
	if !e.Sendable || !ok {
		return
	}
	names := c.Key
	switch e.SubscriberField {
	case SubscriberID:
		names = strconv.FormatInt(c.ID, 10)
	case SubscriberEmail:
		names = c.Email
	}
	var at []int
	for i, row := range e.Rows {
		if names != "" && row.Cell(column).Text == names {
			at = append(at, i)
		}
	}
	e.Remove(at...)
}
