package screen

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The proof of work is that of ALTCHA, version 1 (https://altcha.org/docs/v1/api/challenge-api/):
// the visitor's script finds the number whose SHA-256 behind the salt is the challenge.

// ProofInput is the input that holds the solution, as the ALTCHA widget sends it.
const ProofInput = "altcha"

// Challenge is what a script has to solve, as the ALTCHA widget reads it.
type Challenge struct {
	Algorithm string `json:"algorithm"`
	Challenge string `json:"challenge"`
	MaxNumber int64  `json:"maxnumber"`
	Salt      string `json:"salt"`
	Signature string `json:"signature"`

	Required bool   `json:"required"`       // without its solution the form is not taken for a person's now
	Time     string `json:"time,omitempty"` // what TimeInput sends back
}

const (
	sha256Name    = "SHA-256"
	challengeLife = 10 * time.Minute
	// leastNumber takes a browser about a quarter of a second.
	leastNumber = 50_000
	// harder is by how much each level is harder than the one before.
	harder     = 4
	maxPayload = 4 << 10 // bytes of base64
)

// challenge makes a challenge for a form. The salt ends with a delimiter, so that no digit
// of it can be taken for one of the number.
func (m *Memory) challenge(form string, level int, now time.Time) (Challenge, error) {
	most := int64(leastNumber)
	for range level {
		most *= harder
	}
	number, err := rand.Int(rand.Reader, big.NewInt(most))
	if err != nil {
		return Challenge{}, err
	}
	random := [12]byte{}
	_, _ = rand.Read(random[:]) // never fails
	parameters := url.Values{"expires": {strconv.FormatInt(now.Add(challengeLife).Unix(), 10)}, "form": {form}}
	c := Challenge{Algorithm: sha256Name, MaxNumber: most, Salt: hex.EncodeToString(random[:]) + "?" + parameters.Encode() + "&"}
	c.Challenge = challengeOf(c.Salt, number.Int64())
	c.Signature = m.challengeProof(c.Challenge)
	return c, nil
}

func challengeOf(salt string, number int64) string {
	sum := sha256.Sum256([]byte(salt + strconv.FormatInt(number, 10)))
	return hex.EncodeToString(sum[:])
}

func (m *Memory) challengeProof(challenge string) string {
	mac := hmac.New(sha256.New, m.proving)
	mac.Write([]byte(challenge))
	return hex.EncodeToString(mac.Sum(nil))
}

// solution is what ProofInput holds, in base64.
type solution struct {
	Algorithm string `json:"algorithm"`
	Challenge string `json:"challenge"`
	Number    int64  `json:"number"`
	Salt      string `json:"salt"`
	Signature string `json:"signature"`
}

var errProof = errors.New("not a solution of a challenge of this form")

// readSolution checks a solution, but for whether it was spent. It returns the challenge
// that it solves, and when that expires.
func (m *Memory) readSolution(form, payload string, now time.Time) (challenge string, expires time.Time, err error) {
	if len(payload) > maxPayload {
		return "", expires, errProof
	}
	text, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return "", expires, errProof
	}
	var s solution
	if json.Unmarshal(text, &s) != nil || s.Algorithm != sha256Name || s.Number < 0 {
		return "", expires, errProof
	}
	_, query, _ := strings.Cut(s.Salt, "?")
	parameters, err := url.ParseQuery(query)
	if err != nil || !strings.HasSuffix(s.Salt, "&") || parameters.Get("form") != form {
		return "", expires, errProof
	}
	seconds, err := strconv.ParseInt(parameters.Get("expires"), 10, 64)
	if expires = time.Unix(seconds, 0); err != nil || !expires.After(now) {
		return "", expires, errProof
	}
	if challengeOf(s.Salt, s.Number) != s.Challenge || !hmac.Equal([]byte(s.Signature), []byte(m.challengeProof(s.Challenge))) {
		return "", expires, errProof
	}
	return s.Challenge, expires, nil
}
