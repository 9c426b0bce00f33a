package onramp_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// editedForm has a required address, optional fields before and after it, one
// with a default, and values that Onramp fills in.
func editedForm() onramp.Form {
	form := contractForm()
	form.Fields = append(form.Fields,
		onramp.Field{Name: "age", Column: "Age", Type: onramp.Integer},
		onramp.Field{Name: "work", Column: "WorkAddress", Type: onramp.Email})
	return form
}

// stored is a registration of editedForm, with a field that the form has no
// longer.
func stored(values string) onramp.Registration {
	return onramp.Registration{
		Seq: 7, ID: "id", Form: "registration", SubscriberKey: "user@example.com", ReceivedAt: receivedAt,
		State: onramp.RegistrationFailed, Values: json.RawMessage(values),
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	const before = `{"email":"user@example.com","last_name":"Doe","opt_in":true,"constant:Source":"Website Registration","age":41,"gone":[1, "a"]}`
	keyField := func(f *onramp.Form) { f.SubscriberKey = onramp.KeyStrategy{From: onramp.KeyField, Field: 2} }
	for name, c := range map[string]struct {
		change  func(*onramp.Form)
		changes map[string]string
		key     string // "": stays
		values  string
	}{
		"one value":             {nil, map[string]string{"last_name": "  Ro\u0065\u0301 "}, "", strings.Replace(before, "Doe", "Ro\u00e9", 1)},
		"nothing new":           {nil, map[string]string{"last_name": "Doe", "opt_in": "on", "age": "041"}, "", before},
		"a new field":           {nil, map[string]string{"first_name": `J"ane`}, "", strings.Replace(before, `"last_name"`, `"first_name":"J\"ane","last_name"`, 1)},
		"a new field, last":     {nil, map[string]string{"work": "a@B.example"}, "", strings.Replace(before, `,"gone"`, `,"work":"a@b.example","gone"`, 1)},
		"removed":               {nil, map[string]string{"last_name": " ", "first_name": ""}, "", strings.Replace(before, `"last_name":"Doe",`, "", 1)},
		"the last one removed":  {nil, map[string]string{"age": ""}, "", strings.Replace(before, `,"age":41`, "", 1)},
		"emptied to a default":  {nil, map[string]string{"opt_in": ""}, "", strings.Replace(before, "true", "false", 1)},
		"several":               {nil, map[string]string{"opt_in": "no", "age": " 42 "}, "", strings.NewReplacer("true", "false", "41", "42").Replace(before)},
		"the key":               {nil, map[string]string{"email": "Ana@EXAMPLE.org"}, "Ana@example.org", strings.Replace(before, "user@example.com", "Ana@example.org", 1)},
		"not the first address": {nil, map[string]string{"work": "ana@example.org"}, "", strings.Replace(before, `,"gone"`, `,"work":"ana@example.org","gone"`, 1)},
		"an address with a UUID": {
			func(f *onramp.Form) { f.SubscriberKey = onramp.KeyStrategy{From: onramp.KeyUUID} },
			map[string]string{"email": "ana@example.org"},
			"", strings.Replace(before, "user@example.com", "ana@example.org", 1),
		},
		"several choices": {
			func(f *onramp.Form) {
				f.Fields[2] = onramp.Field{Name: "last_name", Column: "LastName", Type: onramp.Choices, Choices: []string{"Roe", "Doe"}, Separator: " & "}
			},
			map[string]string{"last_name": "Doe&Roe"},
			"", strings.Replace(before, `"Doe"`, `"Doe & Roe"`, 1),
		},
		"the field that is the key": {keyField, map[string]string{"last_name": "Roe"}, "Roe", strings.Replace(before, "Doe", "Roe", 1)},
		"another than the key":      {keyField, map[string]string{"email": "ana@example.org"}, "", strings.Replace(before, "user@example.com", "ana@example.org", 1)},
		"the second address takes over": {
			func(f *onramp.Form) {
				f.Fields[0].Required = false
				f.Fields[1].Type, f.Fields[1].Column = onramp.Email, "Other"
			},
			map[string]string{"email": "", "first_name": "b@example.org"},
			"b@example.org",
			strings.Replace(before, `"email":"user@example.com",`, `"first_name":"b@example.org",`, 1),
		},
		"a field whose column has changed": {
			func(f *onramp.Form) { f.Fields[2].Column = "Surname" }, map[string]string{"last_name": "Roe"}, "", strings.Replace(before, "Doe", "Roe", 1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := editedForm()
			if c.change != nil {
				c.change(&form)
			}
			r := stored(before)
			got, err := onramp.NewForm(form, "secret").Edit(r, c.changes)
			if err != nil {
				t.Fatal(err, fieldErrors(err))
			}
			want := stored(c.values)
			if c.key != "" {
				want.SubscriberKey = c.key
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("edited (-want +got):\n%s\n%s", diff, got.Values)
			}
			if string(r.Values) != before {
				t.Errorf("the registration from before is now %s", r.Values)
			}
		})
	}
}

func TestEditRefusals(t *testing.T) {
	t.Parallel()
	const before = `{"email":"user@example.com","first_name":"Jane"}`
	const notField, filledIn, noKey = "is not a field of this form", "is filled in by Onramp and can't be set", "is the subscriber key and can't be empty"
	for name, c := range map[string]struct {
		change  func(*onramp.Form)
		changes map[string]string
		want    []onramp.FieldError
	}{
		"nothing":           {nil, nil, nil},
		"no field":          {nil, map[string]string{"nobody": "secret value"}, []onramp.FieldError{{Field: "nobody", Message: notField, Code: "unknown"}}},
		"a column":          {nil, map[string]string{"EmailAddress": "a@b.example"}, []onramp.FieldError{{Field: "EmailAddress", Message: notField, Code: "unknown"}}},
		"a filled-in one":   {nil, map[string]string{"ipaddress": "192.0.2.9"}, []onramp.FieldError{{Field: "ipaddress", Message: filledIn}}},
		"no name":           {nil, map[string]string{"": "secret value"}, []onramp.FieldError{{Field: "", Message: notField, Code: "unknown"}}},
		"required":          {nil, map[string]string{"email": " "}, []onramp.FieldError{{Field: "email", Message: "is required", Code: "required"}}},
		"a wrong value":     {nil, map[string]string{"email": "secret value"}, []onramp.FieldError{{Field: "email", Message: notEmail, Code: "email"}}},
		"too long":          {nil, map[string]string{"first_name": strings.Repeat("x", 101)}, []onramp.FieldError{{Field: "first_name", Message: "must be at most 100 characters", Code: "too_long"}}},
		"control character": {nil, map[string]string{"first_name": "a\x00b"}, []onramp.FieldError{{Field: "first_name", Message: noControls, Code: "text"}}},
		"all at once": {nil, map[string]string{"email": "x", "age": "secret value", "z": "1", "last_name": "Doe"}, []onramp.FieldError{
			{Field: "z", Message: notField, Code: "unknown"}, {Field: "email", Message: notEmail, Code: "email"}, {Field: "age", Message: notInteger, Code: "integer"},
		}},
		"a filled-in one with a name": {
			func(f *onramp.Form) { f.Fields[6].Name = "ip" },
			map[string]string{"ip": "192.0.2.9"},
			[]onramp.FieldError{{Field: "ip", Message: filledIn}},
		},
		"no key is left": {
			func(f *onramp.Form) { f.Fields[0].Required = false }, map[string]string{"email": ""}, []onramp.FieldError{{Field: "email", Message: noKey}},
		},
		"no key is left of a field": {
			func(f *onramp.Form) { f.SubscriberKey = onramp.KeyStrategy{From: onramp.KeyField, Field: 1} },
			map[string]string{"first_name": ""},
			[]onramp.FieldError{{Field: "first_name", Message: noKey}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := editedForm()
			if c.change != nil {
				c.change(&form)
			}
			_, err := onramp.NewForm(form, "secret").Edit(stored(before), c.changes)
			wantInvalid(t, err)
			if diff := cmp.Diff(c.want, fieldErrors(err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "secret value") {
				t.Errorf("the value is repeated: %v", err)
			}
		})
	}
}

func wantInvalid(t *testing.T, err error) {
	t.Helper()
	if e, ok := err.(*onramp.Error); !ok || e.Kind != onramp.Invalid {
		t.Fatalf("got error %v, want one of kind Invalid", err)
	}
}

// What is stored is damaged: that is no fault of who edits, and nothing of it
// is told.
func TestEditDamaged(t *testing.T) {
	t.Parallel()
	form := editedForm()
	for _, values := range []string{``, `[]`, `"secret"`, `{"email":`, `{"email":"secret`, `{"email":secret}`, `{1:2}`} {
		_, err := onramp.NewForm(form, "secret").Edit(stored(values), map[string]string{"email": "ana@example.org"})
		if _, known := err.(*onramp.Error); err == nil || known || strings.Contains(err.Error(), "ecret") {
			t.Errorf("%s: got error %v", values, err)
		}
	}
}

// An edit gives what Accept would have given, had the new values been submitted
// in the first place; and it refuses what Accept refuses, in the same words.
func FuzzFormEdit(f *testing.F) {
	form := everyType()
	form.Fields = append(slices.Clone(form.Fields), onramp.Field{Name: "must", Column: "must", Required: true, Max: 5})
	form.SubscriberKey = onramp.KeyStrategy{From: onramp.KeyField, Field: len(form.Fields) - 1}
	form = onramp.NewForm(*form, "secret")
	first := map[string]string{
		"text": "Jane", "email": "jane@example.com", "boolean": "yes", "integer": "1", "phone": "+49 30 123456", "choice": "Red", "code": "ABC", "must": "k",
	}
	for _, seed := range [][2]string{
		{"text", "e\u0301\u0323\ufb01"},
		{"text", " "},
		{"text", "a\x00b"},
		{"email", "Jane@BÜCHER.example"},
		{"boolean", "off"},
		{"integer", "-7"},
		{"decimal", "-0.10"},
		{"date", "2026-06-23T23:59:59.9+02:00"},
		{"phone", ""},
		{"locale", "zh_hans_cn"},
		{"choice", "Cafe\u0301"},
		{"code", "abc"},
		{"must", "other"},
		{"must", ""},
		{"nobody", "secret value"},
		{"text", `"}{\`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.EqualFold(name, "agent") {
			return // a column that Onramp fills in: the one thing that is told in other words
		}
		before, err := form.Accept(formPost(first))
		if err != nil {
			t.Fatal(err)
		}
		both := maps.Clone(first)
		both[name] = value
		want, wantErr := form.Accept(formPost(both))
		got, err := form.Edit(before, map[string]string{name: value})
		if wantErr != nil || err != nil {
			if diff := cmp.Diff(fieldErrors(wantErr), fieldErrors(err)); diff != "" {
				t.Fatalf("refused with %v, want %v:\n%s", err, wantErr, diff)
			}
			checkRefusal(t, name, value, err)
			return
		}
		if diff := cmp.Diff([]string{string(want.Values), want.SubscriberKey}, []string{string(got.Values), got.SubscriberKey}); diff != "" {
			t.Errorf("edited (-accepted +edited):\n%s", diff)
		}
	})
}

// formPost is what a browser sends.
func formPost(values map[string]string) onramp.Submission {
	s := onramp.Submission{ReceivedAt: receivedAt}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		s.Inputs = append(s.Inputs, onramp.Input{Name: name, Value: posted(values[name])})
	}
	return s
}

// Nobody else gives a person's consent, or takes it back.
func TestEditConsent(t *testing.T) {
	t.Parallel()
	f := onramp.NewForm(onramp.Form{
		Fields:  []onramp.Field{{Name: "email", Column: "Email", Type: onramp.Email}, {Name: "opt_in", Column: "OptIn", Type: onramp.Boolean}},
		Consent: &onramp.ConsentTerms{Field: 1, Version: "1", Text: "yes"},
	}, "secret")
	_, err := f.Edit(onramp.Registration{Values: []byte(`{"email":"ana@example.org"}`)}, map[string]string{"opt_in": "true"})
	e, ok := errors.AsType[*onramp.Error](err)
	if !ok || len(e.Fields) != 1 || e.Fields[0].Field != "opt_in" {
		t.Error(err)
	}
}
