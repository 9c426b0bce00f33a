package setup

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"onramp/sfmc"
)

// hasStatus says whether an error is an answer with one of the statuses.
func hasStatus(err error, statuses ...int) bool {
	answer, ok := errors.AsType[*sfmc.Error](err)
	return ok && slices.Contains(statuses, answer.Status)
}

// ignoreNotFound drops an error that says that the thing does not exist.
func ignoreNotFound(err error) error {
	if hasStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

const (
	hintAgain = "run the command again: it continues where it stopped"
	hintLater = "try again later: it continues where it stopped"
	hintProxy = "something in between seems to answer in Marketing Cloud's place, such as a proxy, a firewall (WAF) or a captive portal: " +
		"let this machine reach Marketing Cloud without it, then run the command again"
)

// failure says at which step the setup stopped, and what helps: hint, unless the
// error itself says more.
func failure(step, hint string, err error) error {
	return &Error{Step: step, Cause: cause(err), Hint: betterHint(err, hint), Err: err}
}

func cause(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer came in time"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// betterHint finds what helps against an error that has nothing to do with the
// step; otherwise it is the step's own hint.
func betterHint(err error, own string) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return hintAgain
	}
	answer, ok := errors.AsType[*sfmc.Error](err)
	switch {
	case !ok:
		return own
	case errors.Is(answer.Err, sfmc.ErrAnswer) || answer.Status/100 == 3 && answer.Status != http.StatusNotModified:
		return hintProxy
	case answer.Op == sfmc.OpToken || answer.Status == http.StatusUnauthorized:
		return "check marketing_cloud.client_id, client_secret and account_id; see onramp check --only credentials"
	case answer.Status == http.StatusForbidden:
		return "give the installed package the scopes event_notification_callback_create, _read, _update and _delete, and event_notification_subscription_create, _read, _update and _delete; see onramp check --only scopes"
	case answer.Status == http.StatusNotModified:
		return "Marketing Cloud says that it already exists, but does not list it: another business unit of the account may have it, with the same address or name"
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500:
		return hintLater
	}
	return own
}
