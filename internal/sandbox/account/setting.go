package account

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// Setting is what PUT /_sandbox/account changes. What it does not name stays as it is,
// and null takes a thing away.
type Setting struct {
	UnitSetting                              // of the business unit at the top
	BusinessUnits map[string]*UnitSetting    `json:"business_units,omitempty"` // by MID; others, or the same
	Package       *PackageSetting            `json:"package,omitempty"`        // the one that the account starts with
	Packages      map[string]*PackageSetting `json:"packages,omitempty"`       // by client id
	MissingScope  int                        `json:"missing_scope,omitempty"`  // status of /hub/v1/dataevents without its scope: 401 or 403
	// ResultsPage is how many results of an asynchronous request are on a page, whatever
	// is asked for; 0: all, or as is asked for.
	ResultsPage *int `json:"results_page_size,omitempty"`
	// Empty throws all data extensions, journeys, message definitions and business units
	// but the one at the top away first.
	Empty bool `json:"empty,omitempty"`
}

// UnitSetting is a business unit.
type UnitSetting struct {
	Name               string                        `json:"name,omitempty"`
	DataExtensions     map[string]*ExtensionSetting  `json:"data_extensions,omitempty"`     // by external key
	Journeys           map[string]*JourneySetting    `json:"journeys,omitempty"`            // by event definition key
	MessageDefinitions map[string]*DefinitionSetting `json:"message_definitions,omitempty"` // by definition key
}

// ExtensionSetting is a data extension. Its rows stay, but for the columns that it has
// no longer. Without columns it keeps those it has.
type ExtensionSetting struct {
	Name           string            `json:"name,omitempty"` // default: its key
	Description    string            `json:"description,omitempty"`
	Columns        []table.Column    `json:"columns,omitempty"`
	UnknownColumns string            `json:"unknown_columns,omitempty"` // "ignore", or "refuse" on the routes for rows
	Sendable       *SendableSetting  `json:"sendable,omitempty"`
	Retention      *RetentionSetting `json:"retention,omitempty"`
	Rows           []map[string]any  `json:"rows,omitempty"` // are inserted, or update those with the same primary key
}

// SendableSetting is a send relationship. No column: it is not sendable.
type SendableSetting struct {
	Column     string `json:"column"`
	Subscriber string `json:"subscriber,omitempty"` // _SubscriberKey, the default, or _SubscriberID
}

// RetentionSetting says after how many days rows are deleted, one by one or all together
// with the data extension. The sandbox deletes none. 0 days: none are.
type RetentionSetting struct {
	Days int  `json:"days"`
	Rows bool `json:"rows"`
}

// JourneySetting is an event definition with its journey. Draft and Stopped journeys
// refuse events, and None means that no journey uses the event definition; of a Paused
// one they are taken, as users report.
type JourneySetting struct {
	DataExtension string `json:"data_extension,omitempty"`
	Status        string `json:"status,omitempty"` // default: Published
}

// PackageSetting is an installed package. Tokens that were given out keep their scopes.
type PackageSetting struct {
	Secret        string   `json:"secret,omitempty"`
	Scopes        []string `json:"scopes"`                   // absent: all, or those it has
	BusinessUnits []string `json:"business_units,omitempty"` // MIDs; default: the one at the top
}

// DefinitionSetting is the definition of a transactional message.
type DefinitionSetting struct {
	Status string `json:"status,omitempty"` // Active, the default, or Inactive; an inactive one takes messages and sends none
}

// Check says what is wrong with the setting for an account that is new.
func (s *Setting) Check() error { return s.check(New(time.Time{})) }

// Change makes the account what the setting says, or says what is wrong with it and
// changes nothing.
func (a *Account) Change(s *Setting, now time.Time) error {
	if err := s.check(a); err != nil {
		return err
	}
	if s.Empty {
		a.empty(now)
	}
	a.Units[MID].change(&s.UnitSetting, now)
	for mid, set := range s.BusinessUnits {
		switch {
		case set == nil:
			delete(a.Units, mid)
		case a.Units[mid] == nil:
			a.addUnit(mid, "Business Unit "+mid, now).change(set, now)
		default:
			a.Units[mid].change(set, now)
		}
	}
	if s.Package != nil {
		a.setPackage(ClientID, s.Package)
	}
	for id, set := range s.Packages {
		a.setPackage(id, set)
	}
	if s.MissingScope != 0 {
		a.MissingScope = s.MissingScope
	}
	if s.ResultsPage != nil {
		a.ResultsPage = *s.ResultsPage
	}
	return nil
}

// empty throws away what the account holds. Packages stay.
func (a *Account) empty(now time.Time) {
	clear(a.Units)
	a.addUnit(MID, "Sandbox", now)
}

// check says what is wrong with the settings.
func (s *Setting) check(a *Account) error {
	unit := func(mid string) *Unit {
		if u := a.Units[mid]; u != nil && !s.Empty {
			return u
		}
		return &Unit{}
	}
	if err := s.UnitSetting.check(unit(MID)); err != nil {
		return err
	}
	for mid, set := range s.BusinessUnits {
		if err := checkUnit(mid, set, unit(mid)); err != nil {
			return fmt.Errorf("business_units: %s: %w", mid, err)
		}
	}
	if !slices.Contains([]int{0, http.StatusUnauthorized, http.StatusForbidden}, s.MissingScope) {
		return fmt.Errorf("missing_scope is %d, want 401 or 403", s.MissingScope)
	}
	if s.ResultsPage != nil && *s.ResultsPage < 0 {
		return errors.New("results_page_size is negative")
	}
	return s.checkPackages(a)
}

// mids are numbers: nine digits as the vendor gives them, or a few less or more.
var mids = regexp.MustCompile(`^[1-9][0-9]{5,14}$`)

func checkUnit(mid string, set *UnitSetting, old *Unit) error {
	switch {
	case !mids.MatchString(mid):
		return errors.New("a MID has 6 to 15 digits")
	case set == nil && mid == MID:
		return errors.New("the business unit at the top can't be taken away")
	case set == nil:
		return nil
	}
	return set.check(old)
}

func (s *Setting) checkPackages(a *Account) error {
	known := func(mid string) bool {
		set, named := s.BusinessUnits[mid]
		return mid == MID || named && set != nil || !named && a.Units[mid] != nil && !s.Empty
	}
	if err := s.Package.check(known); err != nil {
		return fmt.Errorf("package: %w", err)
	}
	for id, p := range s.Packages {
		if err := p.check(known); err != nil {
			return fmt.Errorf("packages: %s: %w", id, err)
		}
		if p != nil && p.Secret == "" && a.Packages[id] == nil {
			return fmt.Errorf("packages: %s: secret is missing", id)
		}
	}
	return nil
}

func (p *PackageSetting) check(known func(mid string) bool) error {
	if p == nil {
		return nil
	}
	for _, scope := range p.Scopes {
		if !slices.Contains(Scopes(), scope) {
			return fmt.Errorf("unknown scope %q", scope)
		}
	}
	for _, mid := range p.BusinessUnits {
		if !known(mid) {
			return fmt.Errorf("no business unit %q", mid)
		}
	}
	return nil
}

func (s *UnitSetting) check(u *Unit) error {
	for key, e := range s.DataExtensions {
		if err := e.check(u.Extensions[key]); err != nil {
			return fmt.Errorf("data_extensions: %s: %w", key, err)
		}
	}
	for key, j := range s.Journeys {
		if err := s.checkJourney(u, u.Journeys[key], j); err != nil {
			return fmt.Errorf("journeys: %s: %w", key, err)
		}
	}
	for key, d := range s.MessageDefinitions {
		if d != nil && !slices.Contains([]string{"", Active, Inactive}, d.Status) {
			return fmt.Errorf("message_definitions: %s: unknown status %q", key, d.Status)
		}
	}
	return nil
}

func (s *UnitSetting) checkJourney(u *Unit, old *Journey, set *JourneySetting) error {
	if set == nil {
		return nil
	}
	if !slices.Contains([]string{"", Published, Paused, Draft, Stopped, NoJourney}, set.Status) {
		return fmt.Errorf("unknown status %q", set.Status)
	}
	extension := set.DataExtension
	if extension == "" && old != nil {
		extension = old.Extension.Key
	}
	if set, named := s.DataExtensions[extension]; named && set == nil || !named && u.Extensions[extension] == nil {
		return fmt.Errorf("no data extension %q", extension)
	}
	return nil
}

func (e *ExtensionSetting) check(old *Extension) error {
	if e == nil {
		return nil
	}
	columns := e.Columns
	if old != nil && len(columns) == 0 {
		columns = old.Columns
	}
	if len(columns) == 0 {
		return errors.New("columns are missing")
	}
	if !slices.Contains([]string{"", "ignore", "refuse"}, e.UnknownColumns) {
		return fmt.Errorf("unknown_columns is %q, want ignore or refuse", e.UnknownColumns)
	}
	if err := CheckColumns(columns); err != nil {
		return err
	}
	if r := e.Retention; r != nil && r.Days < 0 {
		return errors.New("retention: days are negative")
	}
	if _, err := e.rows(table.New("", "", "", columns)); err != nil {
		return err
	}
	return e.Sendable.check(columns)
}

// rows reads the rows for a table, or says what is wrong with one.
func (e *ExtensionSetting) rows(d *table.Table) ([]table.SentRow, error) {
	if len(e.Rows) == 0 {
		return nil, nil
	}
	body, err := wire.Encode(map[string]any{"items": e.Rows})
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	rows, ok := d.ReadItems(body)
	if !ok {
		return nil, errors.New("rows: want objects of scalars, by column")
	}
	for i := range rows {
		switch flaws := d.Flaws(&rows[i], false); {
		case len(d.Primary) > 0 && rows[i].Identity == "":
			return nil, fmt.Errorf("rows: row %d lacks its primary key", i+1)
		case len(flaws) > 0 && flaws[0].What == "":
			return nil, fmt.Errorf("rows: row %d: %s", i+1, flaws[0].Column.Missing())
		case len(flaws) > 0:
			return nil, fmt.Errorf("rows: row %d: %s", i+1, flaws[0].Column.Problem(flaws[0].What))
		}
	}
	return rows, nil
}

func (s *SendableSetting) check(columns []table.Column) error {
	if s == nil || s.Column == "" {
		return nil
	}
	if !slices.Contains([]string{"", SubscriberKey, SubscriberID}, s.Subscriber) {
		return fmt.Errorf("sendable: subscriber is %q, want %s or %s", s.Subscriber, SubscriberKey, SubscriberID)
	}
	if !slices.ContainsFunc(columns, func(c table.Column) bool { return strings.EqualFold(c.Name, s.Column) }) {
		return fmt.Errorf("sendable: no column %q", s.Column)
	}
	return nil
}

// CheckColumns says what is wrong with the columns of a data extension.
func CheckColumns(columns []table.Column) error {
	seen := map[string]bool{}
	for _, c := range columns {
		name := strings.ToLower(c.Name)
		if name == "" || seen[name] {
			return fmt.Errorf("column %q is there twice, or has no name", c.Name)
		}
		if seen[name] = true; !table.IsType(c.Type) {
			return fmt.Errorf("column %s: unknown type %q", c.Name, c.Type)
		}
	}
	return nil
}
