package sfmc_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

func TestDeleteRows(t *testing.T) {
	t.Parallel()
	ana := []sfmc.Row{{Keys: map[string]any{"SubscriberKey": "ana"}}}
	for name, row := range map[string]struct {
		key    string
		rows   []sfmc.Row
		answer reply
		sent   string // "": nothing
		op     string // of the *Error; "": none
	}{
		"taken":        {"Web Reg", ana, reply{status: 200, body: `[{"keys":{"SubscriberKey":"ana"},"values":{}}]`}, `[{"keys":{"SubscriberKey":"ana"},"values":{}}]`, ""},
		"empty answer": {"Web Reg", ana, reply{status: 200}, `[{"keys":{"SubscriberKey":"ana"},"values":{}}]`, ""},
		"refused":      {"Web Reg", ana, reply{status: 403, body: `{"message":"no"}`}, `[{"keys":{"SubscriberKey":"ana"},"values":{}}]`, sfmc.OpDeleteRows},
		"no rows":      {"Web Reg", nil, reply{}, "", ""},
		"no keys":      {"Web Reg", []sfmc.Row{{}}, reply{}, "", ""},
		"no key":       {" ", ana, reply{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{next: row.answer.ServeHTTP}
			err := newClient(t, newServer(t, rec)).DeleteRows(within(t), row.key, row.rows)
			e, _ := errors.AsType[*sfmc.Error](err)
			switch {
			case row.sent == "":
				if !errors.Is(err, sfmc.ErrInvalid) || len(rec.requests()) > 0 {
					t.Errorf("error is %v, after %d requests", err, len(rec.requests()))
				}
				return
			case row.op == "" && err != nil, row.op != "" && (e == nil || e.Op != row.op):
				t.Errorf("error is %v", err)
			}
			want := []seen{{Method: "POST", Path: "/hub/v1/dataevents/key:Web%20Reg/rowset/delete", Body: row.sent}}
			if diff := cmp.Diff(want, rec.requests()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
