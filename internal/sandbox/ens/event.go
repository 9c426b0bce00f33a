package ens

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What all mails have in common.
const (
	mailSubject = "Welcome"
	mailListID  = "101" // All Subscribers
	mailEmailID = "1201"
)

// event is a notification about something that happened.
type event struct {
	kind   string // Category.Type; "" when it names none
	at     time.Time
	fields object
	member int    // MID of the business unit
	raw    []byte // as it was given by hand, and is sent; then fields are only what can be read of it
}

// body is the event as it is sent.
func (e *event) body() []byte {
	if e.raw != nil {
		return e.raw
	}
	return appendJSON(make([]byte, 0, 700), e.fields)
}

// text is the value of a field of the event, or of its info, as filters see it.
func (e *event) text(name string) (string, bool) {
	v := e.fields.get(name)
	if info, ok := e.fields.get("info").(object); ok && v == nil {
		v = info.get(name)
	}
	switch v := v.(type) {
	case nil, object, []any, map[string]any:
		return "", false
	default:
		return fmt.Sprint(v), true
	}
}

// Mail is what events say about a mail that was sent. Job, Batch and the contact
// key together name the send; vendor page ens-sent-to-engagement joins engagement
// to it by them.
type Mail struct {
	DefinitionKey, DefinitionID string
	To, ContactKey, MessageKey  string
	Job                         string    // of the definition, or of the journey
	Batch                       int       // counts the sends of a job, from 1
	At                          time.Time // on the host's clock
	Member                      int       // MID of the business unit that sent it
}

// SubscriberID is the number that stands for a contact key: the same in every
// run, and so large that a million keys hardly share one.
func SubscriberID(contactKey string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(contactKey))
	return strconv.FormatUint(1e12+h.Sum64()%9e12, 10)
}

// tagNotSent is the tag of addresses to which no mail is sent.
const tagNotSent = "notsent"

// NotSent reports whether an address says that mail to it is not sent.
func NotSent(address string) bool { return tagged(address, tagNotSent) }

// occurrence is something that happens after a mail was sent.
type occurrence struct {
	after int    // as many times the time that events take
	name  string // of the event, without its category
	tags  string // in the address that make it happen
}

// occurrences says what happens to a mail by the tags in the local part of its
// address, in any case: "ana+open+click@example.org" opens and clicks. An
// address without such a tag takes the mail and does no more. "notsent" excludes
// all other tags.
func occurrences() []occurrence {
	return []occurrence{
		{1, "EmailNotSent", tagNotSent},
		{1, "EmailSent", ""},
		{2, "EmailBounced", "bounce hardbounce softbounce"},
		{3, "EmailOpen", "open click"},
		{4, "EmailClick", "click"},
		{5, "EmailUnsubscribe", "unsubscribe"},
	}
}

// tags are the words after each + of an address's local part, in lower case.
func tags(address string) []string {
	local := address[:max(strings.LastIndexByte(address, '@'), 0)]
	if !strings.Contains(local, "+") {
		return nil
	}
	return strings.Split(strings.ToLower(local), "+")[1:]
}

// tagged reports whether an address has one of the tags, which stand in one text.
func tagged(address, wanted string) bool {
	return slices.ContainsFunc(tags(address), func(tag string) bool { return slices.Contains(strings.Fields(wanted), tag) })
}

// coming is what events will say about the mail, in order of time. after is how
// long the first of them takes.
func (m *Mail) coming(after time.Duration) []happening {
	lost := NotSent(m.To)
	var list []happening
	for _, o := range occurrences() {
		if lost && o.name != "EmailNotSent" || o.tags != "" && !tagged(m.To, o.tags) {
			continue
		}
		if kind, ok := findEventKind(o.name); ok {
			list = append(list, happening{at: m.At.Add(time.Duration(o.after) * after), kind: kind, mail: m})
		}
	}
	return list
}
