package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/web"
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
	causes, err := a.Desk.ListCauses(r.Context(), onramp.Filter{State: q.Get("state"), Form: q.Get("form")})
	return write(w, causes, err)
}

func (a *Admin) listEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	limit, err := readLimit(q)
	if err != nil {
		return err
	}
	page, err := a.Desk.ListEvents(r.Context(), onramp.EventFilter{
		Type: q.Get("type"), Callback: q.Get("callback"), Query: q.Get("q"), Cursor: q.Get("cursor"), Limit: limit,
	})
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

// retryDelivery takes overwrite_newer=true in the query.
func (a *Admin) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	overwrite := false
	if text := r.URL.Query().Get("overwrite_newer"); text != "" {
		var err error
		if overwrite, err = strconv.ParseBool(text); err != nil {
			return &onramp.Error{Kind: onramp.Malformed, Message: "overwrite_newer must be true or false"}
		}
	}
	d, err := a.Desk.RetryDelivery(r.Context(), r.PathValue("id"), overwrite)
	return write(w, d, err)
}

func (a *Admin) discardDelivery(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &body, `{"reason":"a test"}`); err != nil {
		return err
	}
	d, err := a.Desk.DiscardDelivery(r.Context(), r.PathValue("id"), body.Reason)
	return write(w, d, err)
}

func (a *Admin) makeClient(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		ID string `json:"id"`
	}
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

// readFilter reads ?state=&form=&q=&cause=&cursor=&limit=.
func readFilter(r *http.Request) (onramp.Filter, error) {
	q, err := readQuery(r)
	if err != nil {
		return onramp.Filter{}, err
	}
	f := onramp.Filter{State: q.Get("state"), Form: q.Get("form"), Query: q.Get("q"), Cause: q.Get("cause"), Cursor: q.Get("cursor")}
	f.Limit, err = readLimit(q)
	return f, err
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

// maxBody is the most that an operator's request holds.
const maxBody = 64 << 10

// readJSON reads an operator's request; an empty body is an empty object.
func readJSON(r *http.Request, into any, example string) error {
	var body bytes.Buffer
	if err := web.ReadBody(r, &body, maxBody); err != nil {
		return err
	}
	if len(bytes.TrimSpace(body.Bytes())) == 0 {
		return nil
	}
	decoder := json.NewDecoder(&body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		_, err = decoder.Token() // nothing may follow
	}
	if !errors.Is(err, io.EOF) {
		return web.Malformed("the body must be JSON such as " + example)
	}
	return nil
}
