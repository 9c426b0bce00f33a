package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// signatureHeader carries the HMAC over the body (vendor page "Notification
// Signing").
const signatureHeader = "X-Sfmc-Ens-Signature"

// eventText is one notification in the form of the vendor page "Transactional
// Email Events", with a mark wherever the time and the digits of this event go.
// It is as long as the real ones are.
const (
	eventText = `{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":` + timeMark + `,` +
		`"compositeId":"0f3c5b1e-8d2a-4c67-9b10-5e7a2d41c09d.501.3.` + numberMark + `.12",` +
		`"composite":{"jobId":"501","batchId":"3","listId":"77","subscriberId":"` + numberMark + `","emailId":"12"},` +
		`"definitionKey":"welcome","definitionId":"0f3c5b1e-8d2a-4c67-9b10-5e7a2d41c09d",` +
		`"mid":510000001,"eid":510000001,"sendClassificationType":"Operational",` +
		`"info":{"to":"person` + numberMark + `@example.org","subscriberKey":"person` + numberMark + `@example.org",` +
		`"messageKey":"7c9e6679-7425-40de-944b-e07` + numberMark + `","status":"Sent","renderedSubject":"Welcome"}}`

	timeMark   = "{milliseconds" // 13 digits
	numberMark = "{number  "     // 9 digits

	// firstNumber has as many digits as there is room for, as have all the others.
	firstNumber = 100_000_000
	lastNumber  = 999_999_999
)

// eventBatch is a whole request with a batch of signed events. Only the digits
// that differ are rewritten for the next one, since building it must not cost
// the server's processors more than it has to.
type eventBatch struct {
	bytes     []byte // header and body
	body      []byte // within bytes
	signature []byte // within bytes
	times     []int  // where times stand in an event
	numbers   []int  // where numbers stand in an event
	step      int    // from one event to the next
	mac       hash.Hash
}

// newEventBatch makes a batch of c.Events events whose marks are not filled in yet.
func newEventBatch(c BatchConfig) *eventBatch {
	b := &eventBatch{step: len(eventText) + 1, mac: hmac.New(sha256.New, c.Key)}
	b.times, b.numbers = marks(timeMark), marks(numberMark)
	body := "[" + strings.TrimSuffix(strings.Repeat(eventText+",", c.Events), ",") + "]"
	header := http.Header{signatureHeader: {strings.Repeat("=", base64.StdEncoding.EncodedLen(sha256.Size))}}
	maps.Copy(header, c.Header)
	b.bytes = newRequest(LoadConfig{Addr: c.Addr, Path: c.Path, Header: header, Body: []byte(body)}).bytes
	b.body = b.bytes[len(b.bytes)-len(body):]
	at := bytes.Index(b.bytes, []byte(signatureHeader)) + len(signatureHeader) + len(": ")
	b.signature = b.bytes[at : at+len(header.Get(signatureHeader))]
	return b
}

func marks(mark string) []int {
	var at []int
	for from := 0; ; from = at[len(at)-1] + len(mark) {
		i := strings.Index(eventText[from:], mark)
		if i < 0 {
			return at
		}
		at = append(at, from+i)
	}
}

// renew makes other events of the last ones, with numbers from first on, and signs
// them. Each happened a millisecond after the one before it, and the last one now.
func (b *eventBatch) renew(first int64, now time.Time) {
	count := (len(b.body) - 1) / b.step
	var number [len(numberMark)]byte
	var millis [len(timeMark)]byte
	for i := range count {
		event := b.body[1+i*b.step:]
		writeDecimal(number[:], first+int64(i))
		for _, at := range b.numbers {
			copy(event[at:], number[:])
		}
		writeDecimal(millis[:], now.UnixMilli()-int64(count-1-i))
		for _, at := range b.times {
			copy(event[at:], millis[:])
		}
	}
	b.mac.Reset()
	b.mac.Write(b.body)
	base64.StdEncoding.Encode(b.signature, b.mac.Sum(nil))
}

// writeDecimal writes the lowest decimal digits of v, as many as there is room for.
func writeDecimal(to []byte, v int64) {
	for i := range slices.Backward(to) {
		to[i] = '0' + byte(v%10)
		v /= 10
	}
}

// EventBytes is the size of one event that SendBatches sends.
const EventBytes = len(eventText)

// receipt is the answer to a batch that is on disk.
type receipt struct {
	Stored   int64 `json:"stored"`
	Repeated int64 `json:"repeated"`
}

func (r receipt) String() string {
	return fmt.Sprintf("%d stored and %d repeated", r.Stored, r.Repeated)
}

// FirstEvent is the lowest number that an event can have.
const FirstEvent = firstNumber

// SignedBatch makes a batch of n events with numbers from first on, at least FirstEvent, as SendBatches sends
// them, and its signature for the header SignatureHeader. Each event has its number as its subscriberId.
func SignedBatch(key []byte, first int64, n int, now time.Time) (body []byte, signature string) {
	b := newEventBatch(BatchConfig{Key: key, Events: n})
	b.renew(first, now)
	return b.body, string(b.signature)
}

// SignatureHeader is where a batch has its signature.
const SignatureHeader = signatureHeader
