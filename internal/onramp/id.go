package onramp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// NewID returns an id that begins with the time, so that ids sort roughly by age, and
// goes on with 128 random bits, since whoever knows a registration's id may ask how far
// it is. It has 36 letters and digits, as many characters as the UUIDv7 that older
// versions made, and sorts after those.
func NewID(at time.Time) string {
	var u [idBytes]byte
	binary.BigEndian.PutUint64(u[:8], uint64(at.UnixMilli())<<16)
	rand.Read(u[6:])
	var b [idLength]byte
	idDigits.Encode(b[:], u[:])
	return string(b[:])
}

const (
	idBytes  = 6 + 16
	idLength = 36
)

// idDigits are in the order of ASCII, and don't depend on case.
var idDigits = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// newRandomUUID returns a UUIDv4 (RFC 9562, 5.4).
func newRandomUUID() string {
	var u [16]byte
	rand.Read(u[:])
	return formatUUID(u, 4)
}

// keyedUUID returns the UUIDv8 (RFC 9562, 5.8) that belongs to text under the
// secret: always the same one, and not to be guessed without the secret.
func keyedUUID(secret Secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(text))
	return formatUUID([16]byte(mac.Sum(nil)[:16]), 8)
}

func formatUUID(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// parseUUID reads what formatUUID writes, in any case.
func parseUUID(text string) (u [16]byte, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return u, false
	}
	n, err := hex.Decode(u[:], []byte(text[:8]+text[9:13]+text[14:18]+text[19:23]+text[24:]))
	return u, err == nil && n == len(u)
}

// isRegistrationID says whether a text has the form of NewID, or of the UUIDv7 before, in
// any case.
func isRegistrationID(text string) bool {
	if u, ok := parseUUID(text); ok {
		return u[6]>>4 == 7
	}
	text = strings.ToLower(text)
	u, err := idDigits.DecodeString(text)
	return err == nil && len(u) == idBytes && idDigits.EncodeToString(u) == text
}

// maxID is the longest id, in characters, that is taken from outside.
const maxID = 255

// SamePerson says whether two subscriber keys are the same one, as Marketing Cloud
// compares them. Hashes of them only say that they may be. It is as strict as
// OrderingKey, which strings.EqualFold is not: that takes ſ for s.
func SamePerson(a, b string) bool {
	lower := strings.ToLower(a)
	return lower == strings.ToLower(b)
}

// ValidID says whether a text that came from outside can be the id or the key of
// something: 1 to 255 visible ASCII characters. It is the one rule for the ids that
// Marketing Cloud and strangers send and ask for, and it leaves nothing over that a
// database, a log or a file name would have to change.
func ValidID(text string) bool {
	return text != "" && len(text) <= maxID && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// OrderingKey returns the 64-bit key under which deliveries to one destination
// keep their order. Marketing Cloud compares keys without regard to case, so
// "Ana@example.org" and "ana@example.org" have the same one. Two people whose
// keys collide merely wait for each other.
func OrderingKey(subscriberKey string) int64 {
	sum := sha256.Sum256([]byte(strings.ToLower(subscriberKey)))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
