package app

import (
	"slices"
	"strings"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/provision"
	"onramp/internal/sandbox"
	"onramp/internal/sandbox/account"
	"onramp/sfmc/metadata"
)

// SandboxAccount is what a configuration needs of an account: the business unit of its
// MID, the installed package with its credentials and every scope, and the data
// extensions, journeys and message definitions that its forms send to, with columns that
// take whatever the forms accept. The sandbox's own package is enabled for the business
// unit, too.
func SandboxAccount(cfg *config.Config) *account.Setting {
	s := &account.Setting{Packages: map[string]*account.PackageSetting{}, BusinessUnits: map[string]*account.UnitSetting{}}
	unit, mids := &s.UnitSetting, []string{sandbox.AccountID}
	if mid := cfg.MarketingCloud.AccountID; mid != "" && mid != sandbox.AccountID {
		unit, mids = &account.UnitSetting{}, []string{mid, sandbox.AccountID}
		s.BusinessUnits[mid] = unit
	}
	unit.DataExtensions, unit.Journeys = map[string]*account.ExtensionSetting{}, map[string]*account.JourneySetting{}
	unit.MessageDefinitions = map[string]*account.DefinitionSetting{}
	for i := range cfg.Forms {
		for _, to := range cfg.Forms[i].Route {
			addDestination(unit, &cfg.Forms[i], to)
		}
	}
	s.Packages[sandbox.ClientID] = &account.PackageSetting{Secret: sandbox.ClientSecret, BusinessUnits: mids}
	if id := cfg.MarketingCloud.ClientID; id != sandbox.ClientID {
		s.Packages[id] = &account.PackageSetting{Secret: cfg.MarketingCloud.ClientSecret.Reveal(), BusinessUnits: mids[:1]}
	}
	return s
}

// addDestination adds what a step of a form's route needs.
func addDestination(unit *account.UnitSetting, form *onramp.Form, to onramp.Destination) {
	switch to.Kind {
	case onramp.DataExtension:
		addExtension(unit, provision.Desired(form, to))
	case onramp.Journey:
		d := provision.Desired(form, to)
		addExtension(unit, d)
		unit.Journeys[to.Key] = &account.JourneySetting{DataExtension: d.Key, Status: account.Published}
	case onramp.Message:
		unit.MessageDefinitions[to.Key] = &account.DefinitionSetting{Status: account.Active}
	case onramp.SinkDestination:
	}
}

// addExtension adds a data extension, or what another step needs of one. A column that
// only some of the steps send must not be required.
func addExtension(unit *account.UnitSetting, d metadata.DataExtension) {
	set, known := unit.DataExtensions[d.Key], true
	if set == nil {
		set, known = &account.ExtensionSetting{Name: d.Name, Description: d.Description}, false
		if d.Sendable {
			set.Sendable = &account.SendableSetting{Column: d.SendableField, Subscriber: d.SubscriberField}
		}
		unit.DataExtensions[d.Key] = set
	}
	for i := range set.Columns {
		c := &set.Columns[i]
		if !slices.ContainsFunc(d.Fields, func(f metadata.Field) bool { return strings.EqualFold(f.Name, c.Name) }) {
			c.Nullable = !c.PrimaryKey
		}
	}
	for _, f := range d.Fields {
		at := slices.IndexFunc(set.Columns, func(c sandbox.Column) bool { return strings.EqualFold(c.Name, f.Name) })
		if at >= 0 {
			widen(&set.Columns[at], f)
			continue
		}
		set.Columns = append(set.Columns, sandbox.Column{
			Name: f.Name, Type: f.Type, Length: f.Length, Scale: f.Scale, PrimaryKey: f.PrimaryKey, Nullable: !f.PrimaryKey && (known || !f.Required),
		})
	}
}

// widen makes a column take what a step sends, too.
func widen(c *sandbox.Column, f metadata.Field) {
	if c.Type != f.Type {
		c.Type = metadata.Text
	}
	c.Length = max(c.Length, f.Length)
	c.Nullable = !c.PrimaryKey && (c.Nullable || !f.Required)
}
