package onramp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ReadEvent reads what Onramp has to know of an event: what kind it is, when it
// happened, whom it is about, and what tells it from another. body must be one
// valid JSON value; it is kept as it is, unless it is too long, see cut. Whatever it
// holds is an event: one that is not understood has an empty Type.
//
// The fields of the families of events differ; vendor pages "Supported
// Notification Events", "Transactional Email Events", "Engagement Email Events",
// "Transactional SMS Events", "OTT Events", "Automation Studio Events".
func ReadEvent(body []byte) Event {
	f := readEventFields(body)
	e := f.event(body, f.identity(f.millis(), body))
	if len(body) > maxEvent {
		e.Body, e.CutFrom = f.cut(body, 0), len(body)
	}
	return e
}

// ReadStoredEvent does the same with an event that was given its identity when
// it came: a later Onramp may tell events apart in another way.
func ReadStoredEvent(body []byte, identity EventIdentity) Event {
	f := readEventFields(body)
	e := f.event(body, identity)
	e.CutFrom = cutFrom(body)
	return e
}

func (f *eventFields) event(body []byte, identity EventIdentity) Event {
	e := Event{
		ID: NewEventID(identity), Identity: identity, Body: body,
		Type: f.eventType, SubscriberKey: f.subscriberKey, MessageKey: f.messageKey, Subject: f.subject(),
	}
	if millis := f.millis(); millis > 0 {
		e.At = time.UnixMilli(millis).UTC()
	}
	if named(f.jobID) && named(f.batchID) && named(f.subscriberID) {
		e.Send = f.jobID + "." + f.batchID + "." + f.subscriberID
	}
	return e
}

// named says that an id names something: what was not sent has 0.
func named(id string) bool { return id != "" && id != "0" }

// eventFields are the values of an event, whatever level they stand on. Numbers
// are texts: some families have strings where others have numbers.
type eventFields struct {
	eventType, timestamp, compositeID, mid              string
	jobID, batchID, subscriberID, mobile                string
	subscriberKey, messageKey, messageID, statusCode    string
	ordinal, jobURLID, deviceID, instanceID, contactKey string

	long bool // a value was too long to be any of them
}

// maxMillis keeps a time within the 48 bits of an identity, and far from the
// limits of the calendar.
const maxMillis = 1<<47 - 1

// millis is the event's time in milliseconds since 1970, 0 when it has none.
// Some families have seconds in some payloads; such a number is so small that it
// can't be milliseconds.
func (f *eventFields) millis() int64 {
	n, err := strconv.ParseInt(f.timestamp, 10, 64)
	if err != nil {
		float, err := strconv.ParseFloat(f.timestamp, 64)
		if err != nil || !(float > 0 && float < maxMillis) {
			return 0
		}
		n = int64(float)
	}
	if n > 0 && n < 1e10 {
		n *= 1000
	}
	if n <= 0 || n > maxMillis {
		return 0
	}
	return n
}

// subject is whom an event is about: the first that is given.
func (f *eventFields) subject() string {
	switch {
	case named(f.subscriberID):
		return f.subscriberID
	case f.subscriberKey != "":
		return f.subscriberKey
	case f.mobile != "":
		return f.mobile
	case f.deviceID != "":
		return f.deviceID
	}
	return f.instanceID
}

// identity tells the event from every other one. There is no event id; what
// identifies an event differs between the families. Where that is not there,
// all of the event identifies it.
func (f *eventFields) identity(millis int64, body []byte) EventIdentity {
	_, name, _ := strings.Cut(f.eventType, ".")
	name = strings.ToLower(name)
	if name == "" {
		name = strings.ToLower(f.eventType) // the older names have no category
	}
	switch {
	case f.long:
	case strings.HasPrefix(name, "email") && f.jobID != "":
		// a message that was not sent has no batch and no subscriber: then the keys tell it apart
		return identify(millis, "email", f.eventType, f.mid, f.jobID, f.batchID, f.subscriberID, f.jobURLID, f.messageKey, f.subscriberKey)
	case (strings.HasPrefix(name, "sms") || strings.HasPrefix(name, "email")) && f.messageKey != "":
		return identify(0, "message", f.eventType, f.mid, f.messageKey, f.ordinal, f.statusCode)
	case strings.HasPrefix(name, "ott") && f.messageID+f.messageKey != "":
		return identify(0, "ott", f.eventType, f.mid, f.messageID, f.messageKey)
	case strings.HasPrefix(name, "automation") && f.instanceID != "":
		return identify(0, "automation", f.eventType, f.mid, f.instanceID)
	case strings.HasPrefix(name, "push") && f.compositeID != "":
		return identify(millis, "push", f.eventType, f.mid, f.compositeID)
	}
	return identifyWhole(millis, body)
}

func identify(millis int64, parts ...string) EventIdentity {
	var room [512]byte
	b := room[:0]
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return EventIdentity{At: millis, Hash: int64(binary.BigEndian.Uint64(sum[:8]))}
}

// identifyWhole is identify with the parts "whole" and body, which may be large.
func identifyWhole(millis int64, body []byte) EventIdentity {
	sum := sha256.New()
	sum.Write(binary.AppendUvarint([]byte("\x05whole"), uint64(len(body))))
	sum.Write(body)
	return EventIdentity{At: millis, Hash: int64(binary.BigEndian.Uint64(sum.Sum(nil)))}
}

// readEventFields finds the fields in an event and in its objects composite and
// info, whose names are written in different ways.
func readEventFields(body []byte) eventFields {
	var f eventFields
	r := jsonReader{text: body}
	if r.space(); r.peek() != '{' {
		return f
	}
	r.object(func(name []byte) {
		if inner := foldsTo(name, "composite") || foldsTo(name, "info"); inner && r.peek() == '{' {
			r.object(func(name []byte) { f.take(&r, name) })
			return
		}
		f.take(&r, name)
	})
	if f.subscriberKey == "" {
		f.subscriberKey = f.contactKey
	}
	return f
}

// take reads the value of a name, if it is one of the fields.
func (f *eventFields) take(r *jsonReader, name []byte) {
	var into *string
	switch len(name) {
	case 3:
		into = match(name, "mid", &f.mid)
	case 5:
		into = match(name, "jobId", &f.jobID)
	case 7:
		if into = match(name, "batchId", &f.batchID); into == nil {
			into = match(name, "ordinal", &f.ordinal)
		}
	case 8:
		if into = match(name, "jobUrlId", &f.jobURLID); into == nil {
			into = match(name, "deviceId", &f.deviceID)
		}
	case 9:
		if into = match(name, "messageId", &f.messageID); into == nil {
			if into = match(name, "eventType", &f.eventType); into == nil {
				into = match(name, "timestamp", &f.timestamp)
			}
		}
	case 10:
		if into = match(name, "messageKey", &f.messageKey); into == nil {
			if into = match(name, "statusCode", &f.statusCode); into == nil {
				into = match(name, "contactKey", &f.contactKey)
			}
		}
	case 11:
		into = match(name, "compositeId", &f.compositeID)
	case 12:
		if into = match(name, "timestampUTC", &f.timestamp); into == nil {
			if into = match(name, "subscriberId", &f.subscriberID); into == nil {
				into = match(name, "mobileNumber", &f.mobile)
			}
		}
	case 13:
		into = match(name, "subscriberKey", &f.subscriberKey)
	case 17:
		into = match(name, "eventCategoryType", &f.eventType)
	case 20:
		into = match(name, "automationInstanceID", &f.instanceID)
	}
	f.read(r, into)
}

// read reads a value into a field, or passes it.
func (f *eventFields) read(r *jsonReader, into *string) {
	if into == nil {
		r.skip()
		return
	}
	switch text, ok := r.scalar(); {
	case !ok || text == "":
	case len(text) > maxText:
		f.long = true
	default:
		*into = text
	}
}

func match(name []byte, want string, into *string) *string {
	if foldsTo(name, want) {
		return into
	}
	return nil
}

// foldsTo compares ASCII names in any case.
func foldsTo(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i, c := range name {
		w := want[i]
		if c != w && (c|0x20 != w|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// jsonReader walks over JSON that is known to be valid.
type jsonReader struct {
	text []byte
	at   int
}

func (r *jsonReader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *jsonReader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// object calls member for each name of an object, with the reader at its value,
// which member must read or skip.
func (r *jsonReader) object(member func(name []byte)) {
	r.at++ // {
	for r.space(); r.peek() == '"'; r.space() {
		from := r.at + 1
		r.string()
		name := r.text[from : r.at-1]
		r.space()
		r.at++ // :
		r.space()
		member(name)
		if r.space(); r.peek() != ',' {
			break
		}
		r.at++
	}
	r.at++ // }
}

// string goes to the end of a string.
func (r *jsonReader) string() {
	for r.at++; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			r.at++
		case '"':
			r.at++
			return
		}
	}
}

// skip goes to the end of any value.
func (r *jsonReader) skip() {
	depth := 0
	for r.at < len(r.text) {
		switch c := r.text[r.at]; c {
		case '"':
			r.string()
			if depth == 0 {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return // it was a number or a word, and this ends what holds it
			}
			if depth == 0 {
				r.at++
				return
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return
			}
		}
		r.at++
	}
}

// scalar reads a text, a number or a word as a text. It is false for null, for
// an object and for an array.
func (r *jsonReader) scalar() (string, bool) {
	from := r.at
	r.skip()
	raw := r.text[from:r.at]
	switch {
	case len(raw) == 0, raw[0] == '{', raw[0] == '[', raw[0] == 'n':
		return "", false
	case raw[0] != '"':
		return string(raw), true
	}
	inner := raw[1 : len(raw)-1]
	for _, c := range inner {
		if c == '\\' || c >= utf8.RuneSelf {
			var text string
			err := json.Unmarshal(raw, &text)
			return text, err == nil
		}
	}
	return string(inner), true
}
