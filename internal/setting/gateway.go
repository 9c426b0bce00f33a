package setting

// Top is what stands at the top of the file, beside the sections.
func Top() Section {
	return Section{Title: "At the top", Keys: []Key{
		{Name: "database", Default: "onramp.db", Restart: true, Meaning: "a SQLite file, or a `postgres://…` URL. Parameters in the URL, such as `statement_timeout`, take precedence over Onramp's own"},
		{Name: "encryption_key", Without: "with SQLite, one that Onramp makes in `onramp.db.key`", Restart: true, Meaning: "encrypts the secrets in the database: those of callbacks and clients, the access token, keys of certificates, and the one behind `subscriber_key: uuid`. " +
			"`onramp keys new encryption` creates one. PostgreSQL with callbacks or with `public.tls.acme` needs it; without it the access token isn't stored, and each start requests one. See [Secrets](../running.md#secrets)"},
		{Name: "drain_timeout", Default: "25s", Meaning: "how long a shutdown, or a reload, waits for requests in flight"},
		{Name: "alerts", Several: true, Meaning: "list of [shoutrrr](https://shoutrrr.nickfedor.com) URLs that receive [alerts](../runbook/README.md). What Marketing Cloud or another server said " +
			"stands in them without links, addresses, tokens and markup; `onramp status` shows it in full"},
		{Name: "forms", Several: true, Meaning: "the [forms](#a-form), by name; at least one"},
		{Name: "ens", Several: true, Meaning: "the [callbacks](#ens) for events"},
		{Name: "sinks", Several: true, Meaning: "list of [sinks](#a-sink), where events are forwarded to"},
	}}
}

// Public is the listener for visitors and sites.
func Public() Section {
	return Section{Title: "public", Path: "public", About: "The listener for forms, the API for sites, the token endpoint and callbacks.", Keys: []Key{
		{Name: "listen", Default: ":8080", Restart: true, Meaning: "its address, `host:port`; without a host, all addresses"},
		{Name: "url", Meaning: "its public URL; required for callbacks. It is the issuer of the token endpoint's tokens and metadata; without it, the issuer is the address of the listener, such as `http://127.0.0.1:8080`"},
		{Name: "tls", Several: true, Restart: true, Without: "http", Meaning: "the [certificate](#publictls) with which the listener speaks https"},
		{Name: "trusted_proxies", Several: true, Meaning: "IP addresses or CIDR prefixes of your load balancers; only they are believed what the visitor's address is, and only they may have more than a quarter of the connections; see [TLS and proxies](../proxies.md#what-is-believed-of-a-proxy)"},
		{Name: "client_ip_header", Default: "X-Forwarded-For", Meaning: "the header in which they say it: `X-Forwarded-For`, `Forwarded` (RFC 7239) or `X-Real-IP`; see [The visitor's address](../forms.md#the-visitors-address)"},
		{Name: "max_connections", Without: "half the limit of open files, at most 4096", Restart: true, Meaning: "connections at once, 16 or more; see [Overload](../reliability.md#overload)"},
	}}
}

// Storage is how much strangers can make the gateway store.
func Storage() Section {
	return Section{Title: "storage", Path: "storage", About: "How much strangers can make the gateway store; see [What strangers can store](../reliability.md#what-strangers-can-store).", Keys: []Key{
		{Name: "per_address", Default: "2MB", Meaning: "what one client address, for IPv6 one /64, can have stored a minute; then its registrations are answered with 429. `off`: no limit. " +
			"Private and loopback addresses have none"},
		{Name: "total", Default: "256MB", Meaning: "what all can have stored a minute; registrations can use three quarters of it, events all of it. `off`: no limit"},
		{Name: "exempt", Several: true, Meaning: "IP addresses or CIDR prefixes that `per_address` is not for, such as your own servers that pass on registrations"},
		{Name: "disk_reserve", Default: "2%", Meaning: "what must stay free on the database's disk, a percentage or a size: below it registrations are answered with 503, and below half of it events, too. " +
			"Deliveries and operators can use it. `off`: nothing. PostgreSQL's disk is not watched"},
	}}
}

// Egress is where outgoing calls may lead.
func Egress() Section {
	return Section{Title: "egress", Path: "egress", About: "Where calls to Marketing Cloud, sinks and alert receivers may lead; see [Outgoing calls](../running.md#outgoing-calls).", Keys: []Key{
		{Name: "private", Default: "true", Meaning: "whether host names may lead to private addresses, such as `10.0.0.0/8`. An address in the configuration may be private in any case"},
		{Name: "allow", Several: true, Meaning: "IP addresses or CIDR prefixes that may be called though they would be refused: link-local ones, a cloud's metadata service, private ones with `private: false`, " +
			"and loopback for names other than `localhost`"},
	}}
}

// certificateFiles are the keys of a certificate in files.
func certificateFiles() []Key {
	return []Key{
		{Name: "cert", Restart: true, Meaning: "a PEM file with the certificate and its chain; it is loaded again when it changes"},
		{Name: "key", Restart: true, Meaning: "a PEM file with its private key; likewise"},
	}
}

// PublicTLS is the certificate of the public listener.
func PublicTLS() Section {
	return Section{Title: "public.tls", Path: "public.tls", About: "Either `cert` and `key`, or `acme`; see [TLS and proxies](../proxies.md).", Keys: append(
		certificateFiles(),
		Key{Name: "acme", Several: true, Restart: true, Meaning: "a [certificate authority](#publictlsacme) that gives certificates by itself"},
	)}
}

// ACME is the authority that gives certificates.
func ACME() Section {
	return Section{Title: "public.tls.acme", Path: "public.tls.acme", About: "See [TLS by ACME](../proxies.md#tls-by-acme).", Keys: []Key{
		{Name: "accept_terms", Restart: true, Meaning: "`true`: you accept the terms of the authority; required"},
		{Name: "hosts", Several: true, Restart: true, Without: "the host of `public.url`", Meaning: "list of the hosts that get a certificate"},
		{Name: "email", Restart: true, Meaning: "where the authority writes to"},
		{Name: "directory", Restart: true, Without: "Let's Encrypt", Meaning: "URL of another authority's ACME directory"},
		{Name: "http_listen", Restart: true, Meaning: "an address that port 80 leads to, such as `:80`: there the authority can be given the proof that a host is yours, and everybody else is led to https"},
	}}
}

// AdminTLS is the certificate of the admin listener.
func AdminTLS() Section {
	return Section{Title: "admin.tls", Path: "admin.tls", About: "The operator commands trust the certificate, whoever has signed it; see [The admin listener](../proxies.md#the-admin-listener).", Keys: certificateFiles()}
}

// Admin is the listener for operators.
func Admin() Section {
	return Section{Title: "admin", Path: "admin", About: "The listener for operators: the admin API, which the commands use, `/healthz` and `/readyz`.", Keys: []Key{
		{Name: "listen", Default: "127.0.0.1:8081", Restart: true, Meaning: "its address; anything but loopback needs `token` or `tokens`"},
		{Name: "tls", Several: true, Restart: true, Without: "http", Meaning: "the [certificate](#admintls) with which the listener speaks https"},
		{Name: "token", Without: "the admin API is closed", Meaning: "bearer token of the admin API, at least 16 characters; `onramp init` and `onramp keys new admin` create one. " +
			"It may do everything. See [Admin tokens](../configuration.md#admin-tokens), also for what happens to wrong ones"},
		{Name: "tokens", Several: true, Meaning: "list of further [tokens](#an-admin-token) with names and roles"},
	}}
}

// AdminToken is one admin token with a name and roles.
func AdminToken() Section {
	return Section{Title: "An admin token", Path: "admin.tokens[]", About: "See [Admin tokens](../configuration.md#admin-tokens).", Keys: []Key{
		{Name: "name", Meaning: "who has it: lower-case letters, digits, _ and -; stands in the log and the audit log; required"},
		{Name: "token", Meaning: "the token, at least 16 characters; `onramp keys new admin` creates one; required"},
		{Name: "roles", Meaning: "list of what it may do: `read`, `operate`, `privacy`; required"},
	}}
}

// Consent is how the consent log and the audit log are kept.
func Consent() Section {
	return Section{Title: "consent", Path: "consent", About: "The consent log and the audit log; see [consent.md](../consent.md).", Keys: []Key{
		{Name: "anchor_file", Without: "only the database and the log of the program have them", Meaning: "a file to which the signed heads of both logs are appended, one line a day for each: on another disk, or where a backup takes it away, it shows that the database was rewritten or cut"},
	}}
}

// SMTP is the mail server.
func SMTP() Section {
	return Section{Title: "smtp", Path: "smtp", About: "The mail server for the confirmations of forms with `double_opt_in: { smtp: true }`; see [By email](../double-opt-in.md#by-email).", Keys: []Key{
		{Name: "url", Meaning: "`smtps://user:password@mail.example.com:465` for TLS from the start, `smtp://user:password@mail.example.com:587` for STARTTLS, without which nothing is sent to any host but this one"},
		{Name: "from", Meaning: "the sender, such as `News <news@example.com>`"},
	}}
}

// MarketingCloud is the account and the installed package.
func MarketingCloud() Section {
	return Section{Title: "marketing_cloud", Path: "marketing_cloud", About: "The account and its installed package; see [real-account.md](../real-account.md). Either `subdomain` or `auth_url` is required.", Keys: []Key{
		{Name: "subdomain", Meaning: "tenant subdomain: the first label of the account's host names"},
		{Name: "auth_url", Meaning: "instead of it, a whole URL: that of the sandbox"},
		{Name: "client_id", Meaning: "from the installed package; required"},
		{Name: "client_secret", Meaning: "from the installed package; required"},
		{Name: "account_id", Without: "the package's own", Meaning: "MID of the business unit"},
		{Name: "calls_per_year", Default: "0", Meaning: "the API calls that your contract with Salesforce allots to the account for a year; see [The year's calls](../reliability.md#the-years-calls). `0`: they are only counted"},
		{Name: "contract_start", Without: "`01-01`", Meaning: "the month and day when the contract's year begins, at midnight UTC"},
	}}
}

// Delivery is how registrations are sent on.
func Delivery() Section {
	return Section{Title: "delivery", Path: "delivery", Keys: []Key{
		{Name: "give_up_after", Default: "72h", Meaning: "how long a delivery that keeps failing is retried before it becomes a dead letter; after a [pause](../running.md#pausing-a-destination) it counts from the end of the pause. " +
			"Messages are retried for 47 hours from their first attempt at most"},
		{Name: "senders", Default: "16", Meaning: "concurrent requests to Marketing Cloud, 1 to 256"},
		{Name: "timeout", Default: "30s", Meaning: "timeout of one request"},
		{Name: "longest_call", Default: "2m", Restart: true, Meaning: "how long Marketing Cloud may take to carry out a request whose answer was lost. A quarter later, rows that were delivered meanwhile are sent once more; " +
			"see [The last one stands](../reliability.md#the-last-one-stands)"},
	}}
}

// Log is what the gateway writes about itself.
func Log() Section {
	return Section{Title: "log", Path: "log", Keys: []Key{
		{Name: "level", Default: "info", Meaning: "`debug`, `info`, `warn` or `error`"},
		{Name: "format", Default: "json", Restart: true, Meaning: "`json` or `text`"},
	}}
}

// Tracing is where distributed traces go.
func Tracing() Section {
	return Section{Title: "tracing", Path: "tracing", About: "Distributed traces; see [tracing.md](../tracing.md). The standard variables `OTEL_…` are read, too.", Keys: []Key{
		{Name: "endpoint", Without: "off, unless the variables name one", Restart: true, Meaning: "base URL of a collector that takes OTLP over HTTP, such as `http://localhost:4318`"},
		{Name: "sample", Without: "all", Restart: true, Meaning: "the share of traces that are recorded, above `0` and up to `1`"},
		{Name: "trust_parent", Default: "false", Restart: true, Meaning: "whether a caller's `traceparent` decides that its trace is recorded; only where strangers can't call"},
		{Name: "headers", Several: true, Restart: true, Meaning: "headers that are sent to the collector, such as `{ Authorization: \"${env:OTLP_AUTHORIZATION}\" }`"},
	}}
}

// Privacy is how what is stored of persons is protected.
func Privacy() Section {
	return Section{Title: "privacy", Path: "privacy", About: "How what is stored of persons is protected; see [Encryption](../encryption.md).", Keys: []Key{
		{Name: "encrypt", Default: "true", Restart: true, Meaning: "encrypt personal data in the database, with a key of each person's own. PostgreSQL needs `encryption_key` for it; without one, personal data is stored in clear text, with a warning at each start. " +
			"With `false`, what is stored from then on is in clear text, and what is encrypted already stays so"},
	}}
}

// Retention is how long what is stored is kept.
func Retention() Section {
	return Section{Title: "retention", Path: "retention", About: "How long what is stored is kept; see [retention.md](../retention.md).", Keys: append(policy(),
		Key{Name: "events", Without: "for ever", Meaning: "events, with their deliveries to sinks, since they came: at least `8d`"},
		Key{Name: "attempts", Without: "as long as their deliveries", Meaning: "the requests and answers of attempts, since they began; what came of them stays"},
	)}
}

// Watch is when operators are alerted beside what always alerts.
func Watch() Section {
	return Section{Title: "watch", Path: "watch", About: "When to alert, beside what always alerts; see [Proof of arrival](../reliability.md#proof-of-arrival).", Keys: []Key{
		{Name: "oldest", Default: "15m", Meaning: "alert when the oldest undelivered registration is older"},
		{Name: "disk_free", Default: "5%", Meaning: "alert when the database's disk has less free space: a percentage or a size such as `500MB`"},
		{Name: "events", Default: "1h", Meaning: "alert when messages go out but no event arrives for this long; `off` turns it off"},
		{Name: "canary", Default: "off", Meaning: "how often a canary is submitted to each form and seen to arrive, such as `1h`"},
		{Name: "canary_form", Without: "every form", Meaning: "the name of the only form that gets canaries"},
		{Name: "canary_email", Meaning: "an address of yours that gets mail with `+TAG` before the `@`, too. With it, and with callbacks, canaries also go to journeys and messages, and an event about each must come back. " +
			"Each is one more contact in the account, so choose a longer `canary`, such as `24h`"},
		{Name: "canary_timeout", Default: "10m", Meaning: "alert when a canary has not arrived after this long"},
		{Name: "sample", Default: "24h", Meaning: "how often up to 20 delivered rows of each data extension are read back and compared with what was sent; `off` turns it off"},
		{Name: "schema", Default: "1h", Meaning: "how often the columns of the data extensions are read, and at each start; one that no longer takes what the forms send stops its destination; `off` turns it off"},
		{Name: "confirmations", Default: "10%", Meaning: "alert when this share of a form's [confirmations](../double-opt-in.md#what-comes-back) of 24 hours bounces for good, or is unsubscribed from; or `off`"},
		{Name: "usual", Default: "true", Meaning: "alert when a form has had no registration for much longer than usual"},
	}}
}
