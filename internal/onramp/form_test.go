package onramp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/onramp"
)

// route is what the contract's form does with a registration.
var route = []onramp.Destination{
	{ID: 1, Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}},
	{ID: 2, Kind: onramp.Journey, Key: "APIEvent-welcome", EstablishContactKey: true},
}

// contractForm is the form "registration" of the contract.
func contractForm() onramp.Form {
	constant := text("Website Registration")
	return onramp.Form{
		Name: "registration",
		Fields: []onramp.Field{
			{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true, Max: 254},
			{Name: "first_name", Column: "FirstName", Max: 100},
			{Name: "last_name", Column: "LastName", Max: 100},
			{Name: "opt_in", Column: "OptInStatus", Type: onramp.Boolean, Default: &no},
			{Column: "RegistrationTimestamp", From: onramp.FromReceivedAt},
			{Column: "Source", From: onramp.FromConstant, Constant: &constant},
			{Column: "IPAddress", From: onramp.FromIP},
			{Column: "UserAgent", From: onramp.FromUserAgent, Max: 255},
			{Column: "PageURL", From: onramp.FromPageURL, Max: 500},
		},
		Route: route,
	}
}

var receivedAt = time.Date(2026, 6, 23, 14, 52, 45, 123456000, time.UTC)

// submission is the one of section 4.2 of the specification.
func submission(inputs ...onramp.Input) onramp.Submission {
	return onramp.Submission{
		Inputs: inputs, ReceivedAt: receivedAt, IP: "192.168.1.1",
		UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", PageURL: "https://example.com/register",
	}
}

func input(name string, v onramp.Scalar) onramp.Input { return onramp.Input{Name: name, Value: v} }

// ignoreID is for whole registrations: each one has a new id.
var ignoreID = cmpopts.IgnoreFields(onramp.Registration{}, "ID")

func accept(t *testing.T, f onramp.Form, s onramp.Submission) onramp.Registration {
	t.Helper()
	r, err := onramp.NewForm(f, "secret").Accept(s)
	if err != nil {
		t.Fatalf("not accepted: %v %v", err, fieldErrors(err))
	}
	return r
}

// acceptRow is accept with the columns that are sent in place of the values.
func acceptRow(t *testing.T, f onramp.Form, s onramp.Submission) onramp.Registration {
	t.Helper()
	r := accept(t, f, s)
	columns, gone, err := onramp.NewForm(f, "secret").Columns(&r)
	if err != nil || len(gone) > 0 {
		t.Errorf("columns: %v, %v", gone, err)
	}
	r.Values = columns
	return r
}

func fieldErrors(err error) []onramp.FieldError {
	if e, ok := errors.AsType[*onramp.Error](err); ok {
		return e.Fields
	}
	return nil
}

// The row of section 4.2 of the specification, column by column.
func TestAcceptSpecification(t *testing.T) {
	t.Parallel()
	want := onramp.Registration{
		Form: "registration", SubscriberKey: "user@example.com", ReceivedAt: receivedAt, Route: route,
		Values: json.RawMessage(`{"EmailAddress":"user@example.com","FirstName":"Jane","LastName":"Doe","OptInStatus":true,` +
			`"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.168.1.1",` +
			`"UserAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)","PageURL":"https://example.com/register"}`),
	}
	for name, inputs := range map[string][]onramp.Input{
		"as JSON": {
			input("email", text("user@example.com")), input("first_name", text("Jane")), input("last_name", text("Doe")), input("opt_in", yes),
		},
		"as a form post, in another order": {
			input("opt_in", posted("on")), input("last_name", posted("Doe")), input("first_name", posted("Jane")), input("email", posted("user@example.com")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, acceptRow(t, contractForm(), submission(inputs...)), ignoreID); diff != "" {
				t.Errorf("registration (-want +got):\n%s", diff)
			}
		})
	}
}

// What is not submitted is left out, or takes its default.
func TestAcceptAbsent(t *testing.T) {
	t.Parallel()
	want := onramp.Registration{
		Form: "registration", SubscriberKey: "a@b.co", ReceivedAt: receivedAt, Route: route,
		Values: json.RawMessage(`{"EmailAddress":"a@b.co","OptInStatus":false,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration"}`),
	}
	for name, inputs := range map[string][]onramp.Input{
		"not named":       {input("email", text("a@b.co"))},
		"null":            {input("email", text("a@b.co")), input("first_name", null), input("opt_in", null)},
		"empty":           {input("email", text("a@b.co")), input("first_name", text("")), input("opt_in", text(""))},
		"only spaces":     {input("email", text("a@b.co")), input("first_name", text(" \t\u00a0")), input("opt_in", posted("  "))},
		"empty form post": {input("email", posted("a@b.co")), input("first_name", posted("")), input("last_name", posted("")), input("opt_in", posted(""))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onramp.Submission{Inputs: inputs, ReceivedAt: receivedAt}
			if diff := cmp.Diff(want, acceptRow(t, contractForm(), s), ignoreID); diff != "" {
				t.Errorf("registration (-want +got):\n%s", diff)
			}
		})
	}
}

// A form with nothing to say stores an empty object, not broken JSON.
func TestAcceptNothing(t *testing.T) {
	t.Parallel()
	f := onramp.Form{Name: "empty", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}, Fields: []onramp.Field{{Name: "note", Column: "Note"}}}
	got := acceptRow(t, f, submission())
	want := onramp.Registration{Form: "empty", ReceivedAt: receivedAt, Values: json.RawMessage(`{}`), SubscriberKey: got.SubscriberKey}
	if diff := cmp.Diff(want, got, ignoreID); diff != "" {
		t.Errorf("registration (-want +got):\n%s", diff)
	}
}

// Defaults and constants of every kind reach their columns.
func TestAcceptDefault(t *testing.T) {
	t.Parallel()
	word, count := text(`"a\b"`+"\n\x1f"), number("12.50")
	f := onramp.Form{
		Name: "defaults", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyField, Field: 4},
		Fields: []onramp.Field{
			{Name: "word", Column: "Word", Default: &word},
			{Name: "count", Column: "Count", Type: onramp.Decimal, Default: &count},
			{Name: "agreed", Column: "Agreed", Type: onramp.Boolean, Default: &yes},
			{Column: "Constant", From: onramp.FromConstant, Constant: &count},
			{Name: "member", Required: true},
		},
	}
	for name, row := range map[string]struct {
		inputs []onramp.Input
		values string
	}{
		"nothing submitted": {nil, `{"Word":"\"a\\b\"\u000a\u001f","Count":12.50,"Agreed":true,"Constant":12.50}`},
		"all submitted": {
			[]onramp.Input{input("word", text("w")), input("count", number("1.0")), input("agreed", no)},
			`{"Word":"w","Count":1.0,"Agreed":false,"Constant":12.50}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := onramp.Registration{Form: "defaults", SubscriberKey: "M-1", ReceivedAt: receivedAt, Values: json.RawMessage(row.values)}
			got := acceptRow(t, f, submission(append(row.inputs, input("member", text(" M-1 ")))...))
			if diff := cmp.Diff(want, got, ignoreID); diff != "" {
				t.Errorf("registration (-want +got):\n%s", diff)
			}
		})
	}
}

// Everything that Onramp fills in. What is too long is cut, between characters.
func TestAcceptFilledIn(t *testing.T) {
	t.Parallel()
	value := text("a constant")
	f := onramp.Form{
		Name: "filled-in", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
		Fields: []onramp.Field{
			{Column: "At", From: onramp.FromReceivedAt},
			{Column: "Constant", From: onramp.FromConstant, Constant: &value},
			{Column: "IP", From: onramp.FromIP, Max: 15},
			{Column: "UserAgent", From: onramp.FromUserAgent, Max: 5},
			{Column: "PageURL", From: onramp.FromPageURL, Max: 10},
			{Column: "Form", From: onramp.FromForm, Max: 6},
		},
	}
	at := time.Date(2026, 6, 23, 16, 52, 45, 999999000, time.FixedZone("", 2*60*60))
	for name, row := range map[string]struct {
		ip, userAgent, pageURL string
		values                 string
	}{
		"whole":             {"192.0.2.1", "curl", "http://a", `"IP":"192.0.2.1","UserAgent":"curl","PageURL":"http://a",`},
		"unknown":           {"", "", "", ``},
		"too long":          {"2001:db8:1:2:3:4:5:6", "Mozilla", "http://a/bc", `"IP":"2001:db8:1:2:3:","UserAgent":"Mozil","PageURL":"http://a/b",`},
		"on a surrogate":    {"", "abcd😀", "http://a/😀", `"UserAgent":"abcd","PageURL":"http://a/",`},
		"behind a pair":     {"", "abc😀d", "http://😀de", `"UserAgent":"abc😀","PageURL":"http://😀d",`},
		"composed":          {"", "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", "", `"UserAgent":"ééééé",`},
		"with rubbish":      {"", "\x00a\x1bb\u0085c", " \thttp://a/\xffc\ufffd\n", `"UserAgent":"abc","PageURL":"http://a/c",`},
		"nothing but it":    {"", "\x00\x01", "\xff\xfe", ``},
		"to be escaped":     {"", `"\<>`, `http://a/"`, `"UserAgent":"\"\\<>","PageURL":"http://a/\"",`},
		"UTF-8 at the edge": {"", "abcdé", "http://a/€€", `"UserAgent":"abcdé","PageURL":"http://a/€",`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := acceptRow(t, f, onramp.Submission{ReceivedAt: at, IP: row.ip, UserAgent: row.userAgent, PageURL: row.pageURL})
			want := onramp.Registration{
				Form: "filled-in", ReceivedAt: at, SubscriberKey: got.SubscriberKey,
				Values: json.RawMessage(`{"At":"2026-06-23T14:52:45Z","Constant":"a constant",` + row.values + `"Form":"filled"}`),
			}
			if diff := cmp.Diff(want, got, ignoreID); diff != "" {
				t.Errorf("registration (-want +got):\n%s", diff)
			}
		})
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// version is the version of a UUID of RFC 9562, or "".
func version(s string) string {
	match := uuid.FindStringSubmatch(s)
	if match == nil {
		return ""
	}
	return match[1]
}

// A column from: uuid has a new one each time.
func TestAcceptUUIDColumn(t *testing.T) {
	t.Parallel()
	f := onramp.Form{SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}, Fields: []onramp.Field{{Column: "ID", From: onramp.FromUUID}}}
	seen := map[string]bool{}
	for range 100 {
		var values struct{ ID string }
		if err := json.Unmarshal(acceptRow(t, f, submission()).Values, &values); err != nil {
			t.Fatal(err)
		}
		if version(values.ID) != "4" || seen[values.ID] {
			t.Fatalf("%q is no new random UUID", values.ID)
		}
		seen[values.ID] = true
	}
}

func TestSubscriberKey(t *testing.T) {
	t.Parallel()
	fields := []onramp.Field{
		{Name: "member", Column: "Member", Max: 20},
		{Name: "email", Column: "Email", Type: onramp.Email},
		{Name: "second", Column: "Second", Type: onramp.Email},
	}
	key := func(strategy onramp.KeyStrategy, secret onramp.Secret, inputs ...onramp.Input) string {
		f := onramp.NewForm(onramp.Form{Fields: fields, SubscriberKey: strategy}, secret)
		r, err := f.Accept(submission(inputs...))
		if err != nil {
			t.Fatalf("not accepted: %v", fieldErrors(err))
		}
		return r.SubscriberKey
	}
	address := func(s string) onramp.Input { return input("email", text(s)) }

	t.Run("email", func(t *testing.T) {
		strategy := onramp.KeyStrategy{From: onramp.KeyEmail, Field: 1}
		if got := key(strategy, "s", input("second", text("c@d.co")), address(" Jane@EXAMPLE.org ")); got != "Jane@example.org" {
			t.Errorf("got %q, want the first address as it is stored", got)
		}
	})
	t.Run("field", func(t *testing.T) {
		strategy := onramp.KeyStrategy{From: onramp.KeyField, Field: 0}
		if got := key(strategy, "s", address("a@b.co"), input("member", text(" e\u0301-1 "))); got != "é-1" {
			t.Errorf("got %q, want the field as it is stored", got)
		}
	})
	t.Run("uuid", func(t *testing.T) {
		strategy := onramp.KeyStrategy{From: onramp.KeyUUID}
		first := key(strategy, "s", address("Jane@Example.org"))
		if version(first) != "8" {
			t.Errorf("%q is no UUIDv8", first)
		}
		if again := key(strategy, "s", input("member", text("m")), address("jANE@example.ORG")); again != first {
			t.Errorf("a returning address got %q after %q", again, first)
		}
		if other := key(strategy, "s", address("joan@example.org")); other == first {
			t.Error("another address got the same key")
		}
		if other := key(strategy, "another secret", address("jane@example.org")); other == first {
			t.Error("another secret gave the same key")
		}
	})
	t.Run("uuid without an address", func(t *testing.T) {
		strategy := onramp.KeyStrategy{From: onramp.KeyUUID}
		first, second := key(strategy, "s"), key(strategy, "s")
		if version(first) != "4" || version(second) != "4" || first == second {
			t.Errorf("got %q and %q, want two random UUIDs", first, second)
		}
	})
}

// Whatever is wrong is told at once, by the field's name and without its value.
func TestAcceptRefused(t *testing.T) {
	t.Parallel()
	many := make([]onramp.Input, 1000)
	var told []onramp.FieldError
	for i := range many {
		many[i] = input(fmt.Sprintf("field_%d", i), text("x"))
		if i < 50 {
			told = append(told, onramp.FieldError{Field: many[i].Name, Message: "is not a field of this form", Code: "unknown"})
		}
	}
	for name, row := range map[string]struct {
		inputs []onramp.Input
		want   []onramp.FieldError
	}{
		"nothing":        {nil, []onramp.FieldError{{Field: "email", Message: "is required", Code: "required"}}},
		"required null":  {[]onramp.Input{input("email", null)}, []onramp.FieldError{{Field: "email", Message: "is required", Code: "required"}}},
		"required empty": {[]onramp.Input{input("email", posted(" "))}, []onramp.FieldError{{Field: "email", Message: "is required", Code: "required"}}},
		"several": {
			[]onramp.Input{input("email", text("nobody")), input("first_name", number("1")), input("last_name", text(strings.Repeat("x", 101))), input("opt_in", text("maybe"))},
			[]onramp.FieldError{
				{Field: "email", Message: notEmail, Code: "email"},
				{Field: "first_name", Message: notText, Code: "text"},
				{Field: "last_name", Message: "must be at most 100 characters", Code: "too_long"},
				{Field: "opt_in", Message: notBoolean, Code: "boolean"},
			},
		},
		"unknown": {
			[]onramp.Input{input("email", text("a@b.co")), input("Email", text("a@b.co")), input("", text("x"))},
			[]onramp.FieldError{{Field: "Email", Message: "is not a field of this form", Code: "unknown"}, {Field: "", Message: "is not a field of this form", Code: "unknown"}},
		},
		"a column is no field": {
			[]onramp.Input{input("email", text("a@b.co")), input("IPAddress", text("192.0.2.1"))},
			[]onramp.FieldError{{Field: "IPAddress", Message: "is not a field of this form", Code: "unknown"}},
		},
		"a long name is cut": {
			[]onramp.Input{input("email", text("a@b.co")), input(strings.Repeat("x", 99)+"😀", null)},
			[]onramp.FieldError{{Field: strings.Repeat("x", 99), Message: "is not a field of this form", Code: "unknown"}},
		},
		"doubled": {
			[]onramp.Input{input("email", text("a@b.co")), input("first_name", text("Jane")), input("first_name", text("Jane")), input("first_name", null)},
			[]onramp.FieldError{{Field: "first_name", Message: "is given more than once", Code: "doubled"}, {Field: "first_name", Message: "is given more than once", Code: "doubled"}},
		},
		"doubled and wrong": {
			[]onramp.Input{input("email", text("nobody")), input("email", text("a@b.co"))},
			[]onramp.FieldError{{Field: "email", Message: "is given more than once", Code: "doubled"}, {Field: "email", Message: notEmail, Code: "email"}},
		},
		"a thousand": {many, told},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := onramp.NewForm(contractForm(), "s").Accept(submission(row.inputs...))
			want := &onramp.Error{Kind: onramp.Invalid, Message: "some fields are not valid", Fields: row.want}
			if diff := cmp.Diff(want, err, cmp.Comparer(sameError)); diff != "" {
				t.Errorf("error (-want +got):\n%s", cmp.Diff(row.want, fieldErrors(err)))
			}
			if diff := cmp.Diff(onramp.Registration{}, got); diff != "" {
				t.Errorf("a refused submission gave a registration:\n%s", diff)
			}
		})
	}
}

func sameError(a, b error) bool {
	x, y := errorOf(a), errorOf(b)
	return x.Kind == y.Kind && x.Message == y.Message && x.Err == y.Err && x.RetryAfter == y.RetryAfter && cmp.Equal(x.Fields, y.Fields)
}

func errorOf(err error) onramp.Error {
	if e, ok := errors.AsType[*onramp.Error](err); ok {
		return *e
	}
	return onramp.Error{}
}
