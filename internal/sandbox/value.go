package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
)

// value is a JSON scalar on its way into or out of a cell. It is kept as it was
// sent: the text of a string, a number as it was written.
type value struct {
	kind kind
	text string // of text and numbers; "true" and "false"
}

// kind is what a value is.
type kind uint8

const (
	kindNone kind = iota // nothing was sent, or is stored
	kindNull
	kindText
	kindNumber
	kindTrue
	kindFalse
	kindDeep // an object or a list, which no column holds
)

// empty tells whether there is nothing to store: none or null.
func (v value) empty() bool {
	return v.kind <= kindNull
}

// bool tells whether the value is true or false.
func (v value) bool() bool {
	return v.kind == kindTrue || v.kind == kindFalse
}

// public is the value as a State shows it: string, bool, json.Number or nil.
func (v value) public() any {
	switch v.kind {
	case kindText:
		return v.text
	case kindNumber:
		return json.Number(v.text)
	case kindTrue, kindFalse:
		return v.kind == kindTrue
	default:
		return nil
	}
}

// valueOf is public's opposite, for a column's default.
func valueOf(v any) value {
	switch v := v.(type) {
	case nil:
		return value{}
	case string:
		return value{kindText, v}
	case bool:
		if v {
			return value{kindTrue, "true"}
		}
		return value{kindFalse, "false"}
	default:
		return value{kindNumber, fmt.Sprint(v)}
	}
}

// row is the cells of a stored row in one piece of memory: a number for each
// cell (its kind, and its text's length), then the text. Cells that are not
// there at the end have no value.
type row string

const (
	kindBits = 3
	kindMask = 1<<kindBits - 1
)

// appendCell adds a cell to a row in the making.
func appendCell(b []byte, v value) []byte {
	switch v.kind {
	case kindText, kindNumber:
		b = binary.AppendUvarint(b, uint64(len(v.text))<<kindBits|uint64(v.kind))
		return append(b, v.text...)
	case kindTrue, kindFalse:
		return append(b, byte(v.kind))
	default:
		return append(b, byte(kindNone))
	}
}

// next is the first cell, and the row without it.
func (r row) next() (value, row) {
	var head uint64
	for i := range len(r) {
		head |= uint64(r[i]&0x7f) << (7 * i)
		if r[i] < 0x80 {
			r = r[i+1:]
			break
		}
	}
	switch k := kind(head & kindMask); k {
	case kindText, kindNumber:
		n := head >> kindBits
		return value{k, string(r[:n])}, r[n:]
	case kindTrue, kindFalse:
		return value{k, strconv.FormatBool(k == kindTrue)}, r
	default:
		return value{}, r
	}
}

// cell is the cell with the ordinal.
func (r row) cell(ordinal int) value {
	for range ordinal {
		_, r = r.next()
	}
	v, _ := r.next()
	return v
}
