package sfmc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxAnswer is how much of an answer is read. The largest that is expected is
// the echo of a 5 MB row set.
const maxAnswer = 8 << 20

// Client calls Marketing Cloud's REST API, and by [Client.Do] its SOAP API, too. It is
// safe for concurrent use.
type Client struct {
	caller    caller
	tokens    TokenSource
	origin    string // base of every call; empty: taken from the token
	originErr error
}

// New makes a client for the usual case: the tenant with the given subdomain (see
// [AuthURL]), the credentials of an installed package, and a [TokenCache] with its
// defaults. It makes no request. A subdomain that is not one DNS label and missing
// credentials are refused with [ErrInvalid].
//
// [NewClient] is for all else: a token that is kept across restarts, another limit
// of time, a sandbox, a proxy.
func New(subdomain string, cred Credentials, opts ...Option) (*Client, error) {
	authURL, err := AuthURL(subdomain)
	if err != nil {
		return nil, err
	}
	tokens, err := NewTokenRequester(authURL, cred, opts...)
	if err != nil {
		return nil, err
	}
	return NewClient(NewTokenCache(tokens), opts...), nil
}

// NewClient makes a client that authenticates by tokens from the given source,
// normally a [TokenCache]. It makes no request.
func NewClient(tokens TokenSource, opts ...Option) *Client {
	o := newOptions(opts)
	c := &Client{caller: newCaller(o), tokens: tokens}
	if o.origin == "" {
		return c
	}
	u, err := givenURL("origin", o.origin)
	switch {
	case err != nil:
		c.originErr = err
	case u.Path != "/":
		c.originErr = fmt.Errorf("origin %.200q: %w: has a path", o.origin, ErrInvalid)
	default:
		c.origin = u.String()
	}
	return c
}

// invalidator is what a TokenSource has if a token can be taken back.
type invalidator interface{ Invalidate(accessToken string) }

// call makes a request for a path below the REST base, with a JSON body or, if
// body is nil, with none. After a 401 it makes it once more, with another token.
// The secrets of the body are cut out of errors.
func (c *Client) call(ctx context.Context, op, method, path string, body []byte, secrets ...Secret) (*answer, error) {
	return c.authorised(ctx, request{op: op, method: method, body: body, secrets: secrets}, path)
}

// authorised makes the request r for a path below its base, and once more with another
// token if the token was refused.
func (c *Client) authorised(ctx context.Context, r request, path string) (*answer, error) {
	if c.originErr != nil {
		return nil, fmt.Errorf("%s: %w", r.op, c.originErr)
	}
	a, used, err := c.callOnce(ctx, r, path)
	if err != nil || !a.refusesToken() {
		return a, err
	}
	inv, ok := c.tokens.(invalidator)
	if !ok {
		return a, nil
	}
	inv.Invalidate(used.Reveal())
	a, _, err = c.callOnce(ctx, r, path)
	return a, err
}

// post sends in, as JSON.
func (c *Client) post(ctx context.Context, op, path string, in any) (*answer, error) {
	return c.submit(ctx, op, http.MethodPost, path, in)
}

// submit sends in, as JSON, by the given method. The secrets are those in it.
func (c *Client) submit(ctx context.Context, op, method, path string, in any, secrets ...Secret) (*answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", op, ErrInvalid, err)
	}
	return c.call(ctx, op, method, path, body, secrets...)
}

// callOnce makes the request r for a path below the REST or SOAP base with the current
// token, which it returns, too.
func (c *Client) callOnce(ctx context.Context, r request, path string) (*answer, Secret, error) {
	tok, err := c.tokens.Token(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", r.op, err)
	}
	if tok == nil || tok.AccessToken == "" {
		return nil, "", fmt.Errorf("%s: token source gave no token", r.op)
	}
	base, err := c.base(tok, r)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", r.op, err)
	}
	r.url, r.hide = base+path, tok.AccessToken
	traced(ctx, r, path)
	if r.action == "" {
		r.bearer = tok.AccessToken
	} else {
		r.body = envelope(tok.AccessToken, r.body)
	}
	a, err := c.caller.send(ctx, r)
	return a, tok.AccessToken, err
}

// base is what the path of a request is appended to.
func (c *Client) base(tok *Token, r request) (string, error) {
	switch {
	case c.origin != "":
		return c.origin, nil
	case r.action != "":
		return instanceBase("soap_instance_url", tok.SOAPInstanceURL, soapDomain)
	}
	return instanceBase("rest_instance_url", tok.RESTInstanceURL, restDomain)
}

// caller sends single HTTP requests; the client and the token requester share it.
type caller struct {
	http      *http.Client
	userAgent string
}

func newCaller(o options) caller {
	return caller{http: o.httpClient, userAgent: o.userAgent}
}

// request is one HTTP request: what send needs to know of it.
type request struct {
	op      string
	method  string
	url     string
	body    []byte   // JSON, or the content of a SOAP body; nil: none
	action  string   // SOAPAction; empty: not a SOAP call
	bearer  Secret   // empty: no Authorization header
	hide    Secret   // cut out of what is shown of the answer
	secrets []Secret // those in the body; cut out of what an error shows of the answer
}

// send makes the request r and reads the answer, whatever its status. An error
// means that none came.
func (c caller) send(ctx context.Context, r request) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.op, err)
	}
	req.Header.Set("Accept", "application/json")
	if r.action != "" {
		req.Header.Set("Content-Type", "text/xml; charset=UTF-8")
		req.Header.Set("Accept", "text/xml")
		req.Header.Set("SOAPAction", r.action)
	} else if r.body != nil {
		// Without the charset, text other than ASCII in events gets garbled
		// (vendor page "Fire Entry Event").
		req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	req.Header.Set("User-Agent", c.userAgent)
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer.Reveal())
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.op, err)
	}
	defer res.Body.Close()
	body, err := readBody(res)
	return &answer{
		op:      r.op,
		status:  res.StatusCode,
		header:  res.Header,
		body:    body,
		readErr: err,
		hide:    r.hide,
		secrets: r.secrets,
	}, nil
}

// readBody reads what is kept of a body, into room made for the length that the
// header states: an answer is often the echo of a large request. What a header can
// claim is bounded.
func readBody(res *http.Response) ([]byte, error) {
	var b bytes.Buffer
	if n := res.ContentLength; n > 0 {
		b.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(res.Body, maxAnswer+1))
	return b.Bytes(), err
}
