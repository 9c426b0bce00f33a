// Package columns tells what a form sends to the columns of a data extension: which types
// take it, how long it can be, and whether there is always a value. Begin with [Of].
package columns

import (
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// Column is what a form sends to one column.
type Column struct {
	// Field is the column that takes it best. It is Required if it is part of the primary
	// key, or of a field that is required. Its Length is that of the longest value, but no
	// more than Marketing Cloud can have there. It has no Ordinal and no Default.
	metadata.Field
	From    string // who gives the value, as the configuration says it, such as "field first_name"
	Always  bool   // each row has a value
	Sure    bool   // a column of another type than those that fit refuses values; otherwise it depends on them
	Limited bool   // max of the field limits the length

	fits            []string // other types that take every value, beside Text
	longest         int      // value as a text, in UTF-16 code units
	digits          int      // of a number
	whole, fraction int      // the digits of it before and behind the point; 0: none, or nobody knows
	constant        bool     // it has these digits in each row
}

// Of are the columns that a form sends to a step of its route, those of the key that no
// field fills first, then those of the fields, then those that only events change. An
// event writes to the data extension of its form's rows, and so has their primary key.
func Of(form *onramp.Form, step onramp.Destination) []Column {
	var all []Column
	for _, name := range step.KeyColumns {
		if !form.Fills(name) {
			all = append(all, ofKey(form, step, name))
		}
	}
	for i := range form.Fields {
		if form.Fields[i].Column != "" {
			all = append(all, ofField(form, &form.Fields[i]))
		}
	}
	if step.Kind == onramp.DataExtension {
		all = addRules(all, form)
	}
	primary, subscriber := primaryKey(form, step), Subscriber(form, step)
	for i := range all {
		c := &all[i]
		if slices.ContainsFunc(primary, c.isCalled) {
			c.PrimaryKey, c.Required, c.Always = true, true, true
		}
		if c.isCalled(subscriber) && (c.Type == metadata.Text || c.Type == metadata.EmailAddress) {
			c.Length = min(c.Length, longestKey)
		}
	}
	return all
}

// isCalled compares names as Marketing Cloud does.
func (c *Column) isCalled(name string) bool { return strings.EqualFold(c.Name, name) }

// primaryKey names the columns of the primary key: those of the step that writes the rows.
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

// Subscriber names the column that holds the subscriber key; "" if none does.
func Subscriber(form *onramp.Form, step onramp.Destination) string {
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

// Takes says whether a column of a type takes every value, if it is long enough. A type
// that is not known is not judged.
func (c *Column) Takes(kind string) bool {
	known := []string{metadata.EmailAddress, metadata.Boolean, metadata.Date, metadata.Number, metadata.Decimal, metadata.Phone, metadata.Locale}
	return kind == c.Type || slices.Contains(c.fits, kind) || !slices.Contains(known, kind)
}

// Longest is the length of the longest value that is sent to a column of a type, or the
// number of its digits; 0: the type has no length.
func (c *Column) Longest(kind string) int {
	switch kind {
	case metadata.Text, metadata.EmailAddress, metadata.Phone, metadata.Locale:
		return c.longest
	case metadata.Decimal:
		return c.digits
	}
	return 0
}

// Needs is the Length that a column of a type must have: that of the longest value, but no
// more than Marketing Cloud can have there.
func (c *Column) Needs(kind string) int {
	if c.Type == metadata.Text || c.Type == metadata.EmailAddress {
		return min(c.Longest(kind), c.Length)
	}
	return c.Longest(kind)
}

// Overflows says whether a number that is sent may have more digits, before or behind the
// point, than a Decimal column has room for, and whether each row has one that does. Of a
// decimal that a visitor fills in nobody knows how many it has: only a column without any
// behind the point is too narrow.
func (c *Column) Overflows(f *metadata.Field) (may, always bool) {
	may = f.Type == metadata.Decimal && f.Length > 0 && (c.whole > f.Length-f.Scale || c.fraction > f.Scale)
	return may, may && c.constant && c.Always
}

// Merge makes one column of what two forms send to it: it takes the values of both, and
// has one in each row if both have.
func (c *Column) Merge(other *Column) {
	fits := slices.DeleteFunc(append([]string{c.Type}, c.fits...), func(kind string) bool { return kind != other.Type && !slices.Contains(other.fits, kind) })
	c.longest, c.digits = max(c.longest, other.longest), max(c.digits, other.digits)
	c.whole, c.fraction = max(c.whole, other.whole), max(c.fraction, other.fraction)
	switch kind := c.Type; {
	case kind == other.Type:
		c.Length, c.Scale = max(c.Length, other.Length), max(c.Scale, other.Scale)
	case slices.Contains(fits, other.Type):
		c.Type, c.Length, c.Scale = other.Type, other.Length, other.Scale
	case !slices.Contains(fits, kind):
		c.Type, c.Length, c.Scale = metadata.Text, c.longest, 0
	}
	c.fits = fits
	c.Required, c.Always, c.Sure = c.Required && other.Required, c.Always && other.Always, c.Sure || other.Sure
	c.constant = c.constant && other.constant
}

// Join makes one list of what two forms, or steps, send: a column for each name. What only
// one of them sends is not Required, unless it is part of the primary key.
func Join(all, others []Column) []Column {
	joined := slices.Clone(all)
	for i := range joined {
		c := &joined[i]
		if at := slices.IndexFunc(others, func(o Column) bool { return c.isCalled(o.Name) }); at >= 0 {
			c.Merge(&others[at])
		} else {
			c.Required, c.Always = c.PrimaryKey, c.PrimaryKey
		}
	}
	for _, c := range others {
		if !slices.ContainsFunc(all, func(o Column) bool { return c.isCalled(o.Name) }) {
			c.Required, c.Always = c.PrimaryKey, c.PrimaryKey
			joined = append(joined, c)
		}
	}
	return joined
}
