package sink

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"onramp/internal/onramp"
)

// How envelopes are named (CloudEvents 1.0: HTTP protocol binding 3.2 and 3.3,
// Kafka protocol binding 3.3).
const (
	envelopeType      = "application/cloudevents+json"
	envelopeBatchType = "application/cloudevents-batch+json"
)

// unknownType stands for the type of an event that names none: it must not be
// empty.
const unknownType = "unknown"

// cloudEvent is an event in the JSON format of CloudEvents 1.0. What is optional
// must not be there when it is empty. The names of extensions are lower case
// letters and digits.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"` // first: by it the file sink knows its own lines
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Time        string          `json:"time,omitempty"`
	Subject     string          `json:"subject,omitempty"`
	ContentType string          `json:"datacontenttype"`
	ReceivedAt  string          `json:"receivedat,omitempty"`  // extension: when it came
	MessageKey  string          `json:"messagekey,omitempty"`  // extension: of the transactional message
	CutFrom     int             `json:"cutfrom,omitempty"`     // extension: bytes that the event had, when only a part of it was kept
	Resend      string          `json:"resend,omitempty"`      // extension: number of the resend that sends it again
	TraceParent string          `json:"traceparent,omitempty"` // extension "distributed tracing": of the event's arrival, on every try
	TraceState  string          `json:"tracestate,omitempty"`
	Data        json.RawMessage `json:"data"`
}

// envelope writes an event as one line without its end. It depends on nothing but
// the event and the resend, so that every try sends the same bytes.
func envelope(source string, e *onramp.Event, resend string) ([]byte, error) {
	ce := cloudEvent{
		SpecVersion: "1.0",
		ID:          e.ID,
		Source:      source + "/ens/" + url.PathEscape(e.Callback),
		Type:        attribute(cmp.Or(e.Type, unknownType)),
		Time:        timestamp(e.At),
		Subject:     attribute(cmp.Or(e.SubscriberKey, e.Subject)),
		ContentType: "application/json",
		ReceivedAt:  timestamp(e.ReceivedAt),
		MessageKey:  attribute(e.MessageKey),
		CutFrom:     e.CutFrom,
		Resend:      resend,
		TraceParent: e.Trace.Parent(),
		TraceState:  e.Trace.State(),
		Data:        bytes.ToValidUTF8(e.Body, []byte(string(unicode.ReplacementChar))),
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // the data goes on as it came
	if err := encoder.Encode(ce); err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), nil
}

// timestamp writes a time as RFC 3339 has it; "" when it is not known.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// attribute replaces what must not stand in a text of CloudEvents (its section
// "Type System"): control characters and code points that are no characters.
func attribute(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Noncharacter_Code_Point, r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
