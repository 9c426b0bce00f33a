// Package account is what an emulated account holds: business units with their data
// extensions, journeys and message definitions, the installed packages, and how all of
// it is set up. It knows no routes and no answers; begin with [New].
//
// Nothing in it is safe for concurrent use: the sandbox's lock guards all of it. The one
// exception is a [table.Table], which a call reads its body with before it takes the
// lock; [Extension.Fit] is for what has changed meanwhile.
package account

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// What a new account starts with.
const (
	ClientID          = "sandbox-client"
	ClientSecret      = "sandbox-secret"
	MID               = "510000001" // of the business unit at the top
	Enterprise        = 510000001   // the same as a number
	UserID            = 510000777   // of the user behind the packages
	RegistrationsKey  = "Web_Registrations"
	WelcomeEventKey   = "APIEvent-sandbox-welcome"
	WelcomeMessageKey = "welcome"

	// The ids are fixed so that scripts and screenshots do not change from run to run.
	RegistrationsID  = "5a0d8c1e-7b1f-4c55-9d52-0f5100000001"
	WelcomeMessageID = "7e3c1a52-94d8-4f06-8b1e-0f5100000003"
	welcomeEventID   = "c41f0a6d-58e2-4b7a-9e13-0f5100000004"
	welcomeJourneyID = "0d9b7e34-6a1c-4f82-8d57-0f5100000005"
)

// Account is one enterprise.
type Account struct {
	Units    map[string]*Unit    // by MID
	Packages map[string]*Package // by client id
	Contacts map[string]*Contact // by key
	// Operations delete and restrict contacts, oldest first.
	Operations []*Operation
	// RestorableDays is how long contacts are suppressed before they are deleted; only told.
	RestorableDays int
	// MissingScope is the status that says that a scope is missing, on the route where
	// the vendor uses two: 401 or 403.
	MissingScope int
	// ResultsPage is how many results of an asynchronous request are on a page, whatever
	// is asked for; 0: as is asked for.
	ResultsPage int

	ids   int64 // the last number that was given to anything
	later []due // in order of time
}

// Unit is a business unit: what a token sees is all of its own.
type Unit struct {
	MID         string
	Name        string
	Extensions  map[string]*Extension  // by external key
	Journeys    map[string]*Journey    // by event definition key
	Definitions map[string]*Definition // by definition key
	Drafts      map[string]*Journey    // those without an event definition, by key; they never start
	Subscribers map[string]*Subscriber // by subscriber key
	Folders     []*Folder              // of data extensions, parents first; the first is the root

	account *Account
}

// Package is an installed package with a server-to-server integration.
type Package struct {
	ClientID, Secret string
	Scopes           []string
	Units            []string // MIDs that it is enabled for; a token without account_id is for the first
}

// Definition is that of a transactional message.
type Definition struct {
	ID, Key, Name, Status string // Active or Inactive; an inactive one takes messages and sends none
	Description           string
	Classification        string // of sends
	Content               string // customer key of the asset
	List, Extension       string // where subscribers go; "" for none
	AddsSubscribers       bool
	UpdatesSubscribers    bool
	TracksLinks           bool
	Created, Modified     time.Time
}

// AddDefinition makes a message definition with what the vendor presumes.
func (u *Unit) AddDefinition(key string, now time.Time) *Definition {
	d := newDefinition(u, key, Active, now)
	u.Definitions[key] = d
	return d
}

// Folder holds data extensions.
type Folder struct {
	ID, Parent        int64 // Parent is 0 for the root
	Name              string
	Created, Modified time.Time
}

// New makes the account that every sandbox starts with: one business unit with the data
// extension of section 2.2 of the specification, an event definition with a running
// journey, and a message definition; and one package with every scope.
func New(now time.Time) *Account {
	a := &Account{
		Units: map[string]*Unit{}, Packages: map[string]*Package{}, Contacts: map[string]*Contact{}, RestorableDays: 14, MissingScope: 401, ids: 510_100_000,
	}
	u := a.addUnit(MID, "Sandbox", now)
	e := &Extension{
		Table:    table.New(RegistrationsID, RegistrationsKey, RegistrationsKey, registrationsColumns()),
		Category: u.Folders[0].ID, Sendable: true, SendableField: "SubscriberKey", SubscriberField: SubscriberKey,
		Created: now, Modified: now,
	}
	u.Extensions[e.Key] = e
	j := newJourney(u, WelcomeEventKey, e, Published, now)
	j.EventID, j.ID, j.Key, j.Name = welcomeEventID, welcomeJourneyID, "welcome-journey", "Welcome"
	u.Journeys[WelcomeEventKey] = j
	d := newDefinition(u, WelcomeMessageKey, Active, now)
	d.ID = WelcomeMessageID
	u.Definitions[WelcomeMessageKey] = d
	a.Packages[ClientID] = &Package{ClientID: ClientID, Secret: ClientSecret, Scopes: Scopes(), Units: []string{MID}}
	return a
}

func (a *Account) addUnit(mid, name string, now time.Time) *Unit {
	u := &Unit{
		MID: mid, Name: name, account: a,
		Drafts: map[string]*Journey{}, Extensions: map[string]*Extension{}, Journeys: map[string]*Journey{}, Definitions: map[string]*Definition{},
		Subscribers: map[string]*Subscriber{},
		Folders:     []*Folder{{ID: a.nextID(), Name: "Data Extensions", Created: now, Modified: now}},
	}
	a.Units[mid] = u
	return u
}

// nextID is a number that nothing else in the account has.
func (a *Account) nextID() int64 {
	a.ids++
	return a.ids
}

// Number is the MID as a number.
func (u *Unit) Number() int { return number(u.MID) }

func number(mid string) int {
	n, _ := strconv.Atoi(mid) // it was checked to be one
	return n
}

// ExtensionByReference finds what a path's {id} names, key:EXTERNALKEY, id:GUID or a
// GUID, or returns nil.
func (u *Unit) ExtensionByReference(ref string) *Extension {
	if key, ok := strings.CutPrefix(ref, "key:"); ok {
		return u.ExtensionByKey(key)
	}
	return u.ExtensionByID(strings.TrimPrefix(ref, "id:"))
}

// ExtensionByKey finds a data extension by its external key, in any case, or returns
// nil: an old client of the vendor's own (fuel-rest) sends every path in lower case.
func (u *Unit) ExtensionByKey(key string) *Extension {
	if e := u.Extensions[key]; e != nil {
		return e
	}
	for _, e := range u.Extensions {
		if strings.EqualFold(e.Key, key) {
			return e
		}
	}
	return nil
}

// ExtensionByID finds a data extension by its GUID, in any case, or returns nil.
func (u *Unit) ExtensionByID(id string) *Extension {
	for _, e := range u.Extensions {
		if strings.EqualFold(e.ID, id) {
			return e
		}
	}
	return nil
}

// ExtensionByName finds a data extension by its name, in any case, or returns nil.
func (u *Unit) ExtensionByName(name string) *Extension {
	for _, e := range u.Extensions {
		if strings.EqualFold(e.Name, name) {
			return e
		}
	}
	return nil
}

// AllExtensions are the data extensions in order of their keys.
func (u *Unit) AllExtensions() []*Extension { return sorted(u.Extensions) }

// AllJourneys are the journeys in order of their event definitions' keys.
func (u *Unit) AllJourneys() []*Journey { return sorted(u.Journeys) }

// AllDefinitions are the message definitions in order of their keys.
func (u *Unit) AllDefinitions() []*Definition { return sorted(u.Definitions) }

func sorted[T any](m map[string]T) []T {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	list := make([]T, len(keys))
	for i, key := range keys {
		list[i] = m[key]
	}
	return list
}

// Folder finds a folder by its id, or returns nil.
func (u *Unit) Folder(id int64) *Folder {
	for _, f := range u.Folders {
		if f.ID == id {
			return f
		}
	}
	return nil
}

// RootID is the number of the folder that a business unit has from the start for a kind of
// content: the first folder for data extensions. Of other kinds it is made of the MID and
// the kind, so that it need not be kept, and below the numbers that the account gives out.
func (u *Unit) RootID(contentType string) int64 {
	if contentType == "dataextension" {
		return u.Folders[0].ID
	}
	sum := sha256.Sum256([]byte(u.MID + "\x00" + contentType))
	return int64(binary.BigEndian.Uint32(sum[:])%500_000_000) + 1
}

// allSubscribers is the external key of the list that every business unit has.
func (u *Unit) allSubscribers() string {
	return "All Subscribers - " + strconv.FormatInt(u.RootID("mysubs"), 10)
}

// AddFolder makes a folder below another one.
func (u *Unit) AddFolder(name string, parent int64, now time.Time) *Folder {
	f := &Folder{ID: u.account.nextID(), Parent: parent, Name: name, Created: now, Modified: now}
	u.Folders = append(u.Folders, f)
	return f
}

// RemoveExtension takes a data extension away with its rows, and what writes to it:
// journeys without a data extension refuse events.
func (u *Unit) RemoveExtension(e *Extension) {
	delete(u.Extensions, e.Key)
	for key, j := range u.Journeys {
		if j.Extension == e {
			delete(u.Journeys, key)
		}
	}
}

func newDefinition(u *Unit, key, status string, now time.Time) *Definition {
	return &Definition{
		ID: wire.NewGUID(), Key: key, Name: key, Status: status, Classification: "Default Transactional", Content: key,
		List: u.allSubscribers(), AddsSubscribers: true, UpdatesSubscribers: true, TracksLinks: true, Created: now, Modified: now,
	}
}

// registrationsColumns are the columns of section 2.2 of the specification.
func registrationsColumns() []table.Column {
	return []table.Column{
		{Name: "SubscriberKey", Type: table.TypeText, Length: 254, PrimaryKey: true},
		{Name: "EmailAddress", Type: table.TypeEmail, Length: 254},
		{Name: "FirstName", Type: table.TypeText, Length: 100, Nullable: true},
		{Name: "LastName", Type: table.TypeText, Length: 100, Nullable: true},
		{Name: "OptInStatus", Type: table.TypeBoolean, Default: false},
		{Name: "RegistrationTimestamp", Type: table.TypeDate},
		{Name: "Source", Type: table.TypeText, Length: 50, Nullable: true},
		{Name: "IPAddress", Type: table.TypeText, Length: 45, Nullable: true},
		{Name: "UserAgent", Type: table.TypeText, Length: 255, Nullable: true},
		{Name: "PageURL", Type: table.TypeText, Length: 500, Nullable: true},
	}
}
