package onramp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// What was stored becomes columns by the form as it is now.
func TestColumns(t *testing.T) {
	t.Parallel()
	const stored = `{"email":"a@b.co","first_name":"J\"ane","opt_in":true,"constant:Source":"Spring","ip:IPAddress":"192.0.2.1"}`
	const sent = `{"EmailAddress":"a@b.co","FirstName":"J\"ane","OptInStatus":true,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Spring","IPAddress":"192.0.2.1"}`
	type result struct {
		Columns string
		Gone    []string
	}
	country := text("DE")
	for name, row := range map[string]struct {
		change func(*onramp.Form)
		values string
		want   result
	}{
		"the same form":  {nil, stored, result{sent, nil}},
		"another column": {func(f *onramp.Form) { f.Fields[1].Column = "Given" }, stored, result{strings.Replace(sent, "FirstName", "Given", 1), nil}},
		"a column of what is filled in": {
			func(f *onramp.Form) { f.Fields[6].Column = "IP" }, `{"ip:IPAddress":"192.0.2.1"}`,
			result{`{"OptInStatus":false,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IP":"192.0.2.1"}`, nil},
		},
		"a field that is gone": {
			func(f *onramp.Form) { f.Fields[1].Name, f.Fields[1].Column = "other", "Other" }, `{"first_name":"Jane"}`,
			result{`{"OptInStatus":false,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration"}`, []string{"first_name"}},
		},
		"a new constant and a new default": {
			func(f *onramp.Form) {
				f.Fields = []onramp.Field{{Column: "Country", From: onramp.FromConstant, Constant: &country}, {Name: "land", Column: "Land", Default: &country}, {Column: "Form", From: onramp.FromForm}}
			},
			`{}`,
			result{`{"Country":"DE","Land":"DE","Form":"registration"}`, nil},
		},
		"stored by column": {
			func(f *onramp.Form) { f.Fields[1].Column = "firstname" },
			string(onramp.ValuesOfColumns(json.RawMessage(`{"EmailAddress":"a@b.co","FirstName":"Jane","Old":[1,{"a":"}"}],"RegistrationTimestamp":"then"}`))),
			result{`{"EmailAddress":"a@b.co","firstname":"Jane","OptInStatus":false,"RegistrationTimestamp":"then","Source":"Website Registration","Old":[1,{"a":"}"}]}`, nil},
		},
		"nothing": {func(f *onramp.Form) { f.Fields = nil }, `{}`, result{`{}`, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := contractForm()
			if row.change != nil {
				row.change(&form)
			}
			r := onramp.Registration{ID: "id", Form: form.Name, ReceivedAt: receivedAt, Values: json.RawMessage(row.values)}
			columns, gone, err := onramp.NewForm(form, "secret").Columns(&r)
			if diff := cmp.Diff(row.want, result{string(columns), gone}); diff != "" || err != nil {
				t.Errorf("columns (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

// A column from: uuid that was added later has one UUID for each registration.
func TestColumnsUUID(t *testing.T) {
	t.Parallel()
	form := onramp.NewForm(onramp.Form{Fields: []onramp.Field{{Column: "ID", From: onramp.FromUUID}}}, "secret")
	made := map[string]bool{}
	for _, id := range []string{"one", "one", "two"} {
		columns, _, err := form.Columns(&onramp.Registration{ID: id, Values: json.RawMessage(`{}`)})
		var values struct{ ID string }
		if err != nil || json.Unmarshal(columns, &values) != nil || version(values.ID) == "" {
			t.Errorf("made %s, %v", columns, err)
		}
		made[values.ID] = true
	}
	if len(made) != 2 {
		t.Errorf("made %v", made)
	}
}

// Whatever an object holds, its members are those that encoding/json finds.
func FuzzColumns(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":"x\"}"}`, `{"a":[1,{"b":"]"}],"":null}`, `{"a":1,}`, `{"a"}`, `[1]`, `{"a":{}}`, "{\"\u0000\":-1.5e3}"} {
		f.Add(seed)
	}
	form := onramp.NewForm(onramp.Form{}, "secret")
	f.Fuzz(func(t *testing.T, object string) {
		var compact json.RawMessage
		var want map[string]any
		if json.Unmarshal([]byte(object), &want) != nil || want == nil {
			_, _, _ = form.Columns(&onramp.Registration{Values: json.RawMessage(object)})
			return
		}
		compact, _ = json.Marshal(want)
		columns, gone, err := form.Columns(&onramp.Registration{Values: onramp.ValuesOfColumns(compact)})
		var got map[string]any
		if err != nil || len(gone) > 0 || json.Unmarshal(columns, &got) != nil {
			t.Fatalf("%s: columns %s, gone %v, %v", compact, columns, gone, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
