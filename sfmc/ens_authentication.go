package sfmc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

const (
	authSchemesPath   = "platform/v1/ens-authentications"
	defaultAuthType   = "oauth2"
	passwordGrantType = "password"
)

// AuthScheme is an authentication scheme of the Event Notification Service: where
// and how Marketing Cloud gets the token by which it proves itself to a callback
// (vendor page "Use OAuth2 Authentication with Event Notification Service").
type AuthScheme struct {
	// AuthID is Marketing Cloud's id of the scheme, which callbacks refer to.
	AuthID string
	// AuthType is "oauth2", the only one there is. Empty stands for it.
	AuthType string
	// GrantType is "client_credentials", which is recommended, or "password",
	// which is legacy.
	GrantType string
	// AuthEndpoint is the https URL of the customer's token endpoint. It has to
	// give a token within 2 seconds, to a client that authenticates by HTTP
	// Basic (RFC 6749, 2.3.1).
	AuthEndpoint string
	// ClientID and ClientSecret are those that Marketing Cloud sends to the
	// token endpoint. Marketing Cloud never gives the secret back.
	ClientID     string
	ClientSecret Secret
	// Username and Password are those of the resource owner. They are sent for
	// the grant "password" only, and needed for it.
	Username string
	Password Secret
}

// authSchemeRequest has the names of the vendor's sequence diagram, authEndpoint
// among them, which the prose calls authUrl.
type authSchemeRequest struct {
	AuthID       string `json:"authId,omitempty"`
	AuthType     string `json:"authType"`
	GrantType    string `json:"grantType"`
	AuthEndpoint string `json:"authEndpoint"`
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
	Username     string `json:"username,omitempty"`
	Password     string `json:"password,omitempty"`
}

// CreateAuthScheme makes an authentication scheme, for [Callback.AuthID]: POST
// /platform/v1/ens-authentications (vendor page "Use OAuth2 Authentication with
// Event Notification Service"). Before it answers, Marketing Cloud fetches a token
// from the endpoint; if it gets none, the call fails, with which status is not
// documented. So the endpoint has to be up before the call.
//
// It returns the scheme with its AuthID and without its secrets. What the answer
// leaves out is as it was sent; AuthID is not sent. A missing GrantType,
// AuthEndpoint, ClientID or ClientSecret, and for the grant "password" a missing
// Username or Password, is refused with [ErrInvalid] before anything is sent. A
// 2xx answer without an id is an [*Error] with [ErrAnswer].
//
// Whether Marketing Cloud wants one object or an array of it is nowhere published.
// The array is sent, as for callbacks and subscriptions, and after a 400 the object,
// once; if both are refused, the error is the first one, with the second in
// Additional. Which scopes it needs is not published either: presumably
// event_notification_callback_create, and for the other calls of schemes
// event_notification_callback_read, _update and _delete.
func (c *Client) CreateAuthScheme(ctx context.Context, s AuthScheme) (AuthScheme, error) {
	s.AuthID = ""
	return c.saveAuthScheme(ctx, OpCreateAuthScheme, http.MethodPost, s)
}

// UpdateAuthScheme replaces an authentication scheme, as to rotate its secret: PUT
// /platform/v1/ens-authentications, with the AuthID in the body. Like
// [Client.CreateAuthScheme] it makes Marketing Cloud fetch a token, and has its
// limits, results and errors; AuthID is needed, too, and all else as well, since
// Marketing Cloud does not give back what it would have to keep. A 304, by which
// Marketing Cloud says that the scheme is so already, is success.
//
// Marketing Cloud may use a token that it got by the old secret for as long as
// that lives.
func (c *Client) UpdateAuthScheme(ctx context.Context, s AuthScheme) (AuthScheme, error) {
	if err := checkID("authentication scheme", s.AuthID); err != nil {
		return AuthScheme{}, fmt.Errorf("%s: %w", OpUpdateAuthScheme, err)
	}
	return c.saveAuthScheme(ctx, OpUpdateAuthScheme, http.MethodPut, s)
}

func (c *Client) saveAuthScheme(ctx context.Context, op, method string, s AuthScheme) (AuthScheme, error) {
	in, err := newAuthSchemeRequest(s)
	if err != nil {
		return AuthScheme{}, fmt.Errorf("%s: %w", op, err)
	}
	a, err := c.submit(ctx, op, method, authSchemesPath, []authSchemeRequest{in}, s.ClientSecret, s.Password)
	if err != nil {
		return AuthScheme{}, err
	}
	saved, err := a.savedAuthScheme(s)
	first, ok := errors.AsType[*Error](err)
	if !ok || first.Status != http.StatusBadRequest {
		return saved, err
	}
	a, err = c.submit(ctx, op, method, authSchemesPath, in, s.ClientSecret, s.Password)
	if err != nil {
		return AuthScheme{}, first // which is known, while what became of the second is not
	}
	saved, err = a.savedAuthScheme(s)
	second, ok := errors.AsType[*Error](err)
	if !ok || second.Status != http.StatusBadRequest {
		return saved, err
	}
	if second.Message != first.Message && len(first.Additional) < maxDetails {
		first.Additional = append(first.Additional, Detail{
			Code: second.Code, CodeText: second.CodeText, Message: second.Message, Documentation: second.Documentation,
		})
	}
	return AuthScheme{}, first
}

func newAuthSchemeRequest(s AuthScheme) (authSchemeRequest, error) {
	switch "" {
	case s.GrantType:
		return authSchemeRequest{}, fmt.Errorf("grant type: %w: empty", ErrInvalid)
	case s.AuthEndpoint:
		return authSchemeRequest{}, fmt.Errorf("auth endpoint: %w: empty", ErrInvalid)
	case s.ClientID, s.ClientSecret.Reveal():
		return authSchemeRequest{}, fmt.Errorf("%w: client ID or client secret is missing", ErrInvalid)
	}
	in := authSchemeRequest{
		AuthID:       s.AuthID,
		AuthType:     cmp.Or(s.AuthType, defaultAuthType),
		GrantType:    s.GrantType,
		AuthEndpoint: s.AuthEndpoint,
		ClientID:     s.ClientID,
		ClientSecret: s.ClientSecret.Reveal(),
	}
	if s.GrantType != passwordGrantType {
		return in, nil
	}
	if s.Username == "" || s.Password == "" {
		return authSchemeRequest{}, fmt.Errorf("%w: user name or password is missing", ErrInvalid)
	}
	in.Username, in.Password = s.Username, s.Password.Reveal()
	return in, nil
}

// ListAuthSchemes lists the authentication schemes of the business unit: GET
// /platform/v1/ens-authentications, a route that is not published but follows from
// that of callbacks. Like there, a 404 of Marketing Cloud's own means that there
// are none. Schemes come without their secrets, and as documented without client ID
// and user name.
func (c *Client) ListAuthSchemes(ctx context.Context) ([]AuthScheme, error) {
	a, err := c.call(ctx, OpListAuthSchemes, http.MethodGet, authSchemesPath, nil)
	if err != nil {
		return nil, err
	}
	if a.isNone() {
		return []AuthScheme{}, nil
	}
	ms, err := a.records("authId")
	if err != nil {
		return nil, err
	}
	schemes := make([]AuthScheme, len(ms))
	for i, m := range ms {
		schemes[i] = a.authScheme(m, AuthScheme{})
	}
	return schemes, nil
}

// FindAuthScheme gives one authentication scheme, as [Client.ListAuthSchemes]
// does: GET /platform/v1/ens-authentications/ID. If there is none of that id, it is
// an [*Error] with Status 404. An empty id is refused with [ErrInvalid].
func (c *Client) FindAuthScheme(ctx context.Context, authID string) (AuthScheme, error) {
	a, err := c.aboutOne(ctx, OpFindAuthScheme, http.MethodGet, authSchemesPath, "authentication scheme", authID)
	if err != nil {
		return AuthScheme{}, err
	}
	m, err := a.record("authId")
	if err != nil {
		return AuthScheme{}, err
	}
	return a.authScheme(m, AuthScheme{}), nil
}

// DeleteAuthScheme deletes an authentication scheme: DELETE
// /platform/v1/ens-authentications/ID. It fails while callbacks still refer to the
// scheme (vendor page "Use OAuth2 Authentication with Event Notification Service"):
// presumably with Status 409, as callbacks answer in that case; a scheme
// that does not exist is one with 404. An empty id is refused with [ErrInvalid].
func (c *Client) DeleteAuthScheme(ctx context.Context, authID string) error {
	a, err := c.aboutOne(ctx, OpDeleteAuthScheme, http.MethodDelete, authSchemesPath, "authentication scheme", authID)
	if err != nil {
		return err
	}
	return a.done()
}

// aboutOne makes a request without a body for the thing that has an id below path.
func (c *Client) aboutOne(ctx context.Context, op, method, path, what, id string) (*answer, error) {
	if err := checkID(what, id); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return c.call(ctx, op, method, path+"/"+url.PathEscape(id), nil)
}

// checkID checks the id of something.
func checkID(what, id string) error { return checkSegment(what+" id", id) }

// savedAuthScheme reads the answer to CreateAuthScheme and UpdateAuthScheme.
func (a *answer) savedAuthScheme(sent AuthScheme) (AuthScheme, error) {
	sent.AuthType = cmp.Or(sent.AuthType, defaultAuthType)
	sent.ClientSecret, sent.Password = "", ""
	if a.op == OpUpdateAuthScheme && a.isUnchanged() {
		return sent, nil
	}
	m, err := a.record("authId")
	if err != nil {
		return AuthScheme{}, err
	}
	return a.authScheme(m, sent), nil
}

// authScheme reads a scheme; what m leaves out is as in the other.
func (a *answer) authScheme(m map[string]any, other AuthScheme) AuthScheme {
	return AuthScheme{
		AuthID:       a.cut(text(m, "authId")),
		AuthType:     cmp.Or(a.cut(text(m, "authType")), other.AuthType),
		GrantType:    cmp.Or(a.cut(text(m, "grantType")), other.GrantType),
		AuthEndpoint: cmp.Or(a.cut(text(m, "authEndpoint", "authUrl")), other.AuthEndpoint),
		ClientID:     cmp.Or(a.cut(text(m, "clientId")), other.ClientID),
		Username:     cmp.Or(a.cut(text(m, "username")), other.Username),
	}
}
