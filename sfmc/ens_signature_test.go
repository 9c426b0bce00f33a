package sfmc_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"onramp/sfmc"
)

const (
	emailBody    = `[{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":1700000000000}]`
	emailDecoded = "OjqRmP+L0Iorn3On43iook8HCBnNKOCt8Wm9JNLpDfg="
	emailRaw     = "Be4RGE+lXMmN3+i9e2Rw5ipTHC4bHa9oqMncBkZYS5Y="
	smsBody      = `[{"eventCategoryType":"TransactionalSendEvents.SmsDelivered"}]`
	smsDecoded   = "vXcPKkWlJ3RSEynlUJLPMaAyD/F/SCDAvUYnu7GKHD8="
	smsRaw       = "CZXJQ6IjxUUJdlPPghLuXtklikGNnJfj1JRzDOq+g+s="
)

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	const plainKey = "not base64"
	for name, tt := range map[string]struct {
		key             sfmc.Secret
		body, signature string
		want            sfmc.SignatureForm // 0: not signed by the key
	}{
		"e-mail":                        {signatureKey, emailBody, emailDecoded, sfmc.DecodedKey},
		"e-mail, raw key":               {signatureKey, emailBody, emailRaw, sfmc.RawKey},
		"sms":                           {signatureKey, smsBody, smsDecoded, sfmc.DecodedKey},
		"sms, raw key":                  {signatureKey, smsBody, smsRaw, sfmc.RawKey},
		"key pasted with a line break":  {signatureKey + "\r\n", emailBody, emailDecoded, sfmc.DecodedKey},
		"no body":                       {signatureKey, "", hmacOf(t, decoded(t, signatureKey), ""), sfmc.DecodedKey},
		"a key that is no base64":       {plainKey, emailBody, hmacOf(t, plainKey, emailBody), sfmc.RawKey},
		"a key without padding is raw":  {sfmc.Secret(signatureKey[:43]), emailBody, hmacOf(t, signatureKey[:43], emailBody), sfmc.RawKey},
		"another body":                  {signatureKey, smsBody, emailDecoded, 0},
		"body cut by a byte":            {signatureKey, emailBody[1:], emailDecoded, 0},
		"body with an event more":       {signatureKey, strings.Replace(emailBody, "}]", "},{}]", 1), emailDecoded, 0},
		"another key":                   {"xv8pMrf9bxsvKhqvXjRjSphEK2WfPmuq+VBhzQfntJs=", emailBody, emailDecoded, 0},
		"no signature":                  {signatureKey, emailBody, "", 0},
		"signature that is no base64":   {signatureKey, emailBody, "not base64 *", 0},
		"signature in URL base64":       {signatureKey, emailBody, strings.ReplaceAll(emailDecoded, "+", "-"), 0},
		"signature without padding":     {signatureKey, emailBody, strings.TrimRight(emailDecoded, "="), 0},
		"signature with a line break":   {signatureKey, emailBody, emailDecoded + "\n", 0},
		"signature with other last bit": {signatureKey, emailBody, strings.Replace(emailDecoded, "fg=", "fh=", 1), 0},
		"signature, and more":           {signatureKey, emailBody, emailDecoded + emailDecoded, 0},
		"signature in hex":              {signatureKey, emailBody, "3a3a9198ff8bd08a2b9f73a7e378a8a24f070819cd28e0adf169bd24d2e90df8", 0},
		"signature without a key":       {signatureKey, emailBody, hmacOf(t, "", emailBody), 0},
		"no key":                        {"", emailBody, hmacOf(t, "", emailBody), 0},
		"a key of white space":          {" \r\n\t", emailBody, hmacOf(t, "", emailBody), 0},
		"neither key nor signature":     {"", "", "", 0},
		"a key that decodes to nothing": {"\r\n\r\n====", emailBody, hmacOf(t, "", emailBody), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form, ok := sfmc.VerifySignature(tt.key, []byte(tt.body), tt.signature)
			if form != tt.want || ok != (tt.want != 0) {
				t.Errorf("VerifySignature = %v, %v; want %v", form, ok, tt.want)
			}
		})
	}
}

// No byte of body or signature can be another.
func TestFlippedByte(t *testing.T) {
	t.Parallel()
	flip := func(s string, i int) string {
		b := []byte(s)
		b[i] ^= 1
		return string(b)
	}
	for i := range emailBody {
		if form, ok := sfmc.VerifySignature(signatureKey, []byte(flip(emailBody, i)), emailDecoded); ok {
			t.Errorf("the body may differ in byte %d: %v", i, form)
		}
	}
	for _, signature := range []string{emailDecoded, emailRaw} {
		for i := range signature {
			if form, ok := sfmc.VerifySignature(signatureKey, []byte(emailBody), flip(signature, i)); ok {
				t.Errorf("the signature may differ in byte %d: %v", i, form)
			}
		}
	}
}

func TestSignEvents(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key        sfmc.Secret
		body, want string
	}{
		"e-mail":        {signatureKey, emailBody, emailDecoded},
		"sms":           {" " + signatureKey, smsBody, smsDecoded},
		"not base64":    {"not base64", smsBody, hmacOf(t, "not base64", smsBody)},
		"no key":        {"", smsBody, ""},
		"a blank key":   {" \n", smsBody, ""},
		"line in a key": {"V27F\nXfqI", smsBody, hmacOf(t, "V27F\nXfqI", smsBody)},
	} {
		if got := sfmc.SignEvents(tt.key, []byte(tt.body)); got != tt.want {
			t.Errorf("%s: SignEvents = %q; want %q", name, got, tt.want)
		}
	}
}

func TestSignatureFormString(t *testing.T) {
	t.Parallel()
	for form, want := range map[sfmc.SignatureForm]string{0: "none", sfmc.DecodedKey: "decoded", sfmc.RawKey: "raw", 9: "none"} {
		if got := form.String(); got != want {
			t.Errorf("String() of %d = %q; want %q", form, got, want)
		}
	}
}

// Whatever a stranger sends, it is accepted only if it is an HMAC by one of the two
// forms of a key that is not empty.
func FuzzVerifySignature(f *testing.F) {
	f.Add(signatureKey, []byte(emailBody), emailDecoded)
	f.Add(signatureKey, []byte(emailBody), emailRaw)
	f.Add(signatureKey+"\n", []byte(smsBody), smsDecoded)
	f.Add("not base64", []byte(nil), "====")
	f.Add("", []byte(emailBody), "thNnmggU2ex3L5XXeMNfxf8Wl8STcVZTxscSFEKSxa0=")
	f.Add("\n\n", []byte("x"), "\x00")
	f.Fuzz(func(t *testing.T, key string, body []byte, signature string) {
		before := bytes.Clone(body)
		form, ok := sfmc.VerifySignature(sfmc.Secret(key), body, signature)
		if !bytes.Equal(before, body) {
			t.Error("the body was changed")
		}
		trimmed := strings.TrimSpace(key)
		if ok {
			secret := trimmed
			if form == sfmc.DecodedKey {
				secret = decoded(t, trimmed)
			}
			if secret == "" || signature != hmacOf(t, secret, string(body)) {
				t.Errorf("%q is accepted as %v", signature, form)
			}
		} else if form != 0 {
			t.Errorf("form %v without success", form)
		}
		signed := sfmc.SignEvents(sfmc.Secret(key), body)
		if _, ok := sfmc.VerifySignature(sfmc.Secret(key), body, signed); ok != (trimmed != "") {
			t.Errorf("own signature %q: %v", signed, ok)
		}
		if _, ok := sfmc.VerifySignature(sfmc.Secret(key), append(bytes.Clone(body), '!'), signed); ok {
			t.Error("a longer body has the same signature")
		}
	})
}

// hmacOf is the signature as its definition has it.
func hmacOf(t testing.TB, key, body string) string {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(key))
	if _, err := mac.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func decoded(t testing.TB, key string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
