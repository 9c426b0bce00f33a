package onramp

import "time"

// CallbackPath is where the callbacks are under the gateway's URL; a callback's
// name follows it.
const CallbackPath = "/ens/"

// TokenPath is where the token endpoint is under the gateway's URL.
const TokenPath = "/oauth2/token"

// Callback is our webhook for the Event Notification Service, as it is to be.
type Callback struct {
	Name          string // also the last segment of its URL
	Auth          Grant
	Client        string // id of the token client that Marketing Cloud uses; "" with SignatureOnly
	User          string // name of the resource owner; only with PasswordGrant
	MaxBatch      int    // most events in one call, 100 to 1000
	Unsigned      Unsigned
	Subscriptions []Subscription
}

// Unsigned is what becomes of a batch that has a token and no signature. Nobody knows
// whether Marketing Cloud signs the batches of callbacks with an authentication scheme;
// if it does, a stolen token must not be enough.
type Unsigned uint8

// What can become of it.
const (
	RefuseOnceSigned Unsigned = iota // it is refused as soon as one with a signature has come
	AllowUnsigned
	RefuseUnsigned
)

var unsigned = []string{"auto", "allow", "refuse"}

// ParseUnsigned finds one by its name in the configuration.
func ParseUnsigned(name string) (Unsigned, bool) {
	i := index(unsigned, name)
	return Unsigned(max(i, 0)), i >= 0
}

// UsesClient says whether Marketing Cloud may call the callback as a token client:
// the one that the callback names, or any where it names none, which the
// configuration allows only while it has no clients of its own.
func (c *Callback) UsesClient(id string) bool {
	return c.Auth != SignatureOnly && (c.Client == "" || c.Client == id)
}

// Subscription is what Marketing Cloud sends to a callback.
type Subscription struct {
	Name    string   // unique in the account
	Types   []string // Category.Type, at least one
	Filters []string // name=value, all of which must match
	Paused  bool
}

// Refusal is why a request to a callback was refused, in a word or two by which
// refusals are counted.
type Refusal string

// The reasons. Package oauth may say more about a token, see TokenRefused.
const (
	RefusedToken          Refusal = "token"
	RefusedContentType    Refusal = "content type"
	RefusedBrokenOff      Refusal = "broken off" // the body ended early
	RefusedTooLarge       Refusal = "too large"
	RefusedNotABatch      Refusal = "not a batch"
	RefusedNoSignature    Refusal = "no signature"
	RefusedNoSignatureKey Refusal = "no signature key" // it is not known here yet
	RefusedWrongSignature Refusal = "wrong signature"
	RefusedNotStored      Refusal = "not stored"
	RefusedProbe          Refusal = "probe" // its id or key can't be one, or too many came
)

// TokenRefused is RefusedToken with what was wrong with the token.
func TokenRefused(why string) Refusal { return RefusedToken + ": " + Refusal(why) }

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
	Proven          bool // it came with a valid access token
}

// Unreadable is something kept encrypted that can't be read.
type Unreadable struct {
	Kind, Name string
	Err        error
	Hint       string // what the operator can do about it
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
