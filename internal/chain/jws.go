package chain

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// header is the protected header of a signature (RFC 7515; RFC 8037: EdDSA).
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	Key       string `json:"kid"`
}

const (
	algorithm  = "EdDSA"
	exportType = "onramp-consent-export+jws" // so that no other signature of the key is taken for one
)

// SignDetached signs JSON, whatever its white space: a JWS in compact serialization without its
// payload (RFC 7515, appendix F).
func (k Key) SignDetached(raw []byte) string {
	protected, _ := json.Marshal(header{algorithm, exportType, k.ID}) // of texts
	head := base64.RawURLEncoding.EncodeToString(protected)
	return head + ".." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.Private, signingInput(head, raw)))
}

// IsDetached says whether a signature is that of the key over JSON.
func (k Key) IsDetached(raw []byte, signature string) bool {
	head, rest, _ := strings.Cut(signature, ".")
	payload, signed, found := strings.Cut(rest, ".")
	protected, err := base64.RawURLEncoding.DecodeString(head)
	var h header
	if err != nil || !found || payload != "" || json.Unmarshal(protected, &h) != nil || h != (header{algorithm, exportType, k.ID}) {
		return false
	}
	mac, err := base64.RawURLEncoding.DecodeString(signed)
	return err == nil && ed25519.Verify(k.Public(), signingInput(head, raw), mac)
}

// signingInput is what is signed: the JSON without white space.
func signingInput(head string, raw []byte) []byte {
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return nil
	}
	return []byte(head + "." + base64.RawURLEncoding.EncodeToString(compact.Bytes()))
}
