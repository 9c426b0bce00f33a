package sandbox

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

const (
	// tokenLife is how long a token works; expiresIn, in seconds, is what the
	// answer says. The two minutes between are the vendor's, so that clients
	// renew early. Vendor page access-token-s2s.
	tokenLife = 20 * time.Minute
	expiresIn = 1079
	// specExpiresIn is what the specification expects, section 3.2.
	specExpiresIn = 1199
	// tokenMemory is how long an expired token still shows in the state.
	tokenMemory = 10 * time.Minute
	// maxTokens bounds the memory. A caller that asks for this many within
	// their life loses its oldest.
	maxTokens = 50_000
)

// tokenView is a token as a State shows it: enough to tell tokens apart, not
// enough to use one.
func tokenView(t wire.Token) Token {
	return Token{
		Token: "…" + t.Value[len(t.Value)-8:], IssuedAt: t.Issued, ExpiresAt: t.Expires,
		Scope: strings.Join(t.Scopes, " "), ClientID: t.Client,
	}
}

// tokens are the access tokens given out, oldest first.
type tokens struct {
	issued []wire.Token
	byName map[string]wire.Token
}

// find returns the token unless it is unknown or has expired.
func (ts *tokens) find(value string, now time.Time) (wire.Token, bool) {
	t, ok := ts.byName[value]
	return t, ok && now.Before(t.Expires)
}

// add keeps a token, and forgets those that expired long ago. Any number may
// be valid at a time.
func (ts *tokens) add(t wire.Token) {
	stale := 0
	for stale < len(ts.issued) &&
		(ts.issued[stale].Expires.Add(tokenMemory).Before(t.Issued) || len(ts.issued)-stale >= maxTokens) {
		delete(ts.byName, ts.issued[stale].Value)
		stale++
	}
	// Appending to the shortened slice moves it to new memory from time to
	// time, which lets go of the front.
	clear(ts.issued[:stale])
	ts.issued = append(ts.issued[stale:], t)
	if ts.byName == nil {
		ts.byName = map[string]wire.Token{}
	}
	ts.byName[t.Value] = t
}

// revoke makes every token that was given out so far invalid.
func (ts *tokens) revoke() {
	*ts = tokens{}
}

// tokenRequest is the body of POST /v2/token, from JSON or from a form. A nil
// field was not sent.
type tokenRequest struct {
	grantType, clientID, clientSecret, accountID, scope *string
}

// token answers POST /v2/token, vendor page access-token-s2s.
func (s *Sandbox) token(c *wire.Call) (wire.Answer, error) {
	req, err := parseTokenRequest(c)
	if err != nil {
		return wire.Answer{}, err
	}
	s.mu.Lock()
	t, err := req.grant(s.world.account)
	s.mu.Unlock()
	if err != nil {
		return wire.Answer{}, err
	}
	t.Value = newTokenValue(t.Client)
	s.mu.Lock()
	t.Issued = s.now()
	t.Expires = t.Issued.Add(tokenLife)
	s.world.tokens.add(t)
	s.mu.Unlock()

	type body struct {
		AccessToken string  `json:"access_token"`
		TokenType   string  `json:"token_type"`
		ExpiresIn   int     `json:"expires_in"`
		Scope       *string `json:"scope,omitempty"`
		SOAP        string  `json:"soap_instance_url,omitempty"`
		REST        string  `json:"rest_instance_url"`
	}
	b := body{AccessToken: t.Value, TokenType: "Bearer", ExpiresIn: specExpiresIn, REST: addressOf(c.Request, "rest") + "/"}
	if s.dialect != DialectSpec {
		granted := strings.Join(t.Scopes, " ")
		b.ExpiresIn, b.Scope, b.SOAP = expiresIn, &granted, addressOf(c.Request, "soap")+"/"
	}
	a := wire.JSON(http.StatusOK, b)
	a.NoStore = true
	return a, nil
}

// parseTokenRequest reads JSON or a form, both of which clients use. A request
// that declares nothing is taken as JSON.
func parseTokenRequest(c *wire.Call) (tokenRequest, error) {
	media := "application/json"
	if declared := c.Request.Header.Get("Content-Type"); declared != "" {
		var err error
		if media, _, err = mime.ParseMediaType(declared); err != nil {
			return tokenRequest{}, wire.Failure(http.StatusUnsupportedMediaType, wire.NoCode)
		}
	}
	switch media {
	case "application/json":
		return parseTokenJSON(c.Body)
	case "application/x-www-form-urlencoded":
		return parseTokenForm(c.Body)
	}
	return tokenRequest{}, wire.Failure(http.StatusUnsupportedMediaType, wire.NoCode)
}

func parseTokenJSON(body []byte) (tokenRequest, error) {
	var sent struct {
		GrantType    *string         `json:"grant_type"`
		ClientID     *string         `json:"client_id"`
		ClientSecret *string         `json:"client_secret"`
		AccountID    json.RawMessage `json:"account_id"`
		Scope        *string         `json:"scope"`
	}
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if !bytes.HasPrefix(trimmed, []byte("{")) || json.Unmarshal(body, &sent) != nil {
		return tokenRequest{}, refuseToken("invalid_request", "The request body is not a valid JSON object.")
	}
	req := tokenRequest{
		grantType: sent.GrantType, clientID: sent.ClientID, clientSecret: sent.ClientSecret, scope: sent.Scope,
	}
	// The vendor documents a number and shows a string; clients send either.
	if raw := string(sent.AccountID); raw != "" && raw != "null" {
		var text string
		if json.Unmarshal(sent.AccountID, &text) != nil {
			text = raw
		}
		req.accountID = &text
	}
	return req, nil
}

func parseTokenForm(body []byte) (tokenRequest, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return tokenRequest{}, refuseToken("invalid_request", "The request body is not a valid form.")
	}
	var req tokenRequest
	for name, field := range map[string]**string{
		"grant_type": &req.grantType, "client_id": &req.clientID, "client_secret": &req.clientSecret,
		"account_id": &req.accountID, "scope": &req.scope,
	} {
		switch values := form[name]; len(values) {
		case 0:
		case 1:
			*field = &values[0]
		default:
			// RFC 6749, section 3.2: parameters must not be included twice.
			return tokenRequest{}, refuseToken("invalid_request", "A parameter is included more than once.")
		}
	}
	return req, nil
}

// grant returns the client, business unit and scopes of the token to give out, or the
// refusal.
func (req tokenRequest) grant(a *account.Account) (t wire.Token, err error) {
	for _, field := range []struct {
		name  string
		value *string
	}{{"grant_type", req.grantType}, {"client_id", req.clientID}, {"client_secret", req.clientSecret}} {
		if field.value == nil || *field.value == "" {
			return t, refuseToken("invalid_request", fmt.Sprintf("The parameter %s is required.", field.name))
		}
	}
	if *req.grantType != "client_credentials" {
		return t, refuseToken("unsupported_grant_type", "The grant type is not supported.")
	}
	p := a.Packages[*req.clientID]
	if p == nil {
		return t, refuseToken("invalid_client",
			"Invalid client ID. Use the client ID in Marketing Cloud Installed Packages.")
	}
	if *req.clientSecret != p.Secret {
		return t, refuseToken("invalid_client",
			"Client authentication failed. Make sure that the client ID and client secret are valid and that the package is installed and enabled.")
	}
	t.Client, t.Unit = p.ClientID, p.Units[0]
	// RFC 6749, section 3.1: a parameter without a value counts as omitted.
	// The vendor makes an exception for scope alone.
	if req.accountID != nil && *req.accountID != "" {
		t.Unit = *req.accountID
	}
	if !slices.Contains(p.Units, t.Unit) || a.Units[t.Unit] == nil {
		return t, refuseToken("unauthorized_client", "The client is not accessible for this account.")
	}
	t.Scopes, err = req.scopes(p.Scopes)
	return t, err
}

// scopes returns which of the package's scopes to grant, or the refusal.
func (req tokenRequest) scopes(granted []string) ([]string, error) {
	if req.scope == nil {
		return granted, nil
	}
	var asked []string
	for _, scope := range strings.Fields(*req.scope) {
		if !slices.Contains(granted, scope) {
			return nil, refuseToken("invalid_scope", "The requested scope is invalid, unknown, or not granted to the package.")
		}
		if !slices.Contains(asked, scope) {
			asked = append(asked, scope)
		}
	}
	return asked, nil
}

// stackKey is the account's stack, fixed like its ids.
const stackKey = "S0"

// newTokenValue makes a token that looks like the vendor's: three parts like a
// JWT's, at most 512 characters, with nothing in them for a client to read.
func newTokenValue(clientID string) string {
	var secret [64]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand says so
	part := base64.RawURLEncoding.EncodeToString
	payload := fmt.Sprintf(`{"access_token":"%s","client_id":%q,"eid":%d,"stack_key":"%s","client_type":"ServerToServer"}`,
		part(secret[:18]), clientID, account.Enterprise, stackKey)
	return part([]byte(`{"alg":"HS256","kid":"4","ver":"1","typ":"JWT"}`)) + "." + part([]byte(payload)) + "." + part(secret[18:])
}
