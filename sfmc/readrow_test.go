package sfmc_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

func TestFindRow(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer reply
		want   map[string]string
		fails  bool
	}{
		"found":     {reply{status: 200, body: `{"count":1,"items":[{"keys":{"subscriberkey":"o'neil"},"values":{"optinstatus":"True","age":7,"note":null}}]}`}, map[string]string{"subscriberkey": "o'neil", "optinstatus": "True", "age": "7", "note": ""}, false},
		"not found": {reply{status: 200, body: `{"count":0}`}, nil, false},
		"forbidden": {reply{status: 403, body: `{"message":"no"}`}, nil, true},
		"foreign":   {reply{status: 200, body: `[]`}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{next: row.answer.ServeHTTP}
			got, err := newClient(t, newServer(t, rec)).FindRow(within(t), "Web Reg", map[string]any{"SubscriberKey": "o'neil"})
			if diff := cmp.Diff(row.want, got); diff != "" || (err != nil) != row.fails {
				t.Error(diff, err)
			}
			if e, ok := errors.AsType[*sfmc.Error](err); row.fails && (!ok || e.Op != sfmc.OpFindRow) {
				t.Errorf("error is %v", err)
			}
			want := "/data/v1/customobjectdata/key/Web%20Reg/rowset?$pageSize=1&$filter=SubscriberKey%20eq%20%27o%27%27neil%27"
			if r := rec.requests()[0]; r.Method != "GET" || r.Path != want {
				t.Errorf("%s %s, want %s", r.Method, r.Path, want)
			}
		})
	}
	if _, err := newClient(t, newServer(t, reply{})).FindRow(within(t), "", map[string]any{"a": "b"}); !errors.Is(err, sfmc.ErrInvalid) {
		t.Errorf("error is %v", err)
	}
}

func TestFindRowByColumns(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		keys   map[string]any
		filter string // "": refused
	}{
		"several columns": {map[string]any{"SubscriberKey": "o'neil", "Brand": "a b"}, "Brand%20eq%20%27a%20b%27%20and%20SubscriberKey%20eq%20%27o%27%27neil%27"},
		"other types":     {map[string]any{"N": 7, "B": true, "R": json.RawMessage(`"x"`)}, "B%20eq%20%27true%27%20and%20N%20eq%20%277%27%20and%20R%20eq%20%27x%27"},
		"none":            {nil, ""},
		"no name":         {map[string]any{"A": "a", " ": "b"}, ""},
		"no value":        {map[string]any{"A": func() {}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{next: reply{status: 200, body: `{"count":0}`}.ServeHTTP}
			_, err := newClient(t, newServer(t, rec)).FindRow(within(t), "K", row.keys)
			if (err != nil) != (row.filter == "") || len(rec.requests()) > 0 == (row.filter == "") {
				t.Fatalf("error is %v after %d requests", err, len(rec.requests()))
			}
			if row.filter == "" {
				return
			}
			if got, want := rec.requests()[0].Path, "/data/v1/customobjectdata/key/K/rowset?$pageSize=1&$filter="+row.filter; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
