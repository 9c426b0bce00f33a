package config

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/setting"
)

const (
	maxText  = onramp.MaxText
	maxEmail = 254 // the longest address that mail servers take
)

// fieldSet is the fields of one form while they are read.
type fieldSet struct {
	locale
	list      bool // it is a list, with nothing unreadable in it
	fields    []onramp.Field
	positions []position
	clear     []bool              // name, type and required could be read
	names     map[string]position // of the fields that have one
	columns   map[string]position // by lower-case name, as Marketing Cloud compares them
}

// complete says that the fields' names and types are all known.
func (s fieldSet) complete() bool { return s.list && !slices.Contains(s.clear, false) }

func (r *reader) fields(v value, l locale) fieldSet {
	set := fieldSet{locale: l, names: map[string]position{}, columns: map[string]position{}}
	before := len(r.problems)
	items, _ := r.list(v)
	set.list = len(r.problems) == before
	if set.list && len(items) == 0 {
		r.report(v.position, "a form needs at least one field")
		set.list = false
	}
	for _, item := range items {
		f, clear := r.field(item, &set)
		set.fields = append(set.fields, f)
		set.positions = append(set.positions, item.position)
		set.clear = append(set.clear, clear)
	}
	return set
}

func (r *reader) field(v value, set *fieldSet) (f onramp.Field, clear bool) {
	before := len(r.problems)
	keys, ok := r.mapping(v, setting.Field().Names()...)
	if !ok {
		return f, false
	}
	name, named := r.scalar(keys["name"])
	f.Name = name.text
	clear = len(r.problems) == before
	f.Column = r.needed(keys["column"], "set it to the data extension column that this field fills")
	from := keys["from"]
	switch {
	case keys["name"].isSet() && from.isSet():
		r.report(from.position, "a field has either a name, if the visitor fills it in, or from, if Onramp does: remove one")
		clear = false
	case from.isSet():
		r.filledIn(&f, keys)
	case f.Name != "":
		clear = r.submitted(&f, keys, set.locale) && clear
		if keys["query"].isSet() {
			r.report(keys["query"].position, onlyPages)
		}
	default:
		if named || !keys["name"].isSet() {
			r.report(v.position, "needs a name, if the visitor fills it in, or from, if Onramp does")
		}
		clear = false
	}
	if source, _, found := strings.Cut(f.Name, ":"); found && (source == "column" || slices.Contains(onramp.Sources(), source)) {
		r.report(keys["name"].position, "a field's name can't begin with %s:, which is kept for what Onramp fills in", source)
		clear = false
	}
	r.claim(set.names, keys["name"], f.Name, "field", "name")
	r.claim(set.columns, keys["column"], strings.ToLower(f.Column), "field", "column")
	return f, clear
}

// claim notes what only one in a list may have, such as the name of a field,
// and reports the second that has it.
func (r *reader) claim(taken map[string]position, v value, name, whose, what string) {
	if name == "" {
		return
	}
	if first, twice := taken[name]; twice {
		r.report(v.position, "the %s on line %d already has this %s", whose, first.line, what)
		return
	}
	taken[name] = v.position
}

func isNumber(t onramp.FieldType) bool { return t == onramp.Integer || t == onramp.Decimal }

// hasText says that values of the type are texts with a length and a form.
func hasText(t onramp.FieldType) bool {
	return !slices.Contains([]onramp.FieldType{onramp.Boolean, onramp.Integer, onramp.Decimal, onramp.Date}, t)
}

// submitted reads what only a visitor's field has. It is false when type or
// required could not be read.
func (r *reader) submitted(f *onramp.Field, keys map[string]value, l locale) (clear bool) {
	if f.Label, f.Labels = r.said(keys["label"]); f.Label == "" {
		f.Label = labelOf(f.Name)
	}
	known := r.fieldType(f, keys["type"])
	l.apply(f)
	before := len(r.problems)
	f.Required = r.boolean(keys["required"], false)
	clear = known && len(r.problems) == before
	r.textual(f, keys, known, l.country)
	if known {
		f.Separator = r.separator(f.Type, keys["separator"])
		r.choices(f, keys["choices"])
	}
	if keys["value"].isSet() {
		r.report(keys["value"].position, "applies only to from: constant; for a value that the visitor can change, use default")
	}
	if v := keys["default"]; v.isSet() && f.Required {
		r.report(v.position, "a required field never uses its default: remove one of the two")
	}
	if known {
		f.Default = r.defaultValue(f, keys["default"])
		r.asked(f, keys)
	}
	return clear
}

// textual reads what only texts have.
func (r *reader) textual(f *onramp.Field, keys map[string]value, known bool, country string) {
	f.Max, f.Pattern, f.Multiline = r.max(keys["max"]), r.pattern(keys["pattern"]), r.boolean(keys["multiline"], false)
	for _, key := range []string{"max", "pattern"} {
		if known && keys[key].isSet() && (!hasText(f.Type) || key == "pattern" && f.Type == onramp.Choices) {
			r.report(keys[key].position, "applies only to text, but this is a %s field: remove it", f.Type)
			f.Pattern = nil
		}
	}
	switch {
	case f.Type == onramp.Phone:
		f.Country = country
	case f.Type == onramp.Email && f.Max == 0:
		f.Max = maxEmail
	}
	f.NoURLs = r.boolean(keys["no_urls"], false)
	for _, key := range []string{"multiline", "no_urls"} {
		if v := keys[key]; f.Type != onramp.Text && v.isSet() {
			r.report(v.position, "applies only to type: text, not to %s: remove it", f.Type)
		}
	}
}

// fieldType reads the type, which is text when none is written. It is false
// when the type is not known.
func (r *reader) fieldType(f *onramp.Field, v value) bool {
	s, ok := r.scalar(v)
	if !ok {
		return !v.isSet()
	}
	if err := s.oneOf(onramp.FieldTypes()...); err != nil {
		r.report(s.position, "%v", err)
		return false
	}
	f.Type, _ = onramp.ParseFieldType(s.text)
	return true
}

func labelOf(name string) string {
	label := strings.ReplaceAll(name, "_", " ")
	first, size := utf8.DecodeRuneInString(label)
	return string(unicode.ToUpper(first)) + label[size:]
}

func (r *reader) max(v value) int {
	s, ok := r.scalar(v)
	if !ok {
		return 0
	}
	n, ok := s.integer()
	if !ok || n < 1 || n > maxText {
		r.report(s.position, "must be a whole number from 1 to %d, without quotes", maxText)
		return 0
	}
	return n
}

// pattern compiles a pattern that the whole text must match.
func (r *reader) pattern(v value) *onramp.Pattern {
	s, ok := r.scalar(v)
	if !ok {
		return nil
	}
	pattern, err := onramp.NewPattern(s.text)
	if err == nil {
		return pattern
	}
	reason := "too long or too deeply nested"
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		reason = e.Code.String() // without the text, which a reference may have given
	}
	r.report(s.position, "is not a valid regular expression (%s); see https://pkg.go.dev/regexp/syntax", reason)
	return nil
}

func (r *reader) choices(f *onramp.Field, v value) {
	if f.Type != onramp.Choice && f.Type != onramp.Choices {
		if v.isSet() {
			r.report(v.position, "applies only to fields with type: choice or choices")
		}
		return
	}
	before := len(r.problems)
	// what the visitor picks is normalised before it is compared; so is the list
	as := onramp.Field{Type: onramp.Text, Max: f.Max, Pattern: f.Pattern}
	for _, s := range r.texts(v) {
		choice, err := as.Parse(onramp.Scalar{Kind: onramp.String, Text: s.text})
		switch {
		case err != nil:
			r.report(s.position, "%v", err)
		case f.Type == onramp.Choices && strings.Contains(choice.Text, f.Splitter()):
			r.report(s.position, "contains the separator %q: choose another separator", f.Separator)
		case slices.Contains(f.Choices, choice.Text):
			r.report(s.position, "%s is listed twice", s.quoted())
		default:
			f.Choices = append(f.Choices, choice.Text)
		}
	}
	if len(f.Choices) == 0 && len(r.problems) == before {
		r.report(v.position, "is missing: list the permitted values")
	}
	r.checkAllChoices(f, v)
}

// defaultValue reads the default, which the field itself must accept.
func (r *reader) defaultValue(f *onramp.Field, v value) *onramp.Scalar {
	s, ok := r.scalar(v)
	if !ok || f.Choices == nil && (f.Type == onramp.Choice || f.Type == onramp.Choices) {
		return nil
	}
	given, ok := r.literal(s)
	if !ok {
		return nil
	}
	switch {
	case s.ref != "":
		given.Kind = onramp.Posted // a reference gives text, whatever the type
	case given.Kind == onramp.String && (f.Type == onramp.Boolean || isNumber(f.Type)):
		given.Kind = onramp.Nested // written in quotes, it is meant as text: of a wrong kind
	}
	parsed, err := f.Parse(given)
	if err != nil {
		r.report(s.position, "is not a valid value of this field: it %v", err)
		return nil
	}
	return &parsed
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// literal turns a YAML value into the value of a field.
func (r *reader) literal(s scalar) (onramp.Scalar, bool) {
	switch s.tag {
	case "!!bool":
		b, ok := s.boolean()
		if !ok {
			r.report(s.position, "must be true or false")
			return onramp.Scalar{}, false
		}
		if b {
			return onramp.Scalar{Kind: onramp.True}, true
		}
		return onramp.Scalar{Kind: onramp.False}, true
	case "!!int", "!!float":
		if !jsonNumber.MatchString(s.text) {
			r.report(s.position, "must be a plain number, such as 12 or 12.5; put it in quotes if it is text")
			return onramp.Scalar{}, false
		}
		return onramp.Scalar{Kind: onramp.Number, Text: s.text}, true
	}
	return onramp.Scalar{Kind: onramp.String, Text: s.text}, true
}

// pageSources are the sources whose value is the URL of a page.
var pageSources = []string{"page_url", "referrer", "landing_page"}

const onlyPages = "applies only to from: page_url, referrer and landing_page"

// filledIn reads a field that Onramp fills in.
func (r *reader) filledIn(f *onramp.Field, keys map[string]value) {
	for _, key := range []string{"label", "type", "required", "pattern", "choices", "separator", "default", "multiline", "no_urls", "choice_labels", "input", "prefill"} {
		if keys[key].isSet() {
			r.report(keys[key].position, "applies only to fields with a name; Onramp fills this one in")
		}
	}
	f.Max = r.max(keys["max"])
	s, ok := r.scalar(keys["from"])
	if !ok {
		return
	}
	if err := s.oneOf(onramp.Sources()...); err != nil {
		r.report(s.position, "%v", err)
		return
	}
	f.From, _ = onramp.ParseSource(s.text)
	if whole := []onramp.Source{onramp.FromReceivedAt, onramp.FromConstant, onramp.FromUUID}; keys["max"].isSet() && slices.Contains(whole, f.From) {
		r.report(keys["max"].position, "has no effect with from: %s; remove it", f.From)
	}
	if f.From == onramp.FromConstant {
		f.Constant = r.constant(keys["value"])
	} else if keys["value"].isSet() {
		r.report(keys["value"].position, "applies only to from: constant")
	}
	if slices.Contains(pageSources, s.text) {
		f.Query = r.query(keys["query"])
	} else if keys["query"].isSet() {
		r.report(keys["query"].position, onlyPages)
	}
}

// query reads the parameters that a page's URL keeps; nil when the key is left
// out, which is not the same as an empty list.
func (r *reader) query(v value) []string {
	if !v.isSet() {
		return nil
	}
	names := r.unique(r.texts(v), func(s scalar) string {
		if s.text == "" || strings.Contains(strings.TrimSuffix(s.text, "*"), "*") {
			return s.quoted() + " must be the name of a query parameter, with * only at its end, such as utm_*"
		}
		return ""
	})
	return append([]string{}, names...)
}

func (r *reader) constant(v value) *onramp.Scalar {
	if !v.isSet() {
		r.report(v.position, "is missing: set it to the constant")
		return nil
	}
	s, ok := r.scalar(v)
	if !ok {
		return nil
	}
	given, ok := r.literal(s)
	if !ok || given.Kind != onramp.String {
		return &given
	}
	as := onramp.Field{Type: onramp.Text, Multiline: true}
	text, err := as.Parse(given)
	if err != nil {
		r.report(s.position, "%v", err)
	}
	return &text
}
