package sandbox

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The named faults of what the Event Notification Service sends. Match is the
// beginning of the path of the callback's URL, and Contains is a text in the
// event or the batch. There is no Method. Count counts events for the first
// three, token requests for FaultSlowToken, and batches for the others.
const (
	// FaultDuplicate sends events twice: by turns in one batch and in a later one.
	FaultDuplicate = "ens_duplicate"
	// FaultSeconds writes timestampUTC in seconds.
	FaultSeconds = "ens_seconds"
	// FaultStringIDs writes mid and eid as strings.
	FaultStringIDs = "ens_string_ids"
	// FaultReorder turns a batch's events round, and holds every other batch that
	// it hits back for a second, so that later ones overtake it.
	FaultReorder = "ens_reorder"
	// FaultResend sends a whole batch once more after the callback has taken it.
	FaultResend = "ens_resend"
	// FaultWrongSignature signs with another key.
	FaultWrongSignature = "ens_wrong_signature"
	// FaultRawKey signs with the text of the key, without decoding it.
	FaultRawKey = "ens_raw_key"
	// FaultNoSignature leaves the signature out.
	FaultNoSignature = "ens_no_signature"
	// FaultBareEvent sends single events that are in no array.
	FaultBareEvent = "ens_bare_event"
	// FaultStaleToken sends a token that does not work with the first request of
	// a batch. Callbacks without a scheme have none.
	FaultStaleToken = "ens_stale_token"
	// FaultSlowToken waits DelayMS before each token request, within its limit, as
	// though the authorization server were slow. It has no Match and no Contains.
	FaultSlowToken = "ens_slow_token"
)

// outgoing tells whether a fault is one of the events that are sent.
func (f Fault) outgoing() bool {
	switch f.Name {
	case FaultDuplicate, FaultSeconds, FaultStringIDs, FaultReorder, FaultResend, FaultWrongSignature, FaultRawKey,
		FaultNoSignature, FaultBareEvent, FaultStaleToken, FaultSlowToken:
		return true
	}
	return false
}

// reorderDelay is how long FaultReorder holds a batch back.
const reorderDelay = time.Second

// outgoingFault uses up the first fault of a name that is for a callback and a
// body, and tells whether there is one. It needs the sandbox's mutex.
func (w *world) outgoingFault(name string, now time.Time, callbackURL string, body []byte) bool {
	for _, f := range w.faults {
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

// spoilEvent does to an event what the faults want. It needs the sandbox's
// mutex.
func (w *world) spoilEvent(e *event, now time.Time, callbackURL string) *event {
	if e.raw != nil || len(w.faults) == 0 {
		return e
	}
	values := map[string]any{}
	if w.outgoingFault(FaultSeconds, now, callbackURL, e.body()) {
		values["timestampUTC"] = e.at.Unix()
	}
	if e.fields.get("mid") != nil && w.outgoingFault(FaultStringIDs, now, callbackURL, e.body()) {
		member := strconv.Itoa(memberNumber)
		values["mid"], values["eid"] = member, member
	}
	if len(values) == 0 {
		return e
	}
	spoiled := *e
	spoiled.fields = e.fields.merge(values)
	return &spoiled
}

// signature signs a batch as the settings and the faults want; "" when it is not
// to be signed. It needs the sandbox's mutex.
func (w *world) signature(cb *callback, now time.Time, body []byte) string {
	key, raw := cb.signatureKey, w.sender.settings.Key == KeyRaw
	switch {
	case w.outgoingFault(FaultNoSignature, now, cb.url, body):
		return ""
	case w.outgoingFault(FaultWrongSignature, now, cb.url, body):
		key = base64.StdEncoding.EncodeToString([]byte("this is the key of another one.."))
	case w.outgoingFault(FaultRawKey, now, cb.url, body):
		raw = true
	}
	return sign(key, raw, body)
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
