package watch

import (
	"strings"
	"unicode/utf16"

	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// need is what forms send to one column.
type need struct {
	longest int                // text, in UTF-16 code units, or the digits of a number; 0: not known
	types   []onramp.FieldType // of the fields; none: any
}

// The longest values that no setting bounds.
const (
	longestEmail   = 254
	longestID      = 36 // a registration's id, or a UUID
	longestAddress = 45 // IP address
	longestDate    = 35
	longestPhone   = 50
	integerDigits  = 10
	decimalDigits  = 29
)

// needs are the columns that the forms send to a data extension, by their names in lower
// case.
func (c *Config) needs(to onramp.Destination) map[string]need {
	all := map[string]need{}
	for _, form := range c.Forms {
		for _, step := range form.Route {
			if step.Name() == to.Name() {
				addNeeds(all, form, step)
			}
		}
	}
	return all
}

func addNeeds(all map[string]need, form *onramp.Form, to onramp.Destination) {
	for i := range form.Fields {
		if f := &form.Fields[i]; f.Column != "" {
			add(all, f.Column, needOf(f, form))
		}
	}
	for _, column := range to.KeyColumns {
		if !form.Fills(column) {
			add(all, column, keyNeed(form, to))
		}
	}
	for _, rule := range form.OnEvent {
		add(all, rule.Column, need{}) // that it is there
	}
}

func add(all map[string]need, column string, n need) {
	name := strings.ToLower(column)
	before := all[name]
	all[name] = need{max(before.longest, n.longest), append(before.types, n.types...)}
}

// keyNeed is what stands in a key column that no field fills.
func keyNeed(form *onramp.Form, to onramp.Destination) need {
	switch key := form.SubscriberKey; {
	case to.OnExisting == onramp.CreateNew || key.From == onramp.KeyUUID:
		return need{longestID, []onramp.FieldType{onramp.Text}}
	case key.From == onramp.KeyField:
		return needOf(&form.Fields[key.Field], form)
	}
	return need{longestEmail, []onramp.FieldType{onramp.Email}}
}

// needOf is what a field sends.
func needOf(f *onramp.Field, form *onramp.Form) need {
	longest := f.Max
	if longest == 0 {
		longest = onramp.MaxText
	}
	text := []onramp.FieldType{onramp.Text}
	switch f.From {
	case onramp.Submitted:
		return need{longestOf(f, longest), []onramp.FieldType{f.Type}}
	case onramp.FromReceivedAt:
		return need{longestDate, []onramp.FieldType{onramp.Date}}
	case onramp.FromConstant:
		return need{longest: units(f.Constant.Text)}
	case onramp.FromIP:
		return need{min(longest, longestAddress), text}
	case onramp.FromUUID:
		return need{longestID, text}
	case onramp.FromForm:
		return need{min(longest, units(form.Name)), text}
	}
	return need{longest, text}
}

// longestOf is the longest value of a submitted field.
func longestOf(f *onramp.Field, longest int) int {
	switch f.Type {
	case onramp.Email:
		return min(longest, longestEmail)
	case onramp.Integer:
		return integerDigits
	case onramp.Decimal:
		return decimalDigits
	case onramp.Date:
		return longestDate
	case onramp.Phone:
		return min(longest, longestPhone)
	case onramp.Choice:
		longest = 0
		for _, choice := range f.Choices {
			longest = max(longest, units(choice))
		}
	}
	return longest
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// fits says whether a column of a type takes what is sent.
func (n *need) fits(columnType string) bool {
	for _, t := range n.types {
		if !takes(columnType, t) {
			return false
		}
	}
	return true
}

// takes says whether a column of a type takes the values of a field of a type. A type that
// is not known is not judged.
func takes(columnType string, t onramp.FieldType) bool {
	switch columnType {
	case metadata.EmailAddress:
		return t == onramp.Email
	case metadata.Boolean:
		return t == onramp.Boolean
	case metadata.Date:
		return t == onramp.Date
	case metadata.Number:
		return t == onramp.Integer
	case metadata.Decimal:
		return t == onramp.Integer || t == onramp.Decimal
	case metadata.Phone:
		return t == onramp.Phone
	case metadata.Locale:
		return t == onramp.Locale
	}
	return true
}
