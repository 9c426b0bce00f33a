package sfmc

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// maxAsyncRows is the vendor's hard limit of one asynchronous request (help
	// page "Marketing Cloud Engagement API limits").
	maxAsyncRows = 32_000
	// resultsPageSize is how many results are asked for at once. The default of
	// 50 would cost as many calls as storing the rows one rowset at a time. It
	// is the largest page that clients are known to ask of the vendor's other
	// row lists, and at 3 KB for each row fits an answer.
	resultsPageSize = 2500
)

// UpsertRowsAsync hands rows to Marketing Cloud, to be inserted into the data
// extension with the given external key or to update those whose keys exist, some
// time after the call: PUT /data/v1/async/dataextensions/key:KEY/rows (vendor page
// "Data Extensions Asynchronous API"). It needs the scope data_extensions_write.
// Doing it twice is harmless.
//
// A row is flat: key columns and others side by side, as anything that marshals to
// a JSON object, such as a map, a struct or a [encoding/json.RawMessage], the
// cheapest. Columns that are left out keep their value, if the row exists.
// Marketing Cloud takes at most 32,000 rows in a call, and about 5 MB, which is
// not checked here. An empty key, no rows, too many, or one that is no object are
// refused with [ErrInvalid] before anything is sent.
//
// It returns the id of the request, for [Client.AsyncStatus] and
// [Client.AsyncResults]: that it was accepted says nothing of any row. Each row is
// stored or not by itself. A data extension that does not exist is an [*Error]
// with CodeText "CustomObjectNotFound", whose Status may be 400 or 200. A 2xx
// answer without an id is one with [ErrAnswer].
func (c *Client) UpsertRowsAsync(ctx context.Context, key string, rows []any) (requestID string, err error) {
	return c.submitRows(ctx, OpUpsertRowsAsync, http.MethodPut, key, rows)
}

// InsertRowsAsync is like [Client.UpsertRowsAsync], but inserts only: a row whose
// key exists is left as it is, and its result is an error. It is a POST of the
// same address.
func (c *Client) InsertRowsAsync(ctx context.Context, key string, rows []any) (requestID string, err error) {
	return c.submitRows(ctx, OpInsertRowsAsync, http.MethodPost, key, rows)
}

func (c *Client) submitRows(ctx context.Context, op, method, key string, rows []any) (string, error) {
	body, err := items(key, rows)
	if err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	a, err := c.call(ctx, op, method, "data/v1/async/dataextensions/key:"+url.PathEscape(key)+"/rows", body)
	if err != nil {
		return "", err
	}
	// An id beside an error is that of a request that was turned down.
	return a.named("requestId")
}

// items checks the arguments of UpsertRowsAsync and gives the body to send,
// written piece by piece as in rowset.
func items(key string, rows []any) ([]byte, error) {
	switch n := len(rows); {
	case strings.TrimSpace(key) == "":
		return nil, fmt.Errorf("data extension key: %w: empty", ErrInvalid)
	case n == 0 || n > maxAsyncRows:
		return nil, fmt.Errorf("rows: %w: %d, want 1 to %d", ErrInvalid, n, maxAsyncRows)
	}
	var b bytes.Buffer
	b.Grow(16 + len(rows) + rawSize(rows, func(v any) any { return v }))
	b.WriteString(`{"items":[`)
	for i, row := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		switch ok, err := writeObject(&b, row); {
		case err != nil:
			return nil, fmt.Errorf("row %d: %w", i, err)
		case !ok:
			return nil, fmt.Errorf("row %d: %w: null", i, ErrInvalid)
		}
	}
	b.WriteString("]}")
	return b.Bytes(), nil
}

// AsyncStatus is how far an asynchronous request has come.
type AsyncStatus struct {
	// Found reports whether Marketing Cloud has a record of the request. It is
	// normally false right after the call, and also for an id that never was or
	// has expired: ask again, up to a limit of your own.
	Found bool
	// RequestStatus is "Pending", "Executing", "Complete" or "Error".
	RequestStatus string
	// ResultStatus is "OK" or "Has Errors".
	ResultStatus string
	// HasErrors says that some rows, or all, were not stored.
	HasErrors bool
}

// Done reports whether the request is at its end: Complete or Error. Of Error, a
// client in production has seen that it may turn into Complete on a later look
// (destination salesforce-marketing-cloud of segmentio/action-destinations), so
// look again before giving up rows.
func (s AsyncStatus) Done() bool {
	return s.isComplete() || strings.EqualFold(s.RequestStatus, "Error")
}

// AllOK reports whether all rows were stored: the results need not be asked for.
func (s AsyncStatus) AllOK() bool {
	return s.isComplete() && strings.EqualFold(s.ResultStatus, "OK") && !s.HasErrors
}

func (s AsyncStatus) isComplete() bool { return strings.EqualFold(s.RequestStatus, "Complete") }

// AsyncStatus asks how far a request has come: GET /data/v1/async/ID/status
// (vendor page "Data Extensions Asynchronous API"). It needs the scope
// data_extensions_read.
//
// That there is no record of the request yet is not an error, but a status with
// Found false: Marketing Cloud says so by "AsyncRequestStatusNotFound", or by an
// answer without a status. The status of another request is an [*Error] with
// [ErrAnswer]. An empty id is refused with [ErrInvalid].
func (c *Client) AsyncStatus(ctx context.Context, requestID string) (AsyncStatus, error) {
	a, err := c.askAsync(ctx, OpAsyncStatus, requestID, "/status")
	if err != nil {
		return AsyncStatus{}, err
	}
	return a.asyncStatus(requestID)
}

func (c *Client) askAsync(ctx context.Context, op, requestID, rest string) (*answer, error) {
	if err := checkSegment("request id", requestID); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return c.call(ctx, op, http.MethodGet, "data/v1/async/"+url.PathEscape(requestID)+rest, nil)
}

// checkSegment refuses what cannot be a whole segment of a path: nothing, and the
// dots that servers take for a way up.
func checkSegment(what, s string) error {
	if s = strings.TrimSpace(s); s == "" || s == "." || s == ".." {
		return fmt.Errorf("%s %q: %w", what, s, ErrInvalid)
	}
	return nil
}

func (a *answer) asyncStatus(requestID string) (AsyncStatus, error) {
	m, err := a.asyncRecord()
	if err != nil {
		return AsyncStatus{}, err
	}
	status, ok := member(m, "status").(map[string]any)
	if !ok {
		return AsyncStatus{}, nil
	}
	if id := text(status, "requestId"); id != "" && !strings.EqualFold(id, strings.TrimSpace(requestID)) {
		return AsyncStatus{}, a.unfit("the status is that of another request")
	}
	hasErrors, _ := member(status, "hasErrors").(bool)
	return AsyncStatus{
		Found:         true,
		RequestStatus: a.cut(text(status, "requestStatus")),
		ResultStatus:  a.cut(text(status, "resultStatus")),
		HasErrors:     hasErrors,
	}, nil
}

// asyncRecord reads what Marketing Cloud has on an asynchronous request: nil if it
// has nothing.
func (a *answer) asyncRecord() (map[string]any, error) {
	v, err := a.decode()
	if err == nil && isAsyncNotFound(v) {
		return nil, nil
	}
	v, err = a.verdict(v, err)
	if err != nil || v == nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, a.unfit("not an object")
	}
	return m, nil
}

// isAsyncNotFound reports whether all that an answer says is that there is no record
// of the request. Documented is AsyncRequestStatusNotFound, with status 200; what
// the route of the results says is taken to be alike.
func isAsyncNotFound(v any) bool {
	m, _ := v.(map[string]any)
	errs := resultErrors(m)
	for _, d := range errs {
		code := strings.ToLower(d.CodeText)
		if !strings.HasPrefix(code, "asyncrequest") || !strings.HasSuffix(code, "notfound") {
			return false
		}
	}
	return len(errs) > 0
}

// AsyncResults is a page of the results of an asynchronous request.
type AsyncResults struct {
	// Found reports whether Marketing Cloud has results of the request; else
	// ask again later. See [AsyncStatus].
	Found bool
	// Page is the number of the page, from 1.
	Page int
	// PageSize is how many results a page holds, as the answer says: the
	// vendor need not grant the size that was asked for. 0 if it does not say.
	PageSize int
	// Count is the number of results on all pages, as the answer says; 0 if
	// it does not say.
	Count int
	// Items are the results on this page: one for each row that was sent, in
	// the order in which they were sent.
	Items []RowResult
}

// RowResult is what became of one row of an asynchronous request.
type RowResult struct {
	// OK says that the row was stored. It is false of an answer that does
	// not say so.
	OK bool
	// Detail is what the answer says of the row, also if it is OK. A message
	// with "Rerun the transaction." in it, at its end or before other sentences,
	// reports a deadlock: the row is good.
	Detail
	// Errors are about single columns, which they name; at most 100.
	Errors []Detail
}

// AsyncResults asks what became of the rows of a request that is done: GET
// /data/v1/async/ID/results (vendor page of that name). Pages count from 1. It
// needs the scope data_extensions_read.
//
// Go on to the next page until there have been Count results, or a page has none.
// A page is large, 2,500 results, but may come with 50. That there are no results
// yet is not an error, but a value with Found false. If the answer is another page
// than the one asked for, as from a server that does not know of pages, that is an
// [*Error] with [ErrAnswer], lest results be taken for those of other rows. An
// empty id or a page below 1 is refused with [ErrInvalid].
func (c *Client) AsyncResults(ctx context.Context, requestID string, page int) (AsyncResults, error) {
	if page < 1 {
		return AsyncResults{}, fmt.Errorf("%s: page %d: %w", OpAsyncResults, page, ErrInvalid)
	}
	a, err := c.askAsync(ctx, OpAsyncResults, requestID, "/results"+pageQuery(page, resultsPageSize))
	if err == nil && a.status == http.StatusBadRequest {
		// Perhaps for the size: it is nowhere documented as a parameter. Without
		// one all pages have the vendor's own size, so that they still fit
		// together.
		a, err = c.askAsync(ctx, OpAsyncResults, requestID, "/results"+pageQuery(page, 0))
	}
	if err != nil {
		return AsyncResults{}, err
	}
	return a.asyncResults(page)
}

// pageQuery asks for a page. The vendor page of the results describes page and
// pageSize as members of the answer only. The route's sisters call the parameters
// $page and $pageSize, the one client known to turn these pages calls it page; a
// name that a server does not know costs nothing, so both are sent. The first page
// is what comes unasked: it has no parameter that could be wrong.
func pageQuery(page, size int) string {
	var params []string
	if page > 1 {
		n := strconv.Itoa(page)
		params = append(params, "$page="+n, "page="+n)
	}
	if size > 0 {
		n := strconv.Itoa(size)
		params = append(params, "$pageSize="+n, "pageSize="+n)
	}
	if params == nil {
		return ""
	}
	return "?" + strings.Join(params, "&")
}

func (a *answer) asyncResults(page int) (AsyncResults, error) {
	m, err := a.asyncRecord()
	if err != nil {
		return AsyncResults{}, err
	}
	els, ok := member(m, "items").([]any)
	if !ok {
		return AsyncResults{}, nil
	}
	if got := whole(m, "page"); got != page && got > 0 {
		return AsyncResults{}, a.unfit(fmt.Sprintf("page %d instead of %d", got, page))
	}
	r := AsyncResults{
		Found:    true,
		Page:     page,
		PageSize: whole(m, "pageSize"),
		Count:    whole(m, "count"),
		Items:    make([]RowResult, len(els)),
	}
	for i, el := range els {
		r.Items[i] = a.rowResult(el)
	}
	return r, nil
}

func (a *answer) rowResult(v any) RowResult {
	m, _ := v.(map[string]any)
	r := RowResult{Detail: detail(m), Errors: details(list(m, "errors"))}
	r.OK = strings.EqualFold(text(m, "status"), "OK") && !isFaulty(m) && len(r.Errors) == 0
	r.Detail.hide(a.hide)
	for i := range r.Errors {
		r.Errors[i].hide(a.hide)
	}
	return r
}
