package account

import (
	"cmp"
	"slices"
	"time"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// change makes the business unit what a setting says, which was checked.
func (u *Unit) change(s *UnitSetting, now time.Time) {
	u.Name = cmp.Or(s.Name, u.Name)
	for key, set := range s.DataExtensions {
		if set == nil {
			delete(u.Extensions, key)
			continue
		}
		u.setExtension(key, set, now)
	}
	for key, set := range s.Journeys {
		if set == nil {
			delete(u.Journeys, key)
			continue
		}
		u.setJourney(key, set, now)
	}
	for key, set := range s.MessageDefinitions {
		if set == nil {
			delete(u.Definitions, key)
			continue
		}
		status := cmp.Or(set.Status, Active)
		if d := u.Definitions[key]; d != nil {
			d.Status, d.Modified = status, now
			continue
		}
		u.Definitions[key] = newDefinition(u, key, status, now)
	}
}

// setExtension makes a data extension, or changes one that there is: then its rows
// stay, and its journeys write to it as before.
func (u *Unit) setExtension(key string, set *ExtensionSetting, now time.Time) {
	e := u.Extensions[key]
	if e == nil {
		e = &Extension{Table: table.New(wire.NewGUID(), key, key, nil), Category: u.Folders[0].ID, Created: now}
		u.Extensions[key] = e
	}
	e.Modified = now
	if len(set.Columns) > 0 {
		e.SetColumns(slices.Clone(set.Columns), now)
	}
	e.Name = cmp.Or(set.Name, e.Name)
	e.Description = cmp.Or(set.Description, e.Description)
	if set.UnknownColumns != "" {
		e.RefusesUnknown = set.UnknownColumns == "refuse"
	}
	rows, _ := set.rows(e.Table) // they were checked
	for i := range rows {
		e.Save(&rows[i], now)
	}
	if s := set.Sendable; s != nil {
		e.Sendable, e.SendableField, e.SubscriberField = s.Column != "", s.Column, ""
		if e.Sendable {
			e.SubscriberField = cmp.Or(s.Subscriber, SubscriberKey)
		}
	}
	if r := set.Retention; r != nil {
		e.Retention = Retention{}
		if r.Days > 0 {
			e.Retention = Retention{Period: r.Days, Unit: "Days", Rows: r.Rows, DeleteAtEnd: !r.Rows}
		}
	}
}

func (u *Unit) setJourney(eventKey string, set *JourneySetting, now time.Time) {
	j := u.Journeys[eventKey]
	if j == nil {
		j = newJourney(u, eventKey, nil, Published, now)
		u.Journeys[eventKey] = j
	}
	j.Status, j.Modified = cmp.Or(set.Status, Published), now
	if set.DataExtension != "" {
		j.Extension = u.Extensions[set.DataExtension]
	}
}

func (a *Account) setPackage(id string, set *PackageSetting) {
	if set == nil {
		delete(a.Packages, id)
		return
	}
	p := a.Packages[id]
	if p == nil {
		p = &Package{ClientID: id, Scopes: Scopes(), Units: []string{MID}}
		a.Packages[id] = p
	}
	p.Secret = cmp.Or(set.Secret, p.Secret)
	if set.Scopes != nil {
		p.Scopes = slices.Clone(set.Scopes)
	}
	if len(set.BusinessUnits) > 0 {
		p.Units = slices.Clone(set.BusinessUnits)
	}
}

// View is the account as a setting that would make it, without rows and secrets.
func (a *Account) View() Setting {
	v := Setting{
		UnitSetting: a.Units[MID].view(), BusinessUnits: map[string]*UnitSetting{}, Packages: map[string]*PackageSetting{},
		MissingScope: a.MissingScope, ResultsPage: &a.ResultsPage,
	}
	for mid, u := range a.Units {
		if mid != MID {
			unit := u.view()
			v.BusinessUnits[mid] = &unit
		}
	}
	for id, p := range a.Packages {
		set := &PackageSetting{Scopes: p.Scopes, BusinessUnits: p.Units}
		if v.Packages[id] = set; id == ClientID {
			v.Package = set
		}
	}
	return v
}

func (u *Unit) view() UnitSetting {
	v := UnitSetting{
		Name:           u.Name,
		DataExtensions: map[string]*ExtensionSetting{}, Journeys: map[string]*JourneySetting{}, MessageDefinitions: map[string]*DefinitionSetting{},
	}
	for key, e := range u.Extensions {
		v.DataExtensions[key] = e.view()
	}
	for key, j := range u.Journeys {
		v.Journeys[key] = &JourneySetting{j.Extension.Key, j.Status}
	}
	for key, d := range u.Definitions {
		v.MessageDefinitions[key] = &DefinitionSetting{d.Status}
	}
	return v
}

func (e *Extension) view() *ExtensionSetting {
	v := &ExtensionSetting{Name: e.Name, Description: e.Description, Columns: e.Columns, UnknownColumns: "ignore"}
	if e.RefusesUnknown {
		v.UnknownColumns = "refuse"
	}
	if e.Sendable {
		v.Sendable = &SendableSetting{e.SendableField, e.SubscriberField}
	}
	if e.Retention.Period > 0 {
		v.Retention = &RetentionSetting{e.Retention.Period, e.Retention.Rows}
	}
	return v
}
