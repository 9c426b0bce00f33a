package ens

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/wire"
)

// maxTrigger is the most events in one trigger.
const maxTrigger = 100_000

// Trigger asks for events to be sent now, whatever Sending.EventsAfterMS says.
type Trigger struct {
	// Type is a type of the Event Notification Service, such as
	// "EngagementEvents.EmailOpen", or without its category, in any case. It is
	// required unless there are Events.
	Type string `json:"type,omitempty"`
	// MessageKey, ContactKey and To choose the newest send that fits all that are
	// given, for events about mails. Without them it is the newest send. When there
	// is none it is made up, but not to be opened, clicked or unsubscribed from by
	// somebody who was named. Events that are not about mails take them as they are.
	MessageKey string `json:"message_key,omitempty"`
	ContactKey string `json:"contact_key,omitempty"`
	To         string `json:"to,omitempty"`
	// Count is how many events, each a millisecond after the one before: 1 when it
	// is 0, and at most 100,000.
	Count int `json:"count,omitempty"`
	// Callback is the name or the id of the only callback to send to; "" is all.
	Callback string `json:"callback,omitempty"`
	// Fields are laid over each event; objects are merged, and "info.reason"
	// reaches into info.
	Fields map[string]json.RawMessage `json:"fields,omitempty"`
	// Events are events, JSON objects, that are sent exactly as they are. One of a
	// type that is not known goes to every active subscription. With them nothing
	// else but Callback is given.
	Events []json.RawMessage `json:"events,omitempty"`
}

// Triggered is the result of a Trigger.
type Triggered struct {
	// Queued counts the events that at least one subscription takes.
	Queued int `json:"queued"`
	// Subscriptions counts the subscriptions that they are sent for, one for each
	// callback and event.
	Subscriptions int `json:"subscriptions"`
	// Message says in words what happens, or why nothing does.
	Message string `json:"message"`
}

// Send has events happen now and be sent to the callbacks whose
// subscriptions take them. It refuses an unknown type, a send or a callback that
// does not exist, and fields that do not fit.
func (s *Service) Send(t Trigger) (Triggered, error) {
	if err := t.check(); err != nil {
		return Triggered{}, err
	}
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	w := s.world
	only, err := w.callbackNamed(t.Callback)
	if err != nil {
		return Triggered{}, err
	}
	now := s.host.Now()
	list, err := w.triggered(t, now)
	if err != nil {
		return Triggered{}, err
	}
	queued := 0
	takenBy := map[*subscription]bool{}
	for _, e := range list {
		takers := w.publish(e, only)
		if len(takers) > 0 {
			queued++
		}
		for _, sub := range takers {
			takenBy[sub] = true
		}
	}
	s.step(now)
	result := Triggered{Queued: queued, Subscriptions: len(takenBy)}
	result.Message = w.explain(list, result, only, now)
	return result, nil
}

// check returns what is wrong with a trigger by itself: all of it at once.
func (t Trigger) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(t.Count < 0 || t.Count > maxTrigger, "count %d is not in 1 to %d", t.Count, maxTrigger)
	bad(len(t.Events) > maxTrigger, "%d events; the most is %d", len(t.Events), maxTrigger)
	if t.Events != nil {
		bad(len(t.Events) == 0, "events is empty")
		bad(t.Type != "" || t.MessageKey != "" || t.ContactKey != "" || t.To != "" || t.Count != 0 || t.Fields != nil,
			"events are sent as they are: only callback goes with them")
		for i, text := range t.Events {
			_, ok := decodeObject(text)
			bad(!ok, "event %d is no JSON object", i+1)
		}
		return errors.Join(errs...)
	}
	_, known := findEventKind(t.Type)
	bad(t.Type == "", `want a type, such as "EngagementEvents.EmailOpen", or events`)
	bad(t.Type != "" && !known, "unknown type %q: want one such as \"EngagementEvents.EmailOpen\" or \"EmailOpen\"", t.Type)
	if _, err := t.fields(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// fields are the Fields as values, those of info and composite in objects.
func (t Trigger) fields() (map[string]any, error) {
	values := map[string]any{}
	inner := map[string]any{}
	for name, text := range t.Fields {
		wrapped, ok := decodeObject(slices.Concat([]byte(`{"v":`), text, []byte("}")))
		if !ok {
			return nil, fmt.Errorf("field %q is no JSON", name)
		}
		if outer, rest, dotted := strings.Cut(name, "."); dotted && (outer == "info" || outer == "composite") {
			object, _ := inner[outer].(map[string]any)
			if object == nil {
				object = map[string]any{}
				inner[outer] = object
			}
			object[rest] = wrapped["v"]
			continue
		}
		values[name] = wrapped["v"]
	}
	for outer, dotted := range inner {
		object, ok := values[outer].(map[string]any)
		if values[outer] != nil && !ok {
			return nil, fmt.Errorf("field %q is no object, but fields in it are given", outer)
		}
		if object == nil {
			values[outer] = dotted
			continue
		}
		for name, v := range dotted.(map[string]any) {
			object[name] = v
		}
	}
	return values, nil
}

// callbackNamed is the id of the callback with a name or an id; "" for "".
func (w *world) callbackNamed(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	for _, cb := range w.callbacks {
		if cb.id == name || cb.name == name {
			return cb.id, nil
		}
	}
	return "", fmt.Errorf("there is no callback with the name or the id %q", name)
}

// triggered makes the events of a trigger that was checked. It needs the
// host's lock.
func (w *world) triggered(t Trigger, now time.Time) ([]*event, error) {
	if t.Events != nil {
		list := make([]*event, len(t.Events))
		for i, text := range t.Events {
			values, _ := decodeObject(text)
			list[i] = &event{at: now, raw: text, fields: objectOf(values)}
			list[i].kind, _ = list[i].text("eventCategoryType")
		}
		return list, nil
	}
	kind, _ := findEventKind(t.Type)
	values, err := t.fields()
	if err != nil {
		return nil, err
	}
	sent, found := Mail{}, false
	if kind.aboutMail() {
		sent, found = w.host.FindMail(t)
		// a send can be another system's; what somebody did with a mail needs the mail
		if !found && !kind.isSend() && t.MessageKey+t.ContactKey+t.To != "" {
			return nil, errors.New("no message was sent, and no contact has entered a journey, with this message_key, contact_key and to")
		}
	}
	list := make([]*event, max(t.Count, 1))
	for i := range list {
		m := sent
		if !found {
			m = w.host.MakeUpMail(t, w.sender.made+i+1, now)
		}
		e := kind.event(m, now.Add(time.Duration(i)*time.Millisecond))
		e.at = now // the last of many does not happen in the future
		e.fields = e.fields.merge(values)
		e.kind, _ = e.text("eventCategoryType")
		list[i] = e
	}
	return list, nil
}

// explain says in words what happens to the events of a trigger.
func (w *world) explain(list []*event, result Triggered, only string, now time.Time) string {
	switch queued := result.Queued; {
	case queued == 0:
		return "nothing is sent: " + w.explainNothing(list, only, now)
	case queued < len(list):
		return fmt.Sprintf("%d of %d events are on their way; no subscription takes the others", queued, len(list))
	case queued == 1:
		return "the event is on its way"
	default:
		return fmt.Sprintf("%d events are on their way", queued)
	}
}

// explainNothing says why no callback gets any of the events.
func (w *world) explainNothing(list []*event, only string, now time.Time) string {
	var verified, subscribed, soon []string
	for _, cb := range w.callbacks {
		if only != "" && cb.id != only {
			continue
		}
		if cb.verified {
			verified = append(verified, cb.name)
		}
		for _, sub := range w.subscriptionsOf(cb.id) {
			subscribed = append(subscribed, sub.name)
			if sub.status == subscriptionActive && now.Before(sub.activeFrom) && slices.ContainsFunc(list, func(e *event) bool { return slices.Contains(sub.types, e.kind) }) {
				soon = append(soon, fmt.Sprintf("the subscription %q becomes active only at %s", sub.name, sub.activeFrom.UTC().Format(wire.TimeLayout)))
			}
		}
	}
	switch {
	case len(soon) > 0:
		return strings.Join(soon, "; ")
	case len(w.callbacks) == 0:
		return "there is no callback"
	case len(verified) == 0:
		return "no callback is verified"
	case len(subscribed) == 0:
		return "nobody is subscribed"
	default:
		return "no active subscription takes such an event (" + strings.Join(subscribed, ", ") + ")"
	}
}
