package sandbox

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// upsertRows answers POST /hub/v1/dataevents/{id}/rowset, vendor page
// postDataExtensionRowsetByKey. More than 50 rows are accepted: the vendor's
// limit is a recommendation.
func (s *Sandbox) upsertRows(c *wire.Call) (wire.Answer, error) {
	a, err := s.upsertRowset(c)
	if e, ok := errors.AsType[*wire.Error](err); ok && s.dialect == DialectSpec && e.Status == http.StatusBadRequest {
		return specRowsetAnswer(http.StatusBadRequest, []specResult{{Errorcode: 1, Status: "Error", Message: e.Message}}), nil
	}
	return a, err
}

func (s *Sandbox) upsertRowset(c *wire.Call) (wire.Answer, error) {
	e, d, err := s.extension(c)
	if err != nil {
		return wire.Answer{}, err
	}
	rows, ok := d.ReadRowset(c.Body)
	if !ok {
		return wire.Answer{}, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	if err := s.saveRows(e, d, rows); err != nil {
		return wire.Answer{}, err
	}
	if s.dialect == DialectSpec {
		results := make([]specResult, len(rows))
		for i := range results {
			results[i] = specResult{Rows: 1, Status: "OK"}
		}
		return specRowsetAnswer(http.StatusOK, results), nil
	}
	// The vendor answers with the rows that were sent: so the body, as it is.
	return wire.Answer{Status: http.StatusOK, ContentType: wire.JSONType, Body: c.Body}, nil
}

// upsertRow answers PUT /hub/v1/dataevents/{id}/rows/{primaryKeys}, vendor page
// putDataExtensionRowByKey. It echoes the row.
func (s *Sandbox) upsertRow(c *wire.Call) (wire.Answer, error) {
	e, d, err := s.extension(c)
	if err != nil {
		return wire.Answer{}, err
	}
	r, keys, values, err := readRow(c, d, string(c.Body))
	if err != nil {
		return wire.Answer{}, err
	}
	if err := s.saveRows(e, d, []table.SentRow{r}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, map[string]any{"keys": keys, "values": json.RawMessage(values)}), nil
}

// readRow reads the row that the path names, whose values are in the text; it gives the
// keys and the values as they were sent, too.
func readRow(c *wire.Call, d *table.Table, text string) (r table.SentRow, keys map[string]string, values string, err error) {
	keys, ok := parsePrimaryKeys(c.Params["primaryKeys"])
	if !ok {
		return r, nil, "", wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "Parameter {primaryKeys} is invalid.")
	}
	p := d.Reader(text)
	r = p.Row()
	values = p.RowsetRow(&r)
	if !p.Done() || !p.Valid() {
		return r, nil, "", wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	// The path names the row, whatever the body says.
	for _, i := range d.Primary {
		r.Cells[i] = table.Value{}
	}
	r.WrongKey = ""
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		i, ok := d.Column(name)
		switch {
		case !ok || !d.Columns[i].PrimaryKey:
			if r.WrongKey == "" {
				r.WrongKey = name
			}
		case r.Cells[i].Kind != table.KindNone:
			return r, nil, "", wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat) // in two spellings
		default:
			r.Cells[i] = table.Value{Kind: table.KindText, Text: keys[name]}
		}
	}
	d.Examine(&r)
	return r, keys, values, nil
}

// parsePrimaryKeys reads "name:value,name:value". Names and values are
// percent-encoded one by one, so a colon or comma in a value is not taken for
// a separator.
func parsePrimaryKeys(raw string) (map[string]string, bool) {
	// encodeURIComponent over the whole segment hides the colons too.
	if !strings.Contains(raw, ":") {
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			return nil, false
		}
		name, value, ok := strings.Cut(decoded, ":")
		return map[string]string{name: value}, ok && name != ""
	}
	keys := map[string]string{}
	for pair := range strings.SplitSeq(raw, ",") {
		rawName, rawValue, ok := strings.Cut(pair, ":")
		name, nameErr := url.PathUnescape(rawName)
		value, valueErr := url.PathUnescape(rawValue)
		if _, twice := keys[name]; !ok || twice || name == "" || nameErr != nil || valueErr != nil {
			return nil, false
		}
		keys[name] = value
	}
	return keys, true
}

// extension finds the data extension that a hub path names: key:EXTERNALKEY,
// GUID or id:GUID, with its columns of this moment. Undocumented: the answer for one that does not exist; 404
// with 30003 is the vendor's "object not found".
func (s *Sandbox) extension(c *wire.Call) (*account.Extension, *table.Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.extension(c)
}

// extension needs the sandbox's mutex.
func (w *world) extension(c *wire.Call) (*account.Extension, *table.Table, error) {
	ref := c.Param("id")
	if !validReference(ref) {
		return nil, nil, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "Parameter {guid} is invalid.")
	}
	e := w.unit(c).ExtensionByReference(ref)
	if e == nil {
		return nil, nil, wire.Failure(http.StatusNotFound, wire.CodeNotFound)
	}
	return e, e.Table, nil
}

// validReference reports whether a path's {id} is key:EXTERNALKEY, GUID or
// id:GUID.
func validReference(ref string) bool {
	return strings.HasPrefix(ref, "key:") || wire.IsGUID(strings.TrimPrefix(ref, "id:"))
}

// noExistingField is the vendor's complaint about a row none of whose values
// has a column. It comes first among a call's complaints.
const noExistingField = "At least one existing field is required in the values property"

// saveRows upserts the rows in order, up to the first bad one. Later rows are
// not saved, good or not, but their complaints are listed with the others: each
// once, without saying whose they are. The rows were read for the columns of before.
func (s *Sandbox) saveRows(e *account.Extension, before *table.Table, rows []table.SentRow) error {
	now := s.lock()
	defer s.mu.Unlock()
	e.Fit(before, rows)
	d := e.Table
	var complaints []string
	failed := false
	for i := range rows {
		r := &rows[i]
		problems, err := refuseAll(d, r)
		switch {
		case err != nil && !failed:
			return err
		case err != nil || len(problems) > 0:
			failed = true
			for _, p := range problems {
				if p != "" && !slices.Contains(complaints, p) {
					complaints = append(complaints, p)
				}
			}
		case !failed:
			d.Save(r, now)
		}
	}
	if !failed {
		return nil
	}
	if i := slices.Index(complaints, noExistingField); i > 0 {
		complaints = slices.Insert(slices.Delete(complaints, i, i+1), 0, noExistingField)
	}
	return unsavable(d.ID, complaints)
}

// refuseAll is refuse, with the column that the table does not have.
func refuseAll(d *table.Table, r *table.SentRow) (problems []string, err error) {
	problems, err = refuse(d, r)
	if unknown := unknownColumn(d, r); unknown != "" {
		problems = append(problems, unknown)
	}
	return problems, err
}

// refuse returns what is wrong with a row of a rowset, as the table is now. A
// problem without text is the null that the vendor refuses without a word. An
// error is a refusal of another kind than 10006.
func refuse(d *table.Table, r *table.SentRow) (problems []string, err error) {
	if err := unnamed(r); err != nil {
		return nil, err
	}
	if r.Known == 0 {
		problems = []string{noExistingField}
	}
	if r.Bad || r.Known > 0 && r.Partial {
		exists := d.Has(r.Identity)
		for _, f := range d.Flaws(r, exists || r.Known == 0) {
			if r.Known == 0 && !f.Column.PrimaryKey {
				continue
			}
			if f.What == "" {
				problems = append(problems, f.Column.Missing())
			} else {
				problems = append(problems, f.Column.Problem(f.What))
			}
		}
	}
	// Reported: null is refused even where the column allows it, and the answer
	// does not say why. The vendor's users send "" or leave the column out.
	if r.Null && len(problems) == 0 {
		problems = []string{""}
	}
	return problems, nil
}

// unnamed refuses a row that its keys do not name. Undocumented: the words for keys that
// are missing are the asynchronous route's.
func unnamed(r *table.SentRow) error {
	switch {
	case r.WrongKey != "":
		// The vendor names the column in lower case here.
		return wire.Failuref(http.StatusBadRequest, wire.CodeGeneric, "Primary key '%s' does not exist.", strings.ToLower(r.WrongKey))
	case r.Identity == "":
		return wire.Failuref(http.StatusBadRequest, wire.CodeGeneric, "Cannot locate the existing record. Required keys are missing.")
	}
	return nil
}

// specResult is one element of a rowset answer in the specification's letter,
// section 4.3.
type specResult struct {
	Rows      int    `json:"rows"`
	Errorcode int    `json:"errorcode"`
	Status    string `json:"status"`
	Message   string `json:"message,omitempty"`
}

func specRowsetAnswer(status int, results []specResult) wire.Answer {
	return wire.JSON(status, map[string]any{"results": results})
}
