package ens

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// object is a JSON object whose members keep their order, as the vendor's
// samples have one.
type object []property

// property is a member of an object. Its value is a string, an int64, an object
// or what encoding/json makes of JSON with UseNumber.
type property struct {
	name  string
	value any
}

// get finds the value of a name, in any case, or returns nil.
func (o object) get(name string) any {
	for _, p := range o {
		if strings.EqualFold(p.name, name) {
			return p.value
		}
	}
	return nil
}

// merge returns the object with the values of another one: objects in it are
// merged too, all else is replaced. The object itself does not change.
func (o object) merge(values map[string]any) object {
	merged := slices.Clone(o)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		merged = merged.with(name, values[name])
	}
	return merged
}

// with is the object with one value more, or another one. It may change the
// object.
func (o object) with(name string, v any) object {
	values, deep := v.(map[string]any)
	i := slices.IndexFunc(o, func(p property) bool { return p.name == name })
	if i < 0 {
		o, i = append(o, property{name: name}), len(o)
	}
	if deep {
		before, _ := o[i].value.(object) // none when it is no object: then it is replaced
		v = before.merge(values)
	}
	o[i].value = v
	return o
}

// objectOf makes an object of a decoded one, in order of the names.
func objectOf(values map[string]any) object {
	return object{}.merge(values)
}

// decodeObject reads a JSON object; numbers stay as they were written.
func decodeObject(text []byte) (map[string]any, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var values map[string]any
	err := d.Decode(&values)
	return values, err == nil && values != nil
}

// appendJSON writes a value as compact JSON with the escapes that the vendor's
// sender (Gson, HTML-safe) uses.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		for i, p := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, p.name), ':')
			b = appendJSON(b, p.value)
		}
		return append(b, '}')
	case map[string]any:
		return appendJSON(b, objectOf(v))
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, element)
		}
		return append(b, ']')
	case string:
		return appendText(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case json.Number:
		return append(b, v...)
	default:
		return append(b, "null"...)
	}
}

// appendText writes a string. < > & = and ' are escaped, as in the vendor's
// sample of a click, so that a receiver that parses and writes again before it
// checks the signature finds out.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\t':
			b = append(b, '\\', 't')
		case r == '\b':
			b = append(b, '\\', 'b')
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\f':
			b = append(b, '\\', 'f')
		case r < ' ' || r < utf8.RuneSelf && strings.ContainsRune("<>&='", r) || r == '\u2028' || r == '\u2029':
			b = append(b, '\\', 'u', hex[r>>12], hex[r>>8&0xf], hex[r>>4&0xf], hex[r&0xf])
		default:
			b = utf8.AppendRune(b, r) // what is no UTF-8 becomes U+FFFD
		}
		i += size
	}
	return append(b, '"')
}
