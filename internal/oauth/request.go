package oauth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/internal/web/media"
)

const maxBody = 64 << 10

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
	declared := media.ParseType(r.Header.Get("Content-Type"))
	if declared.Media != media.Form {
		return nil, invalidRequest("the content type must be " + media.Form)
	}
	var body bytes.Buffer
	if err := web.ReadBody(r, &body, maxBody); err != nil {
		e := web.PublicError(err)
		switch e.Kind {
		case onramp.TooLarge:
			return nil, tooLarge()
		case onramp.Unavailable:
			return nil, e
		case onramp.Unsupported:
			return nil, unknownCoding()
		}
		refused := invalidRequest(e.Message)
		if e.Err != nil {
			refused.cause = e.Err.Error() // one of ReadBody's own texts
		}
		return nil, refused
	}
	form := body.String()
	charset, err := charsetOf(form, declared.Charset)
	if err != nil {
		return nil, invalidRequest("the charset is not known")
	}
	return parseParameters(form, charset)
}

// charsetOf finds the charset of a form by its label. Appendix B of RFC 6749 has a form
// in ASCII: where it is, a label that can't be true of it, or that nobody knows, says
// nothing, and what is escaped is UTF-8.
func charsetOf(form, label string) (media.Charset, error) {
	charset, err := media.FindCharset(label)
	if isASCII(form) && (err != nil || charset.IsUTF16()) {
		return media.Charset{}, nil
	}
	return charset, err
}

// isASCII says whether a text is ASCII. NUL is not: in UTF-16 it is half of each letter.
func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r == 0 || r > unicode.MaxASCII })
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

// parseParameters decodes a form (RFC 6749, appendix B).
func parseParameters(form string, charset media.Charset) (*parameters, error) {
	var values parameters
	var seen [parameterCount]bool
	err := media.ParseForm(form, charset, func(name, value string) error {
		p, ours := parameterOf(name)
		if !ours {
			return nil
		}
		if seen[p] {
			return invalidRequest("a parameter is repeated")
		}
		seen[p], values[p] = true, value
		return nil
	})
	if refused, ok := errors.AsType[*refusal](err); ok {
		return nil, refused
	}
	if err != nil {
		return nil, invalidRequest(web.PublicError(err).Message)
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
// form-encoded before they are put together; many clients leave that out, and some
// encode only the colon, which RFC 7617, 2 forbids in an id. All of these may be meant,
// the decoded form first.
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
	var attempts []attempt
	for _, a := range []attempt{
		{decoded(id), decoded(secret)},
		{id, secret},
		{withColons.Replace(id), withColons.Replace(secret)},
		{withColons.Replace(id), secret},
	} {
		if !slices.Contains(attempts, a) {
			attempts = append(attempts, a)
		}
	}
	if bodyID != "" && !slices.ContainsFunc(attempts, func(a attempt) bool { return a.id == bodyID }) {
		return nil, invalidRequest("client_id differs from the one in the Authorization header")
	}
	return attempts, nil
}

// withColons undoes the encoding of colons alone.
var withColons = strings.NewReplacer("%3A", ":", "%3a", ":")

// decoded undoes form-encoding; what can't be decoded is meant as it is.
func decoded(part string) string {
	if text, err := url.QueryUnescape(part); err == nil {
		return text
	}
	return part
}
