package keyset_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"onramp/internal/keyset"
	"onramp/internal/onramp"
)

const about = "kept/callback/events"

// open makes a keyset and opens it.
func open(t *testing.T) (onramp.Secret, *keyset.Keyset) {
	t.Helper()
	text, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	return text, mustOpen(t, text)
}

func mustOpen(t *testing.T, text onramp.Secret) *keyset.Keyset {
	t.Helper()
	k, err := keyset.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func encrypt(t *testing.T, k *keyset.Keyset, plain string) string {
	t.Helper()
	sealed, err := k.Encrypt([]byte(plain), about)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func wantPlain(t *testing.T, k *keyset.Keyset, sealed, want string) {
	t.Helper()
	got, err := k.Decrypt(sealed, about)
	if err != nil || string(got) != want {
		t.Errorf("decrypted %q, %v, want %q", got, err, want)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	text, k := open(t)
	if !regexp.MustCompile(`^[A-Za-z0-9+/]{200,400}={0,2}$`).MatchString(text.Reveal()) {
		t.Errorf("the keyset is not one line of base64, but has %d characters", len(text.Reveal()))
	}
	again := mustOpen(t, " \r\n"+text+"\n")
	for _, plain := range []string{"", "attack at dawn", strings.Repeat("\x00é", 10_000)} {
		first, second := encrypt(t, k, plain), encrypt(t, k, plain)
		if first == second {
			t.Error("the same text twice is the same when encrypted")
		}
		if plain != "" && strings.Contains(first, base64.StdEncoding.EncodeToString([]byte(plain))) {
			t.Error("the text is not encrypted")
		}
		wantPlain(t, again, first, plain)
		wantPlain(t, k, second, plain)
	}
}

// A keyset of an earlier version, made for this test. What it has encrypted
// stays readable; so does Tink's JSON itself.
func TestEarlierVersion(t *testing.T) {
	t.Parallel()
	const text = "eyJwcmltYXJ5S2V5SWQiOjU5MzI2Mzc1NSwgImtleSI6W3sia2V5RGF0YSI6eyJ0eXBlVXJsIjoidHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUu" +
		"Y3J5cHRvLnRpbmsuWEFlc0djbUtleSIsICJ2YWx1ZSI6IkVnSUlEQm9nWEZFc05ISVdMSUdHZ3ZaOFJ3ZzZwZzlHVUFtM1pOMjVpc2wvUWlYNmlNOD0iLCAia2" +
		"V5TWF0ZXJpYWxUeXBlIjoiU1lNTUVUUklDIn0sICJzdGF0dXMiOiJFTkFCTEVEIiwgImtleUlkIjo1OTMyNjM3NTUsICJvdXRwdXRQcmVmaXhUeXBlIjoiVElOSyJ9XX0="
	const sealed = "ASNcfIvRvlbI8mhLVMhPxTwQ6XsbLLFgZnSx0ULjrrnVBA4FOPW0uxkgHuOo6dnLyVZZ2sqHhm2kOe4="
	wantPlain(t, mustOpen(t, text), sealed, "attack at dawn")
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	wantPlain(t, mustOpen(t, onramp.Secret("\n"+string(plain)+"\n")), sealed, "attack at dawn")
}

func TestTampering(t *testing.T) {
	t.Parallel()
	_, k := open(t)
	_, other := open(t)
	sealed := encrypt(t, k, "attack at dawn")
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, k *keyset.Keyset, text, about string) {
		t.Helper()
		if plain, err := k.Decrypt(text, about); err == nil || plain != nil {
			t.Errorf("%s: got %q, %v, want an error", name, plain, err)
		}
	}
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		refused(fmt.Sprintf("bit %d", bit), k, base64.StdEncoding.EncodeToString(raw), about)
		raw[bit/8] ^= 1 << (bit % 8)
	}
	for n := range raw {
		refused("cut", k, base64.StdEncoding.EncodeToString(raw[:n]), about)
	}
	refused("longer", k, base64.StdEncoding.EncodeToString(append(raw, 0)), about)
	refused("no base64", k, "!"+sealed, about)
	refused("another place", k, sealed, "kept/callback/other")
	refused("no place", k, sealed, "")
	refused("another keyset", other, sealed, about)
	wantPlain(t, k, sealed, "attack at dawn")
	if _, err := k.Decrypt("attack at dawn", about); err == nil || strings.Contains(err.Error(), "attack") || !strings.Contains(err.Error(), about) {
		t.Errorf("got %v, want an error that names the place, without the text", err)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	text, k := open(t)
	old := encrypt(t, k, "old")
	for range 3 {
		next, err := keyset.Rotate(text + "\n")
		if err != nil {
			t.Fatal(err)
		}
		rotated := mustOpen(t, next)
		wantPlain(t, rotated, old, "old")
		fresh := encrypt(t, rotated, "new")
		wantPlain(t, rotated, fresh, "new")
		if _, err := k.Decrypt(fresh, about); err == nil {
			t.Error("the new primary key was not used: the old keyset decrypts")
		}
		wantPlain(t, k, old, "old")
		text, k = next, rotated
	}
}

// signingKeyset is Tink's JSON keyset of a key for HMAC, made for this test.
const signingKeyset = `{"primaryKeyId":1,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.HmacKey",` +
	`"value":"EgQIAxAgGiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==","keyMaterialType":"SYMMETRIC"},` +
	`"status":"ENABLED","keyId":1,"outputPrefixType":"TINK"}]}`

func TestNotAKeyset(t *testing.T) {
	t.Parallel()
	text, _ := open(t)
	for name, wrong := range map[string]onramp.Secret{
		"nothing":              "",
		"white space":          " \n",
		"a password":           "hunter2hunter2hunter2",
		"base64 of a password": onramp.Secret(base64.StdEncoding.EncodeToString([]byte("hunter2"))),
		"other JSON":           `{"hunter2":"hunter2"}`,
		"broken JSON":          `{"key":[hunter2`,
		"no keys":              `{"primaryKeyId":1,"key":[]}`,
		"null":                 "bnVsbA==",
		"cut":                  text[:len(text)/2],
		"twice":                text + text,
		"for signing":          signingKeyset,
	} {
		_, err := keyset.Open(wrong)
		_, rotateErr := keyset.Rotate(wrong)
		for _, err := range []error{err, rotateErr} {
			if err == nil || !strings.Contains(err.Error(), "onramp keys new encryption") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: got %v, want an error with its hint, which quotes nothing", name, err)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	_, k := open(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				plain := fmt.Sprint("text ", i)
				sealed, err := k.Encrypt([]byte(plain), about)
				got, decryptErr := k.Decrypt(sealed, about)
				if string(got) != plain {
					t.Errorf("got %q, %v, want %q", got, errors.Join(err, decryptErr), plain)
				}
			}
		})
	}
	all.Wait()
}

// A client's id survives every way of encoding.
func TestNewClientID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		id := keyset.NewClientID()
		if !regexp.MustCompile(`^onramp-[a-z2-7]{16}$`).MatchString(id) {
			t.Errorf("id %q", id)
		}
		if seen[id] {
			t.Error("made twice")
		}
		seen[id] = true
	}
}

// A secret survives every way of encoding.
func TestSecrets(t *testing.T) {
	t.Parallel()
	seen := map[onramp.Secret]bool{}
	for range 1000 {
		secret, webhook := keyset.NewSecret(), keyset.NewWebhookSecret()
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(secret.Reveal()) {
			t.Fatalf("got the secret %q, want 43 plain characters", secret.Reveal())
		}
		encoded, prefixed := strings.CutPrefix(webhook.Reveal(), "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !prefixed || err != nil || len(key) != 32 {
			t.Fatalf("got the webhook secret %q, want whsec_ and 32 bytes in base64", webhook.Reveal())
		}
		if seen[secret] || seen[webhook] {
			t.Fatal("a secret came twice")
		}
		seen[secret], seen[webhook] = true, true
	}
}
