package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"onramp/internal/onramp"
)

const (
	maxToken     = 4 << 10         // bytes; ours have some 500
	leeway       = 5 * time.Second // how far the nodes' clocks may differ
	maxRemembers = 2048            // half the number of checked tokens that are remembered
)

// The reasons for which a token is refused.
const (
	reasonMissing   = "missing"   // no Authorization header
	reasonMalformed = "malformed" // not a bearer's header, or no JWT
	reasonAlgorithm = "algorithm" // not signed as we sign, or not at all
	reasonType      = "type"      // a JWT, but no access token
	reasonKey       = "key"       // signed by a key that isn't ours, or no longer
	reasonSignature = "signature"
	reasonExpired   = "expired"
	reasonIssuer    = "issuer"
	reasonAudience  = "audience"
	reasonClaims    = "claims"  // another claim is missing or wrong
	reasonRetired   = "retired" // its client was removed, or the secret retired that it was issued for
)

// denial is why a token was refused.
type denial struct {
	reason string
	err    error // may be nil
}

func (d *denial) Error() string {
	if d.err == nil {
		return d.reason
	}
	return d.reason + ": " + d.err.Error()
}

func (d *denial) Unwrap() error { return d.err }

// Reason gives the word for why Check refused a token: missing, malformed,
// algorithm, type, key, signature, expired, issuer, audience, claims or retired. It
// is empty for other errors.
func Reason(err error) string {
	if d, ok := errors.AsType[*denial](err); ok {
		return d.reason
	}
	return ""
}

// Check reads the whole value of an Authorization header (RFC 6750, 2.1) and
// says to whom its token was given. The error is an *onramp.Error of the kind
// Denied; see Reason. For a token with an unknown key or secret the keeper is asked,
// at most every few seconds: another node may have made one.
func (s *Server) Check(ctx context.Context, authorization string) (onramp.Bearer, error) {
	bearer, err := s.check(ctx, authorization)
	if err == nil {
		return bearer, nil
	}
	message := "the access token is not valid"
	if Reason(err) == reasonMissing {
		message = "an access token is missing"
	}
	return onramp.Bearer{}, &onramp.Error{Kind: onramp.Denied, Message: message, Err: err}
}

func (s *Server) check(ctx context.Context, authorization string) (onramp.Bearer, error) {
	if authorization == "" {
		return onramp.Bearer{}, &denial{reason: reasonMissing}
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken {
		return onramp.Bearer{}, &denial{reason: reasonMalformed}
	}
	digest := sha256.Sum256([]byte(token))
	if known, ok := s.checked.find(digest); ok && s.shared.Load().keys.find(known.key) != nil && s.cfg.Now().Before(known.until) && s.holds(known.by) {
		return known.bearer, nil
	}
	fresh, err := s.verify(ctx, token)
	if err != nil {
		return onramp.Bearer{}, err
	}
	s.checked.note(digest, fresh)
	return fresh.bearer, nil
}

func newParser(issuer string, now func() time.Time) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)
}

// verify reads a token as RFC 9068, 4 demands. Its error is a *denial.
func (s *Server) verify(ctx context.Context, token string) (checkedToken, error) {
	var c claims
	var key *signingKey
	keyOf := func(t *jwt.Token) (any, error) {
		if typ, _ := t.Header["typ"].(string); !strings.EqualFold(strings.TrimPrefix(typ, "application/"), tokenType) {
			return nil, &denial{reason: reasonType}
		}
		if _, must := t.Header["crit"]; must { // RFC 7515, 4.1.11: we know none of what it may name
			return nil, &denial{reason: reasonMalformed}
		}
		id, _ := t.Header["kid"].(string)
		var err error
		if key, err = s.keyOf(ctx, id); key == nil {
			return nil, &denial{reasonKey, err}
		}
		return key.public, nil
	}
	if _, err := s.parser.ParseWithClaims(token, &c, keyOf); err != nil {
		return checkedToken{}, denialOf(err, key != nil)
	}
	if c.ClientID == "" || c.Subject == "" {
		return checkedToken{}, &denial{reason: reasonClaims}
	}
	by, found := s.findProof(&c, key)
	if !found {
		err := s.reloadSoon(ctx) // another node may have added the client or the secret
		if by, found = s.findProof(&c, key); !found {
			return checkedToken{}, &denial{reasonRetired, err}
		}
	}
	bearer := onramp.Bearer{Client: c.ClientID, Scope: c.Scope}
	if c.Subject != c.ClientID {
		bearer.User = c.Subject
	}
	return checkedToken{bearer, by, key.id, c.ExpiresAt.Add(leeway)}, nil
}

// keyOf finds a key, in the keeper if need be. It is nil when there is none.
func (s *Server) keyOf(ctx context.Context, id string) (*signingKey, error) {
	if key := s.shared.Load().keys.find(id); key != nil || id == "" {
		return key, nil
	}
	err := s.reloadSoon(ctx)
	return s.shared.Load().keys.find(id), err
}

// denialOf finds the reason in the library's error. hasKey says whether it came
// so far as to have the key.
func denialOf(err error, hasKey bool) *denial {
	if d, ok := errors.AsType[*denial](err); ok {
		return d
	}
	reason := reasonClaims
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		reason = reasonMalformed
	case !hasKey:
		reason = reasonAlgorithm // nothing else is asked before the key
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		reason = reasonSignature
	case errors.Is(err, jwt.ErrTokenExpired):
		reason = reasonExpired
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		reason = reasonIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		reason = reasonAudience
	}
	return &denial{reason: reason} // the library's text may quote the token
}

// checkedToken is what is known of a token that was verified.
type checkedToken struct {
	bearer onramp.Bearer
	by     proof
	key    string // id
	until  time.Time
}

// checkedTokens remembers verified tokens by their digests: Marketing Cloud
// sends the same one with every batch, and to verify it takes a tenth of a
// millisecond.
type checkedTokens struct {
	mu     sync.Mutex
	recent recent[[sha256.Size]byte, checkedToken]
}

func newCheckedTokens() *checkedTokens {
	return &checkedTokens{recent: newRecent[[sha256.Size]byte, checkedToken](maxRemembers)}
}

func (c *checkedTokens) find(digest [sha256.Size]byte) (checkedToken, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.get(digest)
}

func (c *checkedTokens) note(digest [sha256.Size]byte, t checkedToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent.put(digest, t)
}
