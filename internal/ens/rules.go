package ens

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"onramp/internal/onramp"
)

const (
	ruleTogether = 500                // events that are looked at together
	ruleTrouble  = 5 * time.Second    // pause after the store could not be asked
	unjoinedLife = 8 * 24 * time.Hour // Marketing Cloud sends an event again for seven days
)

// EventReader reads the stored events in their order.
type EventReader interface {
	// Events yields a value when there may be new ones.
	Events() <-chan struct{}
	ListEventsAfter(ctx context.Context, seq int64, n int) ([]onramp.Event, error)
	// FindSend finds the event that says whom a send went to.
	FindSend(ctx context.Context, send string) (onramp.Event, bool, error)
}

// RulingStore stores what the rules have decided, and up to which event.
type RulingStore interface {
	RuledTo(ctx context.Context) (int64, error)
	// ListUnjoined lists the events that wait for their send, as Waiting gives them.
	ListUnjoined(ctx context.Context) ([]onramp.Event, error)
	SaveRuling(ctx context.Context, r onramp.Ruling) error
}

// RegistrationFinder finds whose row an event is about.
type RegistrationFinder interface {
	FindRegistration(ctx context.Context, id string) (onramp.Registration, error)
	// FindRegistrationOf finds the newest one of a subscriber that counts; nil: any does.
	FindRegistrationOf(
		ctx context.Context, subscriberKey, form string, e *onramp.Event, counts func(*onramp.Registration) bool,
	) (onramp.Registration, bool, error)
}

// RulesConfig is what the rules need.
type RulesConfig struct {
	Forms         []*onramp.Form // their destinations are registered
	Events        EventReader
	Rulings       RulingStore
	Registrations RegistrationFinder
	Log           *slog.Logger
}

// Rules follows the on_event rules of forms: it looks at every event once, joins
// it to a registration, and has the rows of that changed which the rules name.
type Rules struct {
	cfg      RulesConfig
	forms    []*onramp.Form            // that have rules
	unjoined map[string][]onramp.Event // by send; without their bodies: there may be many, for days
}

// NewRules makes the rules. They look at nothing until Run.
func NewRules(cfg RulesConfig) *Rules {
	r := &Rules{cfg: cfg, unjoined: map[string][]onramp.Event{}}
	for _, f := range cfg.Forms {
		if len(f.OnEvent) > 0 {
			r.forms = append(r.forms, f)
		}
	}
	return r
}

// Run follows the rules until ctx ends. Without any it returns at once.
func (r *Rules) Run(ctx context.Context) {
	for len(r.forms) > 0 && ctx.Err() == nil {
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		r.cfg.Log.ErrorContext(ctx, "rules could not be applied, retrying", "err", err)
		select {
		case <-time.After(ruleTrouble):
		case <-ctx.Done():
		}
	}
}

// follow begins where the store says that it ended, and goes on until something
// fails.
func (r *Rules) follow(ctx context.Context) error {
	to, err := r.cfg.Rulings.RuledTo(ctx)
	if err != nil {
		return err
	}
	waiting, err := r.cfg.Rulings.ListUnjoined(ctx)
	if err != nil {
		return err
	}
	clear(r.unjoined)
	for _, e := range waiting {
		r.unjoined[e.Send] = append(r.unjoined[e.Send], e)
	}
	if err := r.cfg.Rulings.SaveRuling(ctx, onramp.Ruling{To: to, Joined: r.stale()}); err != nil {
		return err // also a mark for a database that has never had rules
	}
	for {
		events, err := r.cfg.Events.ListEventsAfter(ctx, to, ruleTogether)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			select {
			case <-r.cfg.Events.Events():
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		ruling, err := r.judgeAll(ctx, events)
		if err == nil {
			err = r.cfg.Rulings.SaveRuling(ctx, ruling)
		}
		if err != nil {
			return err
		}
		to = ruling.To
	}
}

// stale forgets the events that have waited for their send for too long.
func (r *Rules) stale() []int64 {
	var seqs []int64
	for send, events := range r.unjoined {
		if time.Since(events[0].ReceivedAt) < unjoinedLife {
			continue
		}
		for _, e := range events {
			seqs = append(seqs, e.Seq)
		}
		delete(r.unjoined, send)
	}
	return seqs
}

func (r *Rules) judgeAll(ctx context.Context, events []onramp.Event) (onramp.Ruling, error) {
	ruling := onramp.Ruling{To: events[len(events)-1].Seq}
	for i := range events {
		e := &events[i]
		if _, known := e.Person(); known && e.Send != "" {
			for _, waited := range r.unjoined[e.Send] {
				found, err := r.cfg.Events.ListEventsAfter(ctx, waited.Seq-1, 1)
				if err != nil {
					return ruling, err
				}
				if len(found) > 0 && found[0].Seq == waited.Seq { // it may have been deleted since
					if err := r.judge(ctx, &found[0], e, &ruling); err != nil {
						return ruling, err
					}
				}
				ruling.Joined = append(ruling.Joined, waited.Seq)
			}
			delete(r.unjoined, e.Send)
		}
		if err := r.judge(ctx, e, e, &ruling); err != nil {
			return ruling, err
		}
	}
	return ruling, nil
}

// judge adds what the rules want of an event to the ruling. about says whose it
// is: the event itself, or the send that it belongs to.
func (r *Rules) judge(ctx context.Context, e, about *onramp.Event, ruling *onramp.Ruling) error {
	matching := r.matching(e)
	if len(matching) == 0 {
		return nil
	}
	if _, known := about.Person(); !known {
		if e.Send == "" {
			return nil // it is about nobody
		}
		send, known, err := r.cfg.Events.FindSend(ctx, e.Send)
		if err != nil {
			return err
		}
		if !known {
			waiting := e.Waiting()
			r.unjoined[e.Send], ruling.Unjoined = append(r.unjoined[e.Send], waiting), append(ruling.Unjoined, waiting)
			return nil
		}
		about = &send
	}
	changes := map[int]*onramp.RowChange{} // by destination
	for _, m := range matching {
		registration, found, err := r.registration(ctx, m.form.Name, e, about)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
		if found {
			err = r.change(ctx, &m, e, &registration, changes)
		}
		if err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
	}
	for _, c := range changes {
		ruling.Changes = append(ruling.Changes, *c)
	}
	return nil
}

// registration finds the registration in a form that an event is about: by the
// message that Onramp has sent, else the newest one of the subscriber.
func (r *Rules) registration(ctx context.Context, form string, e, about *onramp.Event) (onramp.Registration, bool, error) {
	key := about.SubscriberKey
	if id, ours := about.Registration(); ours {
		registration, err := r.cfg.Registrations.FindRegistration(ctx, id)
		switch {
		case onramp.IsNotFound(err): // another Onramp of the same account has sent it
			return registration, false, nil
		case err == nil && !hasRow(&registration):
			return registration, false, nil
		case err != nil || registration.Form == form:
			return registration, err == nil, err
		}
		key = registration.SubscriberKey
	}
	if key == "" {
		return onramp.Registration{}, false, nil
	}
	return r.cfg.Registrations.FindRegistrationOf(ctx, key, form, e, nil)
}

// hasRow says that a registration may have a row: an event about its confirmation must not
// make one.
func hasRow(r *onramp.Registration) bool {
	return r.State != onramp.RegistrationHeld && r.State != onramp.RegistrationErased
}

// matched is a form with those of its rules that are for an event.
type matched struct {
	form  *onramp.Form
	rules []*onramp.EventRule
}

func (r *Rules) matching(e *onramp.Event) []matched {
	var all []matched
	for _, f := range r.forms {
		m := matched{form: f}
		for i := range f.OnEvent {
			if f.OnEvent[i].Matches(e) {
				m.rules = append(m.rules, &f.OnEvent[i])
			}
		}
		if len(m.rules) > 0 {
			all = append(all, m)
		}
	}
	return all
}

// change sets the rules' columns in the rows of a registration, or, where the step was
// not for the person, in that of an earlier one: without any there is no row. Where two
// forms share a destination the first one's row is changed: it is the same person's.
func (r *Rules) change(ctx context.Context, m *matched, e *onramp.Event, registration *onramp.Registration, changes map[int]*onramp.RowChange) error {
	columns := map[string]json.RawMessage{}
	for _, rule := range m.rules {
		if _, set := columns[rule.Column]; !set { // of two rules the first one counts
			columns[rule.Column] = rule.Value
		}
	}
	values, _ := json.Marshal(columns) // the configuration was checked
	at := e.HappenedAt()
	if at.After(e.ReceivedAt) {
		at = e.ReceivedAt // no event may decide about the future
	}
	for _, d := range m.form.Route {
		if d.Kind != onramp.DataExtension || d.OnExisting == onramp.Skip || changes[d.ID] != nil {
			continue
		}
		of, found := *registration, true
		counts := func(one *onramp.Registration) bool { return m.form.Skips(d.ID, one) == "" }
		if !counts(registration) {
			var err error
			if of, found, err = r.cfg.Registrations.FindRegistrationOf(ctx, registration.SubscriberKey, m.form.Name, e, counts); err != nil {
				return err
			}
		}
		if found {
			changes[d.ID] = &onramp.RowChange{
				Event: e.Seq, RegistrationSeq: of.Seq, SubscriberKey: of.SubscriberKey, Destination: d.ID, Values: values,
				At: at, Forms: r.formsTo(d.ID),
			}
			if slices.ContainsFunc(m.rules, m.form.Withdraws) {
				changes[d.ID].Withdraws, changes[d.ID].WithdrawsBy = withdrawn(m.form, e, &of), m.form.ConsentColumn()
			}
		}
	}
	return nil
}

// withdrawn is the entry of a consent that an event takes back.
func withdrawn(f *onramp.Form, e *onramp.Event, of *onramp.Registration) *onramp.ConsentEntry {
	return &onramp.ConsentEntry{
		At: e.ReceivedAt, Kind: onramp.ConsentWithdrawn, Form: f.Name, Version: f.Consent.Version, Registration: of.ID, By: "event", Event: e.ID,
		ConsentPerson: onramp.ConsentPerson{SubscriberKey: of.SubscriberKey},
	}
}

// formsTo names the forms that write a destination.
func (r *Rules) formsTo(destination int) []string {
	var names []string
	for _, f := range r.cfg.Forms {
		if slices.ContainsFunc(f.Route, func(d onramp.Destination) bool { return d.ID == destination }) {
			names = append(names, f.Name)
		}
	}
	return names
}
