package sfmctest

import (
	"onramp/internal/sandbox"
	"onramp/internal/sandbox/account"
)

// Part is something that a server's account holds from the start: a [DataExtension],
// [Journey], [MessageDefinition], [Package] or [BusinessUnit]. The order makes no
// difference.
type Part interface {
	addTo(*account.Setting)
}

// DataExtension is a data extension.
type DataExtension struct {
	// Key is its external key. In a State, where it stands under its key, it is empty.
	Key string `json:"-"`
	// ID is its GUID; the server gives it.
	ID   string `json:"id"`
	Name string `json:"name"` // default: its key
	// Columns are in the order in which they are shown.
	Columns []Column `json:"columns"`
	// Rows are in order of insertion. A row has the columns that have a value, under their
	// exact names. Values are as they were sent: string, bool, or json.Number.
	Rows []map[string]any `json:"rows"`
	// SendableBy is the column that is related to the subscriber key; "": it is not
	// sendable. A State does not tell it.
	SendableBy string `json:"-"`
	// RefusesUnknownColumns has rows refused that name a column which there is not; else
	// such columns are passed over. A State does not tell it.
	RefusesUnknownColumns bool `json:"-"`
	// BusinessUnit is the MID of the business unit that it is in; "": AccountID.
	BusinessUnit string `json:"-"`
}

// Column is one column of a data extension.
type Column struct {
	Name string `json:"name"`
	// Type is Text, EmailAddress, Boolean, Date, Number, Decimal, Phone or Locale.
	Type string `json:"type"`
	// Length is the longest value in UTF-16 code units; for Decimal, the digits in all.
	// 0 means no limit beside the type's own.
	Length int `json:"length"`
	// Scale is the digits after the point of a Decimal.
	Scale      int  `json:"scale"`
	PrimaryKey bool `json:"primary_key"`
	Nullable   bool `json:"nullable"`
	// Default is stored when an insert does not name the column; nil for none.
	Default any `json:"default"`
	// Drops and Truncates are for trying what is not noticed at once: values are taken and
	// not stored, or too long ones cut.
	Drops     bool `json:"drops"`
	Truncates bool `json:"truncates"`
}

// Journey is an event definition with the journey that it starts.
type Journey struct {
	// EventDefinition is its key. In a State, where it stands under its key, it is empty.
	EventDefinition string `json:"-"`
	// DataExtension is the external key of the data extension that events are written to.
	DataExtension string `json:"-"`
	// Status is Published (the default), Paused, Draft, Stopped, or None: no journey uses
	// the event definition. Only the first two take events.
	Status string `json:"-"`
	// BusinessUnit is the MID of the business unit that it is in; "": AccountID.
	BusinessUnit string `json:"-"`
	// Contacts are the entries in a State, oldest first; a contact can enter many times.
	Contacts []Contact `json:"contacts"`
}

// MessageDefinition is the definition of a transactional message.
type MessageDefinition struct {
	// Key is its definition key. In a State, where it stands under its key, it is empty.
	Key    string `json:"-"`
	Name   string `json:"name"`   // in a State
	Status string `json:"status"` // Active (the default) or Inactive; an inactive one takes messages and sends none
	// BusinessUnit is the MID of the business unit that it is in; "": AccountID.
	BusinessUnit string `json:"-"`
}

// Package is an installed package with a server-to-server integration.
type Package struct {
	ClientID string
	// ClientSecret may be left out for the package ClientID, which there is.
	ClientSecret string
	Scopes       []string // such as data_extensions_write; nil: all
	// BusinessUnits are the MIDs that it is enabled for; nil: AccountID. A token without
	// account_id is for the first.
	BusinessUnits []string
}

// BusinessUnit is a business unit beside AccountID.
type BusinessUnit struct {
	ID   string // its MID: 6 to 15 digits
	Name string
}

func (d DataExtension) addTo(s *account.Setting) {
	set := &account.ExtensionSetting{Name: d.Name, Rows: d.Rows, UnknownColumns: "ignore"}
	for _, c := range d.Columns {
		set.Columns = append(set.Columns, sandbox.Column(c))
	}
	if d.RefusesUnknownColumns {
		set.UnknownColumns = "refuse"
	}
	if d.SendableBy != "" {
		set.Sendable = &account.SendableSetting{Column: d.SendableBy}
	}
	unit := unitOf(s, d.BusinessUnit)
	put(&unit.DataExtensions, d.Key, set)
}

func (j Journey) addTo(s *account.Setting) {
	unit := unitOf(s, j.BusinessUnit)
	put(&unit.Journeys, j.EventDefinition, &account.JourneySetting{DataExtension: j.DataExtension, Status: j.Status})
}

func (d MessageDefinition) addTo(s *account.Setting) {
	unit := unitOf(s, d.BusinessUnit)
	put(&unit.MessageDefinitions, d.Key, &account.DefinitionSetting{Status: d.Status})
}

func (p Package) addTo(s *account.Setting) {
	put(&s.Packages, p.ClientID, &account.PackageSetting{Secret: p.ClientSecret, Scopes: p.Scopes, BusinessUnits: p.BusinessUnits})
}

func (b BusinessUnit) addTo(s *account.Setting) { unitOf(s, b.ID).Name = b.Name }

// unitOf is the setting of a business unit.
func unitOf(s *account.Setting, mid string) *account.UnitSetting {
	if mid == "" || mid == AccountID {
		return &s.UnitSetting
	}
	if s.BusinessUnits[mid] == nil {
		put(&s.BusinessUnits, mid, &account.UnitSetting{})
	}
	return s.BusinessUnits[mid]
}

// put sets a key of a map that may not be made yet.
func put[T any](m *map[string]T, key string, value T) {
	if *m == nil {
		*m = map[string]T{}
	}
	(*m)[key] = value
}
