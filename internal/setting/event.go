package setting

// OAuth is the token endpoint.
func OAuth() Section {
	return Section{Title: "oauth", Path: "oauth", About: "The token endpoint, where Marketing Cloud gets the access token for callbacks.", Keys: []Key{
		{Name: "token_lifetime", Default: "20m", Meaning: "lifetime of an access token, 1m to 24h"},
		{Name: "clients", Several: true, Without: "those that the gateway keeps: `onramp keys new client --save`", Meaning: "list of [clients](#a-client)"},
		{Name: "users", Several: true, Meaning: "only for `auth: password`: list of [users](#a-user)"},
	}}
}

// Client is one client of the token endpoint.
func Client() Section {
	return Section{Title: "A client", Path: "oauth.clients[]", About: "`onramp keys new client` prints an id and a secret.", Keys: []Key{
		{Name: "id", Meaning: "its id; required"},
		{Name: "secret", Meaning: "its secret; required"},
		{Name: "previous_secret", Meaning: "the secret before, which is valid, too: for a [rotation](../events.md#rotating-a-secret)"},
	}}
}

// User is one resource owner.
func User() Section {
	return Section{Title: "A user", Path: "oauth.users[]", Keys: []Key{
		{Name: "name", Meaning: "the user name that Marketing Cloud uses; required"},
		{Name: "password", Meaning: "`onramp keys new password` creates one; required"},
		{Name: "previous_password", Meaning: "the password before, which is valid, too"},
	}}
}

// ENS is what events come to.
func ENS() Section {
	return Section{Title: "ens", Path: "ens", Keys: []Key{
		{Name: "callbacks", Several: true, Meaning: "the [callbacks](#a-callback), by name: `/ens/NAME` is the address of each"},
	}}
}

const (
	filters = "only events that match all of these, such as `definitionKey=welcome`"
	paused  = "while `true`, Marketing Cloud drops the events"
	types   = "event types, such as `TransactionalSendEvents.EmailSent`; see [Types](../events.md#types)"
)

// Callback is one callback.
func Callback() Section {
	return Section{Title: "A callback", Path: "ens.callbacks.NAME", Keys: []Key{
		{Name: "auth", Default: "client_credentials", Meaning: "how Marketing Cloud authenticates: `client_credentials`, `password` or `none` (signature only)"},
		{Name: "client", Without: "the only one", Meaning: "the id of the client that it uses"},
		{Name: "user", Without: "the only one", Meaning: "the name of the user that it uses, with `auth: password`"},
		{Name: "max_batch", Default: "1000", Meaning: "maximum events per call, 100 to 1000"},
		{Name: "unsigned", Default: "auto", Meaning: "what to do with a batch that has a token but no signature: `auto` accepts it until the first signed batch has come, and refuses it from then on; `allow` or `refuse`"},
		{Name: "subscribe", Meaning: types},
		{Name: "filters", Without: "all events", Meaning: filters},
		{Name: "paused", Default: "false", Meaning: paused},
		{Name: "subscriptions", Meaning: "instead of the three above: list of [subscriptions](#a-subscription)"},
	}}
}

// Subscription is one of several subscriptions of a callback.
func Subscription() Section {
	return Section{Title: "A subscription", Path: "ens.callbacks.NAME.subscriptions[]", Keys: []Key{
		{Name: "name", Meaning: "unique in the account; required"},
		{Name: "types", Meaning: types},
		{Name: "filters", Without: "all events", Meaning: filters},
		{Name: "paused", Default: "false", Meaning: paused},
	}}
}

// Sink is one of your systems that events are forwarded to.
func Sink() Section {
	return Section{Title: "A sink", Path: "sinks[]", About: "One of the four kinds; see [Sinks](../events.md#sinks).", Keys: []Key{
		{Name: "name", Meaning: "required"},
		{Name: "types", Without: "all", Meaning: "the event types to forward; `*` matches any text"},
		{Name: "batch", Without: "1 for a webhook, 500 for Kafka and a file, 100 for NATS", Meaning: "maximum events per call, 1 to 10000"},
		{Name: "webhook", Meaning: "a [webhook](#webhook)"},
		{Name: "kafka", Meaning: "a [Kafka topic](#kafka)"},
		{Name: "nats", Meaning: "a [NATS JetStream subject](#nats)"},
		{Name: "file", Meaning: "a [file](#file) of JSON lines"},
	}}
}

// Webhook is a sink that is called by HTTP.
func Webhook() Section {
	return Section{Title: "webhook", Path: "sinks[].webhook", Keys: []Key{
		{Name: "url", Meaning: "the http or https URL that receives the events; required"},
		{Name: "secret", Meaning: "signs the calls; `onramp keys new webhook` creates one; required"},
		{Name: "previous_secret", Meaning: "the secret before, by which calls are signed, too"},
		{Name: "headers", Meaning: "headers that are sent along, by name"},
	}}
}

const caFile = "PEM file with the certificates that are trusted, instead of the system's"

// Kafka is a sink that is a Kafka topic.
func Kafka() Section {
	return Section{Title: "kafka", Path: "sinks[].kafka", Keys: []Key{
		{Name: "brokers", Meaning: "list of `host:port`; required"},
		{Name: "topic", Meaning: "required"},
		{Name: "tls", Default: "false", Meaning: "`true` encrypts the connection"},
		{Name: "ca_file", Meaning: caFile},
		{Name: "sasl", Meaning: "`plain`, `scram-sha-256` or `scram-sha-512`"},
		{Name: "user", Meaning: "with `sasl`"},
		{Name: "password", Meaning: "with `sasl`"},
	}}
}

// NATS is a sink that is a subject of a JetStream stream.
func NATS() Section {
	return Section{Title: "nats", Path: "sinks[].nats", Keys: []Key{
		{Name: "url", Meaning: "a `nats://` or `tls://` URL; this or `urls` is required"},
		{Name: "urls", Meaning: "list of several"},
		{Name: "subject", Meaning: "a subject of a stream; `{type}` in it stands for the event's type; required"},
		{Name: "credentials_file", Meaning: "one of three ways to log in"},
		{Name: "user", Meaning: "another one, with `password`"},
		{Name: "password", Meaning: "with `user`"},
		{Name: "token", Meaning: "the third"},
		{Name: "ca_file", Meaning: caFile},
	}}
}

// File is a sink that is a file.
func File() Section {
	return Section{Title: "file", Path: "sinks[].file", Keys: []Key{
		{Name: "path", Meaning: "the file that events are appended to, one a line; required"},
	}}
}
