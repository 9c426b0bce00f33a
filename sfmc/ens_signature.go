package sfmc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// SignatureForm is the form of the key that a signature was made with: Marketing Cloud's pages
// give a key that is base64, and do not say whether it is decoded before use.
type SignatureForm uint8

// The forms of a key. Of the receivers that are known, those that show signs of live
// use decode it.
const (
	DecodedKey SignatureForm = iota + 1 // the bytes that the key is the base64 of
	RawKey                              // the letters of the key as they stand
)

// String returns "decoded", "raw", or "none" for the zero value.
func (f SignatureForm) String() string {
	switch f {
	case DecodedKey:
		return "decoded"
	case RawKey:
		return "raw"
	}
	return "none"
}

// VerifySignature reports whether a request of the Event Notification Service is
// signed by the key of a callback, which [Client.CreateCallback] returned, and in which
// form the key was used; if not, the form is 0. The body is all of it as it came,
// byte for byte: parsed and written again, it does not fit. The signature is the
// value of the header x-sfmc-ens-signature: standard base64 of an HMAC-SHA256 (RFC
// 2104) over the body (vendor page "Notification Signing").
//
// The decoded key is tried first; a key that is not standard base64 is tried raw
// only. To allow both costs no security, as either takes knowledge of the key. White
// space around the key does not count; no key, or one that decodes to nothing, fits
// no signature. The comparison takes the same time wherever two signatures differ.
//
// A signature has no time in it: a request that was heard can be repeated by anyone.
// The probe of a new callback is not signed.
func VerifySignature(signatureKey Secret, body []byte, signature string) (SignatureForm, bool) {
	raw := strings.TrimSpace(signatureKey.Reveal())
	if decoded, ok := decodeKey(raw); ok && hmac.Equal([]byte(sign(decoded, body)), []byte(signature)) {
		return DecodedKey, true
	}
	if raw != "" && hmac.Equal([]byte(sign([]byte(raw), body)), []byte(signature)) {
		return RawKey, true
	}
	return 0, false
}

// SignEvents gives the signature of a body as Marketing Cloud presumably makes it,
// with the decoded key, to test receivers with. A key that is not standard base64 is
// used as it stands; an empty one gives an empty signature.
func SignEvents(signatureKey Secret, body []byte) string {
	raw := strings.TrimSpace(signatureKey.Reveal())
	if decoded, ok := decodeKey(raw); ok {
		return sign(decoded, body)
	}
	if raw == "" {
		return ""
	}
	return sign([]byte(raw), body)
}

// decodeKey decodes a key; ok is false if it is not base64 or of nothing, which
// anybody could sign with. Line breaks, which the decoder passes over, are refused.
func decodeKey(key string) (decoded []byte, ok bool) {
	decoded, err := base64.StdEncoding.Strict().DecodeString(key)
	return decoded, err == nil && len(decoded) > 0 && !strings.ContainsAny(key, "\r\n")
}

func sign(key, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
