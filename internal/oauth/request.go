package oauth

import (
	"bytes"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

const (
	maxBody  = 64 << 10
	formType = "application/x-www-form-urlencoded"
)

// parameter is one that the token endpoint reads. It ignores all others, as RFC
// 6749, 3.2 demands, also when they are repeated.
type parameter uint8

const (
	grantType parameter = iota
	scope
	clientID
	clientSecret
	username
	password
	parameterCount
)

// parameters are their values. An empty one counts as omitted (3.2).
type parameters [parameterCount]string

func parameterOf(name string) (parameter, bool) {
	switch name {
	case "grant_type":
		return grantType, true
	case "scope":
		return scope, true
	case "client_id":
		return clientID, true
	case "client_secret":
		return clientSecret, true
	case "username":
		return username, true
	case "password":
		return password, true
	}
	return 0, false
}

// readParameters reads a token request's body. Its error is a *refusal, or of kind
// Unavailable when the listener can't take the body.
func readParameters(r *http.Request) (*parameters, error) {
	if namesParameter(r.URL.RawQuery) {
		return nil, invalidRequest("parameters must be in the body, not in the query string")
	}
	if !isForm(r.Header.Get("Content-Type")) {
		return nil, invalidRequest("the content type must be " + formType + " in UTF-8")
	}
	var body bytes.Buffer
	if err := web.ReadBody(r, &body, maxBody); err != nil {
		e := web.PublicError(err)
		switch e.Kind {
		case onramp.TooLarge:
			return nil, tooLarge()
		case onramp.Unavailable:
			return nil, e
		}
		refused := invalidRequest("the body could not be read completely")
		refused.cause = e.Err.Error() // one of ReadBody's own texts
		return nil, refused
	}
	return parseParameters(body.String())
}

// namesParameter says whether a query string holds one of ours. What else it
// holds belongs to the address (RFC 6749, 3.2).
func namesParameter(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if _, ours := parameterOf(name); ours && err == nil {
			return true
		}
	}
	return false
}

func isForm(contentType string) bool {
	if contentType == formType {
		return true
	}
	media, named, err := mime.ParseMediaType(contentType)
	if err != nil || media != formType {
		return false
	}
	charset, given := named["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// parseParameters decodes a form (RFC 6749, appendix B).
func parseParameters(form string) (*parameters, error) {
	var values parameters
	var seen [parameterCount]bool
	for form != "" {
		var pair string
		pair, form, _ = strings.Cut(form, "&")
		name, value, _ := strings.Cut(pair, "=")
		name, errName := url.QueryUnescape(name)
		value, errValue := url.QueryUnescape(value)
		if errName != nil || errValue != nil {
			return nil, invalidRequest("the body is not form-encoded")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, invalidRequest("the body is not UTF-8")
		}
		p, ours := parameterOf(name)
		if !ours {
			continue
		}
		if seen[p] {
			return nil, invalidRequest("a parameter is repeated")
		}
		seen[p], values[p] = true, value
	}
	return &values, nil
}

// attempt is a client's id and secret in one of the forms in which they may be
// meant.
type attempt struct{ id, secret string }

// readCredentials finds out how the client identifies itself. Its error is a
// *refusal.
func readCredentials(headers []string, p *parameters) ([]attempt, error) {
	switch {
	case len(headers) > 1 || len(headers) == 1 && p[clientSecret] != "":
		return nil, invalidRequest("the client must use only one authentication method")
	case len(headers) == 1:
		return readBasic(headers[0], p[clientID])
	case p[clientID] == "" && p[clientSecret] == "":
		return nil, invalidClient("the client did not authenticate", "")
	case p[clientID] == "":
		return nil, invalidRequest("client_id is missing")
	case p[clientSecret] == "":
		return nil, invalidClient("the client's secret is missing", "")
	}
	return []attempt{{p[clientID], p[clientSecret]}}, nil
}

// readBasic reads an Authorization header. RFC 6749, 2.3.1 has id and secret
// form-encoded before they are put together; many clients leave that out, so
// that both forms are meant, the decoded one first.
func readBasic(header, bodyID string) ([]attempt, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil, invalidClient("the client must authenticate with the Basic scheme or in the body", "")
	}
	joined, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return nil, invalidClient("the Authorization header is malformed", "")
	}
	id, secret, complete := strings.Cut(string(joined), ":")
	if !complete {
		return nil, invalidClient("the Authorization header is malformed", "")
	}
	attempts := []attempt{{decoded(id), decoded(secret)}}
	if raw := (attempt{id, secret}); raw != attempts[0] {
		attempts = append(attempts, raw)
	}
	if bodyID != "" && !slices.ContainsFunc(attempts, func(a attempt) bool { return a.id == bodyID }) {
		return nil, invalidRequest("client_id differs from the one in the Authorization header")
	}
	return attempts, nil
}

// decoded undoes form-encoding; what can't be decoded is meant as it is.
func decoded(part string) string {
	if text, err := url.QueryUnescape(part); err == nil {
		return text
	}
	return part
}
