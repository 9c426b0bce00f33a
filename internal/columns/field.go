package columns

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
	LongestEmail = 254
	LongestUUID  = 36 // also of a registration's id

	// longestKey is that of a subscriber key. Marketing Cloud has none that are longer,
	// and no send relationship with a column of more than 255.
	longestKey    = 254
	longestIP     = 45
	longestDate   = len("2026-06-23T14:52:45Z")
	longestPhone  = len("+123456789012345")
	longestLocale = len("ast-Latn-419") // a language, a script and a region
	longestNumber = len("-2147483648")
)

// The digits of a Decimal column: as many as there can be, and so many of them behind the
// point that amounts and coordinates are stored as they come. A column has to decide, so
// a number with more digits before or behind the point is refused.
const (
	decimalDigits = 29
	decimalScale  = 9
	integerDigits = len("2147483648")
)

func text(name string, longest int) Column {
	longest = max(longest, 1)
	return Column{Field: metadata.Field{Name: name, Type: metadata.Text, Length: longest}, Sure: true, longest: longest}
}

func typed(name, kind string, longest int, fits ...string) Column {
	return Column{Field: metadata.Field{Name: name, Type: kind}, Sure: true, longest: longest, fits: fits}
}

func email(name string, longest int) Column {
	c := text(name, longest)
	c.Type = metadata.EmailAddress
	return c
}

func boolean(name string) Column { return typed(name, metadata.Boolean, len("false")) }

func integer(name string) Column {
	c := typed(name, metadata.Number, longestNumber, metadata.Decimal)
	c.digits, c.whole = integerDigits, integerDigits
	return c
}

func decimal(name string) Column {
	c := typed(name, metadata.Decimal, decimalDigits+2) // with sign and point
	c.Length, c.Scale, c.digits, c.fraction = decimalDigits, decimalScale, decimalDigits, 1
	return c
}

func ofField(form *onramp.Form, f *onramp.Field) Column {
	var c Column
	if f.From == onramp.Submitted {
		c = submitted(f)
		c.From, c.Always = "field "+f.Name, f.Required || f.Default != nil
	} else {
		c = filledIn(form, f)
		c.From, c.Always = "from: "+f.From.String(), c.Always || f.Required || f.Default != nil
	}
	c.Required = f.Required
	return c
}

// submitted is the column of a field that the visitor fills in.
func submitted(f *onramp.Field) Column {
	longest := cmp.Or(f.Max, onramp.MaxText)
	switch f.Type {
	case onramp.Email:
		return email(f.Column, min(longest, LongestEmail))
	case onramp.Boolean:
		return boolean(f.Column)
	case onramp.Integer:
		return integer(f.Column)
	case onramp.Decimal:
		return decimal(f.Column)
	case onramp.Date:
		return typed(f.Column, metadata.Date, longestDate)
	case onramp.Phone:
		return typed(f.Column, metadata.Phone, min(longest, longestPhone))
	case onramp.Locale:
		c := text(f.Column, min(longest, longestLocale)) // a Locale column has five characters, and zh-Hant-TW is longer
		c.fits, c.Limited = []string{metadata.Locale}, true
		return c
	case onramp.Choice, onramp.Choices:
		c := text(f.Column, min(longest, longestChoice(f)))
		c.Sure = false
		return c
	case onramp.Text:
	}
	c := text(f.Column, longest)
	c.Sure, c.Limited = f.Pattern == nil, true
	return c
}

// longestChoice is the length of the longest choice, or of all of them together.
func longestChoice(f *onramp.Field) (n int) {
	if f.Type == onramp.Choices {
		return units(strings.Join(f.Choices, f.Separator))
	}
	for _, choice := range f.Choices {
		n = max(n, units(choice))
	}
	return n
}

// filledIn is the column of a value that Onramp fills in.
func filledIn(form *onramp.Form, f *onramp.Field) Column {
	longest := cmp.Or(f.Max, onramp.MaxText)
	switch f.From {
	case onramp.FromReceivedAt:
		return always(typed(f.Column, metadata.Date, longestDate))
	case onramp.FromConstant:
		return always(constant(f.Column, *f.Constant))
	case onramp.FromUUID:
		return always(text(f.Column, LongestUUID))
	case onramp.FromForm:
		return always(text(f.Column, min(longest, units(form.Name))))
	case onramp.FromIP:
		return always(text(f.Column, min(longest, longestIP))) // visitors come by TCP
	default:
		c := text(f.Column, longest)
		c.Limited = true
		return c
	}
}

func always(c Column) Column {
	c.Always = true
	return c
}

func constant(name string, v onramp.Scalar) Column {
	switch v.Kind {
	case onramp.True, onramp.False:
		return boolean(name)
	case onramp.Number:
		c := decimal(name)
		if _, err := strconv.ParseInt(v.Text, 10, 32); err == nil {
			c = integer(name)
		}
		if !strings.ContainsAny(v.Text, "eE") {
			whole, fraction, _ := strings.Cut(strings.TrimPrefix(v.Text, "-"), ".")
			c.whole, c.fraction = len(strings.TrimLeft(whole, "0")), len(strings.TrimRight(fraction, "0"))
			c.longest, c.digits, c.constant = len(v.Text), c.whole+c.fraction, true
		}
		return c
	}
	c := text(name, units(v.Text))
	c.Sure = false
	return c
}

// ofKey is the column that gets the subscriber key, or the registration's id.
func ofKey(form *onramp.Form, step onramp.Destination, name string) Column {
	key := form.SubscriberKey
	if step.OnExisting == onramp.CreateNew || key.From == onramp.KeyUUID || len(form.Fields) == 0 {
		c := always(text(name, LongestUUID))
		if c.From = "the subscriber key"; step.OnExisting == onramp.CreateNew {
			c.From = "the registration's id"
		}
		return c
	}
	c := ofField(form, &form.Fields[key.Field])
	c.fits = append(c.fits, c.Type)
	c.Field = metadata.Field{Name: name, Type: metadata.Text, Length: min(c.longest, longestKey)}
	if c.Always = true; key.From == onramp.KeyEmail {
		c.From = "the subscriber key"
	}
	return c
}

// addRules adds what events change: columns that no field fills, and longer values in those
// that one does.
func addRules(all []Column, form *onramp.Form) []Column {
	for _, rule := range form.OnEvent {
		c := constant(rule.Column, valueOf(rule))
		c.From = "on_event " + rule.Type
		at := slices.IndexFunc(all, func(c Column) bool { return c.isCalled(rule.Column) })
		switch {
		case at < 0:
			all = append(all, c)
		case all[at].Type == c.Type || !form.Fills(rule.Column):
			c.Required, c.Always = all[at].Required, all[at].Always
			all[at].Merge(&c)
		}
	}
	return all
}

// valueOf is what a rule writes.
func valueOf(rule onramp.EventRule) onramp.Scalar {
	var value any
	if json.Unmarshal(rule.Value, &value) != nil {
		return onramp.Scalar{Kind: onramp.String, Text: string(rule.Value)}
	}
	switch v := value.(type) {
	case bool:
		return onramp.Scalar{Kind: onramp.True}
	case float64:
		return onramp.Scalar{Kind: onramp.Number, Text: string(rule.Value)}
	case string:
		return onramp.Scalar{Kind: onramp.String, Text: v}
	}
	return onramp.Scalar{Kind: onramp.String}
}

// units counts a text as columns do.
func units(s string) int { return len(utf16.Encode([]rune(s))) }
