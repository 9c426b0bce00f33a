package onramp_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"onramp/internal/onramp"
)

// everyType is a form with a field of each type, named like its type.
func everyType() *onramp.Form {
	var f onramp.Form
	for _, name := range onramp.FieldTypes() {
		kind, _ := onramp.ParseFieldType(name)
		field := onramp.Field{Name: name, Column: name, Type: kind}
		switch kind {
		case onramp.Text:
			field.Max = 12
		case onramp.Choice:
			field.Choices = []string{"Red", "Café"}
		}
		f.Fields = append(f.Fields, field)
	}
	f.Fields = append(f.Fields, onramp.Field{Name: "code", Column: "code", Pattern: pattern(`[A-Z]+`)},
		onramp.Field{Column: "agent", From: onramp.FromUserAgent, Max: 9})
	f.SubscriberKey.From = onramp.KeyUUID
	return onramp.NewForm(f, "secret")
}

// normalForms are what the values of each type look like once they are accepted.
var normalForms = map[string]*regexp.Regexp{
	"email":   regexp.MustCompile(`^[!-?A-~]{1,100}@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$`),
	"boolean": regexp.MustCompile(`^(true|false)$`),
	"integer": regexp.MustCompile(`^(0|-?[1-9][0-9]{0,9})$`),
	"decimal": regexp.MustCompile(`^-?(0|[1-9][0-9]{0,28})(\.[0-9]{1,28})?$`),
	"date":    regexp.MustCompile(`^[1-9][0-9]{3}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)?$`),
	"phone":   regexp.MustCompile(`^\+?[0-9]{5,15}$`),
	"locale":  regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`),
	"choice":  regexp.MustCompile(`^(Red|Café)$`),
	"code":    regexp.MustCompile(`^[A-Z]+$`),
}

// Whatever a stranger sends is either refused, without repeating it, or becomes
// JSON that holds what the fields allow.
func FuzzFormAccept(f *testing.F) {
	form := everyType()
	for _, seed := range []struct {
		name, value string
		kind        onramp.ScalarKind
		agent       string
	}{
		{"text", "Jane 😀 \"Doe\"", onramp.String, "Mozilla/5.0"},
		{"text", "e\u0301\u0323\ufb01", onramp.Posted, "abcdefgh😀"},
		{"email", "Jane@BÜCHER.example", onramp.String, "\x00\xff"},
		{"email", "a@ab--cd.com", onramp.Posted, ""},
		{"boolean", "on", onramp.Posted, ""},
		{"boolean", "", onramp.True, ""},
		{"integer", "-2147483648", onramp.Number, ""},
		{"decimal", "-0.10", onramp.Number, ""},
		{"date", "2026-06-23T23:59:59.9+02:00", onramp.String, ""},
		{"phone", "+49 (30) 123456", onramp.String, ""},
		{"locale", "zh_hans_cn", onramp.String, ""},
		{"choice", "Cafe\u0301", onramp.String, ""},
		{"code", "ABC", onramp.String, ""},
		{"nobody", "secret value", onramp.String, ""},
		{"text", "", onramp.Nested, ""},
		{"text", "a\x00b", onramp.String, ""},
	} {
		f.Add(seed.name, seed.value, uint8(seed.kind), seed.agent)
	}
	f.Fuzz(func(t *testing.T, name, value string, kind uint8, agent string) {
		v := onramp.Scalar{Kind: onramp.ScalarKind(kind % 7), Text: value}
		if v.Kind == onramp.Number && !json.Valid([]byte(value)) {
			return // the parser hands on literals only
		}
		s := onramp.Submission{Inputs: []onramp.Input{{Name: name, Value: v}}, ReceivedAt: receivedAt, UserAgent: agent}
		r, err := form.Accept(s)
		if err != nil {
			checkRefusal(t, name, value, err)
			return
		}
		if !utf8.Valid(r.Values) || !json.Valid(r.Values) {
			t.Fatalf("%q is not JSON", r.Values)
		}
		var values map[string]json.RawMessage
		if err := json.Unmarshal(r.Values, &values); err != nil {
			t.Fatal(err)
		}
		for column, raw := range values {
			checkColumn(t, column, raw)
		}
		if got, ok := values["text"]; ok && name == "text" {
			var stored string
			if err := json.Unmarshal(got, &stored); err != nil || stored != norm.NFC.String(strings.TrimSpace(value)) {
				t.Errorf("%q was stored as %q", value, stored)
			}
		}
	})
}

func checkColumn(t *testing.T, column string, raw json.RawMessage) {
	t.Helper()
	content := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &content); err != nil {
			t.Fatal(err)
		}
	}
	if form := normalForms[column]; form != nil && !form.MatchString(content) {
		t.Errorf("%s holds %q", column, content)
	}
	units := len(utf16.Encode([]rune(content)))
	if limit := map[string]int{"text": 12, "email": 254, "agent": 9}[column]; limit > 0 && units > limit {
		t.Errorf("%s has %d UTF-16 code units: %q", column, units, content)
	}
	if content == "" || strings.ContainsFunc(content, unicode.IsControl) || !norm.NFC.IsNormalString(content) {
		t.Errorf("%s holds %q", column, content)
	}
}

// checkRefusal sees to it that an error names fields and repeats no value.
func checkRefusal(t *testing.T, name, value string, err error) {
	t.Helper()
	e, ok := errors.AsType[*onramp.Error](err)
	if !ok || e.Kind != onramp.Invalid || len(e.Fields) != 1 {
		t.Fatalf("got %#v", err)
	}
	if !strings.HasPrefix(name, e.Fields[0].Field) {
		t.Errorf("names %q instead of %q", e.Fields[0].Field, name)
	}
	if len(value) >= 8 && strings.Contains(err.Error()+e.Fields[0].Message, value) && !strings.Contains(fixedMessages, value) {
		t.Errorf("%q is repeated in %q", value, e.Fields[0].Message)
	}
}

// fixedMessages may contain what somebody sends by chance.
const fixedMessages = "some fields are not valid\n" + notText + "\n" + notEmail + "\n" + notBoolean + "\n" + notInteger + "\n" + notDecimal + "\n" +
	notDate + "\n" + notYear + "\n" + notPhone + "\n" + notLocale + "\n" + notChoice + "\n" + notPattern + "\n" + noControls + "\n" +
	"is not a field of this form\nmust be valid UTF-8\nmust be at most 12 characters\nmust be at most 4000 characters"
