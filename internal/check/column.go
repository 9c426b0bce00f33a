package check

import (
	"fmt"
	"slices"
	"strings"

	"onramp/internal/columns"
	"onramp/internal/spelling"
	"onramp/sfmc/metadata"
)

// table is a data extension that rows are compared with, and the words for it.
type table struct {
	*metadata.DataExtension
	menu []string // where its columns are
	form string   // that sends the rows
}

// object names a column of it.
func (t *table) object(column string) string { return t.Key + ", column " + column }

// compare says what of the columns that a form sends does not fit.
func (t *table) compare(sent []columns.Column) []Finding {
	var found []Finding
	for i := range sent {
		found = append(found, t.compareColumn(&sent[i])...)
	}
	for i := range t.Fields {
		field := &t.Fields[i]
		filled := slices.ContainsFunc(sent, func(c columns.Column) bool { return strings.EqualFold(c.Name, field.Name) })
		if field.Required && field.Default == "" && !filled {
			found = append(found, failure(t.object(field.Name), fmt.Sprintf("it is required and has no default, but the form %s doesn't send it", t.form)).
				mend(Operator, fmt.Sprintf("add a field with column: %s to the form %s, or ask the admin to make the column nullable or give it a default", field.Name, t.form)).
				at(t.menu...))
		}
	}
	return found
}

func (t *table) compareColumn(c *columns.Column) []Finding {
	at := slices.IndexFunc(t.Fields, func(f metadata.Field) bool { return strings.EqualFold(f.Name, c.Name) })
	if at < 0 {
		return []Finding{t.lacks(c)}
	}
	field, object := &t.Fields[at], t.object(t.Fields[at].Name)
	var found []Finding
	switch {
	case !c.Takes(field.Type):
		level, verb := Failure, "sends"
		if !c.Sure {
			level, verb = Warning, "may send"
		}
		f := Finding{Object: object, Level: level, Message: fmt.Sprintf("its type is %s, but the form %s %s values for a column of the type %s (%s)", field.Type, t.form, verb, c.Type, c.From)}
		found = append(found, f.mend(Admin, fmt.Sprintf("a column's type can't be changed: delete it and create it again with the type %s%s, or have the operator change the form's type", c.Type, t.lengthOf(c))).at(t.menu...))
	case field.Type != metadata.Decimal && field.Length > 0 && field.Length < c.Longest(field.Type):
		found = append(found, t.tooShort(c, field))
	default:
		if may, always := c.Overflows(field); may {
			found = append(found, t.tooFewDigits(c, field, always))
		}
	}
	if field.Required && field.Default == "" && !c.Always {
		found = append(found, failure(object, fmt.Sprintf("it is required and has no default, but the form %s doesn't always have a value for it (%s)", t.form, c.From)).
			mend(Operator, fmt.Sprintf("set required: true or a default for %s, or ask the admin to make the column nullable", c.From)).at(t.menu...))
	}
	return found
}

func (t *table) lengthOf(c *columns.Column) string {
	if c.Type == metadata.Text || c.Type == metadata.EmailAddress {
		return fmt.Sprintf(" and the length %d", c.Length)
	}
	return ""
}

// lacks is that a column is not there.
func (t *table) lacks(c *columns.Column) Finding {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	message := fmt.Sprintf("it doesn't exist, but the form %s sends it (%s): the value is lost, or the row refused", t.form, c.From)
	if near := spelling.Closest(c.Name, names); near != "" {
		message += "; did you mean " + near + "?"
	}
	return failure(t.object(c.Name), message).
		mend(Admin, fmt.Sprintf("add the column %s with the type %s%s, or have the operator correct column in the form", c.Name, c.Type, t.lengthOf(c))).at(t.menu...)
}

func (t *table) tooShort(c *columns.Column, field *metadata.Field) Finding {
	longest, needs := c.Longest(field.Type), c.Needs(field.Type)
	f := failure(t.object(field.Name), fmt.Sprintf("its length is %d, but the form %s sends up to %d characters (%s): longer values are refused with their row", field.Length, t.form, longest, c.From))
	limit := ""
	if c.Limited {
		limit = fmt.Sprintf(", or have the operator set max: %d for %s", field.Length, c.From)
	}
	switch {
	case field.Type == metadata.Locale || field.Type == metadata.Phone: // whose length is fixed
		if field.Type == metadata.Locale {
			f.Level = Warning // most locales are like en-US
		}
		return f.mend(Admin, fmt.Sprintf("delete it and create it again with the type Text and the length %d%s", longest, limit)).at(t.menu...)
	case field.Length >= needs:
		return f.mend(Operator, fmt.Sprintf("set max: %d for %s: a subscriber key has no more characters", needs, c.From))
	}
	return f.mend(Admin, fmt.Sprintf("set its length to %d%s", needs, limit)).at(t.menu...)
}

// tooFewDigits is that numbers may not fit into a Decimal column; always: none does.
func (t *table) tooFewDigits(c *columns.Column, field *metadata.Field, always bool) Finding {
	room := fmt.Sprintf("%d digits before the point and %d behind it", field.Length-field.Scale, field.Scale)
	if always {
		return failure(t.object(field.Name), fmt.Sprintf("it has room for %s, but the form %s sends more (%s): each row is refused, or its number rounded", room, t.form, c.From)).
			mend(Operator, "give the value fewer digits, or ask the admin to delete the column and create it again with more").at(t.menu...)
	}
	return warning(t.object(field.Name), fmt.Sprintf("it has room for %s, but the form %s may send more (%s): such a row is refused, or its number rounded", room, t.form, c.From)).
		mend(Developer, "have the website send no more digits, or ask the admin to delete the column and create it again with more").at(t.menu...)
}
