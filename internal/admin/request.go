package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"onramp/internal/chain"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/web"
	"onramp/internal/web/media"
)

func (a *Admin) listRegistrations(w http.ResponseWriter, r *http.Request) error {
	filter, err := readFilter(r)
	if err != nil {
		return err
	}
	page, err := a.Desk.ListRegistrations(r.Context(), filter)
	return write(w, page, err)
}

func (a *Admin) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	filter, err := readFilter(r)
	if err != nil {
		return err
	}
	page, err := a.Desk.ListDeliveries(r.Context(), filter)
	return write(w, page, err)
}

func (a *Admin) listCauses(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	f := onramp.Filter{State: q.Get("state"), Form: q.Get("form"), Destination: q.Get("destination")}
	if f.Since, f.Until, err = readPeriod(q); err != nil {
		return err
	}
	causes, err := a.Desk.ListCauses(r.Context(), f)
	return write(w, causes, err)
}

func (a *Admin) listEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	f := onramp.EventFilter{
		Type: q.Get("type"), Callback: q.Get("callback"), Destination: q.Get("destination"), Query: q.Get("q"), Cursor: q.Get("cursor"),
	}
	if f.Limit, err = readLimit(q); err != nil {
		return err
	}
	if f.Since, f.Until, err = readPeriod(q); err != nil {
		return err
	}
	page, err := a.Desk.ListEvents(r.Context(), f)
	return write(w, page, err)
}

func (a *Admin) editDelivery(w http.ResponseWriter, r *http.Request) error {
	var c operator.Correction
	if err := readJSON(r, &c, `{"fields":{"email":"ana@example.org"},"retry":true}, every value as a text`); err != nil {
		return err
	}
	d, err := a.Desk.EditDelivery(r.Context(), r.PathValue("id"), c)
	return write(w, d, err)
}

func (a *Admin) resendRegistration(w http.ResponseWriter, r *http.Request) error {
	var again operator.Again
	if err := readJSON(r, &again, `{"step":1,"dry_run":true}`); err != nil {
		return err
	}
	resent, err := a.Desk.ResendRegistration(r.Context(), r.PathValue("id"), again)
	return write(w, resent, err)
}

// retryDelivery takes overwrite_newer=true in the query.
func (a *Admin) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	overwrite, err := readOverwrite(r)
	if err != nil {
		return err
	}
	d, err := a.Desk.RetryDelivery(r.Context(), r.PathValue("id"), overwrite)
	return write(w, d, err)
}

// releaseRegistration takes overwrite_newer=true in the query.
func (a *Admin) releaseRegistration(w http.ResponseWriter, r *http.Request) error {
	overwrite, err := readOverwrite(r)
	if err != nil {
		return err
	}
	released, err := a.Desk.ReleaseSuspect(r.Context(), r.PathValue("id"), overwrite)
	return write(w, released, err)
}

func readOverwrite(r *http.Request) (overwrite bool, err error) {
	text := r.URL.Query().Get("overwrite_newer")
	if text == "" {
		return false, nil
	}
	if overwrite, err = strconv.ParseBool(text); err != nil {
		return false, &onramp.Error{Kind: onramp.Malformed, Message: "overwrite_newer must be true or false"}
	}
	return overwrite, nil
}

func (a *Admin) discardDelivery(w http.ResponseWriter, r *http.Request) error {
	why, err := readReason(r, "a test")
	if err != nil {
		return err
	}
	d, err := a.Desk.DiscardDelivery(r.Context(), r.PathValue("id"), why)
	return write(w, d, err)
}

func (a *Admin) listDestinations(w http.ResponseWriter, r *http.Request) error {
	s, err := a.Desk.Status(r.Context())
	return write(w, operator.Page[operator.DestinationStatus]{Items: s.Destinations}, err)
}

func (a *Admin) pauseDestination(w http.ResponseWriter, r *http.Request) error {
	why, err := readReason(r, "the data extension is being rebuilt")
	if err != nil {
		return err
	}
	d, err := a.Desk.PauseDestination(r.Context(), r.PathValue("name"), why)
	return write(w, d, err)
}

func (a *Admin) resumeDestination(w http.ResponseWriter, r *http.Request) error {
	d, err := a.Desk.ResumeDestination(r.Context(), r.PathValue("name"))
	return write(w, d, err)
}

func (a *Admin) listActions(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	f := onramp.ActionFilter{By: q.Get("by"), What: q.Get("action"), Cursor: q.Get("cursor")}
	if f.Limit, err = readLimit(q); err != nil {
		return err
	}
	if f.Since, f.Until, err = readPeriod(q); err != nil {
		return err
	}
	page, err := a.Desk.ListActions(r.Context(), f)
	return write(w, page, err)
}

// verify verifies a log without anchors of the caller's.
func (a *Admin) verify(verify func(context.Context, operator.Anchors) (chain.Report, error)) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		report, err := verify(r.Context(), operator.Anchors{})
		return write(w, report, err)
	}
}

// reason is why an operator does something.
type reason struct {
	Reason string `json:"reason"`
}

// readReason reads why an operator does something, of which example is one.
func readReason(r *http.Request, example string) (string, error) {
	var body reason
	err := readJSON(r, &body, `{"reason":"`+example+`"}`)
	return body.Reason, err
}

// clientID is the client that is to get a secret.
type clientID struct {
	ID string `json:"id"` // of one that exists, or is to be made; "": one is chosen
}

func (a *Admin) makeClient(w http.ResponseWriter, r *http.Request) error {
	var body clientID
	if err := readJSON(r, &body, `{"id":"mc-events"}, or {}`); err != nil {
		return err
	}
	made, rotated, err := a.Desk.MakeClient(r.Context(), body.ID)
	switch {
	case err != nil:
		return err
	case rotated:
		return web.WriteJSON(w, http.StatusOK, made)
	}
	return web.WriteJSON(w, http.StatusCreated, made)
}

// readFilter reads ?state=&form=&destination=&q=&cause=&since=&until=&cursor=&limit=.
func readFilter(r *http.Request) (onramp.Filter, error) {
	q, err := readQuery(r)
	if err != nil {
		return onramp.Filter{}, err
	}
	f := onramp.Filter{
		State: q.Get("state"), Form: q.Get("form"), Destination: q.Get("destination"), Query: q.Get("q"), Cause: q.Get("cause"), Cursor: q.Get("cursor"),
	}
	if f.Since, f.Until, err = readPeriod(q); err != nil {
		return f, err
	}
	f.Limit, err = readLimit(q)
	return f, err
}

// readPeriod reads the times of a list.
func readPeriod(q url.Values) (since, until time.Time, err error) {
	return operator.ParsePeriod(q.Get("since"), q.Get("until"), time.Now())
}

// readQuery reads the parameters of a list. What is no text matches nothing, and one of
// the two databases refuses it.
func readQuery(r *http.Request) (url.Values, error) {
	q := r.URL.Query()
	for name, values := range q {
		for _, text := range append(values, name) {
			if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
				return nil, web.Malformed("parameters must be UTF-8 text without NUL")
			}
		}
	}
	return q, nil
}

// readLimit reads the limit of a list, 0 when none is given.
func readLimit(q url.Values) (int, error) {
	limit := q.Get("limit")
	if limit == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 1 || n > 500 {
		return 0, web.Malformed("limit must be a number from 1 to 500")
	}
	return n, nil
}

const (
	maxBody  = 64 << 10 // the most that an operator's request holds
	maxLarge = 8 << 20  // the same with anchors, those of fifty years, or an export
)

// readJSON reads an operator's request; an empty body is an empty object.
func readJSON(r *http.Request, into any, example string) error {
	return readLargeJSON(r, into, maxBody, example)
}

// readLargeJSON does so for a body of at most so many bytes.
func readLargeJSON(r *http.Request, into any, most int64, example string) error {
	var body bytes.Buffer
	if err := web.ReadBody(r, &body, most); err != nil {
		return err
	}
	charset, err := media.CharsetOf(r)
	if err != nil {
		return err
	}
	text, err := charset.Text(body.Bytes())
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(into)
	if err == nil {
		_, err = decoder.Token() // nothing may follow
	}
	if !errors.Is(err, io.EOF) {
		return web.Malformed("the body must be JSON such as " + example)
	}
	return nil
}

func (a *Admin) closeErasure(w http.ResponseWriter, r *http.Request) error {
	why, err := readReason(r, "deleted by hand in Contact Builder")
	if err != nil {
		return err
	}
	run, err := a.Desk.CloseErasure(r.Context(), r.PathValue("id"), why)
	return write(w, run, err)
}
