package sandbox

import (
	"net/http"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// controlAccount answers PUT /_sandbox/account with the account as it is now.
func (s *Sandbox) controlAccount(r *http.Request) (wire.Answer, error) {
	var set account.Setting
	if err := decodeControl(r, &set); err != nil {
		return wire.Answer{}, err
	}
	now := s.lock()
	defer s.mu.Unlock()
	if err := s.world.account.Change(&set, now); err != nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, err.Error()}
	}
	return wire.JSON(http.StatusOK, s.world.account.View()), nil
}

// unit is the business unit that a call's token is for. It needs the sandbox's mutex.
func (w *world) unit(c *wire.Call) *account.Unit {
	if u := w.account.Units[c.Token.Unit]; u != nil {
		return u
	}
	return &account.Unit{} // it was taken away since: there is nothing in it
}

// present is the business unit that a call's token is for. Undocumented: a token for one
// that was taken away is not valid. It needs the sandbox's mutex.
func (s *Sandbox) present(c *wire.Call) (*account.Unit, error) {
	if u := s.world.account.Units[c.Token.Unit]; u != nil {
		return u, nil
	}
	return nil, wire.Failure(http.StatusUnauthorized, wire.CodeNotAuthorized)
}

// lacksScope is the refusal of a call for which the package has no scope. Known from a
// tenant: the words of /data/v1, and that /hub/v1/dataevents answers "Not Authorized",
// with either status.
func (s *Sandbox) lacksScope(c *call) error {
	path := c.route.Pattern // callers write it in several ways
	s.mu.Lock()
	status := s.world.account.MissingScope
	s.mu.Unlock()
	switch {
	case strings.HasPrefix(path, "/data/v1/"):
		return wire.Failuref(http.StatusForbidden, wire.NoCode, "Insufficient privileges to complete this action.")
	case strings.HasPrefix(path, "/hub/v1/dataevents") && status == http.StatusUnauthorized:
		return wire.Failure(http.StatusUnauthorized, wire.CodeNotAuthorized)
	case strings.HasPrefix(path, "/hub/v1/dataevents"):
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
