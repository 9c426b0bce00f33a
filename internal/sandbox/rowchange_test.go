package sandbox_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// counters are a data extension with a composite key and numbers.
const counters = `{"data_extensions":{"Counters":{"columns":[{"name":"Shop","type":"Text","length":10,"primary_key":true},
	{"name":"Day","type":"Number","primary_key":true},{"name":"Visits","type":"Number","nullable":true},{"name":"Sum","type":"Decimal","length":10,"scale":2,"nullable":true},
	{"name":"Note","type":"Text","length":5,"default":"-"}]},"Empty":{"columns":[{"name":"A","type":"Text","length":5}]}}}`

const toCounters = "/hub/v1/dataevents/key:Counters"

// counted is a row of counters.
func counted(shop, day, values string) string {
	return `{"keys":{"Shop":"` + shop + `","Day":` + day + `},"values":{` + values + `}}`
}

func countersOf(s *sandbox.Sandbox) []map[string]any {
	return s.State().DataExtensions["Counters"].Rows
}

// Rows are deleted by all columns of their keys; those that stay are found by theirs
// afterwards.
func TestDeleteByCompositeKey(t *testing.T) {
	t.Parallel()
	const target = toCounters + "/rowset/delete"
	all := "[" + counted("a", "1", `"Note":"a1"`) + "," + counted("a", "2", `"Note":"a2"`) + "," + counted("b", "1", `"Note":"b1"`) + "," + counted("b", "2", `"Note":"b2"`) + "]"
	wrongKey := `{"message":"Primary key 'note' does not exist.","errorcode":10000,"documentation":""}`
	for _, c := range []struct {
		name, target, body string
		status             int
		want               string   // "" is the request, echoed
		left               []string // notes
	}{
		{"the first", target, `[{"keys":{"Shop":"a","Day":1}}]`, 200, "", []string{"a2", "b1", "b2"}},
		{"the last, and one twice", target, `[{"keys":{"shop":"b","DAY":"02"},"values":{}},{"keys":{"Shop":"a","Day":2}},{"keys":{"Shop":"a","Day":"2"}}]`, 200, "", []string{"a1", "b1"}},
		{"all, backwards", target, `[{"keys":{"Shop":"b","Day":2}},{"keys":{"Shop":"b","Day":1}},{"keys":{"Shop":"a","Day":2}},{"keys":{"Shop":"a","Day":1}}]`, 200, "", nil},
		{"none", target, `[]`, 200, "", []string{"a1", "a2", "b1", "b2"}},
		{"one that there is not", target, `[{"keys":{"Shop":"c","Day":1}}]`, 200, "", []string{"a1", "a2", "b1", "b2"}},
		{"half a key", target, `[{"keys":{"Shop":"a","Day":1}},{"keys":{"Shop":"a"}}]`, 400, noKeys, []string{"a1", "a2", "b1", "b2"}},
		{"no key", target, `[{"keys":{"Note":"a1"}}]`, 400, wrongKey, []string{"a1", "a2", "b1", "b2"}},
		{"no list", target, `{"items":[]}`, 400, badFormat, []string{"a1", "a2", "b1", "b2"}},
		{"no primary key", "/hub/v1/dataevents/key:Empty/rowset/delete", `[{"keys":{}}]`, 400, noKeys, []string{"a1", "a2", "b1", "b2"}},
		{"no such data extension", "/hub/v1/dataevents/key:Nope/rowset/delete", `[]`, 404, noObject, []string{"a1", "a2", "b1", "b2"}},
		{"no reference", "/hub/v1/dataevents/Counters/rowset/delete", `[]`, 400, badGUID, []string{"a1", "a2", "b1", "b2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			auth := authorize(t, s)
			account(t, s, counters)
			same(t, send(t, s, "POST", toCounters+"/rowset", all, auth), 200, all)
			want := c.want
			if want == "" {
				want = c.body
			}
			same(t, send(t, s, "POST", c.target, c.body, auth), c.status, want)
			var left []string
			for _, row := range countersOf(s) {
				left = append(left, row["Note"].(string))
			}
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Error(diff)
			}
			// an upsert finds those that are left, and inserts those that are not
			same(t, send(t, s, "POST", toCounters+"/rowset", all, auth), 200, all)
			if n := len(countersOf(s)); n != 4 {
				t.Errorf("%d rows", n)
			}
			seen := map[any]bool{}
			for _, row := range countersOf(s) {
				seen[row["Note"]] = true
			}
			if len(seen) != 4 {
				t.Errorf("the rows are %v", countersOf(s))
			}
		})
	}
}

func TestIncrement(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	account(t, s, counters)
	const one = toCounters + "/rows/Shop:a,Day:1"
	badColumn := `{"message":"Parameter {column} is invalid.","errorcode":10001,"documentation":""}`
	badStep := `{"message":"Parameter {step} is invalid.","errorcode":10001,"documentation":""}`
	id := s.State().DataExtensions["Counters"].ID
	for _, c := range []struct {
		name, target string
		status       int
		want         string // "" is no body
		visits, sum  string // of the only row
	}{
		{"a new row", one + "/column/Visits/increment?step=5", 200, "", "5", ""},
		{"once more, by one", one + "/column/visits/increment", 200, "", "6", ""},
		{"back", one + "/column/Visits/increment?step=-10", 200, "", "-4", ""},
		{"a decimal", one + "/column/Sum/increment?step=3", 200, "", "-4", "3.00"},
		{"past the largest", one + "/column/Visits/increment?step=2147483652", 400, `{"message":"Unable to save rows for data extension ID ` + id + `","errorcode":10006,"documentation":"",
			"additionalErrors":[{"message":"Visits: The value for column [Visits] is not a valid number.","errorcode":10000,"documentation":""}]}`, "-4", "3.00"},
		{"a text", one + "/column/Note/increment?step=1", 400, badColumn, "-4", "3.00"},
		{"a key", one + "/column/Day/increment?step=1", 400, badColumn, "-4", "3.00"},
		{"no column", one + "/column/Nope/increment?step=1", 400, badColumn, "-4", "3.00"},
		{"no number", one + "/column/Visits/increment?step=1e3", 400, badStep, "-4", "3.00"},
		{"half a key", toCounters + "/rows/Shop:a/column/Visits/increment?step=1", 400, noKeys, "-4", "3.00"},
		{"no such data extension", "/hub/v1/dataevents/key:Nope/rows/A:1/column/Visits/increment?step=1", 404, noObject, "-4", "3.00"},
	} {
		w := send(t, s, "PUT", c.target, "", auth)
		if c.want != "" {
			same(t, w, c.status, c.want)
		} else if w.Code != c.status || w.Body.Len() != 0 {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
		want := `[{"Shop":"a","Day":"1","Note":"-","Visits":` + c.visits
		if c.sum != "" {
			want += `,"Sum":` + c.sum
		}
		wantJSON(t, decode(t, encode(t, countersOf(s))), want+`}]`)
	}
}

// The asynchronous twins answer with an empty string, and store what is good later.
func TestRowsLater(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	account(t, s, counters)
	const later = "/hub/v1/dataeventsasync/key:Counters"
	same(t, send(t, s, "POST", later+"/rowset", "["+counted("a", "1", `"Visits":1`)+","+counted("b", `"x"`, `"Visits":1`)+","+counted("c", "1", `"Visits":1`)+"]", auth), 202, `""`)
	same(t, send(t, s, "PUT", later+"/rows/Shop:a,Day:1", `{"values":{"Visits":2}}`, auth), 202, `""`)
	same(t, send(t, s, "POST", later+"/rowset", `{}`, auth), 400, badFormat)
	same(t, send(t, s, "PUT", later+"/rows/Shop", `{"values":{}}`, auth), 400, `{"message":"Parameter {primaryKeys} is invalid.","errorcode":10001,"documentation":""}`)
	same(t, send(t, s, "POST", "/hub/v1/dataeventsasync/key:Nope/rowset", `[]`, auth), 404, noObject)
	if rows := countersOf(s); len(rows) != 0 {
		t.Errorf("at once: %v", rows)
	}
	advance(t, s, 300*time.Millisecond)
	wantJSON(t, decode(t, encode(t, countersOf(s))), `[{"Shop":"a","Day":1,"Visits":2,"Note":"-"},{"Shop":"c","Day":1,"Visits":1,"Note":"-"}]`)
	if jobs := s.State().Jobs; len(jobs) != 0 {
		t.Errorf("jobs %v", jobs)
	}
}

func TestRowChangeScopes(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	account(t, s, `{"package":{"scopes":["data_extensions_read"]}}`)
	auth := authorize(t, s)
	for _, call := range []string{
		"POST /hub/v1/dataevents/key:Nope/rowset/delete", "PUT /hub/v1/dataevents/key:Nope/rows/A:1/column/B/increment",
		"POST /hub/v1/dataeventsasync/key:Nope/rowset", "PUT //Hub/v1/dataeventsasync/key:Nope/rows/A:1",
	} {
		method, target, _ := strings.Cut(call, " ")
		same(t, send(t, s, method, target, "", auth), 401, notAuthorized())
	}
}

// encode is v as JSON.
func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
