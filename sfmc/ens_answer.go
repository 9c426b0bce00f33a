package sfmc

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
)

// records reads an answer of the Event Notification Service: an array of objects,
// or one of them without the array; nothing when it is empty. Each must have an id
// by the given name, unless that is empty. A "status" is one of a callback or a subscription here, and no
// error, whatever it says.
func (a *answer) records(id string) ([]map[string]any, error) {
	v, err := a.decode()
	ms, ok := objects(v)
	for _, m := range ms {
		a.secrets = append(a.secrets, Secret(word(m, "signatureKey")))
	}
	isBad := func(m map[string]any) bool { return hasErrorCode(m) || id != "" && text(m, id) == "" }
	if a.isGood() && err == nil && ok && !slices.ContainsFunc(ms, isBad) {
		return ms, nil
	}
	switch _, err := a.verdict(v, err); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, a.unfit("neither an object nor a list of objects")
	}
	return nil, a.unfit("no " + id)
}

// record reads an answer about one thing, as records does.
func (a *answer) record(id string) (map[string]any, error) {
	ms, err := a.records(id)
	if err != nil {
		return nil, err
	}
	if len(ms) != 1 {
		return nil, a.unfit(fmt.Sprintf("%d objects instead of 1", len(ms)))
	}
	return ms[0], nil
}

// done reads an answer of which nothing but the status is documented: its body may
// be anything but an error, or an HTML page, which is somebody else's.
func (a *answer) done() error {
	v, err := a.decode()
	if a.isGood() && err != nil && !bytes.HasPrefix(a.trimmed(), []byte("<")) {
		return nil
	}
	_, err = a.verdict(v, err)
	return err
}

// isNone reports whether an answer to a list says that there is nothing to list:
// documented is a 404 with "Callback doesn't exist". One that is not Marketing
// Cloud's own, such as a page of a proxy, says nothing of the kind.
func (a *answer) isNone() bool {
	if a.status != http.StatusNotFound {
		return false
	}
	v, err := a.decode()
	_, isObject := v.(map[string]any)
	return err == nil && (isObject || v == nil)
}

// isUnchanged reports whether an answer to an update says that the update "already
// exists on the server": that all is as it was to be.
func (a *answer) isUnchanged() bool { return a.status == http.StatusNotModified }

// objects gives the elements of an array of objects, or the one object; ok is
// false for anything else but nothing.
func objects(v any) (ms []map[string]any, ok bool) {
	switch v := v.(type) {
	case map[string]any:
		return []map[string]any{v}, true
	case []any:
		for _, el := range v {
			m, ok := el.(map[string]any)
			if !ok {
				return nil, false
			}
			ms = append(ms, m)
		}
		return ms, true
	}
	return nil, false
}

// words reads a list of strings, or one string; ok reports whether there is a member
// of that name. Elements that are no strings are passed over.
func words(m map[string]any, name string) (ws []string, ok bool) {
	switch v := member(m, name).(type) {
	case []any:
		for _, el := range v {
			if s := scalar(el); s != "" {
				ws = append(ws, s)
			}
		}
		return ws, true
	case string:
		if s := scalar(v); s != "" {
			ws = []string{s}
		}
		return ws, true
	}
	return nil, false
}
