package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/store/storetest"
)

// agreeing is a gateway with one form that has every type, required and not.
func agreeing(t *testing.T) *gateway {
	t.Helper()
	f := onramp.Form{
		Name: "agree", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
		Route: []onramp.Destination{{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}},
	}
	for _, name := range onramp.FieldTypes() {
		kind, _ := onramp.ParseFieldType(name)
		for _, required := range []bool{false, true} {
			field := onramp.Field{Name: name + "_" + strconv.FormatBool(required), Type: kind, Required: required}
			switch kind {
			case onramp.Text:
				field.Max = 10
			case onramp.Choice:
				field.Choices = []string{"red", "<blue>"}
			case onramp.Choices:
				field.Choices, field.Separator = []string{"red", "<blue>", "dark green"}, ", "
			case onramp.Date:
				if required {
					field.TimeZone = time.UTC
				}
			}
			field.Column = field.Name
			f.Fields = append(f.Fields, field)
		}
	}
	f.Fields = append(f.Fields, onramp.Field{Name: "long", Column: "long"}, onramp.Field{Name: "code", Column: "code", Max: 8, Pattern: pattern(`[A-Z]{2}[0-9]*`)})
	g := &gateway{}
	g.store, g.forms = storetest.Open(t, []onramp.Form{f})
	g.Handler = publicHandler(t, &api.Public{Forms: g.forms, Store: g.store})
	return g
}

// schema is as much of JSON Schema as the forms' schemas use.
type schema struct {
	Type                               string
	Pattern                            string
	Enum                               []any
	MaxLength                          *int
	MinItems                           int
	UniqueItems                        bool
	Minimum, Maximum                   *float64
	ExclusiveMinimum, ExclusiveMaximum *float64
	AnyOf                              []schema
	Items                              *schema
	Required                           []string
	Properties                         map[string]schema

	// what only describes
	Schema                     string `json:"$schema"`
	Title, Format, Description string
	Default                    any
	AdditionalProperties       bool
}

func schemaOf(t *testing.T, g *gateway) schema {
	t.Helper()
	var s schema
	decoder := json.NewDecoder(strings.NewReader(do(g, "GET", "/v1/forms/agree", "").Body))
	decoder.DisallowUnknownFields() // a keyword that validate does not know
	if err := decoder.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

var expressions sync.Map // compiled, by their text

func compiled(expression string) *regexp.Regexp {
	known, ok := expressions.Load(expression)
	if !ok {
		known, _ = expressions.LoadOrStore(expression, regexp.MustCompile(expression))
	}
	return known.(*regexp.Regexp)
}

// allows says whether a value is valid, as JSON Schema defines it.
func (s *schema) allows(v any) bool {
	switch v := v.(type) {
	case string:
		if s.Type != "" && s.Type != "string" || s.MaxLength != nil && utf8.RuneCountInString(v) > *s.MaxLength {
			return false
		}
		if s.Pattern != "" && !compiled(s.Pattern).MatchString(v) {
			return false
		}
		if s.Enum != nil && !slices.Contains(s.Enum, any(v)) {
			return false
		}
	case bool:
		return s.Type == "boolean" && (s.Enum == nil || slices.Contains(s.Enum, any(v)))
	case json.Number:
		n, err := v.Float64()
		whole := n == float64(int64(n))
		return err == nil && (s.Type == "number" || s.Type == "integer" && whole) &&
			(s.Minimum == nil || n >= *s.Minimum && n <= *s.Maximum) && (s.ExclusiveMinimum == nil || n > *s.ExclusiveMinimum && n < *s.ExclusiveMaximum)
	case []any:
		for _, element := range v {
			if s.Type != "array" || !s.Items.allows(element) {
				return false
			}
		}
	}
	for i := range s.AnyOf {
		if s.AnyOf[i].allows(v) {
			return true
		}
	}
	return s.AnyOf == nil
}

// generate draws a value that the schema allows, as JSON.
func (s *schema) generate(t *rapid.T, name string) string {
	switch s.Type {
	case "boolean":
		if s.Enum == nil {
			s.Enum = []any{true, false}
		}
		return marshal(t, rapid.SampledFrom(s.Enum).Draw(t, name))
	case "integer":
		n := rapid.Int64Range(int64(*s.Minimum), int64(*s.Maximum)).Draw(t, name)
		return rapid.SampledFrom([]string{fmt.Sprint(n), fmt.Sprintf("%d.0", n), fmt.Sprintf("%d.00e0", n), fmt.Sprintf("%.10e", float64(n)), fmt.Sprintf("%d.000E0", n)}).Draw(t, name)
	case "number":
		n := rapid.Float64Range(*s.ExclusiveMinimum/2, *s.ExclusiveMaximum/2).Draw(t, name)
		return rapid.SampledFrom([]string{
			strconv.FormatFloat(n, 'g', -1, 64), strconv.FormatFloat(n, 'f', -1, 64), strconv.FormatFloat(n, 'e', 40, 64),
			rapid.StringMatching(`-?(0|[1-9][0-9]{0,27})(\.[0-9]{1,40})?([eE]-[0-9]{1,9})?`).Draw(t, name),
		}).Draw(t, name)
	case "array":
		chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(s.Items.Enum), s.MinItems, len(s.Items.Enum), rapid.ID).Draw(t, name)
		return marshal(t, append([]any{}, chosen...))
	}
	texts := rapid.StringN(0, 30, -1)
	switch {
	case s.Enum != nil:
		texts = rapid.Map(rapid.SampledFrom(s.Enum), func(choice any) string { return choice.(string) })
	case s.Pattern != "" && len(s.Pattern) > 1 && s.Pattern[0] == '^':
		texts = rapid.StringMatching(s.Pattern)
	case s.AnyOf != nil:
		texts = rapid.OneOf(texts, rapid.StringOfN(rapid.RuneFrom([]rune("aé語😀 \u0301\u0958\u200d")), 0, 12, -1))
	}
	return marshal(t, texts.Filter(func(text string) bool { return s.allows(text) }).Draw(t, name))
}

func marshal(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What the published schema allows is accepted.
func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	g := agreeing(t)
	s := schemaOf(t, g)
	rapid.Check(t, func(t *rapid.T) {
		var members []string
		for _, field := range g.forms["agree"].Fields {
			property := s.Properties[field.Name]
			if field.Required || rapid.Bool().Draw(t, "give "+field.Name) {
				members = append(members, marshal(t, field.Name)+":"+property.generate(t, field.Name))
			}
		}
		body := "{" + strings.Join(members, ",") + "}"
		if got := do(g, "POST", "/v1/forms/agree/registrations", body, "Content-Type: application/json"); got.Status != 202 {
			t.Fatalf("%s\nis refused: %d %s", body, got.Status, got.Body)
		}
	})
}

// hostile draws what somebody may send for a field, of any kind.
func hostile() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"on", "0", "42", "-1e2", "1e999999999", ".5", "12.50", "1e-7", "0x10", "2026-06-23", "2026-06-23 14:52:45 +0200", "2026-06-23T14:52",
			"1753-01-01T00:30:00+01:00", "9999-12-31T23:30:00-01:00", "2016-12-31T23:59:60Z", "2026-06-23T14:52:45+25:00", "2000-02-29", "1900-02-29",
			"red", "red, <blue>", "<blue>", " red ", "+49 (30) 123-456", "en_us", "zz", "jane@example.org", "Jane@BÜCHER.example", "AB12",
			"", " ", "\u200b", "\u3164", "\u2800", "a\nb", "😀😀😀😀😀", "😀😀😀😀😀a", "a😀bcdefghi", "\u0958\u0958\u0958\u0958\u0958\u0958", "\x00",
		}),
		rapid.StringN(0, 20, -1), rapid.StringMatching(`[-+]?[0-9]*[.,]?[0-9]*([eE][-+]?[0-9]{1,12})?`),
		rapid.StringMatching(`[12][0-9]{3}-[01][0-9]-[0-3][0-9]([Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?(Z|[-+][01][0-9]:?[0-5][0-9])?)?`),
		rapid.StringOfN(rapid.RuneFrom([]rune("ab é語😀")), 8, 12, -1),
	)
}

// Whatever is accepted, what is stored of it is what the schema allows. Texts of
// several characters outside the BMP are the exception that describeText tells of.
func TestStoredAgrees(t *testing.T) {
	t.Parallel()
	g := agreeing(t)
	s := schemaOf(t, g)
	required := url.Values{
		"text_true": {"x"}, "email_true": {"a@b.co"}, "boolean_true": {"1"}, "integer_true": {"1"}, "decimal_true": {"1"}, "date_true": {"2026-06-23"},
		"phone_true": {"12345"}, "locale_true": {"en"}, "choice_true": {"red"}, "choices_true": {"red"},
	}
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom(g.forms["agree"].Fields).Draw(t, "field")
		given := hostile().Draw(t, "value")
		body := url.Values{}
		for name, values := range required {
			body[name] = values
		}
		body.Set(field.Name, given)
		got := do(g, "POST", "/v1/forms/agree/registrations", body.Encode(), "Content-Type: application/x-www-form-urlencoded")
		if got.Status == 422 {
			return
		}
		r, err := g.store.FindRegistration(t.Context(), idOf(got))
		if err != nil {
			t.Fatalf("answered %d %s: %v", got.Status, got.Body, err)
		}
		decoder := json.NewDecoder(strings.NewReader(string(r.Values)))
		decoder.UseNumber()
		var stored map[string]any
		if err := decoder.Decode(&stored); err != nil {
			t.Fatal(err)
		}
		value, ok := stored[field.Name]
		if !ok {
			if field.Required {
				t.Fatalf("%q for %s is accepted, and not stored", given, field.Name)
			}
			return
		}
		if text, ok := value.(string); ok && field.Type == onramp.Choices {
			value = split(text, field.Separator)
		}
		property := s.Properties[field.Name]
		if !property.allows(value) && !excepted(field, value) {
			t.Fatalf("%q for %s is stored as %q, which the schema does not allow", given, field.Name, value)
		}
	})
}

func split(text, separator string) (list []any) {
	for one := range strings.SplitSeq(text, separator) {
		list = append(list, one)
	}
	return list
}

// excepted are the values that the schema does not allow, so that it can be read: texts
// with several wide characters near the limit or with nothing to see, and what addresses and locales there are
// beyond the expressions.
func excepted(f onramp.Field, v any) bool {
	text, _ := v.(string)
	switch f.Type {
	case onramp.Text:
		if f.Required && strings.Trim(text, "\u00ad\u061c\u180b\u180e\u200b\u200d\u200e\u2060\u2800\u3164\ufe0f\ufeff\uffa0") == "" {
			return true
		}
		return strings.Count(text, "😀") > 1 || strings.ContainsFunc(text, func(r rune) bool { return r > 0xffff || r >= 0xe000 && r <= 0xf8ff })
	case onramp.Email:
		return strings.Contains(text, "--")
	case onramp.Locale:
		return len(text) > 2
	case onramp.Date:
		return strings.HasPrefix(text, "1753-") || strings.HasPrefix(text, "9999-")
	}
	return false
}
