package operator

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"onramp/internal/chain"
	"onramp/internal/onramp"
)

// Consents keeps what people have agreed to.
type Consents interface {
	// WithdrawConsent takes back a consent, or returns an error of kind NotFound.
	WithdrawConsent(ctx context.Context, w onramp.TakenBack) (onramp.ConsentEntry, error)
	// ListConsents lists the entries of a person, oldest first.
	ListConsents(ctx context.Context, subscriberKey string) ([]onramp.ConsentEntry, error)
	// ListConsentTexts lists the texts of all versions.
	ListConsentTexts(ctx context.Context) ([]onramp.ConsentText, error)
	// ChainKeys are the keys that sign, the one in use last; none: nothing can be signed.
	ChainKeys() []chain.Key
}

// Person names a person: by one of the two.
type Person struct {
	Email         string `json:"email,omitempty"`
	SubscriberKey string `json:"subscriber_key,omitempty"`
}

// Withdraw says whose consent is taken back.
type Withdraw struct {
	Person
	Form string `json:"form,omitempty"` // ""; all forms that ask for consent, and with which the person has registered
}

// Consent is an entry of the consent log.
type Consent struct {
	Number        int64     `json:"number"`
	Hash          string    `json:"hash"`
	At            time.Time `json:"at"`
	Kind          string    `json:"kind"` // given, confirmed, withdrawn or restricted
	Form          string    `json:"form"`
	Version       string    `json:"version,omitempty"`
	TextHash      string    `json:"text_hash,omitempty"`
	Language      string    `json:"language,omitempty"`
	Registration  string    `json:"registration,omitempty"`
	By            string    `json:"by"` // form, api, event or page
	Event         string    `json:"event,omitempty"`
	SubscriberKey string    `json:"subscriber_key,omitempty"`
	IP            string    `json:"ip,omitempty"`
	UserAgent     string    `json:"user_agent,omitempty"`
	PageURL       string    `json:"page_url,omitempty"`
	Erased        bool      `json:"erased,omitempty"` // what is personal is gone
}

// Withdrawn lists the entries of a withdrawal.
type Withdrawn struct {
	Items []Consent `json:"items"`
}

func (w Withdrawn) changed() int64 { return int64(len(w.Items)) }

var (
	errNoConsents = &onramp.Error{Kind: onramp.Unavailable, Message: "this gateway keeps no consents"}
	errOnePerson  = invalidField("email", "or subscriber_key is required", "name the person by email or by subscriber_key, and not by both")
	errNoKeyOf    = invalidField("email", "can't be used with this form", "the subscriber key of this form is not made from the email address: name the person by subscriber_key")
)

func viewConsent(c *onramp.ConsentEntry) Consent {
	return Consent{
		Number: c.Number, Hash: c.Hash, At: c.At, Kind: string(c.Kind), Form: c.Form, Version: c.Version, TextHash: c.TextHash, Language: c.Language,
		Registration: c.Registration, By: c.By, Event: c.Event, SubscriberKey: c.SubscriberKey, IP: c.IP, UserAgent: c.UserAgent, PageURL: c.PageURL, Erased: c.Erased,
	}
}

// WithdrawConsent takes back a person's consent for a form, or for all: an entry in the consent log, and
// the form's consent column becomes false in the person's rows. The error is of kind Invalid, or NotFound
// when the person has registered with none.
func (d *Desk) WithdrawConsent(ctx context.Context, w Withdraw) (Withdrawn, error) {
	return audited(ctx, d, change{what: "consent.withdraw", role: onramp.RolePrivacy, object: w.Form}, func(ctx context.Context) (Withdrawn, error) {
		return d.withdrawConsent(ctx, w)
	})
}

func (d *Desk) withdrawConsent(ctx context.Context, w Withdraw) (done Withdrawn, err error) {
	forms, err := d.consentForms(w.Form)
	if err != nil {
		return done, err
	}
	var none error
	for _, form := range forms {
		key, err := w.keyFor(form)
		if err != nil {
			return done, err
		}
		entry, err := d.Consents.WithdrawConsent(ctx, onramp.TakenBack{Form: form, SubscriberKey: key, By: "api"})
		switch {
		case onramp.IsNotFound(err):
			none = err
		case err != nil:
			return done, err
		default:
			done.Items = append(done.Items, viewConsent(&entry))
		}
	}
	if len(done.Items) == 0 {
		return done, none
	}
	return done, nil
}

// consentForms are the forms that ask for consent, or the one that is named.
func (d *Desk) consentForms(name string) ([]*onramp.Form, error) {
	if d.Consents == nil {
		return nil, errNoConsents
	}
	var names []string
	for _, f := range d.Forms {
		if f.Consent != nil && (name == "" || f.Name == name) {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return nil, invalidField("form", "has no consent", "no form of this name asks for consent: see forms.NAME.consent of the configuration")
	}
	slices.Sort(names)
	forms := make([]*onramp.Form, len(names))
	for i := range names {
		forms[i] = d.Forms[names[i]]
	}
	return forms, nil
}

// keyFor is the subscriber key that a person has in a form.
func (p Person) keyFor(form *onramp.Form) (string, error) {
	switch {
	case (p.Email == "") == (p.SubscriberKey == ""):
		return "", errOnePerson
	case p.SubscriberKey != "":
		return p.SubscriberKey, nil
	}
	key, ok := form.KeyOf(strings.TrimSpace(p.Email))
	if !ok {
		return "", errNoKeyOf
	}
	return key, nil
}

// ConsentExport is what a person has agreed to, signed.
type ConsentExport struct {
	Export    json.RawMessage `json:"export"`    // a ConsentDocument
	Signature string          `json:"signature"` // JWS (RFC 7515, appendix F: detached) over the export without white space; EdDSA
}

// ConsentDocument is what is signed.
type ConsentDocument struct {
	SubscriberKeys []string             `json:"subscriber_keys"`
	ExportedAt     time.Time            `json:"exported_at"`
	Entries        []Consent            `json:"entries"`
	Texts          []onramp.ConsentText `json:"texts"` // those that the entries name
}

var errUnsigned = &onramp.Error{Kind: onramp.Conflict, Message: "an export is signed, and this gateway has no key: set encryption_key"}

// ExportConsent exports what the consent log has of a person, with the texts, signed.
func (d *Desk) ExportConsent(ctx context.Context, p Person) (ConsentExport, error) {
	return audited(ctx, d, change{what: "consent.export", role: onramp.RolePrivacy}, func(ctx context.Context) (ConsentExport, error) {
		return d.exportConsent(ctx, p)
	})
}

func (d *Desk) exportConsent(ctx context.Context, p Person) (ConsentExport, error) {
	if d.Consents == nil {
		return ConsentExport{}, errNoConsents
	}
	keys := d.Consents.ChainKeys()
	if len(keys) == 0 {
		return ConsentExport{}, errUnsigned
	}
	subscriberKeys, err := d.keysOf(p)
	if err != nil {
		return ConsentExport{}, err
	}
	document := ConsentDocument{SubscriberKeys: subscriberKeys, ExportedAt: time.Now().UTC().Truncate(time.Second), Entries: []Consent{}, Texts: []onramp.ConsentText{}}
	for _, key := range subscriberKeys {
		found, err := d.Consents.ListConsents(ctx, key)
		if err != nil {
			return ConsentExport{}, err
		}
		for i := range found {
			document.Entries = append(document.Entries, viewConsent(&found[i]))
		}
	}
	texts, err := d.Consents.ListConsentTexts(ctx)
	if err != nil {
		return ConsentExport{}, err
	}
	for _, t := range texts {
		if slices.ContainsFunc(document.Entries, func(c Consent) bool { return c.Form == t.Form && c.TextHash == t.Hash }) {
			document.Texts = append(document.Texts, t)
		}
	}
	raw, err := json.Marshal(document)
	if err != nil {
		return ConsentExport{}, err
	}
	return ConsentExport{Export: raw, Signature: keys[len(keys)-1].SignDetached(raw)}, nil
}

// keysOf are the subscriber keys that a person has, by the forms that ask for consent.
func (d *Desk) keysOf(p Person) ([]string, error) {
	if (p.Email == "") == (p.SubscriberKey == "") {
		return nil, errOnePerson
	}
	if p.SubscriberKey != "" {
		return []string{p.SubscriberKey}, nil
	}
	forms, err := d.consentForms("")
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, f := range forms {
		if key, err := p.keyFor(f); err == nil && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeyOf
	}
	return keys, nil
}

// Checked is whether an export is genuine.
type Checked struct {
	Genuine bool   `json:"genuine"`
	Key     string `json:"key,omitempty"` // id of the key that has signed it
}

// CheckExport says whether an export was signed by this gateway and not changed since.
func (d *Desk) CheckExport(_ context.Context, e ConsentExport) (Checked, error) {
	if d.Consents == nil {
		return Checked{}, errNoConsents
	}
	for _, key := range d.Consents.ChainKeys() {
		if key.IsDetached(e.Export, e.Signature) {
			return Checked{Genuine: true, Key: key.ID}, nil
		}
	}
	return Checked{}, nil
}

// VerifyConsent verifies the consent log.
func (d *Desk) VerifyConsent(ctx context.Context, kept Anchors) (chain.Report, error) {
	return d.verify(ctx, chain.Consent, kept)
}
