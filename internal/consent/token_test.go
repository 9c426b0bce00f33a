package consent_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/consent"
	"onramp/internal/onramp"
)

var (
	keys  = consent.NewKeys("a secret of the tests")
	begin = time.Date(2026, 6, 23, 12, 0, 0, 0, time.UTC)
)

// A token says again what it was made of, is short and fit for a URL, and nothing that was
// changed in it, or made with another secret, is believed.
func TestToken(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"a", "newsletter", strings.Repeat("x", 63)} {
		token := consent.Token{Form: form, ID: onramp.NewID(begin), Expires: begin.Add(72 * time.Hour)}
		text := keys.Sign(token)
		if got, err := keys.Parse(text); err != nil || got != token {
			t.Error(got, err)
		}
		if len(text) > 200 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			t.Error("not fit for a URL:", text)
		}
		if got, err := consent.NewKeys("another secret").Parse(text); !errors.Is(err, consent.ErrForged) || got != (consent.Token{}) {
			t.Error("another secret:", got, err)
		}
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for at := range b {
			changed := append([]byte(nil), b...)
			changed[at] ^= 1
			if _, err := keys.Parse(base64.RawURLEncoding.EncodeToString(changed)); !errors.Is(err, consent.ErrForged) {
				t.Error("changed at", at, err)
			}
		}
	}
	for _, text := range []string{"", "x", "====", strings.Repeat("A", 1<<16), keys.Sign(consent.Token{Form: "a", ID: onramp.NewID(begin)}) + "\n"} {
		if _, err := keys.Parse(text); !errors.Is(err, consent.ErrForged) {
			t.Error(len(text), err)
		}
	}
}

// Whatever a stranger sends is either forged or says exactly itself.
func FuzzToken(f *testing.F) {
	f.Add(keys.Sign(consent.Token{Form: "newsletter", ID: onramp.NewID(begin), Expires: begin}))
	f.Add("AQEAaMB4cA")
	f.Add(keys.Sign(consent.Token{Form: "newsletter", ID: onramp.NewID(begin), Expires: begin}) + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := keys.Parse(text)
		if err != nil {
			if token != (consent.Token{}) {
				t.Error("a forged token says something")
			}
			return
		}
		if diff := cmp.Diff(text, keys.Sign(token)); diff != "" {
			t.Error(diff)
		}
	})
}
