package onramp

import "time"

// Callback is our webhook for the Event Notification Service, as it is to be.
type Callback struct {
	Name          string // also the last segment of its URL
	Auth          Grant
	Client        string // id of the token client that Marketing Cloud uses; "" with SignatureOnly
	User          string // name of the resource owner; only with PasswordGrant
	MaxBatch      int    // most events in one call, 100 to 1000
	Subscriptions []Subscription
}

// Subscription is what Marketing Cloud sends to a callback.
type Subscription struct {
	Name    string   // unique in the account
	Types   []string // Category.Type, at least one
	Filters []string // name=value, all of which must match
	Paused  bool
}

// Grant is how Marketing Cloud proves itself when it calls a callback.
type Grant uint8

// The grants. Vendor page "Use OAuth2 Authentication with Event Notification
// Service".
const (
	ClientCredentials Grant = iota // OAuth2, recommended
	PasswordGrant                  // OAuth2 with a resource owner, legacy
	SignatureOnly                  // no token: the signature alone
)

var grants = []string{"client_credentials", "password", "none"}

// String gives the name that the configuration and OAuth2 use.
func (g Grant) String() string { return grants[g] }

// ParseGrant finds a grant by its name in the configuration.
func ParseGrant(name string) (Grant, bool) {
	i := index(grants, name)
	return Grant(max(i, 0)), i >= 0
}

// Scheme is an authentication scheme that Onramp has made in Marketing Cloud.
type Scheme struct {
	Name   string `json:"name"`    // grant, client and user, by which the configuration names it
	AuthID string `json:"auth_id"` // Marketing Cloud's id of it
	Digest string `json:"digest"`  // of what was submitted, secrets included, to see that it has changed
}

// CallbackRecord is what is known of a callback that Onramp has made in
// Marketing Cloud. It is stored encrypted.
type CallbackRecord struct {
	Name          string    `json:"name"`
	CallbackID    string    `json:"callback_id"`
	URL           string    `json:"url"`
	SignatureKeys []Secret  `json:"signature_keys"` // base64, the newest first; the one before it holds for what is under way
	AuthID        string    `json:"auth_id"`        // of its scheme; "" without
	MaxBatch      int       `json:"max_batch"`
	Verified      bool      `json:"verified"`
	CreatedAt     time.Time `json:"created_at"`
}

// Probe is Marketing Cloud's question whether a callback's URL is ours. Its key
// verifies the callback. It is stored encrypted.
type Probe struct {
	Callback        string    `json:"callback"` // name, from the URL
	CallbackID      string    `json:"callback_id"`
	VerificationKey Secret    `json:"verification_key"`
	ReceivedAt      time.Time `json:"received_at"`
}

// TokenClient is a client of our token endpoint. It is stored encrypted.
type TokenClient struct {
	ID      string   `json:"id"`
	Secrets []Secret `json:"secrets"` // the one to use first; any other is still valid, for rotation
}

// TokenUser is a resource owner that a client can name with the password grant.
type TokenUser struct {
	Name      string   `json:"name"`
	Passwords []Secret `json:"passwords"` // the one to use first; any other is still valid, for rotation
}

// SigningKey signs access tokens. It is stored encrypted.
type SigningKey struct {
	ID        string    `json:"id"`   // kid
	Seed      []byte    `json:"seed"` // of an Ed25519 key (RFC 8032), 32 bytes
	CreatedAt time.Time `json:"created_at"`
}

// Bearer is who a valid access token was given to.
type Bearer struct {
	Client string
	User   string // with the password grant
	Scope  string
}
