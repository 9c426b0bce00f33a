package sfmc

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxText    = 4 << 10 // of one message
	maxDetails = 100
)

// fault is what a JSON body says of an error. The routes do not agree on a
// shape, nor on the case of names, so that bodies are read member by member
// instead of into structs: a member of an unexpected type is passed over, and
// does not cost the rest.
type fault struct {
	Detail
	additional []Detail
	retryAfter time.Duration
	found      bool // whether the body means an error, whatever the status
}

// readFault looks for an error in a JSON value.
func readFault(v any) fault {
	switch v := v.(type) {
	case string:
		return fault{Detail: Detail{Message: clip(v)}}
	case []any:
		var f fault
		f.add(faulty(v))
		return f.promoted()
	case map[string]any:
		return readObjectFault(v)
	}
	return fault{}
}

func readObjectFault(m map[string]any) fault {
	f := fault{Detail: detail(m), retryAfter: seconds(member(m, "retryAfter"), maxRetryAfter)}
	f.found = isFaulty(m)
	f.add(details(list(m, "additionalErrors")))
	f.add(details(list(m, "validationErrors"))) // of an event's data
	f.add(details(list(m, "errors")))
	f.add(faulty(list(m, "results")))
	f.add(faulty(list(m, "members")))   // of a batch of events
	f.add(faulty(list(m, "responses"))) // of a batch of messages
	f.add(resultErrors(m))
	return f.promoted()
}

// resultErrors reads those elements of resultMessages that are errors.
func resultErrors(m map[string]any) []Detail {
	return details(slices.DeleteFunc(slices.Clone(list(m, "resultMessages")), isHarmless))
}

// add takes in errors that stand below the body's own.
func (f *fault) add(ds []Detail) {
	if len(ds) == 0 {
		return
	}
	f.found = true
	f.additional = append(f.additional, ds[:min(len(ds), maxDetails-len(f.additional))]...)
}

// promoted lets the first error below speak for the body, if the body has no
// code and no message.
func (f fault) promoted() fault {
	if f.CodeText != "" || f.Message != "" || len(f.additional) == 0 {
		return f
	}
	f.Detail, f.additional = f.additional[0], f.additional[1:]
	if len(f.additional) == 0 {
		f.additional = nil
	}
	return f
}

// isFaulty reports whether an object says of itself that it is an error: by a
// code other than 0, OAuth's "error", a status, or hasErrors.
func isFaulty(m map[string]any) bool {
	hasErrors, _ := member(m, "hasErrors").(bool)
	return hasErrors || hasErrorCode(m) || strings.EqualFold(text(m, "status"), "error")
}

// hasErrorCode reports whether an object has a code other than 0.
func hasErrorCode(m map[string]any) bool {
	d := detail(m)
	n, err := strconv.ParseFloat(d.CodeText, 64)
	return d.CodeText != "" && (err != nil || n != 0)
}

// isHarmless reports whether an element of resultMessages is not an error. One
// that does not give its class counts as an error.
func isHarmless(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	class := text(m, "resultClass")
	return class != "" && !strings.EqualFold(class, "error")
}

// faulty reads those elements of a list that are errors by their own account.
func faulty(vs []any) []Detail {
	var bad []any
	for _, v := range vs {
		if m, ok := v.(map[string]any); ok && isFaulty(m) {
			bad = append(bad, v)
		}
	}
	return details(bad)
}

// details reads a list of errors.
func details(vs []any) []Detail {
	var ds []Detail
	for _, v := range vs[:min(len(vs), maxDetails)] {
		switch v := v.(type) {
		case map[string]any:
			ds = append(ds, detail(v))
		case string:
			ds = append(ds, Detail{Message: clip(v)})
		default:
			ds = append(ds, Detail{})
		}
	}
	return ds
}

// detail reads code, message and link of one object under any of their names.
func detail(m map[string]any) Detail {
	d := Detail{
		CodeText:      text(m, "errorcode", "resultCode", "error"),
		Message:       text(m, "message", "errorMessage", "errorDetail", "error_description"),
		Documentation: text(m, "documentation", "error_uri"),
		Name:          text(m, "name"),
	}
	if n, err := strconv.ParseFloat(d.CodeText, 64); err == nil && n == math.Trunc(n) && math.Abs(n) < 1e9 {
		d.Code = int(n)
	}
	return d
}

// member gives the member of that name, in any case of letters: names differ in
// case from route to route. The exact name goes first, then by alphabet.
func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	var best string
	var value any
	for key, v := range m {
		if strings.EqualFold(key, name) && (value == nil || key < best) {
			best, value = key, v
		}
	}
	return value
}

// list gives the member of that name if it is an array; else nothing.
func list(m map[string]any, name string) []any {
	vs, _ := member(m, name).([]any)
	return vs
}

// text gives the first member under these names that is a string or a number
// and not empty.
func text(m map[string]any, names ...string) string {
	for _, name := range names {
		if s := scalar(member(m, name)); s != "" {
			return s
		}
	}
	return ""
}

// whole gives the member of that name if it is a whole number that is not
// negative, or a string that is one; else 0.
func whole(m map[string]any, name string) int {
	n, err := strconv.ParseInt(text(m, name), 10, 32)
	if err != nil {
		return 0
	}
	return max(int(n), 0)
}

// word gives the member of that name if it is a string, whole.
func word(m map[string]any, name string) string {
	s, _ := member(m, name).(string)
	return s
}

// scalar gives a string or number as text, trimmed; anything else as "".
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return clip(v)
	case json.Number:
		return clip(v.String())
	}
	return ""
}

// clip makes a text fit for one line of a log: of bounded length, valid UTF-8,
// without control characters.
func clip(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxText)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}
