package ens

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"onramp/internal/onramp"
)

// readProbe tells a probe, by which Marketing Cloud asks whether the callback is
// ours, from a batch: it is an object with exactly an id and a key, and is never signed
// (vendor page "Create Callback").
func readProbe(body []byte) (p onramp.Probe, ok bool) {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(body) > maxProbe || !bytes.HasPrefix(trimmed, []byte("{")) {
		return p, false
	}
	var sent struct {
		CallbackID      *string `json:"callbackId"`
		VerificationKey *string `json:"verificationKey"`
		EventType       *string `json:"eventCategoryType"`
	}
	if json.Unmarshal(body, &sent) != nil || sent.CallbackID == nil || sent.VerificationKey == nil || sent.EventType != nil {
		return p, false
	}
	p.CallbackID, p.VerificationKey = *sent.CallbackID, onramp.Secret(*sent.VerificationKey)
	return p, p.CallbackID != "" && p.VerificationKey != ""
}

// maxProbe is the largest probe, in bytes: what is larger is none.
const maxProbe = 4 << 10

// takeProbe keeps the key, which only the owner of the URL gets to see, and
// answers with exactly 200, as the probe wants. The callback's id is not known
// here yet: the answer to its creation follows the probe.
func (r *Receiver) takeProbe(ctx context.Context, w http.ResponseWriter, callback string, p onramp.Probe) error {
	p.Callback, p.ReceivedAt = callback, r.cfg.Now().UTC()
	if err := r.cfg.Events.SaveProbe(ctx, p); err != nil {
		return r.refuse(callback, onramp.RefusedNotStored, busy(err))
	}
	r.take(callback, "probe")
	w.WriteHeader(http.StatusOK)
	return nil
}
