package outbound

import (
	"bytes"
	"encoding/json"
	"fmt"

	"onramp/internal/onramp"
)

// takeKeys sets the values of a row's key columns that fields fill apart from its other
// columns. That one of them has no value is an outcome: the row can't be told from others.
func takeKeys(to onramp.Destination, d *onramp.Delivery, fills func(column string) bool) (bad onramp.Outcome, ok bool) {
	var own []string
	for _, column := range to.KeyColumns {
		if fills(column) {
			own = append(own, column)
		}
	}
	if own == nil {
		return bad, true
	}
	d.Keys, d.Values = onramp.TakeColumns(d.Values, own)
	for _, column := range own {
		if value := d.Keys[column]; len(value) == 0 || string(value) == `""` || string(value) == "null" {
			return onramp.Outcome{
				Verdict: onramp.Rejected, NotSent: true, Detail: fmt.Sprintf("the key column %s has no value", column),
				Hint: "edit the field of this column, then retry the delivery",
			}, false
		}
	}
	return bad, true
}

// rowKey is the value of the key column that no field fills.
func rowKey(to onramp.Destination, d *onramp.Delivery) string {
	if to.OnExisting == onramp.CreateNew {
		return d.RegistrationID
	}
	return d.SubscriberKey
}

// rowKeys are the key columns of a row with their values.
func rowKeys(to onramp.Destination, d *onramp.Delivery) map[string]any {
	keys := make(map[string]any, len(to.KeyColumns))
	for _, column := range to.KeyColumns {
		if value, own := d.Keys[column]; own {
			keys[column] = value
		} else {
			keys[column] = rowKey(to, d)
		}
	}
	return keys
}

// rowValues are the other columns. Marketing Cloud refuses a row without any, so one that
// has only its key repeats it.
func rowValues(d *onramp.Delivery) any {
	if len(d.Keys) > 0 && len(d.Values) <= len("{}") {
		return d.Keys
	}
	return d.Values
}

// withKeys puts the key columns in front of the other columns. Those that no field fills
// get key.
func withKeys(to onramp.Destination, d *onramp.Delivery, key string) json.RawMessage {
	if len(to.KeyColumns) == 0 {
		return d.Values
	}
	var b bytes.Buffer
	b.Grow(len(d.Values) + len(key) + 64)
	separator := byte('{')
	for _, column := range to.KeyColumns {
		name, _ := json.Marshal(column)
		value, own := d.Keys[column]
		if !own {
			value, _ = json.Marshal(key)
		}
		b.WriteByte(separator)
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
		separator = ','
	}
	// Values is an object that onramp.Form has written: it begins with {
	if len(d.Values) <= len("{}") {
		b.WriteByte('}')
		return b.Bytes()
	}
	b.WriteByte(',')
	b.Write(d.Values[1:])
	return b.Bytes()
}
