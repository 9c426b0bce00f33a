package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// account is what PUT /_sandbox/account changes. What it does not name stays as it
// is, and null takes a thing away.
type account struct {
	DataExtensions     map[string]*extensionSetting  `json:"data_extensions"`     // by external key
	Journeys           map[string]*journeySetting    `json:"journeys"`            // by event definition key
	MessageDefinitions map[string]*definitionSetting `json:"message_definitions"` // by definition key
	Package            *packageSetting               `json:"package"`
	MissingScope       int                           `json:"missing_scope"`     // status of /hub/v1/dataevents without its scope: 401 or 403
	ResultsPage        *int                          `json:"results_page_size"` // of asynchronous requests, whatever is asked for; 0: all, or as is asked for
}

// extensionSetting is a data extension. Its rows stay, but for the columns that it has
// no longer. Without columns it keeps those it has.
type extensionSetting struct {
	Name           string   `json:"name"`
	Columns        []Column `json:"columns"`
	UnknownColumns string   `json:"unknown_columns"` // "ignore", or "refuse" on the routes for rows
}

// journeySetting is an event definition with its journey. Draft and Stopped journeys
// refuse events; of a Paused one they are taken, as users report.
type journeySetting struct {
	DataExtension string `json:"data_extension"`
	Status        string `json:"status"`
}

// packageSetting is the installed package. Tokens that were given out keep their scopes.
type packageSetting struct {
	Scopes []string `json:"scopes"`
}

type definitionSetting struct {
	Status string `json:"status"` // Active or Inactive; an inactive one takes messages and sends none
}

// The states of a journey and of a message definition that make a difference here.
const (
	statusPublished = "Published"
	statusPaused    = "Paused"
	statusDraft     = "Draft"
	statusStopped   = "Stopped"
	statusActive    = "Active"
	statusInactive  = "Inactive"
)

// controlAccount answers PUT /_sandbox/account with the names of what there is now.
func (s *Sandbox) controlAccount(r *http.Request) (wire.Answer, error) {
	var a account
	if err := decodeControl(r, &a); err != nil {
		return wire.Answer{}, err
	}
	s.lock()
	defer s.mu.Unlock()
	if err := a.check(s.world); err != nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, err.Error()}
	}
	a.apply(s.world)
	return wire.JSON(http.StatusOK, s.world.accountView()), nil
}

// check says what is wrong with the settings. It needs the sandbox's mutex.
func (a *account) check(w *world) error {
	for key, e := range a.DataExtensions {
		if err := e.check(w.extensions[key] == nil); err != nil {
			return fmt.Errorf("data_extensions: %s: %w", key, err)
		}
	}
	for key, j := range a.Journeys {
		if err := a.checkJourney(w, w.journeys[key], j); err != nil {
			return fmt.Errorf("journeys: %s: %w", key, err)
		}
	}
	for key, d := range a.MessageDefinitions {
		if d != nil && !slices.Contains([]string{"", statusActive, statusInactive}, d.Status) {
			return fmt.Errorf("message_definitions: %s: unknown status %q", key, d.Status)
		}
	}
	if !slices.Contains([]int{0, http.StatusUnauthorized, http.StatusForbidden}, a.MissingScope) {
		return fmt.Errorf("missing_scope is %d, want 401 or 403", a.MissingScope)
	}
	if a.ResultsPage != nil && *a.ResultsPage < 0 {
		return errors.New("results_page_size is negative")
	}
	return a.Package.check()
}

func (a *account) checkJourney(w *world, old *journey, j *journeySetting) error {
	if j == nil {
		return nil
	}
	if !slices.Contains([]string{"", statusPublished, statusPaused, statusDraft, statusStopped}, j.Status) {
		return fmt.Errorf("unknown status %q", j.Status)
	}
	extension := j.DataExtension
	if extension == "" && old != nil {
		extension = old.extension.Key
	}
	if set, named := a.DataExtensions[extension]; named && set == nil || !named && w.extensions[extension] == nil {
		return fmt.Errorf("no data extension %q", extension)
	}
	return nil
}

func (p *packageSetting) check() error {
	if p == nil {
		return nil
	}
	for _, scope := range p.Scopes {
		if !slices.Contains(packageScopes(), scope) {
			return fmt.Errorf("package: unknown scope %q", scope)
		}
	}
	return nil
}

func (e *extensionSetting) check(isNew bool) error {
	if e == nil {
		return nil
	}
	if isNew && len(e.Columns) == 0 {
		return errors.New("columns are missing")
	}
	if !slices.Contains([]string{"", "ignore", "refuse"}, e.UnknownColumns) {
		return fmt.Errorf("unknown_columns is %q, want ignore or refuse", e.UnknownColumns)
	}
	seen := map[string]bool{}
	for _, c := range e.Columns {
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

// apply makes the account what the settings say. It needs the sandbox's mutex.
func (a *account) apply(w *world) {
	for key, e := range a.DataExtensions {
		if e == nil {
			delete(w.extensions, key)
			continue
		}
		w.setExtension(key, e)
	}
	for key, set := range a.Journeys {
		if set == nil {
			delete(w.journeys, key)
			continue
		}
		j := w.journeys[key]
		if j == nil {
			j = &journey{eventKey: key}
			w.journeys[key] = j
		}
		j.status = cmp.Or(set.Status, statusPublished)
		if set.DataExtension != "" {
			j.extension = w.extensions[set.DataExtension]
		}
	}
	for key, d := range a.MessageDefinitions {
		if delete(w.definitions, key); d != nil {
			w.definitions[key] = cmp.Or(d.Status, statusActive)
		}
	}
	if a.Package != nil {
		w.scopes = a.Package.Scopes
	}
	w.missingScope = cmp.Or(a.MissingScope, w.missingScope)
	if a.ResultsPage != nil {
		w.resultsPage = *a.ResultsPage
	}
}

// setExtension makes a data extension, or changes one that there is: then its rows
// stay, and its journeys write to it as before.
func (w *world) setExtension(key string, set *extensionSetting) {
	old := w.extensions[key]
	id, name, columns := wire.NewGUID(), key, set.Columns
	if old != nil {
		id, name = old.ID, old.Name
		if len(columns) == 0 {
			columns = old.Columns
		}
	}
	d := table.New(id, key, cmp.Or(set.Name, name), columns)
	d.RefusesUnknown = set.UnknownColumns == "refuse"
	w.extensions[key] = d
	if old == nil {
		return
	}
	d.Adopt(old)
	for _, j := range w.journeys {
		if j.extension == old {
			j.extension = d
		}
	}
}

// accountView names what there is.
func (w *world) accountView() map[string]any {
	extensions, journeys := map[string]any{}, map[string]any{}
	for key, d := range w.extensions {
		extensions[key] = map[string]any{"columns": d.Columns}
	}
	for key, j := range w.journeys {
		journeys[key] = journeySetting{j.extension.Key, j.status}
	}
	return map[string]any{
		"data_extensions": extensions, "journeys": journeys, "message_definitions": w.definitions,
		"package": map[string]any{"scopes": w.scopes}, "missing_scope": w.missingScope, "results_page_size": w.resultsPage,
	}
}

// lacksScope is the refusal of a call for which the package has no scope. Known from a
// tenant: the words of /data/v1, and that /hub/v1/dataevents answers "Not Authorized",
// with either status.
func (s *Sandbox) lacksScope(c *call) error {
	path := c.Request.URL.Path
	s.mu.Lock()
	status := s.world.missingScope
	s.mu.Unlock()
	switch {
	case strings.HasPrefix(path, "/data/v1/"):
		return wire.Failuref(http.StatusForbidden, wire.NoCode, "Insufficient privileges to complete this action.")
	case strings.HasPrefix(path, "/hub/v1/dataevents/") && status == http.StatusUnauthorized:
		return wire.Failure(http.StatusUnauthorized, wire.CodeNotAuthorized)
	case strings.HasPrefix(path, "/hub/v1/dataevents/"):
		e := wire.Failure(http.StatusForbidden, wire.CodeInsufficientPrivileges)
		e.Message = "Not Authorized"
		return e
	}
	return wire.Failure(http.StatusForbidden, wire.CodeInsufficientPrivileges)
}

// unknownColumn is the complaint about a row's column that there is not, where such
// columns are refused. Undocumented: the words.
func unknownColumn(d *table.Table, r *table.SentRow) string {
	if !d.RefusesUnknown || r.Unknown == "" {
		return ""
	}
	return r.Unknown + ": Column [" + r.Unknown + "] does not exist."
}
