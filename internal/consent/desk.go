package consent

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"onramp/internal/email"
	"onramp/internal/onramp"
)

// Store keeps what is to be confirmed.
type Store interface {
	// FindLink says what the link of a registration leads to, and which registration waits
	// behind it.
	FindLink(ctx context.Context, id string) (result onramp.ConfirmResult, waits string, err error)
	ConfirmRegistration(ctx context.Context, id string, at time.Time, values func(json.RawMessage) json.RawMessage) (onramp.ConfirmResult, error)
	// SendConfirmation asks once more, unless a limit keeps it back.
	SendConfirmation(ctx context.Context, id string, o *onramp.OptIn, reminder bool) (onramp.Limit, error)
	FindRegistration(ctx context.Context, id string) (onramp.Registration, error)
	ListReminders(ctx context.Context, forms []string, n int) ([]onramp.Registration, error)
	ExpireConfirmations(ctx context.Context) (int, error)
	// ListConfirmations tells how the confirmations of forms are doing.
	ListConfirmations(ctx context.Context, forms []string) ([]onramp.ConfirmationStatus, error)
	Withdraw(ctx context.Context, subscriber, form string, at time.Time) error
}

// Config is what the desk works with.
type Config struct {
	Store     Store
	Events    Events
	Secret    onramp.Secret           // behind links and hashes
	Forms     map[string]*onramp.Form // by name
	PublicURL string                  // that links begin with
	Now       func() time.Time        // default: time.Now
	Log       *slog.Logger
}

// Desk has registrations confirmed. It is safe for concurrent use.
type Desk struct {
	cfg  Config
	keys Keys

	status atomic.Pointer[[]onramp.ConfirmationStatus]
}

// New makes a desk for the forms of a configuration.
func New(cfg Config) *Desk {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{cfg: cfg, keys: NewKeys(cfg.Secret)}
}

// Ask says how a registration is to be confirmed; nil: its form doesn't ask for that. A nil
// desk has no such form.
func (d *Desk) Ask(r *onramp.Registration) *onramp.OptIn {
	form := d.form(r.Form)
	if form == nil {
		return nil
	}
	if r.Visitor.Address == "" { // it was accepted before the form asked for this
		r.Visitor.Address = form.FindAddress(r.Values)
	}
	return d.ask(form, r, languageOf(form, r.Visitor.Languages), r.ReceivedAt.Add(form.DoubleOptIn.ExpireAfter), r.ReceivedAt)
}

// form finds a form with double opt-in; nil: there is none.
func (d *Desk) form(name string) *onramp.Form {
	if d == nil {
		return nil
	}
	if form := d.cfg.Forms[name]; form != nil && form.DoubleOptIn != nil {
		return form
	}
	return nil
}

// ask says how a registration is to be confirmed that expires at a time.
func (d *Desk) ask(form *onramp.Form, r *onramp.Registration, language string, until, now time.Time) *onramp.OptIn {
	optIn, address, typed := form.DoubleOptIn, email.Fold(r.Visitor.Address), r.Values
	o := &onramp.OptIn{
		Person: d.keys.person("consent", form.Name, strings.ToLower(r.SubscriberKey), address), Subscriber: d.keys.Subscriber(r.SubscriberKey),
		Confirmation: optIn.Confirmation, Language: language, Until: until, LinkUntil: earlier(now.Add(optIn.LinkFor), until),
		Counters: d.keys.counters(form.Name, &r.Visitor),
		Decide:   func(counts []int64) onramp.Limit { return decide(optIn.Limits, domainOf(address), counts) },
		Values:   func(at time.Time) json.RawMessage { return form.Confirmed(typed, at, "") },
	}
	if at := now.Add(optIn.RemindAfter); optIn.RemindAfter > 0 && at.Before(until) {
		o.RemindAt = at
	}
	return o
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Look says what a link leads to, for a page, and changes nothing. form is nil unless the
// token is one of ours; expired says that the link has, while its registration may still wait.
func (d *Desk) Look(ctx context.Context, token string) (form *onramp.Form, result onramp.ConfirmResult, expired bool, err error) {
	t, form := d.read(token)
	if form == nil {
		return nil, onramp.LinkGone, false, nil
	}
	result, _, err = d.cfg.Store.FindLink(ctx, t.ID)
	if expired = !d.cfg.Now().Before(t.Expires); expired && result == onramp.LinkWaits {
		result = onramp.LinkGone
	}
	return form, result, expired, err
}

// read reads a token; the form is nil when it is not one of ours, or its form is gone.
func (d *Desk) read(token string) (Token, *onramp.Form) {
	t, err := d.keys.Parse(token)
	if err != nil {
		return t, nil
	}
	return t, d.cfg.Forms[t.Form] // also one that no longer asks: what waits may still be confirmed
}

// Confirm confirms the registration that a link is for, from an IP address. A link that was
// used before is confirmed, too; one that has expired is gone.
func (d *Desk) Confirm(ctx context.Context, token, ip string) (form *onramp.Form, result onramp.ConfirmResult, err error) {
	t, form := d.read(token)
	if form == nil {
		return nil, onramp.LinkGone, nil
	}
	now := d.cfg.Now().UTC().Truncate(time.Microsecond)
	if !now.Before(t.Expires) {
		_, result, _, err = d.Look(ctx, token)
		return form, result, err
	}
	result, err = d.cfg.Store.ConfirmRegistration(ctx, t.ID, now, func(values json.RawMessage) json.RawMessage {
		return form.Confirmed(values, now, ip)
	})
	return form, result, err
}

// SendAgain asks the person of a link once more, within the limits. Whether that was done
// it doesn't say: whoever has an old link need not learn what has become of it.
func (d *Desk) SendAgain(ctx context.Context, token, ip string) (form *onramp.Form, err error) {
	t, form := d.read(token)
	if form == nil {
		return nil, nil
	}
	result, waits, err := d.cfg.Store.FindLink(ctx, t.ID)
	if err != nil || result != onramp.LinkWaits {
		return form, err
	}
	_, err = d.Send(ctx, waits, ip)
	if e, known := asError(err); known && (e.Kind == onramp.NotFound || e.Kind == onramp.Conflict) {
		err = nil // it was confirmed or erased meanwhile
	}
	return form, err
}

// Send asks the person of a held registration once more, unless a limit keeps it back. The error is of
// kind NotFound, or Conflict when the registration doesn't wait for anybody.
func (d *Desk) Send(ctx context.Context, id, ip string) (onramp.Limit, error) {
	r, err := d.cfg.Store.FindRegistration(ctx, id)
	if err != nil {
		return onramp.Limit{}, err
	}
	form := d.form(r.Form)
	if form == nil || r.State != onramp.RegistrationHeld {
		return onramp.Limit{}, &onramp.Error{Kind: onramp.Conflict, Message: "this registration does not wait to be confirmed"}
	}
	r.Visitor.IP = ip
	return d.send(ctx, form, &r, false)
}

// send asks once more, in the language in which the person was asked before.
func (d *Desk) send(ctx context.Context, form *onramp.Form, r *onramp.Registration, reminder bool) (onramp.Limit, error) {
	now, language := d.cfg.Now(), r.Visitor.Languages
	if language == "" {
		language = languageOf(form, "")
	}
	r.Visitor.Address = form.FindAddress(r.Values)
	until := r.Hold.Until
	if until.IsZero() {
		until = now.Add(form.DoubleOptIn.ExpireAfter)
	}
	o := d.ask(form, r, language, until, now)
	o.RemindAt = time.Time{} // whoever was asked twice was reminded
	return d.cfg.Store.SendConfirmation(ctx, r.ID, o, reminder)
}

// Status tells how the confirmations of each form are doing, as of a minute ago at most.
func (d *Desk) Status() []onramp.ConfirmationStatus {
	if d == nil || d.status.Load() == nil {
		return nil
	}
	return *d.status.Load()
}

// asking are the names of the forms with double opt-in, sorted.
func (d *Desk) asking() (names []string) {
	for name := range d.cfg.Forms {
		if d.form(name) != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Withdraw notes that a subscriber has withdrawn their consent to a form; "": to all forms.
func (d *Desk) Withdraw(ctx context.Context, subscriberKey, form string, at time.Time) error {
	return d.cfg.Store.Withdraw(ctx, d.keys.Subscriber(subscriberKey), form, at)
}
