package contact

import (
	"slices"
	"strconv"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// sentContact is the body of a call that makes or changes a contact.
type sentContact struct {
	ContactKey    string
	AttributeSets []struct {
		Name  string
		Items []struct {
			Values []struct {
				Name  string
				Value any
			}
		}
	}
}

// email is the address among the attributes; "" when there is none.
func (s *sentContact) email() (address string) {
	for _, set := range s.AttributeSets {
		for _, item := range set.Items {
			for _, v := range item.Values {
				if text, ok := v.Value.(string); ok && strings.EqualFold(v.Name, "Email Address") {
					address = text
				}
			}
		}
	}
	return address
}

// upsert answers POST and PATCH /contacts/v1/contacts. Known from a client: attributeSets
// must be there, and may be empty. Undocumented: either verb makes a contact that there is not,
// and changes one that there is; of the attributes the sandbox keeps the address.
func upsert(c *call) (wire.Answer, error) {
	var sent sentContact
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	switch address := sent.email(); {
	case sent.ContactKey == "":
		return wire.Answer{}, missing("contactKey")
	case sent.AttributeSets == nil:
		return wire.Answer{}, missing("attributeSets")
	case address != "" && !table.ValidEmail(address):
		return wire.Answer{}, invalid("Email Address", "is not a valid email address")
	}
	contact, isNew := c.account.Establish(sent.ContactKey, sent.email(), c.now)
	return c.answer(map[string]any{
		"operationStatus": "OK", "rowsAffected": 1 + len(sent.AttributeSets), "contactKey": contact.Key, "contactID": contact.ID,
		"contactTypeID": 0, "isNewContactKey": isNew, "hasErrors": false,
	})
}

// maxAddresses is the most addresses in a search. Undocumented.
const maxAddresses = 50

// searchEmail answers POST /contacts/v1/addresses/email/search: the contacts with an
// address. Undocumented: an address that no contact has is there with no keys; MaximumCount
// is how many keys an address has at most, and 1 unless it is sent.
func searchEmail(c *call) (wire.Answer, error) {
	type key struct {
		ContactKey string `json:"contactKey"`
		CreateDate string `json:"createDate"`
	}
	type entity struct {
		ChannelAddress string `json:"channelAddress"`
		Keys           []key  `json:"contactKeyDetails"`
	}
	var sent struct {
		ChannelAddressList []string
		MaximumCount       *int
	}
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	most := 1
	if sent.MaximumCount != nil {
		most = *sent.MaximumCount
	}
	switch {
	case len(sent.ChannelAddressList) == 0:
		return wire.Answer{}, missing("ChannelAddressList")
	case len(sent.ChannelAddressList) > maxAddresses:
		return wire.Answer{}, invalid("ChannelAddressList", "has more than "+strconv.Itoa(maxAddresses)+" addresses")
	case most < 1:
		return wire.Answer{}, invalid("MaximumCount", "must be 1 or more")
	}
	list := make([]entity, len(sent.ChannelAddressList))
	for i, address := range sent.ChannelAddressList {
		list[i] = entity{address, []key{}}
		for _, contact := range c.contactsWith(address) {
			if len(list[i].Keys) < most {
				list[i].Keys = append(list[i].Keys, key{contact.Key, table.ServerTime(contact.Created)})
			}
		}
	}
	return c.answer(map[string]any{"channelAddressResponseEntities": list})
}

// contactsWith are the contacts with an address, in any case, oldest first.
func (c *call) contactsWith(address string) []*account.Contact {
	var list []*account.Contact
	for _, contact := range c.account.Contacts {
		if strings.EqualFold(contact.Email, address) {
			list = append(list, contact)
		}
	}
	slices.SortFunc(list, func(a, b *account.Contact) int { return int(a.ID - b.ID) })
	return list
}

// preferences answers GET /contacts/v1/contacts/key:{key}/preferences, or id:{id}: whether
// the contact has opted out of tracking, which in the sandbox none has. Undocumented: one
// that there is not has no preferences.
func preferences(c *call) (wire.Answer, error) {
	items := []any{}
	if contact := c.contact(c.Param("contact")); contact != nil {
		items = append(items, map[string]any{"contactID": contact.ID, "hasOptedOutTracking": false})
	}
	return c.answer(map[string]any{"items": items, "rowsAffected": len(items)})
}

// contact finds a contact by key:KEY or id:ID, or returns nil.
func (c *call) contact(ref string) *account.Contact {
	if key, ok := strings.CutPrefix(ref, "key:"); ok {
		return c.account.Contacts[key]
	}
	return c.account.Contacts[c.keysByID()[strings.TrimPrefix(ref, "id:")]]
}
