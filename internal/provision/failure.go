package provision

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"onramp/internal/setup"
	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// ignoredError says that something did not take effect although the answer said so.
type ignoredError struct{ why string }

func (e *ignoredError) Error() string {
	return "Marketing Cloud answered that it was done, but read back, " + e.why
}

func ignored(why string) error { return &ignoredError{why} }

const hintAgain = "run the command again: it continues where it stopped"

// failure says at which step it stopped, and what helps.
func failure(step string, err error) error {
	cause := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case errors.Is(err, context.Canceled):
		cause = "it was interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		cause = "no answer came in time"
	}
	return &setup.Error{Step: step, Cause: cause, Hint: hint(err), Err: err}
}

// inMenu is the name of a scope in the package's screen.
func inMenu(scope string) string {
	switch scope {
	case "data_extensions_read":
		return "Data, Data Extensions: Read"
	case "data_extensions_write":
		return "Data, Data Extensions: Write"
	}
	return "Automation, Journeys: Read"
}

// hint is what helps against an error.
func hint(err error) string {
	if scope, ok := errors.AsType[*metadata.ScopeError](err); ok {
		return "Marketing Cloud admin: give the installed package the scope " + scope.Scope + " (Setup → Apps → Installed Packages → the package → Edit → " + inMenu(scope.Scope) + "), then run the command again"
	}
	if _, ok := errors.AsType[*ignoredError](err); ok {
		return "run the command again; if that changes nothing, a Marketing Cloud admin does it by hand"
	}
	if _, ok := errors.AsType[*misplaced](err); ok {
		return "name another folder with --folder"
	}
	answer, ok := errors.AsType[*sfmc.Error](err)
	switch {
	case !ok:
		return hintAgain
	case errors.Is(answer.Err, sfmc.ErrAnswer):
		return "let this machine reach Marketing Cloud without a proxy or firewall that answers in its place, then run the command again"
	case answer.Op == sfmc.OpToken || answer.Status == http.StatusUnauthorized:
		return "check marketing_cloud.client_id, client_secret and account_id"
	case answer.Status == http.StatusConflict:
		return "something of that name has another key, perhaps in another folder: rename one of them in Marketing Cloud, or use its key in the configuration"
	case answer.Status == http.StatusTooManyRequests || answer.Status >= http.StatusInternalServerError:
		return "try again later: it continues where it stopped"
	}
	return hintAgain
}
