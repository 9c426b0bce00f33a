package sandbox

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the mails of the sandbox have in common.
const (
	welcomeDefinitionID = "7e3c1a52-94d8-4f06-8b1e-0f5100000003"
	welcomeSubject      = "Welcome"
	mailListID          = "101" // All Subscribers
	mailEmailID         = "1201"
)

// event is a notification about something that happened.
type event struct {
	kind   string // Category.Type; "" when it names none
	at     time.Time
	fields object
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

// mail is what the events of a sent mail tell about it. jobId, batchId and
// subscriberId together name the send; vendor page ens-sent-to-engagement joins
// engagement to it by them.
type mail struct {
	definitionKey, definitionID string
	to, contactKey, messageKey  string
	job                         string // of the definition, or of the journey
	batch                       int    // counts the sends of a job
	at                          time.Time
}

// mailOf is the mail of a message, the batch-th that was sent.
func mailOf(m message, batch int) mail {
	return mail{
		definitionKey: m.definition, definitionID: welcomeDefinitionID, to: m.to, contactKey: m.contactKey, messageKey: m.key,
		job: jobOf("message " + m.definition), batch: batch, at: m.at,
	}
}

// mail is the mail that a journey sends to the contact of an entry, the batch-th
// of the journey, with the message key that belongs to the entry. There is none
// when no address is known: no column of the type EmailAddress has a value, and
// the contact key is no address.
func (j *journey) mail(e entry, batch int) (mail, bool) {
	to := ""
	for i := range j.extension.columns {
		if j.extension.columns[i].Type == typeEmail && to == "" {
			to = e.data.cell(i).text
		}
	}
	if to == "" && validEmail(e.contactKey) {
		to = e.contactKey
	}
	return mail{
		definitionKey: WelcomeMessageKey, definitionID: welcomeDefinitionID, to: to, contactKey: e.contactKey,
		messageKey: e.id.other().String(), job: jobOf("journey " + j.eventKey), batch: batch, at: e.at,
	}, to != ""
}

// other is a second GUID that belongs to a GUID, so that it need not be kept.
func (g guid) other() guid {
	for i := range g {
		g[i] ^= 0xa5
	}
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

// jobOf is the job id of what sends mails, the same in every run.
func jobOf(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return strconv.Itoa(100_000 + int(h.Sum32()%900_000))
}

// subscriberID is the number that stands for a contact key: the same in every
// run, and so large that a million keys hardly share one.
func subscriberID(contactKey string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(contactKey))
	return strconv.FormatUint(1e12+h.Sum64()%9e12, 10)
}

// tagNotSent is the tag of addresses to which no mail is sent.
const tagNotSent = "notsent"

// occurrence is something that happens after a mail was sent.
type occurrence struct {
	after int    // as many times the time that events take
	name  string // of the event, without its category
	tags  string // in the address that make it happen
}

// occurrences says what happens to a mail by the tags in the local part of its
// address, in any case: "ana+open+click@example.org" opens and clicks. An
// address without such a tag takes the mail and does no more. "notsent" comes
// alone, whatever the other tags are.
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

// tagged tells whether an address has one of the tags, which stand in one text.
func tagged(address, wanted string) bool {
	return slices.ContainsFunc(tags(address), func(tag string) bool { return slices.Contains(strings.Fields(wanted), tag) })
}

// coming is what will be told of the mail, in order of time. after is how long
// the first of it takes.
func (m *mail) coming(after time.Duration) []happening {
	lost := tagged(m.to, tagNotSent)
	var list []happening
	for _, o := range occurrences() {
		if lost && o.name != "EmailNotSent" || o.tags != "" && !tagged(m.to, o.tags) {
			continue
		}
		if kind, ok := findEventKind(o.name); ok {
			list = append(list, happening{at: m.at.Add(time.Duration(o.after) * after), kind: kind, mail: m})
		}
	}
	return list
}
