package onramp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"onramp/internal/email"
)

// ConsentTerms is what a form asks to agree to. The text of a version never changes: the store
// refuses another one.
type ConsentTerms struct {
	Field   int    // index into Form.Fields, of the boolean field by which a person agrees
	Version string // of the text
	Text    string // in the form's first language
	Texts   Wording
}

// ConsentKind is what happened to a consent. The names are stored: never change them.
type ConsentKind string

// The kinds.
const (
	ConsentGiven      ConsentKind = "given"
	ConsentConfirmed  ConsentKind = "confirmed"  // by double opt-in
	ConsentWithdrawn  ConsentKind = "withdrawn"  // or refused: the answer was no
	ConsentRestricted ConsentKind = "restricted" // the person's data may only be kept
)

// ConsentEntry is one entry of the consent log.
type ConsentEntry struct {
	Number       int64 // given by the store, with Hash
	Hash         string
	At           time.Time
	Kind         ConsentKind
	Form         string
	Version      string // of the text; "" where the form names none any more
	TextHash     string // SHA-256, in hexadecimal
	Language     string // of the text; "": it has only one
	Registration string // id; "": none
	By           string // how: form, api, event or page
	Event        string // id, with By event
	ConsentPerson
	Erased bool // what is personal is gone
}

// ConsentPerson is the part of an entry that is personal.
type ConsentPerson struct {
	SubscriberKey string `json:"subscriber_key"`
	IP            string `json:"ip,omitempty"`
	UserAgent     string `json:"user_agent,omitempty"`
	PageURL       string `json:"page_url,omitempty"`
}

// ConsentText is a text as it was agreed to.
type ConsentText struct {
	Form     string    `json:"form"`
	Version  string    `json:"version"`
	Language string    `json:"language,omitempty"`
	Hash     string    `json:"hash"` // SHA-256, in hexadecimal
	Text     string    `json:"text"`
	Since    time.Time `json:"since"` // when this gateway first had it
}

// HashConsent is the hash of a text.
func HashConsent(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// In gives the text for a visitor who understands languages, as a URL's lang or Accept-Language has
// them, and its language.
func (c *ConsentTerms) In(languages string) (lang, text string) {
	var names []string
	for name := range c.Texts {
		if name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", c.Text
	}
	// the form's first language is the one that is taken when none fits
	slices.SortFunc(names, func(a, b string) int {
		if first := c.Texts[a] == c.Text; first != (c.Texts[b] == c.Text) {
			if first {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	tags := make([]language.Tag, len(names))
	for i, name := range names {
		tags[i] = language.Make(name)
	}
	asked, _, err := language.ParseAcceptLanguage(languages)
	if err != nil {
		asked = nil
	}
	_, at, _ := language.NewMatcher(tags).Match(asked...)
	return names[at], c.Texts[names[at]]
}

// All lists the texts, one for each language.
func (c *ConsentTerms) All(form string) []ConsentText {
	var all []ConsentText
	for name, text := range c.Texts {
		if name != "" {
			all = append(all, ConsentText{Form: form, Version: c.Version, Language: name, Hash: HashConsent(text), Text: text})
		}
	}
	if all == nil {
		all = []ConsentText{{Form: form, Version: c.Version, Hash: HashConsent(c.Text), Text: c.Text}}
	}
	return all
}

// consentOf is what a submission says of consent: nil when the field is missing, empty or
// unreadable. An answer that is no is a consent withdrawn: the column says so, too.
func (f *Form) consentOf(submitted []*Scalar, s *Submission) *ConsentEntry {
	if f.Consent == nil {
		return nil
	}
	field := &f.Fields[f.Consent.Field]
	answer, present, err := field.value(submitted[f.Consent.Field], s, f.Name)
	if err != nil || !present {
		return nil
	}
	lang, text := f.Consent.In(s.Languages)
	e := &ConsentEntry{
		At: s.ReceivedAt, Kind: ConsentWithdrawn, Form: f.Name, Version: f.Consent.Version, TextHash: HashConsent(text), Language: lang, By: "form",
		ConsentPerson: ConsentPerson{IP: s.IP, UserAgent: cut(cleanText(s.UserAgent), maxUserAgent), PageURL: (&Field{From: FromPageURL}).ofPage(s)},
	}
	if answer.Kind == True {
		e.Kind = ConsentGiven
		s.consent, s.consentText = e, text
	}
	return e
}

// maxUserAgent is how much of a user agent the consent log keeps, in UTF-16 code units.
const maxUserAgent = 500

// ofConsentOrPage is what a field holds that the consent or the page fills in.
func (f *Field) ofConsentOrPage(s *Submission) string {
	switch f.From {
	case FromConsentVersion, FromConsentText, FromConsentAt:
		return f.ofConsent(s)
	}
	return f.ofPage(s)
}

// ofConsent is what a field of the consent holds: nothing unless it was given.
func (f *Field) ofConsent(s *Submission) string {
	if s.consent == nil {
		return ""
	}
	switch f.From {
	case FromConsentVersion:
		return s.consent.Version
	case FromConsentText:
		return s.consentText
	}
	return s.consent.At.UTC().Format("2006-01-02T15:04:05Z")
}

// ConsentColumn is the column of the field by which a person agrees; "" when the form asks for no consent.
func (f *Form) ConsentColumn() string {
	if f.Consent == nil {
		return ""
	}
	return f.Fields[f.Consent.Field].Column
}

// Withdraws says whether a rule takes a consent back: it sets its column to false.
func (f *Form) Withdraws(r *EventRule) bool {
	return f.Consent != nil && strings.EqualFold(r.Column, f.ConsentColumn()) && string(r.Value) == "false"
}

// withdrawnEvent is the type of the events that Onramp makes of a withdrawal that came otherwise.
const withdrawnEvent = "OnrampEvents.ConsentWithdrawn"

// TakenBack is a consent that a person takes back.
type TakenBack struct {
	Form          *Form
	SubscriberKey string
	By            string // api or page
}

// WithdrawnEvent is the event of a withdrawal: what changes rows is an event.
func WithdrawnEvent(w TakenBack, at time.Time) Event {
	body, _ := json.Marshal(map[string]any{ // of texts and a number
		"eventCategoryType": withdrawnEvent, "timestampUTC": at.UnixMilli(),
		"info": map[string]string{"subscriberKey": w.SubscriberKey, "form": w.Form.Name, "by": w.By},
	})
	identity := EventIdentity{At: at.UnixMilli(), Hash: randomHash()}
	e := ReadStoredEvent(body, identity)
	e.ReceivedAt = at
	return e
}

// IsWithdrawal says whether an event is one of WithdrawnEvent.
func (e *Event) IsWithdrawal() bool { return e.Type == withdrawnEvent }

// errConsentText says that the text of a version is another one than before.
func errConsentText(t ConsentText) error {
	of := ""
	if t.Language != "" {
		of = " in " + t.Language
	}
	return &Error{Kind: Conflict, Message: fmt.Sprintf("forms.%s.consent: the text of version %q%s has changed since people agreed to it: give the new text a new version", t.Form, t.Version, of)}
}

// CompareConsent compares a form's texts with those that the store has had before, and returns those
// that are new. The error names the form when a text has changed under the same version.
func CompareConsent(now, before []ConsentText) (fresh []ConsentText, err error) {
	for _, t := range now {
		at := slices.IndexFunc(before, func(b ConsentText) bool {
			return b.Form == t.Form && b.Version == t.Version && b.Language == t.Language
		})
		switch {
		case at < 0:
			fresh = append(fresh, t)
		case before[at].Hash != t.Hash:
			return nil, errConsentText(t)
		}
	}
	return fresh, nil
}

// unsubscribed is the type of the event that says that somebody has unsubscribed by a link in a mail.
const unsubscribed = "EngagementEvents.EmailUnsubscribe"

// randomHash tells an event apart from all others of its millisecond.
func randomHash() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return int64(binary.BigEndian.Uint64(b[:]))
}

// KeyOf is the subscriber key that an email address has in the form; ok is false when it is no address, or
// the form does not make its keys of one.
func (f *Form) KeyOf(address string) (key string, ok bool) {
	parsed, ok := email.Parse(address)
	switch {
	case !ok:
		return "", false
	case f.SubscriberKey.From == KeyUUID:
		return f.uuidOf(parsed), true
	case f.SubscriberKey.From == KeyEmail, f.Fields[f.SubscriberKey.Field].Type == Email:
		return parsed, true
	}
	return "", false
}
