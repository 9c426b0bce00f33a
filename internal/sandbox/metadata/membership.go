package metadata

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// membershipRoutes are the routes of contacts in journeys.
func membershipRoutes() []operation {
	const path = "/interaction/v1/interactions"
	return []operation{
		{"POST", path + "/contactexit", readJourneys, exitContacts},
		{"POST", path + "/contactexit/status", readJourneys, exitStatus},
		{"POST", path + "/contactMembership", readJourneys, contactMembership},
	}
}

const (
	// maxContacts is the most contacts in one call, as documented.
	maxContacts = 50
	// exitTime is how long it takes until a contact has left a journey. Undocumented.
	exitTime = 300 * time.Millisecond
)

// sentExit is what a call says of one contact. Clients send the names in any case.
type sentExit struct {
	ContactKey    string
	DefinitionKey string // of the journey
	Versions      []int  // none: all
}

// exitState is what becomes of a contact in one version of a journey.
type exitState struct {
	Version  int    `json:"version"`
	Message  string `json:"message"`
	Instance string `json:"definitionInstanceId,omitempty"`
}

type exitResult struct {
	ContactKey    string      `json:"contactKey"`
	DefinitionKey string      `json:"definitionKey"`
	Status        []exitState `json:"status"`
}

// The vendor's words for what becomes of a contact.
const (
	exitCompleted = "Exit process Completed."
	exitReceived  = "Exit request received for processing"
	exitNoJourney = "Exit request Ignored - Invalid Interaction Name."
)

// Undocumented: the words for a version and for a contact that there is not.
const (
	exitNoVersion = "Exit request Ignored - Invalid Interaction Version."
	exitNoContact = "Exit request Ignored - Contact not in Interaction."
)

// sentExits reads the contacts of a call. Undocumented: the refusals.
func (c *call) sentExits() ([]sentExit, error) {
	var list []sentExit
	if err := wire.Decode(c.Body, &list); err != nil {
		return nil, err
	}
	for _, e := range list {
		switch {
		case e.ContactKey == "":
			return nil, missing("ContactKey")
		case e.DefinitionKey == "":
			return nil, missing("DefinitionKey")
		}
	}
	if len(list) == 0 || len(list) > maxContacts {
		return nil, invalid("contacts", "must be from 1 to 50")
	}
	return list, nil
}

// exitContacts answers POST …/contactexit with 202, and what is wrong in errors.
func exitContacts(c *call) (wire.Answer, error) {
	sent, err := c.sentExits()
	if err != nil {
		return wire.Answer{}, err
	}
	errors := []exitResult{}
	for _, e := range sent {
		j, problems := e.find(c.unit)
		if j != nil {
			j.Exit(e.ContactKey, c.now.Add(exitTime), c.now)
		}
		if len(problems) > 0 {
			errors = append(errors, exitResult{e.ContactKey, e.DefinitionKey, problems})
		}
	}
	return wire.JSON(http.StatusAccepted, map[string]any{"errors": errors}), nil
}

// find is the journey that a contact is to leave, unless it is not that version's; and
// what is wrong with the versions.
func (e sentExit) find(u *account.Unit) (*account.Journey, []exitState) {
	j := interaction(u, "key:"+e.DefinitionKey)
	if j == nil {
		version := 1
		if len(e.Versions) > 0 {
			version = e.Versions[0]
		}
		return nil, []exitState{{Version: version, Message: exitNoJourney}}
	}
	var problems []exitState
	for _, version := range e.Versions {
		if version != j.Version {
			problems = append(problems, exitState{Version: version, Message: exitNoVersion})
		}
	}
	if len(e.Versions) > 0 && !slices.Contains(e.Versions, j.Version) {
		return nil, problems
	}
	return j, problems
}

// exitStatus answers POST …/contactexit/status: how far the exits are.
func exitStatus(c *call) (wire.Answer, error) {
	sent, err := c.sentExits()
	if err != nil {
		return wire.Answer{}, err
	}
	results := make([]exitResult, len(sent))
	for i, e := range sent {
		j, states := e.find(c.unit)
		if j != nil {
			state := exitState{Version: j.Version, Message: exitNoContact}
			if at, asked := j.ExitOf(e.ContactKey); asked && c.now.Before(at) {
				state.Message = exitReceived
			} else if asked {
				state.Message, state.Instance = exitCompleted, j.ID
			}
			states = append([]exitState{state}, states...)
		}
		results[i] = exitResult{e.ContactKey, e.DefinitionKey, states}
	}
	return wire.JSON(http.StatusOK, results), nil
}

// contactMembership answers POST …/contactMembership: which journeys contacts are in.
func contactMembership(c *call) (wire.Answer, error) {
	type membership struct {
		ContactKey    string `json:"contactKey"`
		DefinitionKey string `json:"definitionKey"`
		Version       int    `json:"version"`
	}
	var sent struct{ ContactKeyList json.RawMessage }
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	if len(sent.ContactKeyList) == 0 {
		return wire.Answer{}, missing("ContactKeyList")
	}
	var keys []string
	if err := wire.Decode(sent.ContactKeyList, &keys); err != nil {
		return wire.Answer{}, err
	}
	if len(keys) == 0 || len(keys) > maxContacts {
		return wire.Answer{}, invalid("ContactKeyList", "must have from 1 to 50 contacts")
	}
	found, strangers := []membership{}, []string{}
	for _, key := range keys {
		before := len(found)
		for _, j := range c.unit.Interactions() {
			if j.Holds(key, c.now) {
				found = append(found, membership{key, j.Key, j.Version})
			}
		}
		if len(found) == before {
			strangers = append(strangers, key)
		}
	}
	return wire.JSON(http.StatusOK, map[string]any{"results": map[string]any{"contactMemberships": found, "contactsNotFound": strangers}}), nil
}
