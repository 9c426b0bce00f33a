package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

const (
	defaultPageSize = 50
	// maxPageSize is the largest page; a request for a larger one gets this.
	// Undocumented: clients in the wild use up to this many rows.
	maxPageSize = 2500
	// queryLife is how long a request token pages on. Undocumented.
	queryLife = 30 * time.Minute
	// maxQueries bounds the memory: the oldest request token is forgotten.
	maxQueries = 1000
)

// query is a read that a request token stands for.
type query struct {
	token    string
	key      string // the data extension's external key
	filter   string
	orderBy  string
	pageSize int
	expires  time.Time
}

// queries are the reads that can be paged on, oldest first.
type queries struct {
	list []query
}

// find returns the read of a token unless it is unknown or has expired.
func (qs *queries) find(token string, now time.Time) (query, bool) {
	for _, q := range qs.list {
		if q.token == token {
			return q, now.Before(q.expires)
		}
	}
	return query{}, false
}

func (qs *queries) add(q query) {
	if len(qs.list) == maxQueries {
		copy(qs.list, qs.list[1:])
		qs.list = qs.list[:maxQueries-1]
	}
	qs.list = append(qs.list, q)
}

// readRows answers GET /data/v1/customobjectdata/key/{key}/rowset with the
// first page, or the one asked for, and a request token for the others.
func (s *Sandbox) readRows(c *wire.Call) (wire.Answer, error) {
	params, err := parseReadParams(c.Request.URL.RawQuery)
	if err != nil {
		return wire.Answer{}, err
	}
	q := query{
		token: wire.NewGUID(), key: c.Param("key"), filter: params.filter, orderBy: params.orderBy, pageSize: defaultPageSize,
	}
	if params.pageSize > 0 {
		q.pageSize = params.pageSize
	}
	now := s.lock()
	defer s.mu.Unlock()
	q.expires = now.Add(queryLife)
	page, err := s.world.read(q, max(params.page, 1))
	if err != nil {
		return wire.Answer{}, err
	}
	s.world.queries.add(q)
	return wire.JSON(http.StatusOK, page), nil
}

// readMoreRows answers GET /data/v1/customobjectdata/token/{token}/rowset: a
// page of a read that readRows began. It shows the rows as they are now.
func (s *Sandbox) readMoreRows(c *wire.Call) (wire.Answer, error) {
	params, err := parseReadParams(c.Request.URL.RawQuery)
	if err != nil {
		return wire.Answer{}, err
	}
	now := s.lock()
	defer s.mu.Unlock()
	q, ok := s.world.queries.find(c.Param("token"), now)
	if !ok {
		return wire.Answer{}, wire.Failure(http.StatusNotFound, wire.CodeNotFound)
	}
	if params.pageSize > 0 {
		q.pageSize = params.pageSize
	}
	page, err := s.world.read(q, max(params.page, 1))
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, page), nil
}

// readParams are the parameters of a read; 0 and "" were not sent.
type readParams struct {
	page, pageSize  int
	filter, orderBy string
}

// parseReadParams reads the query string by hand. The vendor does not take "+"
// for a space, while net/url does; and it takes the names in any case.
func parseReadParams(raw string) (readParams, error) {
	var p readParams
	for pair := range strings.SplitSeq(raw, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.PathUnescape(rawName)
		if err != nil {
			continue // not one of ours
		}
		value, err := url.PathUnescape(rawValue)
		bad := err != nil || strings.Contains(rawValue, "+")
		switch strings.ToLower(name) {
		case "$page":
			name = "$page"
			p.page, err = strconv.Atoi(value)
			bad = bad || err != nil || p.page < 1
		case "$pagesize":
			name = "$pageSize"
			p.pageSize, err = strconv.Atoi(value)
			bad = bad || err != nil || p.pageSize < 1
			p.pageSize = min(p.pageSize, maxPageSize)
		case "$filter":
			name, p.filter = "$filter", value
		case "$orderby":
			name, p.orderBy = "$orderBy", value
		default:
			continue
		}
		if bad {
			return readParams{}, unresolved(name)
		}
	}
	return p, nil
}

// unresolved is the vendor's refusal of a query parameter.
func unresolved(name string) error {
	return wire.Failuref(http.StatusBadRequest, wire.CodeIncorrectFormat, "request parameter %s could not be resolved", name)
}

// rowPage is the answer to a read, with the vendor's names.
type rowPage struct {
	Links           map[string]string `json:"links"`
	RequestToken    string            `json:"requestToken"`
	TokenExpireDate string            `json:"tokenExpireDateUtc"`
	CustomObjectID  string            `json:"customObjectId"`
	CustomObjectKey string            `json:"customObjectKey"`
	PageSize        int               `json:"pageSize"`
	Page            int               `json:"page"`
	Count           int               `json:"count"` // of all pages
	Top             int               `json:"top"`
	Items           []rowItem         `json:"items,omitempty"`
}

type rowItem struct {
	Keys   map[string]string `json:"keys"`
	Values map[string]string `json:"values"`
}

// read makes one page. It needs the sandbox's mutex.
func (w *world) read(q query, page int) (rowPage, error) {
	d := w.extensionByKey(q.key)
	if d == nil {
		return rowPage{}, wire.Failure(http.StatusNotFound, wire.CodeNotFound)
	}
	rows := d.Rows
	if q.filter != "" {
		keep, err := d.ParseFilter(q.filter)
		if err != nil {
			return rowPage{}, unresolved("$filter")
		}
		rows = nil
		for _, r := range d.Rows {
			if keep(r) {
				rows = append(rows, r)
			}
		}
	}
	rows, err := d.Sorted(rows, q.orderBy)
	if err != nil {
		return rowPage{}, unresolved("$orderBy")
	}

	link := func(n int) string {
		return fmt.Sprintf("/v1/customobjectdata/token/%s/rowset?$page=%d", q.token, n)
	}
	p := rowPage{
		Links:        map[string]string{"self": link(page)},
		RequestToken: q.token, TokenExpireDate: q.expires.Format("2006-01-02T15:04:05.99"),
		CustomObjectID: d.ID, CustomObjectKey: d.Key, PageSize: q.pageSize, Page: page, Count: len(rows),
	}
	// A page number is any integer: compare before multiplying.
	if page-1 > len(rows)/q.pageSize {
		return p, nil
	}
	start := min((page-1)*q.pageSize, len(rows))
	end := min(start+q.pageSize, len(rows))
	if end < len(rows) {
		p.Links["next"] = link(page + 1)
	}
	for _, r := range rows[start:end] {
		p.Items = append(p.Items, itemOf(d, r))
	}
	return p, nil
}

// itemOf shows a row as the vendor reads it back: names in lower case, values
// all strings. Undocumented: a cell without a value reads "".
func itemOf(d *table.Table, r table.Row) rowItem {
	item := rowItem{Keys: map[string]string{}, Values: map[string]string{}}
	for i := range d.Columns {
		var v table.Value
		v, r = r.Next()
		into := item.Values
		if d.Columns[i].PrimaryKey {
			into = item.Keys
		}
		into[strings.ToLower(d.Columns[i].Name)] = d.Columns[i].Render(v.Text)
	}
	return item
}
