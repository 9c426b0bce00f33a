package sandbox

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// rowRequest is one row of an upsert. Both parts are kept as they were sent,
// since a success echoes them.
type rowRequest struct {
	Keys   json.RawMessage `json:"keys"`
	Values json.RawMessage `json:"values"`
}

// upsertRows answers POST /hub/v1/dataevents/{id}/rowset, vendor page
// postDataExtensionRowsetByKey. More than 50 rows are accepted: the vendor's
// limit is a recommendation.
func (s *Sandbox) upsertRows(c *call) (answer, error) {
	a, err := s.upsertRowset(c)
	if e, ok := errors.AsType[*apiError](err); ok && s.dialect == DialectSpec && e.Status == http.StatusBadRequest {
		return specRowsetAnswer(http.StatusBadRequest, []specResult{{Errorcode: 1, Status: "Error", Message: e.Message}}), nil
	}
	return a, err
}

func (s *Sandbox) upsertRowset(c *call) (answer, error) {
	d, err := s.extension(c)
	if err != nil {
		return answer{}, err
	}
	var sent []*rowRequest
	if err := decodeBody(c.body, &sent); err != nil {
		return answer{}, err
	}
	if sent == nil {
		return answer{}, failure(http.StatusBadRequest, codeInvalidFormat) // the body was "null"
	}
	rows := make([]rowValues, len(sent))
	for i, r := range sent {
		if r == nil {
			return answer{}, failure(http.StatusBadRequest, codeInvalidFormat)
		}
		if rows[i], err = r.values(); err != nil {
			return answer{}, err
		}
	}
	if err := s.saveRows(d, rows); err != nil {
		return answer{}, err
	}
	if s.dialect == DialectSpec {
		results := make([]specResult, len(sent))
		for i := range results {
			results[i] = specResult{Rows: 1, Status: "OK"}
		}
		return specRowsetAnswer(http.StatusOK, results), nil
	}
	return jsonAnswer(http.StatusOK, sent), nil
}

// upsertRow answers PUT /hub/v1/dataevents/{id}/rows/{primaryKeys}, vendor page
// putDataExtensionRowByKey. It echoes the row.
func (s *Sandbox) upsertRow(c *call) (answer, error) {
	d, err := s.extension(c)
	if err != nil {
		return answer{}, err
	}
	keys, ok := parsePrimaryKeys(c.params["primaryKeys"])
	if !ok {
		return answer{}, failuref(http.StatusBadRequest, codeInvalidType, "Parameter {primaryKeys} is invalid.")
	}
	var sent *rowRequest
	if err := decodeBody(c.body, &sent); err != nil {
		return answer{}, err
	}
	if sent == nil {
		return answer{}, failure(http.StatusBadRequest, codeInvalidFormat)
	}
	sent.Keys = nil // the path names the row, whatever the body says
	row, err := sent.values()
	if err != nil {
		return answer{}, err
	}
	row.keys = keys
	if err := s.saveRows(d, []rowValues{row}); err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, map[string]any{"keys": keys, "values": sent.Values}), nil
}

// parsePrimaryKeys reads "name:value,name:value". Names and values are
// percent-encoded one by one, so a colon or comma in a value is not taken for
// a separator.
func parsePrimaryKeys(raw string) (map[string]any, bool) {
	// encodeURIComponent over the whole segment hides the colons too.
	if !strings.Contains(raw, ":") {
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			return nil, false
		}
		name, value, ok := strings.Cut(decoded, ":")
		return map[string]any{name: value}, ok && name != ""
	}
	keys := map[string]any{}
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
// GUID or id:GUID. Undocumented: the answer for one that does not exist; 404
// with 30003 is the vendor's "object not found".
func (s *Sandbox) extension(c *call) (*dataExtension, error) {
	name := c.param("id")
	key, byKey := strings.CutPrefix(name, "key:")
	id := strings.TrimPrefix(name, "id:")
	if !byKey && !isGUID(id) {
		return nil, failuref(http.StatusBadRequest, codeInvalidType, "Parameter {guid} is invalid.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var d *dataExtension
	if byKey {
		d = s.world.extensionByKey(key)
	} else {
		d = s.world.extensionByID(id)
	}
	if d == nil {
		return nil, failure(http.StatusNotFound, codeNotFound)
	}
	return d, nil
}

// isGUID tells whether s has a GUID's form, in any case.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (r == '-') || !hyphen && !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return false
		}
	}
	return true
}

// rowValues is one row of an upsert, decoded: strings, bools, json.Numbers and
// nils under the names that were sent.
type rowValues struct {
	keys, values map[string]any
}

func (r *rowRequest) values() (rowValues, error) {
	keys, err := decodeScalars(r.Keys)
	if err != nil {
		return rowValues{}, err
	}
	values, err := decodeScalars(r.Values)
	return rowValues{keys, values}, err
}

// decodeScalars reads a JSON object whose values are scalars; absent and null
// are an empty one. Columns hold scalars, so anything deeper is a body of the
// wrong format.
func decodeScalars(raw json.RawMessage) (map[string]any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a number is stored as it was written
	if d.Decode(&m) != nil {
		return nil, failure(http.StatusBadRequest, codeInvalidFormat)
	}
	for _, v := range m {
		switch v.(type) {
		case map[string]any, []any:
			return nil, failure(http.StatusBadRequest, codeInvalidFormat)
		}
	}
	return m, nil
}

// noExistingField is the vendor's complaint about a row none of whose values
// has a column. It comes first among a call's complaints.
const noExistingField = "At least one existing field is required in the values property"

// saveRows upserts the rows in order, up to the first bad one. Later rows are
// not saved, good or not, but their complaints are told with the others: each
// once, without saying whose they are.
func (s *Sandbox) saveRows(d *dataExtension, rows []rowValues) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var complaints []string
	failed := false
	for _, r := range rows {
		key, values, problems, err := d.understand(r)
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
			d.save(key, values)
		}
	}
	if !failed {
		return nil
	}
	if i := slices.Index(complaints, noExistingField); i > 0 {
		complaints = slices.Insert(slices.Delete(complaints, i, i+1), 0, noExistingField)
	}
	return unsavable(d.id, complaints)
}

// understand finds the columns of one row and checks them. Problems make the
// row bad; a problem without text is the null that the vendor refuses without
// a word. An error is a refusal of another kind than 10006.
func (d *dataExtension) understand(r rowValues) (key []any, values []cell, problems []string, err error) {
	key, err = d.primaryKey(r.keys)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, ordinal := range d.primary {
		if p := d.columns[ordinal].check(key[i]); p != "" {
			problems = append(problems, p)
		}
	}
	known, _, err := d.cells(r.values)
	if err != nil {
		return nil, nil, nil, failure(http.StatusBadRequest, codeInvalidFormat)
	}
	if len(known) == 0 {
		return nil, nil, append([]string{noExistingField}, problems...), nil
	}
	for _, v := range known {
		// The keys name the row; the same column among the values changes nothing.
		if !d.columns[v.ordinal].PrimaryKey {
			values = append(values, v)
		}
	}
	found, null := d.check(d.identity(key), values)
	problems = append(problems, found...)
	// Reported: null is refused even where the column allows it, and the answer
	// does not say why. The vendor's users send "" or leave the column out.
	if null && len(problems) == 0 {
		problems = []string{""}
	}
	return key, values, problems, nil
}

// primaryKey takes the primary key's values, in order, from a row's keys.
func (d *dataExtension) primaryKey(keys map[string]any) ([]any, error) {
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if i, ok := d.column(name); !ok || !d.columns[i].PrimaryKey {
			// The vendor names the column in lower case here.
			return nil, failuref(http.StatusBadRequest, codeGeneric, "Primary key '%s' does not exist.", strings.ToLower(name))
		}
	}
	known, _, err := d.cells(keys)
	if err != nil {
		return nil, failure(http.StatusBadRequest, codeInvalidFormat)
	}
	if len(known) != len(d.primary) || len(known) == 0 {
		return nil, missingKeys()
	}
	key := make([]any, len(known))
	for i, k := range known { // both are in order of columns
		if textOf(k.value) == "" {
			return nil, missingKeys()
		}
		key[i] = k.value
	}
	return key, nil
}

// missingKeys refuses a row that its keys do not name. Undocumented: the words
// are the asynchronous route's.
func missingKeys() error {
	return failuref(http.StatusBadRequest, codeGeneric, "Cannot locate the existing record. Required keys are missing.")
}

// specResult is one element of a rowset answer in the specification's letter,
// section 4.3.
type specResult struct {
	Rows      int    `json:"rows"`
	Errorcode int    `json:"errorcode"`
	Status    string `json:"status"`
	Message   string `json:"message,omitempty"`
}

func specRowsetAnswer(status int, results []specResult) answer {
	return jsonAnswer(status, map[string]any{"results": results})
}

// newGUID makes a random GUID.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand says so
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
