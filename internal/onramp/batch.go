package onramp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds of a batch. Marketing Cloud stays far below them; what does not is
// stored all the same, but cut.
const (
	maxEvents = 10_000   // in a batch: ten times the most that Marketing Cloud sends
	maxEvent  = 64 << 10 // bytes of an event: twice the longest documented text (5,120 characters), all of them escaped
	maxText   = 1 << 10  // bytes of a value that Onramp reads: 254 characters of any script
	maxBegin  = 4 << 10  // bytes of the beginning of what is cut that are kept
)

// ErrNotABatch is that a body is neither an array nor an object in JSON.
var ErrNotABatch = errors.New("not a batch of events")

// ReadBatch reads the events of a request's body: the elements of an array, or the
// one object that stands alone. They share the body's memory. Elements beyond the
// ten-thousandth become one event together. The error is ErrNotABatch, or that of
// ctx, which may end while it reads.
func ReadBatch(ctx context.Context, body []byte) ([]Event, error) {
	if !json.Valid(body) {
		return nil, ErrNotABatch
	}
	body = bytes.TrimRight(body, " \t\r\n")
	r := jsonReader{text: body}
	r.space()
	switch r.peek() {
	case '{':
		return []Event{ReadEvent(r.element())}, nil
	case '[':
		r.at++
	default:
		return nil, ErrNotABatch
	}
	events := make([]Event, 0, min(len(body)/512+1, maxEvents+1))
	for r.space(); r.peek() != ']'; r.comma() {
		if len(events) == maxEvents {
			rest, err := r.rest(ctx)
			return append(events, rest), err
		}
		if err := now(ctx, len(events)); err != nil {
			return nil, err
		}
		events = append(events, ReadEvent(r.element()))
	}
	return events, nil
}

// now looks at ctx now and then: n counts what was read.
func now(ctx context.Context, n int) error {
	if n%256 == 0 && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// element reads any value.
func (r *jsonReader) element() []byte {
	from := r.at
	r.skip()
	return r.text[from:r.at:r.at]
}

// comma goes on to the next element of an array, or to its end.
func (r *jsonReader) comma() {
	if r.space(); r.peek() == ',' {
		r.at++
		r.space()
	}
}

// rest reads the remaining elements of an array as one event that was cut.
func (r *jsonReader) rest(ctx context.Context) (Event, error) {
	from, n := r.at, 0
	for ; r.peek() != ']'; r.comma() {
		if err := now(ctx, n); err != nil {
			return Event{}, err
		}
		r.skip()
		n++
	}
	body := r.text[from:r.at]
	var f eventFields
	e := f.event(f.cut(body, n), identifyWhole(0, body))
	e.CutFrom = len(body)
	return e, nil
}

// The names in an event that was cut, beside those of the event itself.
const (
	cutFromName  = `{"onrampCutFrom":` // bytes; always first
	elementsName = `,"onrampElements":`
	beginName    = `,"onrampBegin":`
)

// cut writes what is kept of an event that is too long, or of several elements:
// what Onramp reads of it, under the usual names, and its beginning as a text.
func (f *eventFields) cut(body []byte, elements int) json.RawMessage {
	b := strconv.AppendInt([]byte(cutFromName), int64(len(body)), 10)
	if elements > 0 {
		b = strconv.AppendInt(append(b, elementsName...), int64(elements), 10)
	}
	for _, field := range []struct{ name, value string }{
		{"eventCategoryType", f.eventType},
		{"timestampUTC", f.timestamp},
		{"compositeId", f.compositeID},
		{"mid", f.mid},
		{"jobId", f.jobID},
		{"batchId", f.batchID},
		{"subscriberId", f.subscriberID},
		{"mobileNumber", f.mobile},
		{"subscriberKey", f.subscriberKey},
		{"messageKey", f.messageKey},
		{"messageId", f.messageID},
		{"statusCode", f.statusCode},
		{"ordinal", f.ordinal},
		{"jobUrlId", f.jobURLID},
		{"deviceId", f.deviceID},
		{"automationInstanceID", f.instanceID},
	} {
		if field.value != "" {
			b = append(appendText(append(b, ','), field.name), ':')
			b = appendText(b, field.value)
		}
	}
	begin := strings.ToValidUTF8(string(body[:min(len(body), maxBegin)]), string(utf8.RuneError))
	return append(appendText(append(b, beginName...), begin), '}')
}

// cutFrom is how many bytes an event had of which only a part was stored; 0 where it
// is whole.
func cutFrom(body []byte) int {
	if !bytes.HasPrefix(body, []byte(cutFromName)) {
		return 0
	}
	digits := body[len(cutFromName):]
	if end := bytes.IndexByte(digits, ','); end >= 0 {
		digits = digits[:end]
	}
	n, err := strconv.Atoi(string(digits))
	if err != nil || n <= maxEvent && !bytes.Contains(body, []byte(elementsName)) {
		return 0 // somebody else's field
	}
	return n
}
