package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

const (
	// maxPageSize is the largest page, and the one that is not asked for; a request for a
	// larger one gets this. Undocumented: clients in the wild use up to this many rows.
	maxPageSize = 2500
	// queryLife is how long a request token pages on. Undocumented.
	queryLife = 30 * time.Minute
	// maxQueries bounds the memory: the oldest request token is forgotten.
	maxQueries = 1000
)

// query is a read that a request token stands for.
type query struct {
	token   string
	unit    string // MID
	key     string // the data extension's external key
	params  readParams
	expires time.Time
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
	q := query{token: wire.NewGUID(), unit: c.Token.Unit, key: c.Param("key"), params: params}
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
	if !ok || q.unit != c.Token.Unit {
		return wire.Answer{}, wire.Failure(http.StatusNotFound, wire.CodeNotFound)
	}
	q.params.pageSize = cmp.Or(params.pageSize, q.params.pageSize)
	page, err := s.world.read(q, max(params.page, 1))
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, page), nil
}

// readParams are the parameters of a read; 0 and "" were not sent.
type readParams struct {
	page, pageSize, top int
	filter, orderBy     string
	fields              []string // the columns to be read; nil: all
}

// parseReadParams reads the query string by hand. The vendor does not take "+"
// for a space, while net/url does; and it takes the names in any case, those of paging
// also without the $.
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
		number := func(into *int) {
			*into, err = strconv.Atoi(value)
			bad = bad || err != nil || *into < 1
		}
		switch strings.ToLower(name) {
		case "$page", "page":
			name = "$page"
			number(&p.page)
		case "$pagesize", "pagesize":
			name = "$pageSize"
			number(&p.pageSize)
			p.pageSize = min(p.pageSize, maxPageSize)
		case "$top":
			name = "$top"
			number(&p.top)
		case "$fields":
			name, p.fields = "$fields", strings.Split(value, ",")
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
	Keys   cells `json:"keys"`
	Values cells `json:"values"`
}

// cells are names and values, in the order of the data extension's columns.
type cells []string

// MarshalJSON writes an object.
func (c cells) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, text := range c {
		encoded, err := wire.Encode(text)
		if err != nil {
			return nil, err
		}
		switch {
		case i%2 == 1:
			b = append(b, ':')
		case i > 0:
			b = append(b, ',')
		}
		b = append(b, encoded...)
	}
	return append(b, '}'), nil
}

// read makes one page. It needs the sandbox's mutex.
func (w *world) read(q query, page int) (rowPage, error) {
	var d *account.Extension
	if u := w.account.Units[q.unit]; u != nil {
		d = u.ExtensionByKey(q.key)
	}
	if d == nil {
		return rowPage{}, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "custom object data cannot be retrieved for key: %s", q.key)
	}
	shown, err := columnsOf(d.Table, q.params.fields)
	if err != nil {
		return rowPage{}, err
	}
	rows := d.Rows
	if q.params.filter != "" {
		keep, err := d.ParseFilter(q.params.filter)
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
	if rows, err = d.Sorted(rows, q.params.orderBy); err != nil {
		return rowPage{}, unresolved("$orderBy")
	}
	if q.params.top > 0 {
		rows = rows[:min(q.params.top, len(rows))]
	}
	size := cmp.Or(q.params.pageSize, maxPageSize)

	link := func(n int) string {
		return fmt.Sprintf("/v1/customobjectdata/token/%s/rowset?$page=%d", q.token, n)
	}
	p := rowPage{
		Links:        map[string]string{"self": link(page)},
		RequestToken: q.token, TokenExpireDate: q.expires.Format("2006-01-02T15:04:05.99"),
		CustomObjectID: d.ID, CustomObjectKey: d.Key, PageSize: size, Page: page, Count: len(rows), Top: q.params.top,
	}
	// A page number is any integer: compare before multiplying.
	if page-1 > len(rows)/size {
		return p, nil
	}
	start := min((page-1)*size, len(rows))
	end := min(start+size, len(rows))
	if end < len(rows) {
		p.Links["next"] = link(page + 1)
	}
	for _, r := range rows[start:end] {
		p.Items = append(p.Items, itemOf(d.Table, r, shown))
	}
	return p, nil
}

// columnsOf says which columns are shown. Undocumented: that a name which is none is
// refused.
func columnsOf(d *table.Table, fields []string) (shown []bool, err error) {
	shown = make([]bool, len(d.Columns))
	for i := range shown {
		shown[i] = fields == nil
	}
	for _, name := range fields {
		i, ok := d.Column(strings.TrimSpace(name))
		if !ok {
			return nil, unresolved("$fields")
		}
		shown[i] = true
	}
	return shown, nil
}

// itemOf shows a row as the vendor reads it back: names in lower case, values
// all strings. Undocumented: a cell without a value reads "".
func itemOf(d *table.Table, r table.Row, shown []bool) rowItem {
	item := rowItem{Keys: cells{}, Values: cells{}}
	for i := range d.Columns {
		var v table.Value
		v, r = r.Next()
		into := &item.Values
		if d.Columns[i].PrimaryKey {
			into = &item.Keys
		}
		if shown[i] {
			*into = append(*into, strings.ToLower(d.Columns[i].Name), d.Columns[i].Render(v.Text))
		}
	}
	return item
}
