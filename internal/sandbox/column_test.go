package sandbox_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// Each value is sent as JSON into a required column of the type.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	quote := func(s string) string { return `"` + s + `"` }
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, row := range []struct {
		column    sandbox.Column
		complaint string
		good, bad []string
	}{
		{
			sandbox.Column{Type: "Text", Length: 5},
			"exceeds the column's maximum length.",
			[]string{`"12345"`, `""`, `12345`, `true`, `"ééééé"`, `"😀😀a"`},
			[]string{`"123456"`, `123456`, `"😀😀😀"`},
		},
		{
			sandbox.Column{Type: "EmailAddress", Length: 254},
			"is not a valid email address. Parse error [InvalidEmailAddress]",
			[]string{
				`"a@b.co"`, `"o'neil+x_y-z.w@sub.example.museum"`, `"a@b.xn--p1ai"`, `"a@xn--bcher-kva.de"`,
				`"taro.@docomo.ne.jp"`, `"taro..yamada@docomo.ne.jp"`, `".a@b.co"`, `"..@b.co"`,
				quote(long(100) + "@example.org"), quote("a@" + strings.Repeat(long(61)+".", 4) + "abcd"),
			},
			[]string{
				`""`, `"a"`, `"a@b"`, `"@b.co"`, `"a@"`, `"a@@b.co"`, `"a@b@c.co"`, `"a b@c.co"`, `"a@b c.co"`, `"ä@b.co"`,
				`"jané@b.co"`, `"a@bücher.de"`, `"a@b.рф"`, `"a\u200b@b.co"`, `"a@b.co\ufeff"`, `" a@b.co"`, `"a@b.co "`, `"a@.co"`, `"a@b..co"`, `"a@b.co."`, `"a@-b.co"`, `"a@b-.co"`, `"a@b_c.co"`,
				`"a@b.c"`, `"a@b.1c"`, `"a@1.2.3.4"`, `"a@b.xn--"`, `"<a@b.co>"`, `1`, `true`,
				quote(long(101) + "@example.org"), quote("a@" + strings.Repeat(long(61)+".", 4) + "abcde"),
				quote("a@" + long(64) + ".org"),
			},
		},
		{
			sandbox.Column{Type: "EmailAddress", Length: 10},
			"exceeds the column's maximum length.",
			[]string{`"abc@de.org"`},
			[]string{`"abcd@de.org"`},
		},
		{
			sandbox.Column{Type: "Boolean"},
			"is not a valid boolean.",
			[]string{`true`, `false`, `1`, `0`, `"True"`, `"FALSE"`, `"1"`, `"0"`},
			[]string{`"yes"`, `"no"`, `2`, `""`, `1.0`, `" true"`},
		},
		{
			sandbox.Column{Type: "Date"},
			"is not a valid date.",
			[]string{
				`"2026-06-23T14:52:45Z"`, `"2026-06-23T14:52:45.123Z"`, `"2026-06-23T14:52:45+02:00"`, `"2026-06-23T14:52:45-0600"`,
				`"2026-06-23T14:52:45"`, `"2026-06-23T14:52"`, `"2026-06-23 14:52:45"`, `"2026-06-23"`, `"6/23/2026"`, `"06/23/2026 2:52 PM"`,
				`"6/23/2026 2:52:45 PM"`, `"6/23/2026 14:52"`, `"1753-01-01"`, `"9999-12-31T23:59:59Z"`, `"2028-02-29"`,
			},
			[]string{`"1752-12-31"`, `"10000-01-01"`, `"2026-02-29"`, `"2026-13-01"`, `"23/6/2026"`, `"soon"`, `""`, `"2026-06-23T25:00:00Z"`, `20260623`, `true`},
		},
		{
			sandbox.Column{Type: "Number"},
			"is not a valid number.",
			[]string{`0`, `-2147483648`, `2147483647`, `"42"`, `"-1"`},
			[]string{`2147483648`, `-2147483649`, `1.5`, `1e3`, `"x"`, `""`, `true`, `" 1"`},
		},
		{
			sandbox.Column{Type: "Decimal", Length: 5, Scale: 2},
			"is not a valid decimal.",
			[]string{`123.45`, `-123.45`, `"0.5"`, `".5"`, `"0001.10000"`, `999`, `"+1"`},
			[]string{`1234`, `1.234`, `"1."`, `"."`, `""`, `"1,5"`, `1e2`, `true`, `"--1"`},
		},
		{
			sandbox.Column{Type: "Phone", Length: 50},
			"is not a valid phone number. Parse error [ExactTarget.Core.Validation.ValidationResult[]]",
			[]string{`"+1 (317) 555-0100"`, `"3175550100"`, `3175550100`},
			[]string{`"555"`, `"1234567890123456"`, `"call me"`, `"317+5550100"`, `""`, `true`},
		},
		{
			sandbox.Column{Type: "Locale"},
			"is not a valid locale.",
			[]string{`"en-US"`, `"de"`, `"zh-Hans-CN"`, `"es-419"`},
			[]string{`"en_US"`, `"english"`, `"e"`, `"en-"`, `"12"`, `"en-US-x"`, `""`, `1`},
		},
	} {
		row.column.Name = "X"
		t.Run(row.column.Type, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			const id = "11111111-1111-4111-8111-111111111111"
			s.AddDataExtension(id, "T", []sandbox.Column{{Name: "Id", Type: "Text", PrimaryKey: true}, row.column})
			auth := authorize(t, s)
			body := func(value string) string { return `[{"keys":{"Id":"1"},"values":{"X":` + value + `}}]` }
			for _, value := range row.good {
				same(t, send(t, s, "POST", "/hub/v1/dataevents/key:T/rowset", body(value), auth), 200, body(value))
			}
			stored := s.State().DataExtensions["T"].Rows
			for _, value := range row.bad {
				t.Logf("bad: %.60s", value)
				same(t, send(t, s, "POST", "/hub/v1/dataevents/key:T/rowset", body(value), auth), 400,
					`{"message":"Unable to save rows for data extension ID `+id+`","errorcode":10006,"documentation":"","additionalErrors":[`+
						`{"message":"X: The value for column [X] `+row.complaint+`","errorcode":10000,"documentation":""}]}`)
			}
			if diff := cmp.Diff(stored, s.State().DataExtensions["T"].Rows); diff != "" {
				t.Errorf("bad values changed the row (-before +after):\n%s", diff)
			}
		})
	}
}

// Keys that Marketing Cloud would store alike name one row.
func TestKeyIdentity(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		column sandbox.Column
		same   []string
	}{
		{sandbox.Column{Type: "Number"}, []string{`7`, `"7"`, `"007"`, `"+7"`}},
		{sandbox.Column{Type: "Decimal", Length: 9, Scale: 3}, []string{`1.5`, `"1.500"`, `"+01.5"`}},
		{sandbox.Column{Type: "Boolean"}, []string{`true`, `"TRUE"`, `1`}},
		{sandbox.Column{Type: "Date"}, []string{`"2026-06-23T00:00:00Z"`, `"2026-06-22T18:00:00"`, `"6/22/2026 6:00 PM"`}},
	} {
		t.Run(row.column.Type, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			row.column.Name, row.column.PrimaryKey = "Id", true
			s.AddDataExtension("11111111-1111-4111-8111-111111111111", "T", []sandbox.Column{row.column, {Name: "X", Type: "Text"}})
			auth := authorize(t, s)
			for _, key := range row.same {
				if w := send(t, s, "POST", "/hub/v1/dataevents/key:T/rowset", `[{"keys":{"Id":`+key+`},"values":{"X":"x"}}]`, auth); w.Code != 200 {
					t.Errorf("key %s: %d %s", key, w.Code, w.Body)
				}
			}
			if n := len(s.State().DataExtensions["T"].Rows); n != 1 {
				t.Errorf("%d rows, want 1", n)
			}
		})
	}
}
