package ens

import (
	"encoding/base64"
	"strconv"
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

// IsFault reports whether a name is that of a fault of what is sent.
func IsFault(name string) bool {
	switch name {
	case FaultDuplicate, FaultSeconds, FaultStringIDs, FaultReorder, FaultResend, FaultWrongSignature, FaultRawKey,
		FaultNoSignature, FaultBareEvent, FaultStaleToken, FaultSlowToken:
		return true
	}
	return false
}

// reorderDelay is how long FaultReorder holds a batch back.
const reorderDelay = time.Second

// altered is the body of an event for a callback: the one given, or another one
// when faults want it. It needs the host's lock.
func (w *world) altered(e *event, body []byte, callbackURL string) []byte {
	if e.raw != nil {
		return body
	}
	values := map[string]any{}
	if w.host.Fault(FaultSeconds, e.at, callbackURL, body) {
		values["timestampUTC"] = e.at.Unix()
	}
	if e.fields.get("mid") != nil && w.host.Fault(FaultStringIDs, e.at, callbackURL, body) {
		member := strconv.Itoa(e.member)
		values["mid"], values["eid"] = member, member
	}
	if len(values) == 0 {
		return body
	}
	return appendJSON(nil, e.fields.merge(values))
}

// signature signs a batch as the settings and the faults want; "" when it is not
// to be signed. It needs the host's lock.
func (w *world) signature(cb *callback, now time.Time, body []byte) string {
	key, raw := cb.signatureKey, w.sender.settings.Key == KeyRaw
	switch {
	case w.host.Fault(FaultNoSignature, now, cb.url, body):
		return ""
	case w.host.Fault(FaultWrongSignature, now, cb.url, body):
		key = base64.StdEncoding.EncodeToString([]byte("this is the key of another one.."))
	case w.host.Fault(FaultRawKey, now, cb.url, body):
		raw = true
	}
	return Sign(key, raw, body)
}
