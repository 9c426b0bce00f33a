package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"onramp/internal/onramp"
	"onramp/internal/spelling"
	"onramp/sfmc/metadata"
)

// The types of columns.
const (
	typeText    = "Text"
	typeEmail   = "EmailAddress"
	typeBoolean = "Boolean"
	typeNumber  = "Number"
	typeDecimal = "Decimal"
	typeDate    = "Date"
	typePhone   = "Phone"
	typeLocale  = "Locale"
)

// The longest values that Onramp sends, in UTF-16 code units.
const (
	longestEmail   = 254
	longestUUID    = 36 // also of a registration's id
	longestIP      = 45
	longestDate    = len("2006-01-02T15:04:05Z")
	longestNumber  = len("-2147483648")
	longestDecimal = 31 // 29 digits, a sign and a point
	longestBoolean = len("false")
	longestLocale  = 35
	longestPhone   = 30
)

// column is what a form sends to a column.
type column struct {
	name   string
	form   string
	from   string   // who gives the value, as the configuration says it, such as "first_name"
	types  []string // that take every value
	sure   bool     // other types take none of the values; else perhaps
	length int      // of the longest value as a text
	always bool     // there is a value in each row
	limit  bool     // max in the configuration sets the length
}

// columnsOf are those that a form sends to a destination, the key's included.
func columnsOf(f *onramp.Form, to onramp.Destination) []column {
	var all []column
	for i := range f.Fields {
		if field := &f.Fields[i]; field.Column != "" {
			all = append(all, columnOf(f, field))
		}
	}
	for _, key := range to.KeyColumns {
		if !f.Fills(key) {
			all = append(all, keyColumn(f, to, key))
		}
	}
	if to.Kind == onramp.DataExtension {
		all = append(all, ruleColumns(f)...)
	}
	return all
}

func columnOf(f *onramp.Form, field *onramp.Field) column {
	c := column{name: field.Column, form: f.Name, from: "field " + field.Name, sure: true, always: field.Required || field.Default != nil}
	if field.From != onramp.Submitted {
		c.from = "from: " + field.From.String()
		return filledIn(c, f, field)
	}
	longest := cmp.Or(field.Max, onramp.MaxText)
	switch field.Type {
	case onramp.Email:
		c.types, c.length = []string{typeEmail, typeText}, min(longest, longestEmail)
	case onramp.Boolean:
		c.types, c.length = []string{typeBoolean, typeText}, longestBoolean
	case onramp.Integer:
		c.types, c.length = []string{typeNumber, typeDecimal, typeText}, longestNumber
	case onramp.Decimal:
		c.types, c.length = []string{typeDecimal, typeText}, longestDecimal
	case onramp.Date:
		c.types, c.length = []string{typeDate, typeText}, longestDate
	case onramp.Phone:
		c.types, c.length = []string{typePhone, typeText}, min(longest, longestPhone)
	case onramp.Locale:
		c.types, c.length = []string{typeLocale, typeText}, min(longest, longestLocale)
	case onramp.Choice, onramp.Choices:
		c.types, c.length, c.sure = []string{typeText}, longestChoice(field), false
	default:
		c.types, c.length, c.limit, c.sure = []string{typeText}, longest, true, field.Pattern == nil
	}
	return c
}

// filledIn is what Onramp gives a value, not the visitor.
func filledIn(c column, f *onramp.Form, field *onramp.Field) column {
	c.types = []string{typeText}
	c.always = c.always || slices.Contains([]onramp.Source{
		onramp.FromReceivedAt, onramp.FromConstant, onramp.FromUUID, onramp.FromForm, onramp.FromIP,
	}, field.From)
	switch field.From {
	case onramp.FromReceivedAt:
		c.types, c.length = []string{typeDate, typeText}, longestDate
	case onramp.FromUUID:
		c.length = longestUUID
	case onramp.FromForm:
		c.length = units(f.Name)
	case onramp.FromIP:
		c.length = longestIP
	case onramp.FromConstant:
		c.types, c.length, c.sure = constantTypes(field.Constant), units(field.Constant.Text), field.Constant.Kind != onramp.String
	default:
		c.length, c.limit = cmp.Or(field.Max, onramp.MaxText), true
	}
	return c
}

func constantTypes(v *onramp.Scalar) []string {
	switch v.Kind {
	case onramp.True, onramp.False:
		return []string{typeBoolean, typeText}
	case onramp.Number:
		return []string{typeNumber, typeDecimal, typeText}
	}
	return []string{typeText}
}

// longestChoice is the length of the longest choice, or of all of them together.
func longestChoice(field *onramp.Field) (n int) {
	for _, choice := range field.Choices {
		if field.Type == onramp.Choices {
			n += units(choice) + units(field.Separator)
			continue
		}
		n = max(n, units(choice))
	}
	return n
}

// keyColumn is the column that gets the subscriber key, or the registration's id.
func keyColumn(f *onramp.Form, to onramp.Destination, name string) column {
	c := column{name: name, form: f.Name, from: "the subscriber key", types: []string{typeText}, sure: true, always: true, length: longestUUID}
	if to.OnExisting == onramp.CreateNew {
		c.from = "the registration's id"
		return c
	}
	switch f.SubscriberKey.From {
	case onramp.KeyEmail:
		c.types, c.length = []string{typeText, typeEmail}, longestEmail
	case onramp.KeyField:
		field := columnOf(f, &f.Fields[f.SubscriberKey.Field])
		c.types, c.length, c.limit, c.from = field.types, field.length, field.limit, field.from
	case onramp.KeyUUID:
	}
	return c
}

// ruleColumns are those that events change and no field fills.
func ruleColumns(f *onramp.Form) []column {
	var all []column
	for _, rule := range f.OnEvent {
		known := slices.ContainsFunc(all, func(c column) bool { return strings.EqualFold(c.name, rule.Column) })
		if known || f.Fills(rule.Column) {
			continue
		}
		c := column{name: rule.Column, form: f.Name, from: "on_event " + rule.Type, types: []string{typeText}, length: units(string(rule.Value))}
		var yes bool
		if json.Unmarshal(rule.Value, &yes) == nil {
			c.types, c.sure = []string{typeBoolean, typeText}, true
		}
		all = append(all, c)
	}
	return all
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// table is a data extension that rows are compared with, and the words for it.
type table struct {
	*metadata.DataExtension
	menu []string // where its columns are
}

// object names a column of it.
func (t *table) object(column string) string { return t.Key + ", column " + column }

// compare says what of the columns that a form sends does not fit.
func (t *table) compare(sent []column) []Finding {
	var found []Finding
	for i := range sent {
		found = append(found, t.compareColumn(&sent[i])...)
	}
	for i := range t.Fields {
		field := &t.Fields[i]
		filled := slices.ContainsFunc(sent, func(c column) bool { return strings.EqualFold(c.name, field.Name) })
		if field.Required && field.Default == "" && !filled {
			found = append(found, failure(t.object(field.Name), fmt.Sprintf("it is required and has no default, but the form %s doesn't send it", sent[0].form)).
				mend(Operator, fmt.Sprintf("add a field with column: %s to the form %s, or ask the admin to make the column nullable or give it a default", field.Name, sent[0].form)).
				at(t.menu...))
		}
	}
	return found
}

func (t *table) compareColumn(c *column) []Finding {
	at := slices.IndexFunc(t.Fields, func(f metadata.Field) bool { return strings.EqualFold(f.Name, c.name) })
	if at < 0 {
		return []Finding{t.lacks(c)}
	}
	field, object := &t.Fields[at], t.object(t.Fields[at].Name)
	var found []Finding
	switch {
	case !slices.Contains(c.types, field.Type):
		level, verb := Failure, "sends"
		if !c.sure {
			level, verb = Warning, "may send"
		}
		f := Finding{Object: object, Level: level, Message: fmt.Sprintf("its type is %s, but the form %s %s values for a column of the type %s (%s)", field.Type, c.form, verb, c.types[0], c.from)}
		found = append(found, f.mend(Admin, fmt.Sprintf("a column's type can't be changed: delete it and create it again with the type %s%s, or have the operator change the form's type", c.types[0], t.lengthOf(c))).at(t.menu...))
	case (field.Type == typeText || field.Type == typeEmail) && field.Length > 0 && field.Length < c.length:
		found = append(found, t.tooShort(c, field))
	}
	if field.Required && field.Default == "" && !c.always {
		found = append(found, failure(object, fmt.Sprintf("it is required and has no default, but the form %s doesn't always have a value for it (%s)", c.form, c.from)).
			mend(Operator, fmt.Sprintf("set required: true or a default for %s, or ask the admin to make the column nullable", c.from)).at(t.menu...))
	}
	return found
}

func (t *table) lengthOf(c *column) string {
	if c.types[0] == typeText || c.types[0] == typeEmail {
		return fmt.Sprintf(" and the length %d", c.length)
	}
	return ""
}

// lacks is that a column is not there.
func (t *table) lacks(c *column) Finding {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	message := fmt.Sprintf("it doesn't exist, but the form %s sends it (%s): the value is lost, or the row refused", c.form, c.from)
	if near := spelling.Closest(c.name, names); near != "" {
		message += "; did you mean " + near + "?"
	}
	return failure(t.object(c.name), message).
		mend(Admin, fmt.Sprintf("add the column %s with the type %s%s, or have the operator correct column in the form", c.name, c.types[0], t.lengthOf(c))).at(t.menu...)
}

func (t *table) tooShort(c *column, field *metadata.Field) Finding {
	f := failure(t.object(field.Name), fmt.Sprintf("its length is %d, but the form %s sends up to %d characters (%s): longer values are refused with their row", field.Length, c.form, c.length, c.from))
	what := fmt.Sprintf("set its length to %d", c.length)
	if c.limit {
		what += fmt.Sprintf(", or have the operator set max: %d for %s", field.Length, c.from)
	}
	return f.mend(Admin, what).at(t.menu...)
}
