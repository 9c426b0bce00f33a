package sfmc

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object marshals v, which has to give a JSON object; nil gives nothing.
func object(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	if ok, err := writeObject(&b, v); err != nil || !ok {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeObject writes v to b as a JSON object. It writes nothing, and says so by
// false, if v is nil or marshals to null. JSON that comes ready, as a
// json.RawMessage, is checked and goes out as it is.
func writeObject(b *bytes.Buffer, v any) (bool, error) {
	raw, ready := v.(json.RawMessage)
	if !ready || raw == nil {
		m, err := json.Marshal(v)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		raw = m
	}
	raw = bytes.Trim(raw, " \t\r\n")
	switch {
	case string(raw) == "null":
		return false, nil
	case !bytes.HasPrefix(raw, []byte("{")):
		return false, fmt.Errorf("%w: %T does not marshal to a JSON object", ErrInvalid, v)
	case ready && !json.Valid(raw):
		return false, fmt.Errorf("%w: not JSON", ErrInvalid)
	}
	b.Write(raw)
	return true, nil
}

// rawSize returns how many bytes of JSON come ready.
func rawSize[T any](vs []T, get func(T) any) int {
	n := 0
	for _, v := range vs {
		if raw, ok := get(v).(json.RawMessage); ok {
			n += len(raw)
		}
	}
	return n
}
