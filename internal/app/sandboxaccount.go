package app

import (
	"slices"

	"onramp/internal/config"
	"onramp/internal/consent"
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
	for _, d := range provision.AllDesired(cfg.Forms) {
		unit.DataExtensions[d.Key] = extensionSetting(d)
	}
	for i := range cfg.Forms {
		form := &cfg.Forms[i]
		for _, to := range form.Route {
			switch to.Kind {
			case onramp.Journey:
				unit.Journeys[to.Key] = &account.JourneySetting{DataExtension: provision.Desired(form, to).Key, Status: account.Published}
			case onramp.Message:
				unit.MessageDefinitions[to.Key] = &account.DefinitionSetting{Status: account.Active}
			case onramp.DataExtension, onramp.SinkDestination, onramp.SMTP:
			}
		}
		addConfirmation(unit, form)
	}
	s.Packages[sandbox.ClientID] = &account.PackageSetting{Secret: sandbox.ClientSecret, BusinessUnits: mids}
	if id := cfg.MarketingCloud.ClientID; id != sandbox.ClientID {
		s.Packages[id] = &account.PackageSetting{Secret: cfg.MarketingCloud.ClientSecret.Reveal(), BusinessUnits: mids[:1]}
	}
	return s
}

// addConfirmation adds what takes the confirmations of a form. Behind the event of a journey is a
// data extension with what a confirmation has in its data.
func addConfirmation(unit *account.UnitSetting, form *onramp.Form) {
	if form.DoubleOptIn == nil {
		return
	}
	switch to := form.DoubleOptIn.Confirmation; to.Kind {
	case onramp.Message:
		unit.MessageDefinitions[to.Key] = &account.DefinitionSetting{Status: account.Active}
	case onramp.Journey:
		set := &account.ExtensionSetting{Name: to.Key}
		for _, column := range to.KeyColumns {
			set.Columns = append(set.Columns, sandbox.Column{Name: column, Type: "Text", Length: 254, PrimaryKey: true})
		}
		columns := append([]string{to.ToColumn}, consent.DataNames(form)...)
		for _, column := range columns {
			if !slices.Contains(to.KeyColumns, column) {
				set.Columns = append(set.Columns, sandbox.Column{Name: column, Type: "Text", Length: 500, Nullable: true})
			}
		}
		unit.DataExtensions[to.Key] = set
		unit.Journeys[to.Key] = &account.JourneySetting{DataExtension: to.Key, Status: account.Published}
	case onramp.DataExtension, onramp.SinkDestination, onramp.SMTP:
	}
}

// extensionSetting is a data extension as the sandbox is told of it.
func extensionSetting(d metadata.DataExtension) *account.ExtensionSetting {
	set := &account.ExtensionSetting{Name: d.Name, Description: d.Description}
	if d.Sendable {
		set.Sendable = &account.SendableSetting{Column: d.SendableField, Subscriber: d.SubscriberField}
	}
	for _, f := range d.Fields {
		set.Columns = append(set.Columns, sandbox.Column{
			Name: f.Name, Type: f.Type, Length: f.Length, Scale: f.Scale, PrimaryKey: f.PrimaryKey, Nullable: !f.Required && !f.PrimaryKey,
		})
	}
	return set
}
