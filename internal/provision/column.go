package provision

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// The longest values that Onramp sends, in UTF-16 code units, as columns count them.
const (
	// longestKey is that of a subscriber key. Marketing Cloud has none that are longer,
	// and no send relationship with a column of more than 255.
	longestKey   = 254
	longestEmail = 254
	longestUUID  = 36 // also of a registration's id
	longestIP    = 45
	longestDate  = len("2026-06-23T14:52:45Z")
	longestPhone = 16 // a plus and 15 digits
	longestLang  = 35
)

// The digits of a Decimal column: as many as there can be, and so many of them behind the
// point that amounts and coordinates are stored as they come. A column has to decide, so
// a number with more digits before or behind the point is refused.
const (
	decimalDigits = 29
	decimalScale  = 9
)

// column is what a form sends to one column.
type column struct {
	metadata.Field
	fits   []string // other types that take every value, beside Text
	asText int      // length of the longest value in a Text column
	always bool     // every row has a value
}

// Desired is the data extension that takes whatever a form sends to a step of its route: every
// column with type, length and whether it must have a value, so that no value that the
// form accepts is too long, but for numbers with more than 20 digits before the point or 9 behind it. ID and CategoryID are empty. Where the step is a journey, it is
// the one that the event is bound to: that of the form's data_extension step, or one of
// the event's own.
//
// A column is Required if it is part of the key, or of a field that is required; a column of the key
// that no field fills has the subscriber key. It is sendable if a column holds the
// subscriber key, which it then sends by.
func Desired(form *onramp.Form, step onramp.Destination) metadata.DataExtension {
	key := extensionKey(form, step)
	d := metadata.DataExtension{Key: key, Name: key, Description: "Registrations of the form " + form.Name}
	for i, c := range columnsOf(form, step) {
		c.Ordinal = i
		d.Fields = append(d.Fields, c.Field)
	}
	if d.SendableField = subscriberColumn(form, step); d.SendableField != "" {
		d.Sendable, d.SubscriberField = true, "_SubscriberKey"
	}
	return d
}

// extensionKey is the key of the data extension for a step.
func extensionKey(form *onramp.Form, step onramp.Destination) string {
	if step.Kind == onramp.DataExtension {
		return step.Key
	}
	for _, d := range form.Route {
		if d.Kind == onramp.DataExtension {
			return d.Key
		}
	}
	return "onramp_" + form.Name
}

// columnsOf are the columns that a form sends to a step, the key's first.
func columnsOf(form *onramp.Form, step onramp.Destination) []column {
	var all []column
	for _, name := range step.KeyColumns {
		if !form.Fills(name) {
			all = append(all, keyColumn(form, step, name))
		}
	}
	for i := range form.Fields {
		if form.Fields[i].Column != "" {
			all = append(all, columnOf(form, &form.Fields[i]))
		}
	}
	if step.Kind == onramp.DataExtension {
		all = append(all, ruleColumns(form)...)
	}
	primary := primaryKey(form, step)
	for i := range all {
		isKey := func(name string) bool { return strings.EqualFold(name, all[i].Name) }
		if all[i].PrimaryKey = slices.ContainsFunc(primary, isKey); all[i].PrimaryKey {
			all[i].Required, all[i].always = true, true
		}
		if subscriber := subscriberColumn(form, step); isKey(subscriber) {
			all[i].shorten(longestKey)
		}
	}
	return all
}

// primaryKey names the columns of the primary key: those of the step that writes the rows.
// An event writes to the data extension of its form's rows, by whose key they are found.
func primaryKey(form *onramp.Form, step onramp.Destination) []string {
	if step.Kind == onramp.Journey {
		for _, d := range form.Route {
			if d.Kind == onramp.DataExtension {
				return d.KeyColumns
			}
		}
	}
	return step.KeyColumns
}

// shorten sets the most that a text has.
func (c *column) shorten(most int) {
	if c.asText = min(c.asText, most); c.Type == metadata.Text || c.Type == metadata.EmailAddress {
		c.Length = min(c.Length, most)
	}
}

func textColumn(name string, length int) column {
	return column{Field: metadata.Field{Name: name, Type: metadata.Text, Length: max(length, 1)}, asText: max(length, 1)}
}

func typedColumn(name, kind string, asText int, fits ...string) column {
	return column{Field: metadata.Field{Name: name, Type: kind}, asText: asText, fits: fits}
}

func emailColumn(name string, length int) column {
	return column{Field: metadata.Field{Name: name, Type: metadata.EmailAddress, Length: length}, asText: length}
}

func decimalColumn(name string) column {
	c := typedColumn(name, metadata.Decimal, decimalDigits+2) // with sign and point
	c.Length, c.Scale = decimalDigits, decimalScale
	return c
}

func numberColumn(name string) column {
	return typedColumn(name, metadata.Number, len("-2147483648"), metadata.Decimal)
}

func columnOf(form *onramp.Form, f *onramp.Field) column {
	c := filledIn(form, f)
	if f.From == onramp.Submitted {
		c = submitted(f)
	}
	c.Required, c.always = f.Required, c.always || f.Required || f.Default != nil
	return c
}

// submitted is the column of a field that the visitor fills in.
func submitted(f *onramp.Field) column {
	longest := cmp.Or(f.Max, onramp.MaxText)
	switch f.Type {
	case onramp.Email:
		return emailColumn(f.Column, min(longest, longestEmail))
	case onramp.Boolean:
		return typedColumn(f.Column, metadata.Boolean, len("false"))
	case onramp.Integer:
		return numberColumn(f.Column)
	case onramp.Decimal:
		return decimalColumn(f.Column)
	case onramp.Date:
		return typedColumn(f.Column, metadata.Date, longestDate)
	case onramp.Phone:
		return typedColumn(f.Column, metadata.Phone, min(longest, longestPhone))
	case onramp.Locale:
		c := textColumn(f.Column, min(longest, longestLang)) // a Locale column has five characters, and zh-Hant-TW is longer
		c.fits = []string{metadata.Locale}
		return c
	case onramp.Choice, onramp.Choices:
		return textColumn(f.Column, min(longest, longestChoice(f)))
	case onramp.Text:
	}
	return textColumn(f.Column, longest)
}

// filledIn is the column of a value that Onramp fills in.
func filledIn(form *onramp.Form, f *onramp.Field) column {
	switch f.From {
	case onramp.FromReceivedAt:
		c := typedColumn(f.Column, metadata.Date, longestDate)
		c.always = true
		return c
	case onramp.FromConstant:
		c := constantColumn(f.Column, *f.Constant)
		c.always = true
		return c
	case onramp.FromUUID:
		return always(textColumn(f.Column, longestUUID))
	case onramp.FromForm:
		return always(textColumn(f.Column, units(form.Name)))
	case onramp.FromIP:
		return textColumn(f.Column, min(longestIP, cmp.Or(f.Max, longestIP)))
	default:
		return textColumn(f.Column, cmp.Or(f.Max, onramp.MaxText))
	}
}

func always(c column) column {
	c.always = true
	return c
}

func constantColumn(name string, v onramp.Scalar) column {
	switch v.Kind {
	case onramp.True, onramp.False:
		return typedColumn(name, metadata.Boolean, len("false"))
	case onramp.Number:
		if _, err := strconv.ParseInt(v.Text, 10, 32); err == nil {
			return numberColumn(name)
		}
		return decimalColumn(name)
	}
	return textColumn(name, units(v.Text))
}

// longestChoice is the length of the longest choice, or of all of them together.
func longestChoice(f *onramp.Field) (n int) {
	for i, choice := range f.Choices {
		switch {
		case f.Type == onramp.Choice:
			n = max(n, units(choice))
		case i > 0:
			n += units(f.Separator)
			fallthrough
		default:
			n += units(choice)
		}
	}
	return n
}

// keyColumn is the column that gets the subscriber key, or the registration's id.
func keyColumn(form *onramp.Form, step onramp.Destination, name string) column {
	if step.OnExisting == onramp.CreateNew {
		return textColumn(name, longestUUID)
	}
	switch form.SubscriberKey.From {
	case onramp.KeyUUID:
		return textColumn(name, longestUUID)
	case onramp.KeyField:
		return textColumn(name, min(columnOf(form, &form.Fields[form.SubscriberKey.Field]).asText, longestKey))
	case onramp.KeyEmail:
	}
	c := textColumn(name, longestKey)
	c.fits = []string{metadata.EmailAddress}
	return c
}

// subscriberColumn is the column that holds the subscriber key; "" if none does.
func subscriberColumn(form *onramp.Form, step onramp.Destination) string {
	if step.OnExisting != onramp.CreateNew {
		for _, name := range step.KeyColumns {
			if !form.Fills(name) {
				return name
			}
		}
	}
	if form.SubscriberKey.From == onramp.KeyUUID || len(form.Fields) == 0 {
		return ""
	}
	return form.Fields[form.SubscriberKey.Field].Column
}

// ruleColumns are those that events change and no field fills.
func ruleColumns(form *onramp.Form) []column {
	var all []column
	for _, rule := range form.OnEvent {
		if form.Fills(rule.Column) || slices.ContainsFunc(all, func(c column) bool { return strings.EqualFold(c.Name, rule.Column) }) {
			continue
		}
		all = append(all, ruleColumn(rule))
	}
	return all
}

func ruleColumn(rule onramp.EventRule) column {
	var value any
	if json.Unmarshal(rule.Value, &value) != nil {
		value = string(rule.Value)
	}
	switch v := value.(type) {
	case bool:
		return typedColumn(rule.Column, metadata.Boolean, len("false"))
	case float64:
		return constantColumn(rule.Column, onramp.Scalar{Kind: onramp.Number, Text: string(rule.Value)})
	case string:
		return textColumn(rule.Column, units(v))
	}
	return textColumn(rule.Column, 0)
}

// merge makes one column of what two forms send to it.
func (c *column) merge(other *column) {
	if c.Type != other.Type {
		*c = column{Field: metadata.Field{Name: c.Name, Type: metadata.Text, Length: c.asText, PrimaryKey: c.PrimaryKey, Required: c.Required}, asText: c.asText, always: c.always}
		other.Length = other.asText
	}
	c.fits = slices.DeleteFunc(c.fits, func(kind string) bool { return !slices.Contains(other.fits, kind) })
	c.Length, c.asText = max(c.Length, other.Length), max(c.asText, other.asText)
	c.Required, c.always = c.Required && other.Required, c.always && other.always
}

// takes says whether a column of a type takes every value.
func (c *column) takes(kind string) bool {
	return kind == c.Type || kind == metadata.Text || slices.Contains(c.fits, kind)
}

// needs is the length that a column of a type must have; 0: its length does not matter.
func (c *column) needs(kind string) int {
	switch kind {
	case metadata.Text:
		return c.asText
	case metadata.EmailAddress:
		return c.Length
	}
	return 0
}

// units counts a text as columns do.
func units(s string) int { return len(utf16.Encode([]rune(s))) }
