package sfmc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Credentials are those of an installed package with an API integration of the
// kind "Server-to-Server" (Setup, Apps, Installed Packages).
type Credentials struct {
	// ClientID is the package's client ID. Required.
	ClientID string
	// ClientSecret is the package's client secret. Required.
	ClientSecret Secret
	// AccountID is the MID of the business unit to act in. Empty means the
	// business unit that owns the package.
	AccountID string
	// Scopes are the permissions to ask for, such as "data_extensions_write".
	// Nil means all that the package has. Empty but not nil asks for a token
	// without any permission: that is what Marketing Cloud makes of it.
	Scopes []string
}

// Token is an access token with what came along.
//
// Its JSON form is for logs and says "redacted" for the access token; a
// [TokenStore] keeps what [Token.Encode] gives and reads it by [DecodeToken].
type Token struct {
	// AccessToken is opaque, at most 512 characters.
	AccessToken Secret
	// TokenType is "Bearer".
	TokenType string
	// Scope lists the permissions granted, separated by spaces.
	Scope string
	// RESTInstanceURL is the base of REST calls, as it came: with or without
	// scheme and trailing slash.
	RESTInstanceURL string
	// SOAPInstanceURL is the base of SOAP calls, as it came.
	SOAPInstanceURL string
	// ExpiresAt is when to stop using the token: expires_in after the request
	// was begun. Marketing Cloud accepts it for about two minutes longer. Zero
	// means that its life is not known; it is then used until it is refused.
	ExpiresAt time.Time
	// IssuedFor says by whom and for whom the token was issued: a digest of
	// auth URL, client ID, account and scopes, but not of the client secret.
	// Two tokens may stand in for each other if it is equal.
	IssuedFor string
}

// TokenSource gives a token to use now. A [TokenCache] and a [TokenRequester]
// are TokenSources; a program may bring its own.
//
// Token must return when ctx ends, and be safe for concurrent use. If the source
// also has a method Invalidate(accessToken string), a [Client] calls it when
// that token was answered with 401, before it asks for another.
type TokenSource interface {
	Token(ctx context.Context) (*Token, error)
}

// storedToken is the form in which a token is kept. Its names are those of the
// token answer where there is one.
type storedToken struct {
	AccessToken     string    `json:"access_token"`
	TokenType       string    `json:"token_type"`
	Scope           string    `json:"scope,omitempty"`
	RESTInstanceURL string    `json:"rest_instance_url"`
	SOAPInstanceURL string    `json:"soap_instance_url,omitempty"`
	ExpiresAt       time.Time `json:"expires_at"`
	IssuedFor       string    `json:"issued_for"`
}

// Encode gives the token as JSON for a [TokenStore], access token included:
// anyone who reads it can act as the package until the token expires, so keep it
// encrypted or where only the program reads.
func (t *Token) Encode() ([]byte, error) {
	b, err := json.Marshal(storedToken{
		AccessToken:     t.AccessToken.Reveal(),
		TokenType:       t.TokenType,
		Scope:           t.Scope,
		RESTInstanceURL: t.RESTInstanceURL,
		SOAPInstanceURL: t.SOAPInstanceURL,
		ExpiresAt:       t.ExpiresAt,
		IssuedFor:       t.IssuedFor,
	})
	if err != nil {
		return nil, fmt.Errorf("encode token: %w", err)
	}
	return b, nil
}

// DecodeToken reads what [Token.Encode] gave. Data without an access token is an
// error; so is a token that was stored as "redacted", by its ordinary JSON form.
func DecodeToken(data []byte) (*Token, error) {
	var s storedToken
	if err := json.Unmarshal(data, &s); err != nil {
		// The cause is left out: it may quote a piece of the token.
		return nil, errors.New("decode token: not the JSON of a token")
	}
	if s.AccessToken == "" || s.AccessToken == redacted {
		return nil, errors.New("decode token: no access token")
	}
	return &Token{
		AccessToken:     Secret(s.AccessToken),
		TokenType:       s.TokenType,
		Scope:           s.Scope,
		RESTInstanceURL: s.RESTInstanceURL,
		SOAPInstanceURL: s.SOAPInstanceURL,
		ExpiresAt:       s.ExpiresAt,
		IssuedFor:       s.IssuedFor,
	}, nil
}

// TokenRequester is a [TokenSource] that asks Marketing Cloud each time. Put it
// behind a [TokenCache]: more than one token in 20 minutes is more than the
// vendor wants. It is safe for concurrent use.
type TokenRequester struct {
	caller  caller
	authURL string
	// cred is a function because fmt, which does not call Secret's methods in
	// unexported fields, would follow a pointer: of a function it prints only
	// the address.
	cred func() Credentials
}

// NewTokenRequester prepares token requests to POST authURL + "v2/token" (vendor
// page "Access Token Request Parameters for Server-to-Server Integrations").
//
// The auth URL comes from [AuthURL], or is that of a sandbox or proxy: http or
// https, host, port and path, a trailing slash or none. Plain http is allowed to
// any host but Marketing Cloud's, so give such an address only for a network
// that you trust with the secret. A URL of another kind, missing credentials,
// and a scope that is empty or has a space in it are refused with [ErrInvalid].
func NewTokenRequester(authURL string, cred Credentials, opts ...Option) (*TokenRequester, error) {
	u, err := givenURL("auth URL", authURL)
	if err != nil {
		return nil, err
	}
	if cred.ClientID == "" || cred.ClientSecret == "" {
		return nil, fmt.Errorf("credentials: %w: client ID or client secret is missing", ErrInvalid)
	}
	for _, scope := range cred.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n") {
			return nil, fmt.Errorf("scope %.80q: %w: want one word for each scope", scope, ErrInvalid)
		}
	}
	if cred.Scopes != nil {
		cred.Scopes = append([]string{}, cred.Scopes...)
	}
	return &TokenRequester{caller: newCaller(newOptions(opts)), authURL: u.String(), cred: func() Credentials { return cred }}, nil
}

// IssuedFor returns what this requester's tokens carry as [Token.IssuedFor].
func (r *TokenRequester) IssuedFor() string {
	cred, scope := r.cred(), "all"
	if cred.Scopes != nil {
		scope = "only " + strings.Join(cred.Scopes, " ")
	}
	// The secret is left out: a rotated secret does not make a token bad, and
	// a digest of a secret has no business in a store.
	sum := sha256.Sum256([]byte(strings.Join([]string{r.authURL, cred.ClientID, cred.AccountID, scope}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

type tokenRequest struct {
	GrantType    string  `json:"grant_type"`
	ClientID     string  `json:"client_id"`
	ClientSecret string  `json:"client_secret"`
	AccountID    string  `json:"account_id,omitempty"`
	Scope        *string `json:"scope,omitempty"`
}

// Token makes one HTTP request for a token, as JSON. An answer other than a
// token is an [*Error] with Op [OpToken]: for wrong credentials with Status 401
// and CodeText "invalid_client" (RFC 6749, 5.2), when too many are asked for
// with Status 429. A wrong subdomain is no *Error, since its host does not exist.
func (r *TokenRequester) Token(ctx context.Context) (*Token, error) {
	cred := r.cred()
	in := tokenRequest{
		GrantType:    "client_credentials",
		ClientID:     cred.ClientID,
		ClientSecret: cred.ClientSecret.Reveal(),
		AccountID:    cred.AccountID,
	}
	if cred.Scopes != nil {
		scope := strings.Join(cred.Scopes, " ")
		in.Scope = &scope
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", OpToken, err)
	}
	begun := time.Now()
	a, err := r.caller.send(ctx, request{
		op:     OpToken,
		method: http.MethodPost,
		url:    r.authURL + "v2/token",
		body:   body,
		hide:   cred.ClientSecret,
	})
	if err != nil {
		return nil, err
	}
	tok, err := a.token(begun)
	if err != nil {
		return nil, err
	}
	tok.IssuedFor = r.IssuedFor()
	return tok, nil
}
