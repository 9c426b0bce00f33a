package onramp_test

import (
	"bytes"
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
	"onramp/internal/visible"
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
		case onramp.Choice, onramp.Choices:
			field.Separator = "; "
			field.Choices = []string{"Red", "Café"}
		}
		f.Fields = append(f.Fields, field)
	}
	f.Fields = append(f.Fields, onramp.Field{Name: "code", Column: "code", Pattern: pattern(`[A-Z]+`)},
		onramp.Field{Name: "note", Column: "note", Multiline: true}, onramp.Field{Name: "mobile", Column: "mobile", Type: onramp.Phone, Country: "DE"},
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
	"mobile":  regexp.MustCompile(`^\+[0-9]{5,15}$`),
	"locale":  regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`),
	"choice":  regexp.MustCompile(`^(Red|Café)$`),
	"choices": regexp.MustCompile(`^(Red|Café|Red; Café|Café; Red)$`),
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
		{"integer", "42.0e-1", onramp.Number, ""},
		{"integer", "1e999999999", onramp.Number, ""},
		{"decimal", ".5e-400", onramp.Posted, ""},
		{"decimal", "12,50", onramp.String, ""},
		{"boolean", `["0","1"]`, onramp.Nested, ""},
		{"choices", `["Red","Cafe\u0301","Red"]`, onramp.Nested, ""},
		{"choices[]", "Red", onramp.Posted, ""},
		{"choices", "Red;Café", onramp.Posted, ""},
		{"date", "2016-12-31 23:59:60 +0000", onramp.Posted, ""},
		{"date", "2026-06-23t14:52-12:00", onramp.String, ""},
		{"date", "2026-06-23T23:59:59.9+02:00", onramp.String, ""},
		{"phone", "+49 (30) 123456", onramp.String, ""},
		{"phone", "\u200e+39 (0)6 1234\u20115678", onramp.String, ""},
		{"mobile", "0151/23456789", onramp.Posted, ""},
		{"mobile", "00４９（0）151 23456789", onramp.String, ""},
		{"email", "\ufefftaro..@docomo.ne.jp\u200b", onramp.String, ""},
		{"text", "\u3164❤\ufe0f\u200d", onramp.String, ""},
		{"text", "a\r\nb\tc", onramp.String, ""},
		{"note", "a\r\nb\tc\rd\u2028", onramp.Posted, ""},
		{"text", "", onramp.Broken, ""},
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
		v := onramp.Scalar{Kind: onramp.ScalarKind(kind % 8), Text: value}
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
		checkAgain(t, form, r)
	})
}

// checkAgain sees to it that what came out goes in unchanged.
func checkAgain(t *testing.T, form *onramp.Form, r onramp.Registration) {
	t.Helper()
	var values map[string]any
	decoder := json.NewDecoder(bytes.NewReader(r.Values))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		t.Fatal(err)
	}
	again := onramp.Submission{ReceivedAt: r.ReceivedAt}
	for name, value := range values {
		in := onramp.Input{Name: name}
		switch value := value.(type) {
		case string:
			in.Value = text(value)
		case json.Number:
			in.Value = number(value.String())
		case bool:
			if in.Value = no; value {
				in.Value = yes
			}
		}
		if name == "user_agent:agent" {
			again.UserAgent = in.Value.Text
			continue
		}
		again.Inputs = append(again.Inputs, in)
	}
	if second, err := form.Accept(again); err != nil || string(second.Values) != string(r.Values) {
		t.Errorf("%s became %s when it was submitted again: %v", r.Values, second.Values, err)
	}
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
	tooLong := column == "text" && len(utf16.Encode([]rune(norm.NFC.String(content)))) > 12
	if column == "note" {
		content = strings.NewReplacer("\n", "", "\t", "").Replace(content)
	}
	if content == "" || strings.ContainsFunc(content, unicode.IsControl) || visible.Trim(content) != content || !norm.NFC.IsNormalString(content) && !tooLong {
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
	notDate + "\n" + notOffset + "\n" + noZone + "\n" + notDoubled + "\n" + notYear + "\n" + notPhone + "\n" + notLocale + "\n" + notChoice + "\n" + notPattern + "\n" + noControls + "\n" +
	noHalves + "\n" + notWhole + "\n" +
	"is not a field of this form\nmust be valid UTF-8\nmust be at most 12 characters\nmust be at most 4000 characters"
