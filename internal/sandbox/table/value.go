package table

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
)

// Value is a JSON scalar on its way into or out of a cell. It is kept as it was
// sent: the text of a string, a number as it was written.
type Value struct {
	Kind Kind
	Text string // of text and numbers; "true" and "false"
}

// Kind is what a Value is.
type Kind uint8

// The kinds of values.
const (
	KindNone Kind = iota // nothing was sent, or is stored
	KindNull
	KindText
	KindNumber
	KindTrue
	KindFalse
	KindDeep // an object or a list, which no column holds
)

// Empty reports whether there is nothing to store: none or null.
func (v Value) Empty() bool {
	return v.Kind <= KindNull
}

// bool reports whether the value is true or false.
func (v Value) bool() bool {
	return v.Kind == KindTrue || v.Kind == KindFalse
}

// public is the value as a State shows it: string, bool, json.Number or nil.
func (v Value) public() any {
	switch v.Kind {
	case KindText:
		return v.Text
	case KindNumber:
		return json.Number(v.Text)
	case KindTrue, KindFalse:
		return v.Kind == KindTrue
	default:
		return nil
	}
}

// ValueOf is public's opposite, for a column's default.
func ValueOf(v any) Value {
	switch v := v.(type) {
	case nil:
		return Value{}
	case string:
		return Value{KindText, v}
	case bool:
		if v {
			return Value{KindTrue, "true"}
		}
		return Value{KindFalse, "false"}
	default:
		return Value{KindNumber, fmt.Sprint(v)}
	}
}

// Row is the cells of a stored row in one piece of memory: a number for each
// cell (its kind, and its text's length), then the text. Cells that are not
// there at the end have no value.
type Row string

const (
	kindBits = 3
	kindMask = 1<<kindBits - 1
)

// appendCell adds a cell to a row in the making.
func appendCell(b []byte, v Value) []byte {
	switch v.Kind {
	case KindText, KindNumber:
		b = binary.AppendUvarint(b, uint64(len(v.Text))<<kindBits|uint64(v.Kind))
		return append(b, v.Text...)
	case KindTrue, KindFalse:
		return append(b, byte(v.Kind))
	default:
		return append(b, byte(KindNone))
	}
}

// Next is the first cell, and the row without it.
func (r Row) Next() (Value, Row) {
	var head uint64
	for i := range len(r) {
		head |= uint64(r[i]&0x7f) << (7 * i)
		if r[i] < 0x80 {
			r = r[i+1:]
			break
		}
	}
	switch k := Kind(head & kindMask); k {
	case KindText, KindNumber:
		n := head >> kindBits
		return Value{k, string(r[:n])}, r[n:]
	case KindTrue, KindFalse:
		return Value{k, strconv.FormatBool(k == KindTrue)}, r
	default:
		return Value{}, r
	}
}

// Cell is the cell with the ordinal.
func (r Row) Cell(ordinal int) Value {
	for range ordinal {
		_, r = r.Next()
	}
	v, _ := r.Next()
	return v
}
