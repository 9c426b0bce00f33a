package columns_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/columns"
	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// told is what the package tells of a column.
type told struct {
	Field                 metadata.Field
	From                  string
	Always, Sure, Limited bool
	Takes                 string // the types of columns
	Text, Decimal         int    // the length of the longest value in columns of these types
}

func tell(c columns.Column) told {
	var takes []string
	for _, kind := range []string{metadata.Text, metadata.EmailAddress, metadata.Boolean, metadata.Date, metadata.Number, metadata.Decimal, metadata.Phone, metadata.Locale} {
		if c.Takes(kind) {
			takes = append(takes, kind)
		}
	}
	return told{c.Field, c.From, c.Always, c.Sure, c.Limited, strings.Join(takes, " "), c.Longest(metadata.Text), c.Longest(metadata.Decimal)}
}

func posted(text string) onramp.Scalar { return onramp.Scalar{Kind: onramp.Posted, Text: text} }

// What a form sends to a column is what it accepts: the longest value that it takes is as
// long as the column must be, and the next longer one is refused or cut.
func TestField(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	host := strings.Repeat(long[:60]+".", 3)
	constant := func(kind onramp.ScalarKind, text string) onramp.Field {
		return onramp.Field{From: onramp.FromConstant, Constant: &onramp.Scalar{Kind: kind, Text: text}}
	}
	is := func(kind string, length, scale int) metadata.Field {
		return metadata.Field{Name: "C", Type: kind, Length: length, Scale: scale}
	}
	filled := func(from onramp.Source, limit int) onramp.Field { return onramp.Field{From: from, Max: limit} }
	typed := func(kind onramp.FieldType, limit int) onramp.Field {
		return onramp.Field{Name: "f", Type: kind, Max: limit}
	}
	chosen := func(kind onramp.FieldType, limit int) onramp.Field {
		return onramp.Field{Name: "f", Type: kind, Max: limit, Choices: []string{"a", "😀😀😀", "bb"}, Separator: " - "}
	}
	required, fallback, pattern := typed(onramp.Boolean, 0), typed(onramp.Boolean, 0), typed(onramp.Text, 9)
	required.Required, fallback.Default = true, &onramp.Scalar{Kind: onramp.False}
	var err error
	if pattern.Pattern, err = onramp.NewPattern("[0-9]+"); err != nil {
		t.Fatal(err)
	}
	mustHave := is("Boolean", 0, 0)
	mustHave.Required = true
	for name, row := range map[string]struct {
		field   onramp.Field
		longest string // value that is accepted; "": none is tried
		longer  string // that is refused, or cut
		want    told
	}{
		"text":               {typed(onramp.Text, 0), long[:4000], long[:4001], told{is("Text", 4000, 0), "field f", false, true, true, "Text", 4000, 0}},
		"short text":         {typed(onramp.Text, 4), "😀😀", "😀😀x", told{is("Text", 4, 0), "field f", false, true, true, "Text", 4, 0}},
		"text of digits":     {pattern, "123456789", "1234567890", told{is("Text", 9, 0), "field f", false, false, true, "Text", 9, 0}},
		"email":              {typed(onramp.Email, 0), long[:64] + "@" + host + "exampl", long[:64] + "@" + host + "example", told{is("EmailAddress", 254, 0), "field f", false, true, false, "Text EmailAddress", 254, 0}},
		"short email":        {typed(onramp.Email, 9), "ana@ab.cd", "anna@ab.cd", told{is("EmailAddress", 9, 0), "field f", false, true, false, "Text EmailAddress", 9, 0}},
		"boolean":            {typed(onramp.Boolean, 0), "false", "", told{is("Boolean", 0, 0), "field f", false, true, false, "Text Boolean", 5, 0}},
		"required":           {required, "", "", told{mustHave, "field f", true, true, false, "Text Boolean", 5, 0}},
		"with a default":     {fallback, "", "", told{is("Boolean", 0, 0), "field f", true, true, false, "Text Boolean", 5, 0}},
		"integer":            {typed(onramp.Integer, 0), "-2147483648", "-10000000000", told{is("Number", 0, 0), "field f", false, true, false, "Text Number Decimal", 11, 10}},
		"decimal":            {typed(onramp.Decimal, 0), "-1." + strings.Repeat("5", 28), strings.Repeat("5", 30), told{is("Decimal", 29, 9), "field f", false, true, false, "Text Decimal", 31, 29}},
		"date":               {typed(onramp.Date, 0), "2026-06-23T14:52:45.123456+02:00", "", told{is("Date", 0, 0), "field f", false, true, false, "Text Date", 20, 0}},
		"phone":              {typed(onramp.Phone, 0), "+123456789012345", "+1234567890123456", told{is("Phone", 0, 0), "field f", false, true, false, "Text Phone", 16, 0}},
		"phone, dialled":     {typed(onramp.Phone, 0), "", "00(0)12345678901234", told{is("Phone", 0, 0), "field f", false, true, false, "Text Phone", 16, 0}},
		"short phone":        {typed(onramp.Phone, 9), "+12345678", "+123456789", told{is("Phone", 0, 0), "field f", false, true, false, "Text Phone", 9, 0}},
		"locale":             {typed(onramp.Locale, 0), "ast-latn-419", "de-Latn-DE-1996", told{is("Text", 12, 0), "field f", false, true, true, "Text Locale", 12, 0}},
		"locale, private":    {typed(onramp.Locale, 0), "", "de-Latn-DE-x-a", told{is("Text", 12, 0), "field f", false, true, true, "Text Locale", 12, 0}},
		"short locale":       {typed(onramp.Locale, 5), "en-US", "zh-Hant", told{is("Text", 5, 0), "field f", false, true, true, "Text Locale", 5, 0}},
		"choice":             {chosen(onramp.Choice, 0), "😀😀😀", "", told{is("Text", 6, 0), "field f", false, false, false, "Text", 6, 0}},
		"choices":            {chosen(onramp.Choices, 0), "bb - 😀😀😀 - a", "", told{is("Text", 15, 0), "field f", false, false, false, "Text", 15, 0}},
		"few choices":        {chosen(onramp.Choices, 11), "bb - 😀😀😀", "bb - 😀😀😀 - a", told{is("Text", 11, 0), "field f", false, false, false, "Text", 11, 0}},
		"received_at":        {filled(onramp.FromReceivedAt, 0), "-", "", told{is("Date", 0, 0), "from: received_at", true, true, false, "Text Date", 20, 0}},
		"ip":                 {filled(onramp.FromIP, 0), "-", "", told{is("Text", 45, 0), "from: ip", true, true, false, "Text", 45, 0}},
		"ip, cut":            {filled(onramp.FromIP, 15), "-", "", told{is("Text", 15, 0), "from: ip", true, true, false, "Text", 15, 0}},
		"user_agent":         {filled(onramp.FromUserAgent, 255), "-", "", told{is("Text", 255, 0), "from: user_agent", false, true, true, "Text", 255, 0}},
		"page_url":           {filled(onramp.FromPageURL, 0), "-", "", told{is("Text", 4000, 0), "from: page_url", false, true, true, "Text", 4000, 0}},
		"uuid":               {filled(onramp.FromUUID, 0), "-", "", told{is("Text", 36, 0), "from: uuid", true, true, false, "Text", 36, 0}},
		"form":               {filled(onramp.FromForm, 0), "-", "", told{is("Text", 7, 0), "from: form", true, true, false, "Text", 7, 0}},
		"form, cut":          {filled(onramp.FromForm, 3), "-", "", told{is("Text", 3, 0), "from: form", true, true, false, "Text", 3, 0}},
		"constant":           {constant(onramp.String, "Web 😀"), "-", "", told{is("Text", 6, 0), "from: constant", true, false, false, "Text", 6, 0}},
		"constant boolean":   {constant(onramp.True, ""), "-", "", told{is("Boolean", 0, 0), "from: constant", true, true, false, "Text Boolean", 5, 0}},
		"constant integer":   {constant(onramp.Number, "-17"), "-", "", told{is("Number", 0, 0), "from: constant", true, true, false, "Text Number Decimal", 3, 2}},
		"constant decimal":   {constant(onramp.Number, "0.5"), "-", "", told{is("Decimal", 29, 9), "from: constant", true, true, false, "Text Decimal", 3, 1}},
		"constant of 64 bit": {constant(onramp.Number, "4294967296"), "-", "", told{is("Decimal", 29, 9), "from: constant", true, true, false, "Text Decimal", 10, 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field := row.field
			field.Column = "C"
			form := onramp.NewForm(onramp.Form{
				Name: "contact", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}, Fields: []onramp.Field{field},
				Route: []onramp.Destination{{Kind: onramp.DataExtension, Key: "K", KeyColumns: []string{"Id"}}},
			}, "secret")
			sent := columns.Of(form, form.Route[0])
			if diff := cmp.Diff(row.want, tell(sent[1])); diff != "" || len(sent) != 2 {
				t.Errorf("%d columns\n%s", len(sent), diff)
			}
			s := onramp.Submission{ReceivedAt: time.Now(), IP: "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", UserAgent: long, PageURL: "https://example.org/" + long}
			try := func(value string) (sent string, err error) {
				if row.field.From == onramp.Submitted {
					s.Inputs = []onramp.Input{{Name: "f", Value: posted(value)}}
				}
				r, err := form.Accept(s)
				if err != nil {
					return "", err
				}
				raw, _, err := form.Columns(&r)
				var values map[string]json.RawMessage
				if err == nil {
					err = json.Unmarshal(raw, &values)
				}
				if sent = string(values["C"]); strings.HasPrefix(sent, `"`) {
					_ = json.Unmarshal(values["C"], &sent)
				}
				return sent, err
			}
			if row.longest != "" {
				value, err := try(row.longest)
				if n := len(utf16.Encode([]rune(value))); err != nil || n != row.want.Text && row.field.Constant == nil || n > row.want.Text {
					t.Errorf("sent is %q of %d, %v", value, n, err)
				}
			}
			if row.longer != "" {
				if value, err := try(row.longer); err == nil {
					t.Errorf("%q is accepted, and sent as %q", row.longer, value)
				}
			}
		})
	}
}

// What stands in a key column that no field fills, and in that of the subscriber key.
func TestKey(t *testing.T) {
	t.Parallel()
	mail := onramp.Field{Name: "mail", Column: "Mail", Type: onramp.Email, Max: 100, Required: true}
	number := onramp.Field{Name: "no", Column: "No", Type: onramp.Integer, Required: true}
	customer := onramp.Field{Name: "customer", Column: "Customer", Max: 300, Required: true}
	fields := []onramp.Field{mail, number, customer}
	key := func(name string, length int) metadata.Field {
		return metadata.Field{Name: name, Type: "Text", Length: length, PrimaryKey: true, Required: true}
	}
	for name, row := range map[string]struct {
		from       onramp.KeyStrategy
		step       onramp.Destination
		want       told
		subscriber string
	}{
		"email":          {onramp.KeyStrategy{From: onramp.KeyEmail}, onramp.Destination{KeyColumns: []string{"Id"}}, told{key("Id", 100), "the subscriber key", true, true, false, "Text EmailAddress", 100, 0}, "Id"},
		"uuid":           {onramp.KeyStrategy{From: onramp.KeyUUID}, onramp.Destination{KeyColumns: []string{"Id"}}, told{key("Id", 36), "the subscriber key", true, true, false, "Text", 36, 0}, "Id"},
		"a number":       {onramp.KeyStrategy{From: onramp.KeyField, Field: 1}, onramp.Destination{KeyColumns: []string{"Id"}}, told{key("Id", 11), "field no", true, true, false, "Text Number Decimal", 11, 10}, "Id"},
		"too long":       {onramp.KeyStrategy{From: onramp.KeyField, Field: 2}, onramp.Destination{KeyColumns: []string{"Id"}}, told{key("Id", 254), "field customer", true, true, true, "Text", 300, 0}, "Id"},
		"the field's":    {onramp.KeyStrategy{From: onramp.KeyField, Field: 2}, onramp.Destination{KeyColumns: []string{"customer"}}, told{key("Customer", 254), "field customer", true, true, true, "Text", 300, 0}, "Customer"},
		"a row for each": {onramp.KeyStrategy{From: onramp.KeyEmail}, onramp.Destination{KeyColumns: []string{"Id"}, OnExisting: onramp.CreateNew}, told{key("Id", 36), "the registration's id", true, true, false, "Text", 36, 0}, "Mail"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := &onramp.Form{Name: "f", SubscriberKey: row.from, Fields: fields, Route: []onramp.Destination{row.step}}
			form.Route[0].Kind = onramp.DataExtension
			var primary []told
			for _, c := range columns.Of(form, form.Route[0]) {
				if c.PrimaryKey {
					primary = append(primary, tell(c))
				}
			}
			if diff := cmp.Diff([]told{row.want}, primary); diff != "" {
				t.Error(diff)
			}
			if got := columns.Subscriber(form, form.Route[0]); got != row.subscriber {
				t.Errorf("the subscriber key is in %q", got)
			}
		})
	}
}

// The rows behind an event have the primary key of the form's rows, and only rows that
// the form writes have the columns that events change.
func TestJourney(t *testing.T) {
	t.Parallel()
	form := &onramp.Form{
		Name: "f", Fields: []onramp.Field{{Name: "mail", Column: "Mail", Type: onramp.Email, Required: true}, {Column: "Status", From: onramp.FromConstant, Constant: &onramp.Scalar{Kind: onramp.String, Text: "new"}}},
		Route: []onramp.Destination{{Kind: onramp.Journey, Key: "E", KeyColumns: []string{"Contact"}}, {Kind: onramp.DataExtension, Key: "K", KeyColumns: []string{"Mail"}}},
		OnEvent: []onramp.EventRule{
			{Type: "Bounced", Column: "status", Value: json.RawMessage(`"bounced"`)},
			{Type: "Bounced", Column: "Bounced", Value: json.RawMessage(`true`)},
			{Type: "Sent", Column: "Why", Value: json.RawMessage(`"sent"`)},
			{Type: "Bounced", Column: "Why", Value: json.RawMessage(`"bounced"`)},
			{Type: "Sent", Column: "Score", Value: json.RawMessage(`0.25`)},
		},
	}
	mail := told{metadata.Field{Name: "Mail", Type: "EmailAddress", Length: 254, PrimaryKey: true, Required: true}, "field mail", true, true, false, "Text EmailAddress", 254, 0}
	status := told{metadata.Field{Name: "Status", Type: "Text", Length: 3}, "from: constant", true, false, false, "Text", 3, 0}
	longer := status
	longer.Field.Length, longer.Text = 7, 7
	for i, want := range [][]told{
		{{metadata.Field{Name: "Contact", Type: "Text", Length: 254}, "the subscriber key", true, true, false, "Text EmailAddress", 254, 0}, mail, status},
		{
			mail, longer,
			{metadata.Field{Name: "Bounced", Type: "Boolean"}, "on_event Bounced", false, true, false, "Text Boolean", 5, 0},
			{metadata.Field{Name: "Why", Type: "Text", Length: 7}, "on_event Sent", false, false, false, "Text", 7, 0},
			{metadata.Field{Name: "Score", Type: "Decimal", Length: 29, Scale: 9}, "on_event Sent", false, true, false, "Text Decimal", 4, 2},
		},
	} {
		var got []told
		for _, c := range columns.Of(form, form.Route[i]) {
			got = append(got, tell(c))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// One column for two forms takes what both send.
func TestMerge(t *testing.T) {
	t.Parallel()
	of := func(kind onramp.FieldType, limit int, required bool) columns.Column {
		form := &onramp.Form{Fields: []onramp.Field{{Name: kind.String(), Column: "C", Type: kind, Max: limit, Required: required}}}
		return columns.Of(form, onramp.Destination{})[0]
	}
	field := func(kind string, length, scale int, required bool) metadata.Field {
		return metadata.Field{Name: "C", Type: kind, Length: length, Scale: scale, Required: required}
	}
	for name, row := range map[string]struct {
		one, other columns.Column
		want       told
	}{
		"the longer one":      {of(onramp.Text, 10, true), of(onramp.Text, 20, true), told{field("Text", 20, 0, true), "field text", true, true, true, "Text", 20, 0}},
		"required by one":     {of(onramp.Text, 20, true), of(onramp.Text, 10, false), told{field("Text", 20, 0, false), "field text", false, true, true, "Text", 20, 0}},
		"integer and decimal": {of(onramp.Integer, 0, false), of(onramp.Decimal, 0, false), told{field("Decimal", 29, 9, false), "field integer", false, true, false, "Text Decimal", 31, 29}},
		"decimal and integer": {of(onramp.Decimal, 0, false), of(onramp.Integer, 0, false), told{field("Decimal", 29, 9, false), "field decimal", false, true, false, "Text Decimal", 31, 29}},
		"boolean and date":    {of(onramp.Boolean, 0, false), of(onramp.Date, 0, false), told{field("Text", 20, 0, false), "field boolean", false, true, false, "Text", 20, 0}},
		"email and text":      {of(onramp.Email, 0, false), of(onramp.Text, 20, false), told{field("Text", 254, 0, false), "field email", false, true, false, "Text", 254, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.one.Merge(&row.other)
			if diff := cmp.Diff(row.want, tell(row.one)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What two forms send is one list: what only one of them sends can't be required, but for
// the key.
func TestJoin(t *testing.T) {
	t.Parallel()
	of := func(fields ...onramp.Field) []columns.Column {
		return columns.Of(&onramp.Form{Fields: fields}, onramp.Destination{Kind: onramp.DataExtension, KeyColumns: []string{"Id"}})
	}
	required := func(column string, longest int) onramp.Field {
		return onramp.Field{Name: "f", Column: column, Max: longest, Required: true}
	}
	one, other := of(required("Id", 10), required("City", 20), required("Name", 30)), of(required("Id", 10), required("NAME", 40), required("Plan", 50))
	for _, order := range [][2][]columns.Column{{one, other}, {other, one}} {
		got := map[string]metadata.Field{}
		for _, c := range columns.Join(order[0], order[1]) {
			if c.Required != c.Always {
				t.Errorf("%s is required: %v, and always there: %v", c.Name, c.Required, c.Always)
			}
			name := strings.ToLower(c.Name)
			c.Name = ""
			got[name] = c.Field
		}
		want := map[string]metadata.Field{
			"id": {Type: "Text", Length: 10, PrimaryKey: true, Required: true}, "city": {Type: "Text", Length: 20},
			"name": {Type: "Text", Length: 40, Required: true}, "plan": {Type: "Text", Length: 50},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if one[1].Required != true || other[1].Required != true {
		t.Error("what is joined has changed itself")
	}
}
