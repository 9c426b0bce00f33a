package hosted

import (
	"cmp"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"onramp/internal/hosted/markdown"
	"onramp/internal/onramp"
)

// The kinds of an input, each with its own HTML.
const (
	oneLine    = "input"
	textArea   = "textarea"
	list       = "select"
	severalOf  = "select multiple"
	box        = "checkbox"
	radios     = "radio"
	checkboxes = "checkboxes"
	unseen     = "hidden"
)

// input is one field as HTML knows it.
type input struct {
	Kind                                         string
	ID, Name, Type, InputMode, Pattern, Autofill string
	Label                                        template.HTML
	Plain                                        string // the label without its links
	Max                                          int
	Required, Step, Checked, Focus               bool
	Value                                        string
	Options                                      []option
	Problem                                      string
	field                                        *onramp.Field
}

// option is one of those of a select, or one of several boxes.
type option struct {
	ID, Value, Text string
	Chosen          bool
}

// addInputs adds the inputs of the form. given gives what is known of a field's value, if
// anything is.
func (v *view) addInputs(given func(*onramp.Field) ([]string, bool)) {
	ids := map[string]bool{}
	for i := range v.page.form.Fields {
		field := &v.page.form.Fields[i]
		if field.Name == "" {
			continue
		}
		values, known := given(field)
		if !known && field.Default != nil {
			values = []string{textOf(field.Default)}
		}
		in := v.inputOf(field, values)
		if in.ID = idOf(field.Name); ids[in.ID] {
			in.ID += "-" + strconv.Itoa(i)
		}
		ids[in.ID] = true
		for n := range in.Options {
			in.Options[n].ID = in.ID + "-" + strconv.Itoa(n+1)
		}
		v.Inputs = append(v.Inputs, in)
	}
}

// idOf makes an id of a name: ids have no blanks.
func idOf(name string) string { return strings.Join(strings.Fields(name), "-") }

func textOf(s *onramp.Scalar) string {
	switch s.Kind {
	case onramp.True:
		return "true"
	case onramp.False:
		return "false"
	}
	return s.Text
}

// inputOf lets the browser check as much as it can before it sends.
func (v *view) inputOf(f *onramp.Field, values []string) input {
	label := cmp.Or(f.Labels.In(v.language), f.Label, labelOf(f.Name))
	in := input{
		Name: f.Name, Label: markdown.HTML(label), Plain: markdown.Plain(label), Required: f.Required, Max: f.Max,
		Kind: kindOf(f), Autofill: autofill[f.Name], field: f,
	}
	for i := range values {
		values[i] = strings.ToValidUTF8(values[i], "\ufffd")
	}
	if len(values) > 0 {
		in.Value = values[len(values)-1] // of a hidden "no" and a ticked "yes", the latter
	}
	switch in.Kind {
	case box:
		in.Checked = isYes(in.Value)
	case list, severalOf, radios, checkboxes:
		in.Options = v.options(f, values)
	case oneLine:
		in.typed(f)
	}
	return in
}

// kindOf is how a field is asked for.
func kindOf(f *onramp.Field) string {
	switch {
	case f.Input == "hidden":
		return unseen
	case f.Type == onramp.Choices && f.Input == "select":
		return severalOf
	case f.Type == onramp.Choices:
		return checkboxes
	case f.Input == "radio":
		return radios
	case f.Input == "select", f.Type == onramp.Choice:
		return list
	case f.Type == onramp.Boolean && (f.Input == "checkbox" || f.Default == nil || f.Default.Kind == onramp.False):
		return box
	case f.Type == onramp.Boolean:
		// a box left unticked sends nothing, which means the default: that must not be true
		return list
	case f.Multiline:
		return textArea
	}
	return oneLine
}

// options are the choices of a field, in the visitor's language.
func (v *view) options(f *onramp.Field, values []string) []option {
	var options []option
	if f.Type == onramp.Boolean {
		value := ""
		if len(values) > 0 {
			value = values[len(values)-1]
		}
		return []option{
			{Value: "true", Text: v.Text("yes"), Chosen: isYes(value)},
			{Value: "false", Text: v.Text("no"), Chosen: isNo(value)},
		}
	}
	for _, choice := range f.Choices {
		text := cmp.Or(f.ChoiceLabels[choice].In(v.language), choice)
		options = append(options, option{Value: choice, Text: text, Chosen: slices.Contains(values, choice)})
	}
	return options
}

// isYes and isNo read what a boolean field takes.
func isYes(s string) bool {
	return slices.Contains([]string{"true", "on", "1", "yes"}, strings.ToLower(strings.TrimSpace(s)))
}

func isNo(s string) bool {
	return slices.Contains([]string{"false", "off", "0", "no"}, strings.ToLower(strings.TrimSpace(s)))
}

// Blank says that nothing is chosen.
func (in *input) Blank() bool {
	return !slices.ContainsFunc(in.Options, func(o option) bool { return o.Chosen })
}

// First is the id of what is focused first.
func (in *input) First() string {
	if in.Kind != radios && in.Kind != checkboxes || len(in.Options) == 0 {
		return in.ID
	}
	if at := slices.IndexFunc(in.Options, func(o option) bool { return o.Chosen }); at >= 0 && in.Kind == radios {
		return in.Options[at].ID
	}
	return in.Options[0].ID
}

// typed fills in what only an <input> of one line has. A value that browsers would drop,
// since it is none of the type, stays as text.
func (in *input) typed(f *onramp.Field) {
	in.Type = "text"
	if f.Pattern != nil {
		in.Pattern = f.Pattern.String()
	}
	switch f.Type {
	case onramp.Email:
		in.Type, in.Autofill = "email", "email"
		if in.Max == 0 {
			in.Max = 254
		}
	case onramp.Integer:
		if _, err := strconv.Atoi(in.Value); err == nil || in.Value == "" {
			in.Type, in.Step = "number", true
		} else {
			in.InputMode = "numeric"
		}
	case onramp.Decimal:
		in.InputMode = "decimal"
	case onramp.Date:
		if _, err := time.Parse(time.DateOnly, in.Value); err == nil || in.Value == "" {
			in.Type = "date"
		}
	case onramp.Phone:
		in.Type, in.Autofill = "tel", "tel"
	}
}

// autofill is what browsers may fill in, by the usual names of fields.
var autofill = map[string]string{
	"first_name": "given-name", "last_name": "family-name", "name": "name", "full_name": "name",
	"company": "organization", "organization": "organization", "job_title": "organization-title",
	"street": "street-address", "address": "street-address", "city": "address-level2",
	"postcode": "postal-code", "postal_code": "postal-code", "zip": "postal-code", "country": "country",
	"birthday": "bday", "date_of_birth": "bday", "website": "url",
}

func labelOf(name string) string {
	return capitalised(strings.NewReplacer("_", " ", "-", " ").Replace(name))
}

func capitalised(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}
