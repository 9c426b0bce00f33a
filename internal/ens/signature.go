package ens

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// signatureHeader carries the HMAC over the raw body (vendor page
// ens-notification-signing).
const signatureHeader = "X-Sfmc-Ens-Signature"

// rereadEvery is how often a signature that does not match has the keys read
// again: another node, or a setup that is running, may have stored a newer one.
const rereadEvery = 2 * time.Second

// Reload reads the keys of the signatures.
func (r *Receiver) Reload(ctx context.Context) error {
	records, err := r.cfg.Records.ListCallbackRecords(ctx)
	if err != nil {
		return fmt.Errorf("read signature keys: %w", err)
	}
	keys := map[string][]onramp.Secret{}
	for _, record := range records {
		keys[record.Name] = record.SignatureKeys
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.readAt = keys, r.cfg.Now()
	return nil
}

// checkSignature says what proves that a batch is Marketing Cloud's. Where a
// token has proved it already the signature is checked if it comes and its key is
// known; else it must be there and match.
func (r *Receiver) checkSignature(ctx context.Context, req *http.Request, c onramp.Callback, body []byte) (proof string, err error) {
	signature := req.Header.Get(signatureHeader)
	byToken := c.Auth != onramp.SignatureOnly
	if signature == "" && byToken {
		return "token", nil
	}
	if signature == "" {
		return "", r.refuse(c.Name, onramp.RefusedNoSignature, &onramp.Error{Kind: onramp.Forbidden, Message: "the batch is not signed"})
	}
	keys := r.keysOf(c.Name)
	form, matches := match(keys, body, signature)
	if !matches && r.reread(ctx) {
		keys = r.keysOf(c.Name)
		form, matches = match(keys, body, signature)
	}
	switch {
	case matches && form == sfmc.RawKey:
		return "signature with the raw key", nil
	case matches:
		return "signature", nil
	case len(keys) == 0 && byToken:
		return "token", nil // a setup may be running, which stores the key when it is done
	case len(keys) == 0:
		return "", r.refuse(c.Name, onramp.RefusedNoSignatureKey, &onramp.Error{
			Kind: onramp.Unavailable, Message: "this callback is not set up yet", RetryAfter: time.Minute,
			Err: fmt.Errorf("callback %s: its signature key is not known: run onramp ens setup", c.Name),
		})
	}
	return "", r.refuse(c.Name, onramp.RefusedWrongSignature, &onramp.Error{Kind: onramp.Forbidden, Message: "the signature does not match"})
}

func match(keys []onramp.Secret, body []byte, signature string) (sfmc.SignatureForm, bool) {
	for _, key := range keys {
		if form, ok := sfmc.VerifySignature(sfmc.Secret(key.Reveal()), body, signature); ok {
			return form, true
		}
	}
	return 0, false
}

func (r *Receiver) keysOf(callback string) []onramp.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[callback]
}

// reread reads the keys again unless that was done a moment ago.
func (r *Receiver) reread(ctx context.Context) bool {
	r.mu.Lock()
	due := r.cfg.Now().Sub(r.readAt) >= rereadEvery
	if due {
		r.readAt = r.cfg.Now() // the others need not do it too
	}
	r.mu.Unlock()
	if !due {
		return false
	}
	if err := r.Reload(ctx); err != nil {
		r.cfg.Log.ErrorContext(ctx, "signature keys could not be read", "err", err)
		return false
	}
	return true
}
