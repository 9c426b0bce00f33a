package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

const (
	// maxItems is the most rows in one call. Vendor page mc_overview_limits_api:
	// 32,000 objects, a hard limit.
	maxItems = 32_000
	// jobTime is how long a job takes, and statusTime how long its status is
	// not found at first, unless a fault says otherwise. Reported: small jobs
	// take half a second to two seconds, and the status is often missing at
	// first; the sandbox is quicker, so that tests are.
	jobTime    = 300 * time.Millisecond
	statusTime = 50 * time.Millisecond
	// jobMemory is how long the outcome of a job can be asked for, maxJobs of
	// how many jobs, and maxRowErrors how many failed rows are kept in all.
	// Undocumented: the vendor's own times.
	jobMemory    = 24 * time.Hour
	maxJobs      = 1000
	maxRowErrors = 500_000
)

// job is one asynchronous insert or upsert. The sandbox's mutex guards it.
type job struct {
	id        string
	extension *account.Extension
	columns   *table.Table // that the rows were read for
	insert    bool         // else upsert
	count     int          // rows
	submitted time.Time
	visible   time.Time // when its status is found
	started   time.Time
	done      time.Time
	applied   bool
	rows      []table.SentRow // until it is applied
	faulty    map[int]Fault   // rows that faults hit, until it is applied
	failures  []rowFailure    // in order of rows, once it is applied
}

// rowFailure is why one row of a job was not stored.
type rowFailure struct {
	index   int
	message string
	columns []columnError
}

// columnError is what is wrong with one column of a row.
type columnError struct {
	Message string `json:"errorMessage"`
	Name    string `json:"name"`
	Code    int    `json:"errorCode"`
}

// The vendor's codes of a failed row and of a column in it. 2 stands for
// deadlocks, which pass, and for all that does not.
const (
	codeRowFailed   = 2
	codeColumnWrong = 70001
)

// jobs are the asynchronous jobs of a world.
type jobs struct {
	list    []*job // in order of submission
	byID    map[string]*job
	pending []*job // those not applied, in order of submission
	failed  int    // rows that failed, of all in list
}

// settle applies the jobs that are complete, in order of submission. They are
// complete one after the other for one data extension.
func (js *jobs) settle(now time.Time) {
	if len(js.pending) == 0 {
		return
	}
	js.pending = slices.DeleteFunc(js.pending, func(j *job) bool {
		if now.Before(j.done) {
			return false
		}
		j.apply()
		if js.byID[j.id] == j {
			js.failed += len(j.failures)
		}
		return true
	})
}

// queue takes a job in behind those of its data extension.
func (js *jobs) queue(j *job) {
	for _, before := range js.pending {
		if before.extension == j.extension && before.done.After(j.started) {
			j.started = before.done
			j.done = later(j.done, before.done)
		}
	}
	js.pending = append(js.pending, j)
}

// add takes a job in that can be asked for, and forgets old ones.
func (js *jobs) add(j *job) {
	js.queue(j)
	if js.byID == nil {
		js.byID = map[string]*job{}
	}
	js.list = append(js.list, j)
	js.byID[j.id] = j
	surplus := len(js.list) - maxJobs
	js.list = slices.DeleteFunc(js.list, func(old *job) bool {
		if !old.applied || surplus <= 0 && js.failed <= maxRowErrors && j.submitted.Before(old.done.Add(jobMemory)) {
			return false
		}
		surplus--
		js.failed -= len(old.failures)
		delete(js.byID, old.id)
		return true
	})
}

// find returns the job whose status can be seen now, or nil.
func (js *jobs) find(id string, now time.Time) *job {
	j := js.byID[strings.ToLower(id)]
	if j == nil || now.Before(j.visible) || !now.Before(j.done.Add(jobMemory)) {
		return nil
	}
	return j
}

// later is the later one of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// apply stores the job's good rows.
func (j *job) apply() {
	j.extension.Fit(j.columns, j.rows)
	d := j.extension.Table
	for i := range j.rows {
		r := &j.rows[i]
		message, columns := refuseAsync(d, r, j.insert)
		if unknown := unknownColumn(d, r); unknown != "" && message == "" {
			message, columns = unknown, []columnError{{unknown, strings.ToLower(r.Unknown), codeColumnWrong}}
		}
		if f, ok := j.faulty[i]; ok {
			message, columns = f.rowError(d, r)
		}
		if message == "" {
			d.Save(r, j.done)
			continue
		}
		j.failures = append(j.failures, rowFailure{i, message, columns})
	}
	j.rows, j.faulty, j.columns, j.applied = nil, nil, nil, true
}

// refuseAsync returns why a row cannot be stored, as the table is now; "" is that
// it can. Known from tenants: the words for missing keys and nulls, for a key
// that exists, and for a table without primary key. Undocumented: the words for
// the others; they are the synchronous route's, and the first one stands for
// the row. Undocumented too: a null in a column that allows it takes the value
// away.
func refuseAsync(d *table.Table, r *table.SentRow, insert bool) (message string, columns []columnError) {
	if len(d.Primary) == 0 && !insert {
		return "This Data Extension does not have any primary keys defined.", nil
	}
	if len(d.Primary) > 0 && r.Identity == "" {
		for _, i := range d.Primary {
			if r.Cells[i].Text == "" {
				columns = append(columns, asyncError(&d.Columns[i], ""))
			}
		}
		return "Cannot locate the existing record. Required keys are missing.", columns
	}
	exists := false
	if len(d.Primary) > 0 {
		exists = d.Has(r.Identity)
	}
	if r.Bad || r.Partial && !exists {
		for _, f := range d.Flaws(r, exists) {
			columns = append(columns, asyncError(f.Column, f.What))
		}
		return columns[0].Message, columns
	}
	if exists && insert {
		var key []string
		for _, i := range d.Primary {
			key = append(key, r.Cells[i].Text)
		}
		return fmt.Sprintf("Violation of PRIMARY KEY constraint 'PK_C%s_%s'. Cannot insert duplicate key in object 'C%s.%s'. "+
			"The duplicate key value is (%s).\r\nThe statement has been terminated.",
			AccountID, d.ID, AccountID, d.Name, strings.Join(key, ", ")), nil
	}
	return "", nil
}

// asyncError is a complaint about a column as the asynchronous route words it:
// the column in lower case. what is as in table.Flaw.
func asyncError(c *table.Column, what string) columnError {
	name := strings.ToLower(c.Name)
	if what == "" {
		return columnError{"Column [" + name + "] does not allow null value.", name, codeColumnWrong}
	}
	return columnError{"The value for column [" + name + "] " + what, name, codeColumnWrong}
}

// resultMessage is how the asynchronous routes say what went wrong.
type resultMessage struct {
	Type    string `json:"resultType"`
	Class   string `json:"resultClass"`
	Code    string `json:"resultCode"`
	Message string `json:"message"`
}

// asyncAnswer is the frame of the asynchronous routes' answers. The requestId
// in it is the call's own, except where a job begins.
func asyncAnswer(status int, requestID string, messages ...resultMessage) wire.Answer {
	return wire.JSON(status, map[string]any{"requestId": requestID, "resultMessages": append([]resultMessage{}, messages...)})
}

// insertRows answers POST /data/v1/async/dataextensions/{id}/rows, vendor page
// insertDataExtensionIDAsync.
func (s *Sandbox) insertRows(c *wire.Call) (wire.Answer, error) { return s.submitRows(c, true) }

// putRows answers PUT /data/v1/async/dataextensions/{id}/rows, vendor page
// updateDataExtensionIDAsync: an upsert.
func (s *Sandbox) putRows(c *wire.Call) (wire.Answer, error) { return s.submitRows(c, false) }

// submitRows takes the rows of a job in. Undocumented: the refusal of too many.
func (s *Sandbox) submitRows(c *wire.Call, insert bool) (wire.Answer, error) {
	ref := c.Param("id")
	if !validReference(ref) {
		return wire.Answer{}, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "Parameter {id} is invalid.")
	}
	s.mu.Lock()
	e := s.world.unit(c).ExtensionByReference(ref)
	var old bool
	var d *table.Table
	if e != nil {
		d = e.Table
	} else {
		old = s.world.late(c, s.now(), FaultOldNotFound).strike(nil) != nil
	}
	s.mu.Unlock()
	if e == nil {
		return unknownExtension(ref, old), nil
	}
	rows, ok := d.ReadItems(c.Body)
	if !ok {
		return wire.Answer{}, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	if len(rows) > maxItems {
		return wire.Answer{}, wire.Failuref(http.StatusBadRequest, wire.CodeGeneric, "The request has %d items; the most is %d.", len(rows), maxItems)
	}
	j := &job{id: wire.NewGUID(), extension: e, columns: d, insert: insert, count: len(rows), rows: rows}
	now := s.lock()
	defer s.mu.Unlock()
	life, hidden := jobTime, statusTime
	if f := s.world.late(c, now, FaultJobTime).strike(nil); f != nil {
		life = f.delay()
	}
	if f := s.world.late(c, now, FaultStatusTime).strike(nil); f != nil {
		hidden = f.delay()
	}
	if faults := s.world.late(c, now, FaultRowDeadlock, FaultRowError); faults != nil {
		j.faulty = map[int]Fault{}
		for i := range rows {
			if f := faults.strike(rows[i].Cells); f != nil {
				j.faulty[i] = *f
			}
		}
	}
	j.submitted, j.visible, j.started, j.done = now, now.Add(hidden), now.Add(life/2), now.Add(life)
	s.world.jobs.add(j)
	return asyncAnswer(http.StatusAccepted, j.id), nil
}

// unknownExtension is the answer about a data extension that does not exist;
// old is its shape in old documents. Undocumented: what stands for Id beside a
// key.
func unknownExtension(ref string, old bool) wire.Answer {
	key, byKey := strings.CutPrefix(ref, "key:")
	id := strings.TrimPrefix(ref, "id:")
	if byKey {
		id = ""
	} else {
		key = ""
	}
	status, kind := http.StatusBadRequest, "Validation"
	if old {
		status, kind = http.StatusOK, "Operational"
	}
	return asyncAnswer(status, wire.NewGUID(), resultMessage{
		kind, "Error", "CustomObjectNotFound",
		fmt.Sprintf("Failed to resolve the Custom Object from the provided ObjectReferenceIdentifier [Id: %s, Key: %s].", id, key),
	})
}

// statusNotFound is the answer about a job that does not exist, is forgotten,
// or cannot be seen yet. It is no error to the vendor.
func statusNotFound(id string) wire.Answer {
	return asyncAnswer(http.StatusOK, wire.NewGUID(), resultMessage{
		"Operational", "Error", "AsyncRequestStatusNotFound",
		fmt.Sprintf("Unable to locate an Async Request Status Record for the provided RequestId: %s.", id),
	})
}

// state is where a job stands, in the vendor's word.
func (j *job) state(now time.Time) string {
	switch {
	case now.Before(j.started):
		return "Pending"
	case now.Before(j.done):
		return "Executing"
	default:
		return "Complete"
	}
}

// jobStatus answers GET /data/v1/async/{requestId}/status. Undocumented: a time
// that has not come is left out, and so is the outcome.
func (s *Sandbox) jobStatus(c *wire.Call) (wire.Answer, error) {
	type status struct {
		Called    string `json:"callDateTime"`
		PickedUp  string `json:"pickupDateTime,omitempty"`
		Completed string `json:"completionDateTime,omitempty"`
		HasErrors bool   `json:"hasErrors"`
		Request   string `json:"requestStatus"`
		Result    string `json:"resultStatus,omitempty"`
		RequestID string `json:"requestId"`
	}
	id := c.Param("requestId")
	now := s.lock()
	defer s.mu.Unlock()
	j := s.world.jobs.find(id, now)
	if s.world.late(c, now, FaultStatusMissing).strike(nil) != nil || j == nil {
		return statusNotFound(id), nil
	}
	st := status{Called: table.ServerTime(j.submitted), Request: j.state(now), RequestID: j.id, HasErrors: len(j.failures) > 0}
	if !now.Before(j.started) {
		st.PickedUp = table.ServerTime(j.started)
	}
	if j.applied {
		st.Completed, st.Result = table.ServerTime(j.done), "OK"
		if st.HasErrors {
			st.Result = "Has Errors"
		}
	}
	return wire.JSON(http.StatusOK, map[string]any{"status": st, "requestId": wire.NewGUID(), "resultMessages": []resultMessage{}}), nil
}

// rowResult is what became of one row.
type rowResult struct {
	Code    int           `json:"errorCode,omitempty"`
	Message string        `json:"message"`
	Status  string        `json:"status"`
	Errors  []columnError `json:"errors,omitempty"`
}

// jobResults answers GET /data/v1/async/{requestId}/results: what became of the rows, in
// order: of all, unless pages are asked for, or the account has them. Undocumented: a job
// that is not complete is answered like one that does not exist; count is of all pages; the
// success of an insert is worded after that of an upsert.
func (s *Sandbox) jobResults(c *wire.Call) (wire.Answer, error) {
	params, err := parseReadParams(c.Request.URL.RawQuery)
	if err != nil {
		return wire.Answer{}, err
	}
	id := c.Param("requestId")
	now := s.lock()
	defer s.mu.Unlock()
	j := s.world.jobs.find(id, now)
	if j == nil || !j.applied {
		return statusNotFound(id), nil
	}
	page, size := max(params.page, 1), cmp.Or(s.world.account.ResultsPage, params.pageSize, max(j.count, 1))
	items := []rowResult{}
	if page-1 <= j.count/size { // a page number is any integer: compare before multiplying
		from := (page - 1) * size
		good := rowResult{Message: "Upserted DataExtensionObject", Status: "OK"}
		if j.insert {
			good.Message = "Inserted DataExtensionObject"
		}
		failures := j.failures
		for len(failures) > 0 && failures[0].index < from {
			failures = failures[1:]
		}
		for i := from; i < min(from+size, j.count); i++ {
			item := good
			if len(failures) > 0 && failures[0].index == i {
				item = rowResult{codeRowFailed, failures[0].message, "Error", failures[0].columns}
				failures = failures[1:]
			}
			items = append(items, item)
		}
	}
	return wire.JSON(http.StatusOK, map[string]any{
		"page": page, "pageSize": size, "count": j.count, "items": items,
		"requestId": wire.NewGUID(), "resultMessages": []resultMessage{},
	}), nil
}
