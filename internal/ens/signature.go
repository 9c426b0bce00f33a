package ens

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
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
	signed, err := r.cfg.Records.ListSignedWith(ctx)
	if err != nil {
		return fmt.Errorf("read how callbacks are signed: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.signed, r.readAt = keys, signed, r.cfg.Now()
	return nil
}

// byToken is the proof of a batch without a signature that could be checked.
const byToken = "token"

// checkSignature says what proves that a batch is Marketing Cloud's. A signature must
// match where its key is known. Where a token has proved the batch already, it can do
// without one, see allowsUnsigned.
func (r *Receiver) checkSignature(ctx context.Context, req *http.Request, c onramp.Callback, body []byte) (proof string, err error) {
	signature := req.Header.Get(signatureHeader)
	if signature == "" {
		if r.allowsUnsigned(ctx, c) {
			return byToken, nil
		}
		return "", r.refuse(c.Name, onramp.RefusedNoSignature, &onramp.Error{Kind: onramp.Forbidden, Message: "the batch is not signed"})
	}
	keys := r.keysOf(c.Name)
	key, form := match(keys, body, signature)
	if key == "" && r.reread(ctx) {
		keys = r.keysOf(c.Name)
		key, form = match(keys, body, signature)
	}
	switch {
	case key != "":
		r.noteSigned(ctx, c, key)
		if form == sfmc.RawKey {
			return "signature with the raw key", nil
		}
		return "signature", nil
	case len(keys) == 0 && r.allowsUnsigned(ctx, c):
		return byToken, nil // a setup may be running, which stores the key when it is done
	case len(keys) == 0:
		return "", r.refuse(c.Name, onramp.RefusedNoSignatureKey, &onramp.Error{
			Kind: onramp.Unavailable, Message: "this callback is not set up yet", RetryAfter: time.Minute,
			Err: fmt.Errorf("callback %s: its signature key is not known: run onramp ens setup", c.Name),
		})
	}
	return "", r.refuse(c.Name, onramp.RefusedWrongSignature, &onramp.Error{Kind: onramp.Forbidden, Message: "the signature does not match"})
}

// allowsUnsigned says whether a token alone proves a batch. Unless the configuration
// decides, that ends with the first batch that has both: then Marketing Cloud signs
// this callback's batches, and what has no signature is somebody else's. It begins
// again with another signature key or another way to authenticate, since nobody knows
// what Marketing Cloud does then.
func (r *Receiver) allowsUnsigned(ctx context.Context, c onramp.Callback) bool {
	switch {
	case c.Auth == onramp.SignatureOnly || c.Unsigned == onramp.RefuseUnsigned:
		return false
	case c.Unsigned == onramp.AllowUnsigned:
		return true
	}
	r.reread(ctx) // another node may have got one
	return !r.isSigned(c)
}

func (r *Receiver) isSigned(c onramp.Callback) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.keys[c.Name], func(key onramp.Secret) bool { return keyDigest(c, key) == r.signed[c.Name] })
}

// noteSigned keeps that a batch with a token was signed, too. A batch is none the
// worse if that fails: the next one notes it.
func (r *Receiver) noteSigned(ctx context.Context, c onramp.Callback, key onramp.Secret) {
	if c.Auth == onramp.SignatureOnly || r.isSigned(c) {
		return
	}
	digest := keyDigest(c, key)
	if err := r.cfg.Records.SaveSignedWith(ctx, c.Name, digest); err != nil {
		r.cfg.Log.WarnContext(ctx, "it could not be saved that batches are signed", "callback", c.Name, "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signed[c.Name] = digest
}

// keyDigest stands for a signature key and the way to authenticate beside it.
func keyDigest(c onramp.Callback, key onramp.Secret) string {
	sum := sha256.Sum256([]byte(c.Auth.String() + " " + key.Reveal()))
	return hex.EncodeToString(sum[:16])
}

// match finds the key that a signature was made with; "" when it is none of them.
func match(keys []onramp.Secret, body []byte, signature string) (onramp.Secret, sfmc.SignatureForm) {
	for _, key := range keys {
		if form, ok := sfmc.VerifySignature(sfmc.Secret(key.Reveal()), body, signature); ok {
			return key, form
		}
	}
	return "", 0
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
