package wire

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
)

// NewGUID makes a random GUID. It is an id, not a secret.
func NewGUID() string {
	return RandomGUID().String()
}

// GUID is a GUID in as little memory as it needs.
type GUID [16]byte

// RandomGUID makes a random GUID: version 4 of RFC 9562.
func RandomGUID() GUID {
	var g GUID
	binary.LittleEndian.PutUint64(g[:], rand.Uint64())
	binary.LittleEndian.PutUint64(g[8:], rand.Uint64())
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

// String is the GUID in its usual form, in lower case.
func (g GUID) String() string {
	b := make([]byte, 0, 36)
	for i := range g {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, g[i:i+1])
	}
	return string(b)
}

// Other is a second GUID that belongs to a GUID, so that it need not be kept.
func (g GUID) Other() GUID {
	for i := range g {
		g[i] ^= 0xa5
	}
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

// IsGUID reports whether s has a GUID's form, in any case.
func IsGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (r == '-') || !hyphen && !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return false
		}
	}
	return true
}
