package oauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"onramp/internal/onramp"
)

// granted is the answer to a good token request (RFC 6749, 5.1). The scope is
// always included: it is optional only when the client has asked for just that.
type granted struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

// token answers POST /oauth2/token. A refusal is returned once it is written,
// so that it is in the log line of the request.
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	bearer, proof, err := s.grant(r)
	if refused, ok := errors.AsType[*refusal](err); ok {
		s.refused.Add(1)
		refused.write(w)
		return refused
	}
	if err != nil {
		return err
	}
	signed, err := s.sign(bearer, proof)
	if err != nil {
		return err
	}
	s.issued.Add(1)
	writeJSON(w, http.StatusOK, granted{signed, "Bearer", int64(s.cfg.Lifetime.Seconds()), bearer.Scope})
	return nil
}

// grant decides for whom and what a token is. It checks the form of the request,
// then who sends it, then what they may have: a stranger finds out nothing about
// users and scopes.
func (s *Server) grant(r *http.Request) (bearer onramp.Bearer, by proof, err error) {
	p, err := readParameters(r)
	if err != nil {
		return bearer, by, err
	}
	if p[grantType] == "" {
		return bearer, by, invalidRequest("grant_type is missing")
	}
	client, secret, err := s.authenticate(r, p)
	if err != nil {
		return bearer, by, err
	}
	bearer.Client = client.id
	by = proof{client: client.id, secret: secret}
	switch p[grantType] {
	case onramp.ClientCredentials.String():
	case onramp.PasswordGrant.String():
		if by.password, err = s.authorize(r, client, p); err != nil {
			return bearer, by, err
		}
		bearer.User, by.user = p[username], p[username]
	default:
		return bearer, by, &refusal{
			status: http.StatusBadRequest, code: "unsupported_grant_type",
			description: "grant_type must be client_credentials or password",
		}
	}
	bearer.Scope, err = s.scopeOf(p[scope])
	return bearer, by, err
}

// authenticate finds the client that the request comes from (RFC 6749, 2.3.1), and
// which of its secrets it has.
func (s *Server) authenticate(r *http.Request, p *parameters) (client *account, secret digest, err error) {
	attempts, err := readCredentials(r.Header["Authorization"], p)
	if err != nil {
		return nil, secret, err
	}
	clients := s.shared.Load().clients
	client = s.nobody
	right := false
	for _, a := range attempts {
		candidate := clients[a.id]
		if candidate == nil {
			candidate = s.nobody
		}
		shown := digestOf(a.secret)
		opened := candidate.holds(shown)
		if opened || client == s.nobody {
			client, secret = candidate, shown
		}
		right = right || opened
	}
	named, cause := client.id, "client "+client.id
	if client == s.nobody {
		named, cause = attempts[0].id, "unknown client" // a stranger's text is not logged
	}
	switch s.tries.judge(who{client: named, network: networkOf(r)}, client, right, s.cfg.Now()) {
	case pass:
		return client, secret, nil
	case wrong:
		s.noteMiss()
		return nil, secret, invalidClient("unknown client or wrong secret", cause)
	}
	s.limited.Add(1)
	return nil, secret, tooManyTries(cause)
}

// authorize checks the resource owner's name and password (RFC 6749, 4.3.2), and
// returns the password's digest.
func (s *Server) authorize(r *http.Request, client *account, p *parameters) (digest, error) {
	switch {
	case p[username] == "":
		return digest{}, invalidRequest("username is missing")
	case p[password] == "":
		return digest{}, invalidRequest("password is missing")
	}
	shown := digestOf(p[password])
	user := s.users[p[username]]
	if user == nil {
		user = s.nobody
	}
	// counted apart from the client's own tries, and for each user: one that is
	// set up wrongly must not keep out the others
	tried := who{client: client.id, user: p[username], network: networkOf(r)}
	switch s.tries.judge(tried, user, user.holds(shown), s.cfg.Now()) {
	case pass:
		return shown, nil
	case wrong:
		return digest{}, invalidGrant("unknown user or wrong password", "client "+client.id)
	}
	s.limited.Add(1)
	return digest{}, tooManyTries("client " + client.id)
}

// scopeOf gives the scope to grant: what was asked for, each name once, or all
// there is when nothing was (RFC 6749, 3.3).
func (s *Server) scopeOf(asked string) (string, error) {
	if asked == "" {
		return strings.Join(s.cfg.Scopes, " "), nil
	}
	var names []string
	for name := range strings.SplitSeq(asked, " ") {
		if !slices.Contains(s.cfg.Scopes, name) {
			return "", invalidScope("the scope is malformed or contains an unknown name")
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " "), nil
}

// isScopeToken says whether a scope's name has the form of RFC 6749, 3.3.
func isScopeToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '"' || r == '\\'
	})
}
