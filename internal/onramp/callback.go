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
	Name   string // grant, client and user, by which the configuration names it
	AuthID string // Marketing Cloud's id of it
	Digest string // of what was submitted, secrets included, to see that it has changed
}

// CallbackRecord is what is known of a callback that Onramp has made in
// Marketing Cloud. It is stored encrypted.
type CallbackRecord struct {
	Name          string
	CallbackID    string
	URL           string
	SignatureKeys []Secret // base64, the newest first; the one before it holds for what is under way
	AuthID        string   // of its scheme; "" without
	MaxBatch      int
	Verified      bool
	CreatedAt     time.Time
}

// Probe is Marketing Cloud's question whether a callback's URL is ours. Its key
// verifies the callback. It is stored encrypted.
type Probe struct {
	Callback        string // name, from the URL
	CallbackID      string
	VerificationKey Secret
	ReceivedAt      time.Time
}

// TokenClient is a client of our token endpoint. It is stored encrypted.
type TokenClient struct {
	ID      string
	Secrets []Secret // the one to use first; any other is still valid, for rotation
}

// TokenUser is a resource owner that a client can name with the password grant.
type TokenUser struct {
	Name      string
	Passwords []Secret // the one to use first; any other is still valid, for rotation
}

// SigningKey signs access tokens. It is stored encrypted.
type SigningKey struct {
	ID        string // kid
	Seed      []byte // of an Ed25519 key (RFC 8032), 32 bytes
	CreatedAt time.Time
}

// Bearer is who a valid access token was given to.
type Bearer struct {
	Client string
	User   string // with the password grant
	Scope  string
}
