package ens

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// signatureHeader carries the signature of a batch. Vendor page
// ens-notification-signing.
const signatureHeader = "x-sfmc-ens-signature"

// Sign is the signature of a request's body: HMAC-SHA256 over all of its bytes,
// in base64. Undocumented: the vendor's page says to use the signature key, but
// not whether its base64 is decoded first. Those who check signatures against
// the real service decode it; raw takes the text of the key as it is.
func Sign(signatureKey string, raw bool, body []byte) string {
	key, err := base64.StdEncoding.DecodeString(signatureKey)
	if raw || err != nil {
		key = []byte(signatureKey)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
