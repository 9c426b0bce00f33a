package onramp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"
)

// Event is one notification from the Event Notification Service.
type Event struct {
	Seq           int64           // place in the order of arrival; given by the store
	ID            string          // UUIDv8 made of what identifies the event, so that a repeat has the same one
	Identity      EventIdentity   // the same, as it is stored
	Callback      string          // name of the callback that it came to
	Type          string          // Category.Type as it came; "" when the event names none
	At            time.Time       // when it happened (timestampUTC); zero when it doesn't say
	ReceivedAt    time.Time       // when it came, UTC, microseconds
	SubscriberKey string          // or contact key; "" when it has none, as engagement events
	MessageKey    string          // of the transactional message; "" when it has none
	Send          string          // jobId.batchId.subscriberId, which joins engagement to a send; "" when it has none
	Subject       string          // whom it is about: events about the same one keep their order
	Body          json.RawMessage // the event as it came, byte for byte, unless it was cut
	CutFrom       int             // bytes that it had when it came, if it was too long and only a part is kept; else 0
	Unproven      bool            // it came with a token and without a signature; only set on arrival
	Trace         Trace           // of its arrival, which its deliveries go on with; only set on arrival and of a delivery
	Sinks         []int           // ids of the destinations that it goes on to; only set on arrival
	Deliveries    []Delivery      // only set when a whole event is read
}

// EventIdentity tells a repeated event from a new one: two with the same
// identity are the same event. At comes first, so that identities of about the
// same time lie together.
type EventIdentity struct {
	At   int64 // milliseconds since 1970, 48 bits; 0 where the time does not identify
	Hash int64 // of what else identifies it
}

// Signed is the identity of an event with a signature where another one, which had
// none, has taken its own.
func (i EventIdentity) Signed() EventIdentity {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("signed"), uint64(i.Hash)))
	return EventIdentity{At: i.At, Hash: int64(binary.BigEndian.Uint64(sum[:8]))}
}

// NewEventID writes an identity as a UUIDv8 (RFC 9562, 5.8).
func NewEventID(i EventIdentity) string {
	var u [16]byte
	hash := uint64(i.Hash)
	binary.BigEndian.PutUint64(u[:8], uint64(i.At)<<16|hash>>52)
	binary.BigEndian.PutUint64(u[8:], hash&(1<<52-1))
	return formatUUID(u, 8)
}

// ParseEventID is the reverse of NewEventID.
func ParseEventID(id string) (EventIdentity, bool) {
	u, ok := parseUUID(id)
	if !ok || u[6]>>4 != 8 {
		return EventIdentity{}, false
	}
	u[6] &= 0x0f
	high, low := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	i := EventIdentity{At: int64(high >> 16), Hash: int64((high&0xfff)<<52 | low&(1<<52-1))}
	return i, NewEventID(i) == strings.ToLower(id)
}

// Waiting is what is remembered of an event that waits for its send.
func (e *Event) Waiting() Event { return Event{Seq: e.Seq, Send: e.Send, ReceivedAt: e.ReceivedAt} }

// HappenedAt is when the event happened or, when it doesn't say, when it came.
func (e *Event) HappenedAt() time.Time {
	if e.At.IsZero() {
		return e.ReceivedAt
	}
	return e.At
}

// Detail is the event in one line, its type first: for a timeline. It names no
// person.
func (e *Event) Detail() string {
	var outer struct {
		Info map[string]any `json:"info"` // encoding/json finds the name in any case
	}
	_ = json.Unmarshal(e.Body, &outer) // what does not fit has nothing to tell
	var shown []string
	for _, name := range []string{"status", "bounceCode", "smtpReason", "statusCode", "reason", "statusMessage", "renderedSubject", "unsubscribeMethod", "contentLink"} {
		if text, ok := outer.Info[name].(string); ok && text != "" {
			shown = append(shown, name+" "+shortened(text))
		}
	}
	detail := e.Type
	if detail == "" {
		detail = "an event of no known type"
	}
	if len(shown) > 0 {
		detail += ": " + strings.Join(shown, ", ")
	}
	return detail
}

// maxShown is how much of one value stands in a line, in characters.
const maxShown = 300

func shortened(text string) string {
	n := 0
	for i := range text {
		if n++; n > maxShown {
			return text[:i] + "…"
		}
	}
	return text
}

// Person is the key under which the store finds the events of a registration:
// that of its message, when the event names one that Onramp has sent, else that
// of the subscriber. It is false when the event names neither.
func (e *Event) Person() (int64, bool) {
	if registration, ok := e.Registration(); ok {
		return MessagePerson(registration), true
	}
	if e.SubscriberKey == "" {
		return 0, false
	}
	return SubscriberPerson(e.SubscriberKey), true
}

// Registration is the id of the registration whose message the event is about:
// the keys of our messages are the names of their deliveries. It is false for
// messages that others have sent.
func (e *Event) Registration() (id string, ours bool) {
	id, _, _, ok := ParseDeliveryID(e.MessageKey)
	return strings.ToLower(id), ok && isRegistrationID(id)
}

// MessagePerson is the key of events about a message of a registration.
func MessagePerson(registration string) int64 { return eventKey('r', strings.ToLower(registration)) }

// SubscriberPerson is the key of events about a subscriber in any case.
func SubscriberPerson(subscriberKey string) int64 {
	return eventKey('s', strings.ToLower(subscriberKey))
}

// SendKey is the key of a send, which its engagement events share.
func SendKey(send string) int64 { return eventKey('j', send) }

func eventKey(kind byte, text string) int64 {
	sum := sha256.Sum256(append([]byte{kind}, text...))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// MatchesType says whether a pattern, such as "TransactionalSendEvents.*" or a
// whole type, takes in a type. Letters count in any case; * stands for any text. How
// long it takes grows with their lengths, however many * there are.
func MatchesType(pattern, eventType string) bool {
	rest := strings.ToLower(eventType)
	part, pattern, star := strings.Cut(strings.ToLower(pattern), "*")
	if !star {
		return part == rest
	}
	rest, begins := strings.CutPrefix(rest, part)
	if !begins {
		return false
	}
	// the earliest place for each part leaves the most for those after it
	for {
		part, pattern, star = strings.Cut(pattern, "*")
		if !star {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
}

// EventFilter chooses events in a list.
type EventFilter struct {
	Type        string // pattern, see MatchesType
	Callback    string // one that is known to the store
	Destination string // the same: a sink that it goes on to, or where it has changed a row
	Query       string // part of the body, in any case
	Since       time.Time
	Until       time.Time
	Cursor      string // where the page before this one ended
	Limit       int    // default 50, at most 500
}
