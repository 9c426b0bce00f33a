package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/wire"
)

// What a sandbox shows and takes of the Event Notification Service.
type (
	Sending      = ens.Sending
	Trigger      = ens.Trigger
	Triggered    = ens.Triggered
	Callback     = ens.Callback
	Subscription = ens.Subscription
	Delivery     = ens.Delivery
)

// The named faults of what the Event Notification Service sends; package ens says
// what each does. Match is the beginning of the path of the callback's URL, and
// Contains is a text in the event or the batch. There is no Method. Count counts
// events for FaultDuplicate, FaultSeconds and FaultStringIDs, token requests for
// FaultSlowToken, and batches for the others.
const (
	FaultDuplicate      = ens.FaultDuplicate
	FaultSeconds        = ens.FaultSeconds
	FaultStringIDs      = ens.FaultStringIDs
	FaultReorder        = ens.FaultReorder
	FaultResend         = ens.FaultResend
	FaultWrongSignature = ens.FaultWrongSignature
	FaultRawKey         = ens.FaultRawKey
	FaultNoSignature    = ens.FaultNoSignature
	FaultBareEvent      = ens.FaultBareEvent
	FaultStaleToken     = ens.FaultStaleToken
	FaultSlowToken      = ens.FaultSlowToken
)

// newENS makes the sandbox's side of the Event Notification Service.
func (s *Sandbox) newENS(cfg Config) *ens.Service {
	return ens.New(
		ens.Config{Strict: cfg.Strict, Activation: cfg.Activation, Sending: cfg.Sending, Transport: cfg.Transport, Log: s.log},
		ens.Host{
			Lock: &s.mu, Now: s.now, Fault: s.sendingFault, TokenDelay: s.tokenDelay, FindMail: s.findMail, MakeUpMail: makeUpMail,
		},
	)
}

// sendingFault uses up the first fault of a name that is for a callback and a
// body, and reports whether there is one. It needs the sandbox's mutex.
func (s *Sandbox) sendingFault(name string, now time.Time, callbackURL string, body []byte) bool {
	for _, f := range s.world.faults {
		if f.Name != name || f.over(now) || !strings.HasPrefix(pathOf(callbackURL), f.Match) || !bytes.Contains(body, []byte(f.Contains)) {
			continue
		}
		f.hit()
		return true
	}
	return false
}

// pathOf is the path of a URL, at least a slash.
func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.Path
}

// tokenDelay waits as FaultSlowToken wants, in true time, or until the context
// ends.
func (s *Sandbox) tokenDelay(ctx context.Context) {
	s.mu.Lock()
	var delay time.Duration
	now := s.now()
	for _, f := range s.world.faults {
		if f.Name == FaultSlowToken && !f.over(now) {
			f.hit()
			delay += f.delay()
		}
	}
	s.mu.Unlock()
	wait(ctx, delay)
}

// SendEvents has events happen now and be sent to the callbacks whose
// subscriptions take them. It refuses an unknown type, a send or a callback that
// does not exist, and fields that do not fit.
func (s *Sandbox) SendEvents(t Trigger) (Triggered, error) { return s.ens.Send(t) }

// controlSending answers PUT /_sandbox/ens with the settings now in use. Those
// that are left out, or zero, become what Config says.
func (s *Sandbox) controlSending(r *http.Request) (wire.Answer, error) {
	var sent *Sending
	if err := decodeControl(r, &sent); err != nil {
		return wire.Answer{}, err
	}
	if sent == nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, `want settings such as {"retries":"legacy"}; {} puts all back`}
	}
	settings, err := s.ens.SetSending(*sent)
	if err != nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, err.Error()}
	}
	return wire.JSON(http.StatusOK, settings), nil
}

// controlEvents answers POST /_sandbox/events with what was triggered.
func (s *Sandbox) controlEvents(r *http.Request) (wire.Answer, error) {
	sent, err := readTrigger(r)
	if err != nil {
		return wire.Answer{}, err
	}
	result, err := s.SendEvents(sent)
	if err != nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, err.Error()}
	}
	return wire.JSON(http.StatusAccepted, result), nil
}

// readTrigger reads a Trigger. Events that stand alone, as a list or as one, as
// they would be sent, are its Events.
func readTrigger(r *http.Request) (t Trigger, err error) {
	var body json.RawMessage
	if err := decodeControl(r, &body); err != nil {
		return t, err
	}
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && list != nil {
		t.Events = list
		return t, nil
	}
	var one map[string]json.RawMessage
	if json.Unmarshal(body, &one) == nil && one["eventCategoryType"] != nil && string(one["eventCategoryType"]) != "null" {
		t.Events = []json.RawMessage{body}
		return t, nil
	}
	if string(body) == "null" {
		return t, &controlError{http.StatusBadRequest, `want {"type":"EmailOpen"} or {"events":[…]}`}
	}
	return t, decodeStrictly(body, &t)
}
