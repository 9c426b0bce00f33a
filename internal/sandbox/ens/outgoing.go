package ens

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/wire"
)

const (
	// tokenLimit is how long an authorization server may take, and probeLimit a
	// callback for its probe, tokens included. Vendor pages ens-oauth2-support
	// and createCallback. Both are true time, not the host's clock.
	tokenLimit = 2 * time.Second
	probeLimit = 30 * time.Second
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 1 << 20
	// userAgent is undocumented.
	userAgent = "onramp-sandbox"
)

// outgoingError says why a call of the sandbox's own came to nothing, in the
// words of .NET's WebException, of which the vendor's published message is made.
type outgoingError struct {
	status   string // the name of a WebExceptionStatus
	sentence string
	cause    error // nil when there was an answer; it may hold a URL
}

func (e *outgoingError) Error() string { return e.status + ". " + e.sentence }
func (e *outgoingError) Unwrap() error { return e.cause }

// statusError is the outgoingError of an answer with the wrong status.
func statusError(status int) *outgoingError {
	what := "an unexpected response"
	if status >= http.StatusBadRequest {
		what = "an error"
	}
	return &outgoingError{
		status:   "ProtocolError",
		sentence: fmt.Sprintf("The remote server returned %s: (%d) %s.", what, status, http.StatusText(status)),
	}
}

// callError turns the error of a call that got no whole answer into an
// outgoingError. Undocumented: which status the vendor gives for which trouble;
// these are the ones that .NET does.
func callError(err error) *outgoingError {
	e := &outgoingError{cause: err}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	operation, isOperation := errors.AsType[*net.OpError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	switch {
	case isDNS:
		e.status, e.sentence = "NameResolutionFailure", "The remote name could not be resolved: '"+dns.Name+"'"
	case errors.Is(err, context.Canceled):
		e.status, e.sentence = "RequestCanceled", "The request was aborted: The request was canceled."
	case errors.Is(err, context.DeadlineExceeded), isTimeout && timeout.Timeout():
		e.status, e.sentence = "Timeout", "The operation has timed out"
	case untrusted:
		e.status, e.sentence = "TrustFailure", "The underlying connection was closed: Could not establish trust relationship for the SSL/TLS secure channel."
	case noTLS, alert, errors.Is(err, http.ErrSchemeMismatch), isOperation && operation.Op == "remote error":
		e.status, e.sentence = "SecureChannelFailure", "The request was aborted: Could not create SSL/TLS secure channel."
	case isOperation && operation.Op == "dial":
		e.status, e.sentence = "ConnectFailure", "Unable to connect to the remote server"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.status, e.sentence = "ConnectionClosed", "The underlying connection was closed: The connection was closed unexpectedly."
	default:
		e.status, e.sentence = "ReceiveFailure", "The underlying connection was closed: An unexpected error occurred on a receive."
	}
	return e
}

// fetch makes a request and reads its answer, of which it returns at most
// maxAnswer bytes. Every error is an outgoingError. No redirect is followed. It
// must not be called under the lock.
func (s *Service) fetch(req *http.Request) (status int, body []byte, err error) {
	req.Header.Set("User-Agent", userAgent)
	res, err := s.outgoing.Do(req)
	if err != nil {
		return 0, nil, callError(err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read from
	if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return 0, nil, callError(err)
	}
	return res.StatusCode, body, nil
}

// post sends a JSON body to a callback and returns the status of the answer,
// whatever it is. The bearer token is left out when it is "". header may add
// more; limit bounds the whole call, in true time. Every error is an
// outgoingError: there was no whole answer. It must not be called under the lock.
func (s *Service) post(ctx context.Context, url, bearer string, header http.Header, body []byte, limit time.Duration) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, callError(err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	status, _, err = s.fetch(req)
	return status, err
}

// requestToken asks a scheme's authorization server for a token. life is how
// long it says that the token works; 0 means that it does not say. Every error
// is an outgoingError. It must not be called under the lock.
//
// Undocumented: whether the id and the secret are form-encoded before they
// become HTTP Basic. RFC 6749, section 2.3.1, wants it, and so it is done here;
// it makes no difference for letters and digits.
func (s *Service) requestToken(ctx context.Context, sc scheme) (token string, life time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, tokenLimit)
	defer cancel()
	s.host.TokenDelay(ctx)
	form := "grant_type=" + url.QueryEscape(sc.grantType)
	if sc.grantType == grantPassword {
		form += "&username=" + url.QueryEscape(sc.username) + "&password=" + url.QueryEscape(sc.password)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sc.authEndpoint, strings.NewReader(form))
	if err != nil {
		return "", 0, callError(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(sc.clientID), url.QueryEscape(sc.clientSecret))
	status, body, err := s.fetch(req)
	if err != nil {
		return "", 0, err
	}
	if status != http.StatusOK {
		return "", 0, statusError(status)
	}
	return readToken(body)
}

// readToken reads an answer with a token, RFC 6749, section 5.1. All but
// access_token may be missing: the vendor's text asks for no more.
func readToken(body []byte) (token string, life time.Duration, err error) {
	var sent struct {
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	err = json.Unmarshal(body, &sent)
	// what is not visible ASCII cannot stand in a header: RFC 6749, appendix A.12
	unfit := func(r rune) bool { return r <= ' ' || r > '~' }
	if err != nil || sent.AccessToken == "" || strings.ContainsFunc(sent.AccessToken, unfit) {
		return "", 0, &outgoingError{"ProtocolError", "The response has no access_token.", err}
	}
	// servers send a number, and some a text
	seconds, err := strconv.ParseFloat(strings.Trim(string(sent.ExpiresIn), `"`), 64)
	if err != nil || !(seconds > 0) {
		return sent.AccessToken, 0, nil
	}
	return sent.AccessToken, time.Duration(math.Min(seconds, 1e9) * float64(time.Second)), nil
}

// schemeToken is the token of a scheme: the last one while it works, else a new
// one. renew lets go of the last one first. Callers at the same time may each
// ask for one, as the vendor's workers do. It must not be called under the lock.
func (s *Service) schemeToken(ctx context.Context, schemeID string, renew bool) (string, error) {
	s.host.Lock.Lock()
	now := s.host.Now()
	known := s.world.scheme(schemeID)
	if known == nil {
		s.host.Lock.Unlock()
		return "", &outgoingError{status: "UnknownError", sentence: "The authentication scheme does not exist."}
	}
	if renew {
		known.token = ""
	}
	sc := *known
	s.host.Lock.Unlock()
	if sc.token != "" && (sc.tokenTo.IsZero() || now.Before(sc.tokenTo)) {
		return sc.token, nil
	}

	token, life, err := s.requestToken(ctx, sc)
	if err != nil {
		return "", err
	}
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	// The scheme may have been changed, or be gone, by now.
	if known = s.world.scheme(schemeID); known != nil && known.bare() == sc.bare() {
		known.keep(token, life, now)
	}
	return token, nil
}

// keep remembers a token that was asked for at a time.
func (sc *scheme) keep(token string, life time.Duration, asked time.Time) {
	sc.token, sc.tokenTo = token, time.Time{}
	if life > 0 {
		sc.tokenTo = asked.Add(life)
	}
}

// bare is the scheme without its token.
func (sc scheme) bare() scheme {
	sc.token, sc.tokenTo = "", time.Time{}
	return sc
}

// probe sends a new callback its verification key. Vendor page createCallback:
// it must answer exactly 200 within 30 seconds. The probe is not signed, but has
// a token when the callback has a scheme; a 400 or a 401 counts as a token that
// has expired, once. It must not be called under the lock.
func (s *Service) probe(ctx context.Context, cb callback) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	body, err := wire.Encode(verification{CallbackID: &cb.id, VerificationKey: &cb.verificationKey})
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	for renew := false; ; renew = true {
		var bearer string
		if cb.authID != "" {
			if bearer, err = s.schemeToken(ctx, cb.authID, renew); err != nil {
				return err
			}
		}
		status, err := s.post(ctx, cb.url, bearer, nil, body, probeLimit)
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			return nil
		case cb.authID == "" || renew || status != http.StatusBadRequest && status != http.StatusUnauthorized:
			return statusError(status)
		}
	}
}

// checkURL reports whether the sandbox can send to a URL, and whether the vendor
// would when it is strict. query says that a query string is allowed. Vendor
// page createCallback for callbacks; undocumented: that a token endpoint in
// strict mode has no port either.
func (s *Service) checkURL(parameter, text string, query bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "", strings.ContainsAny(text, " \t"):
		return invalid(parameter, "is not a URL with a host")
	case u.Scheme != "https" && (s.strict || u.Scheme != "http"):
		return invalid(parameter, "is not a URL that begins with https://")
	case s.strict && (u.Port() != "" || strings.HasSuffix(u.Host, ":")):
		return invalid(parameter, "has a port; 443 is the only one")
	case u.User != nil:
		return invalid(parameter, "has a user")
	case !query && (u.RawQuery != "" || u.ForceQuery):
		return invalid(parameter, "has a query string")
	case strings.Contains(text, "#"):
		return invalid(parameter, "has a fragment")
	}
	return nil
}
