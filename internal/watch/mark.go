package watch

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"onramp/internal/onramp"
)

// A mark makes a registration a canary: it stands in what is submitted, differs each time,
// and nobody else can make one. So a canary is known wherever its values are, after a
// restart and years later, and no table has to say so.
const (
	markPrefix = "canary"
	markRandom = 8 // letters
	markProof  = 12
)

var markLetters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newSecret() []byte {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// newMark makes a mark, of small letters and digits.
func newMark(secret []byte) string {
	random := make([]byte, markRandom)
	_, _ = rand.Read(random)
	letters := markLetters.EncodeToString(random)[:markRandom]
	return markPrefix + letters + proof(secret, letters)
}

func proof(secret []byte, letters string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(letters))
	return markLetters.EncodeToString(mac.Sum(nil))[:markProof]
}

// hasMark says whether a mark stands in values.
func hasMark(secret, values []byte) bool {
	for {
		at := bytes.Index(values, []byte(markPrefix))
		if at < 0 {
			return false
		}
		values = values[at+len(markPrefix):]
		if len(values) < markRandom+markProof {
			return false
		}
		letters, rest := string(values[:markRandom]), values[markRandom:markRandom+markProof]
		if hmac.Equal(rest, []byte(proof(secret, letters))) {
			return true
		}
	}
}

// Skips says why a delivery is not sent: journeys and messages would mail a canary's
// address, which is nobody's, unless the operator has given one. "": it is sent.
func (w *Watch) Skips(d *onramp.Delivery) string {
	if kind := onramp.KindOf(d.Destination); kind != onramp.Journey && kind != onramp.Message || !bytes.Contains(d.Values, []byte(markPrefix)) {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	mailed := w.cfg.mails() && !bytes.Contains(d.Values, []byte(nobody[strings.IndexByte(nobody, '@'):]))
	if mailed || !hasMark(w.state.Secret, d.Values) {
		return ""
	}
	return "it is a canary, and nobody's address: set watch.canary_email to have it mailed"
}

// IsCanary says whether the values of a registration are those of a canary.
func (w *Watch) IsCanary(values []byte) bool {
	if !bytes.Contains(values, []byte(markPrefix)) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return hasMark(w.state.Secret, values)
}

// isCanary says whether a delivery brings a canary.
func (w *Watch) isCanary(d *onramp.Delivery) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return hasMark(w.state.Secret, d.Values)
}

// mails says whether canaries go to journeys and messages: only where what becomes of the
// mail comes back.
func (c *Config) mails() bool { return c.Canary.Email != "" && c.Events }

const nobody = "onramp@example.com" // reserved by RFC 2606

// address is where the mail of a canary goes.
func (c *Canary) address(mark string) string {
	base := cmp.Or(c.Email, nobody)
	at := strings.LastIndexByte(base, '@')
	return base[:at] + "+" + mark + base[at:]
}
