package screen

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// TimeInput is the input in which a page sends back when it was loaded.
const TimeInput = "_time"

const (
	stampLife  = 24 * time.Hour
	stampProof = 16 // bytes of the MAC
	// clockSkew is by how much the clocks of two nodes may differ.
	clockSkew = 2 * time.Second
)

// stamp signs a time for a form.
func (m *Memory) stamp(form string, at time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	return base64.RawURLEncoding.EncodeToString(append(b, m.stampProof(form, b)...))
}

func (m *Memory) stampProof(form string, at []byte) []byte {
	mac := hmac.New(sha256.New, m.stamping)
	mac.Write(at)
	mac.Write([]byte(form))
	return mac.Sum(nil)[:stampProof]
}

// readStamp returns when a page of a form was loaded, as its stamp says; ok is false when it
// is none of the form, or older than a day.
func (m *Memory) readStamp(form, text string, now time.Time) (at time.Time, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 8+stampProof || !hmac.Equal(b[8:], m.stampProof(form, b[:8])) {
		return at, false
	}
	at = time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	return at, now.Sub(at) <= stampLife && at.Sub(now) <= clockSkew
}
