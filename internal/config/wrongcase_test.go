package config_test

import (
	"strings"

	"onramp/internal/config"
)

const (
	listenHint    = "must be host:port, such as 127.0.0.1:8080, or :8080 for all addresses"
	urlHint       = "must be an absolute http or https URL, such as https://signup.example.com"
	durationHint  = "must be a duration with a unit, such as 30s, 5m or 72h"
	labelHint     = "must be only the tenant subdomain: mc0123… of mc0123….rest.marketingcloudapis.com"
	rateHint      = "must be a size with a unit, from 100kB, such as 2MB, or off"
	spaceHint     = "must be a percentage of the disk or a size with a unit, such as 5% or 500MB"
	separatorHint = "must be 1 to 8 characters that stand between two choices, such as \"; \""
	alertHint     = "must be the URL of a service, such as slack://…, smtp://…, teams://…, pagerduty://… or generic+https://…"
)

func wrongYAML() []wrong {
	return []wrong{
		{"nothing", "", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", "is missing: set it to your tenant subdomain (or set auth_url for the sandbox)"},
			{1, "marketing_cloud.client_id", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_ID"},
			{1, "marketing_cloud.client_secret", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_SECRET"},
			{1, "forms", "no form is defined: add at least one (onramp init writes an example)"},
		}},
		{"syntax", "a: 1\nb: 'x\nc: 2\n", nil, []config.Problem{
			{4, "", "is not valid YAML: found unexpected end of stream (while scanning a quoted scalar that starts on line 2)"},
		}},
		{"unknown anchor", "\nclient_secret: *abc\n", nil, []config.Problem{
			{2, "", "is not valid YAML: a value that starts with * or ! must be in quotes"},
		}},
		{"two documents", shortAccount + shortForms + "---\n" + shortForms, nil, []config.Problem{
			{3, "", "a second YAML document starts here: a configuration must be a single document"},
		}},
		{"wrong second document", shortAccount + shortForms + "---\n- [\n", nil, []config.Problem{
			{5, "", "is not valid YAML: did not find expected node content (while parsing a flow node that starts on line 5)"},
		}},
		{"latin 1", "a: 1\nb: \xe4\n", nil, []config.Problem{{2, "", "is not UTF-8 text"}}},
		{"control character", "a: 1\n\nb: \x01\n", nil, []config.Problem{{3, "", "contains a control character"}}},
		{"a list", "# no\n- a\n", nil, []config.Problem{{1, "", "must be a map of keys and values, not a list"}}},
		{"a text", "hello", nil, []config.Problem{{1, "", "must be a map of keys and values, not a single value"}}},
	}
}

func wrongSettings() []wrong {
	return []wrong{
		{"unknown and doubled keys", `databse: x
database: a
marketing_cloud: { subdomain: mc0, client_id: a,
  client_secert: b, client_secret: b,
  "secret value": c,
  client_id: d }
database: b
entirely: different
? [a]
: b
<<: { log: { level: info } }`, nil, []config.Problem{
			{1, "databse", "unknown key; did you mean database?"},
			{4, "marketing_cloud.client_secert", "unknown key; did you mean client_secret?"},
			{5, "marketing_cloud", "unknown key; is a colon, or the space after it, missing?"},
			{6, "marketing_cloud.client_id", "is set twice, first on line 3"},
			{7, "database", "is set twice, first on line 2"},
			{8, "entirely", "unknown key; use database, encryption_key, drain_timeout, alerts, forms, ens, sinks, public, storage, egress, admin, marketing_cloud, delivery, smtp, log, consent, tracing, privacy, watch, retention, screen or oauth"},
			{9, "", "a key must be a word, not a list"},
			{11, "", "merge keys (<<) are not supported: write the keys out"},
		}},
		{"wrong YAML types", `database: [a]
public: :8080
admin:
  - listen: ":1"
marketing_cloud: [a]
delivery: { senders: "16", timeout: 30, give_up_after: { hours: 1 } }
log: { level: !x info, format: !!binary aGk= }`, nil, []config.Problem{
			{1, "database", "must be a single value, not a list"},
			{2, "public", "must be a map of keys and values, not a single value"},
			{3, "admin", "must be a map of keys and values, not a list"},
			{5, "marketing_cloud", "must be a map of keys and values, not a list"},
			{6, "delivery.give_up_after", "must be a single value, not a map"},
			{6, "delivery.senders", "must be a whole number from 1 to 256, without quotes"},
			{6, "delivery.timeout", durationHint},
			{7, "log.level", "has an unsupported YAML tag: put the value in quotes"},
			{7, "log.format", "has an unsupported YAML tag: put the value in quotes"},
		}},
		{"addresses", `public:
  listen: "8080"
  url: signup.example.com
  trusted_proxies:
    - 10.0.0.0/8
    - 10.0.0.0/33
    - proxy.example.com
    -
    - [a]
  client_ip_header: X-Forwarded-From
admin: { listen: "127.0.0.1:99999" }
marketing_cloud: { client_id: a, client_secret: b,
  auth_url: "ftp://127.0.0.1" }
database: mysql://db/x`, nil, []config.Problem{
			{2, "public.listen", listenHint},
			{3, "public.url", urlHint},
			{6, "public.trusted_proxies[1]", `"10.0.0.0/33" must be an IP address or a CIDR prefix, such as 10.0.0.0/8`},
			{7, "public.trusted_proxies[2]", `"proxy.example.com" must be an IP address or a CIDR prefix, such as 10.0.0.0/8`},
			{8, "public.trusted_proxies[3]", "is empty: fill it in or remove the line"},
			{9, "public.trusted_proxies[4]", "must be a single value, not a list"},
			{10, "public.client_ip_header", `"X-Forwarded-From" is not known; did you mean X-Forwarded-For?`},
			{11, "admin.listen", listenHint},
			{13, "marketing_cloud.auth_url", urlHint},
			{14, "database", "must be a file name or a postgres:// URL"},
		}},
		{"account is missing", "log: { level: info }\nmarketing_cloud:\n  account_id: 51x", nil, []config.Problem{
			{2, "marketing_cloud.subdomain", "is missing: set it to your tenant subdomain (or set auth_url for the sandbox)"},
			{2, "marketing_cloud.client_id", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_ID"},
			{2, "marketing_cloud.client_secret", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_SECRET"},
			{3, "marketing_cloud.account_id", "must be the MID of the business unit, which consists of digits"},
		}},
		{"contract", "marketing_cloud: { subdomain: mc0, client_id: a, client_secret: b, calls_per_year: 6e6, contract_start: 31-12 }", nil, []config.Problem{
			{1, "marketing_cloud.calls_per_year", "must be a whole number from 0 to 1000000000000, without quotes"},
			{1, "marketing_cloud.contract_start", "must be a month and a day of every year, such as 04-01 for 1 April"},
		}},
		{"contract that begins on a leap day", "marketing_cloud: { subdomain: mc0, client_id: a, client_secret: b, calls_per_year: -1, contract_start: 02-29 }", nil, []config.Problem{
			{1, "marketing_cloud.calls_per_year", "must be a whole number from 0 to 1000000000000, without quotes"},
			{1, "marketing_cloud.contract_start", "must be a month and a day of every year, such as 04-01 for 1 April"},
		}},
		{"subdomain and auth_url", "marketing_cloud:\n  auth_url: http://127.0.0.1:8090\n  subdomain: mc0\n  client_id: a\n  client_secret: ''", nil, []config.Problem{
			{2, "marketing_cloud.auth_url", "subdomain and auth_url can't both be set: remove auth_url, unless you use the sandbox"},
			{5, "marketing_cloud.client_secret", "is empty: set a value or remove the key"},
		}},
		{"subdomain is a host name", "marketing_cloud: { subdomain: mc0.rest.marketingcloudapis.com, client_id: a, client_secret: b }", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", labelHint},
		}},
		{"subdomain is a URL", "marketing_cloud: { subdomain: 'https://mc0', client_id: a, client_secret: b }", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", labelHint},
		}},
		{"subdomain is no label", "marketing_cloud: { subdomain: -mc0_, client_id: a, client_secret: b }", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", "must be one DNS label: letters, digits and hyphens, at most 63 characters"},
		}},
	}
}

const (
	misspelt     = "is not a reference as it is written: use ${env:SECRET}. If it is the value itself, put it in an environment variable or a file, and refer to that"
	placeholder  = "is still the placeholder: set your tenant subdomain, mc0123… in the REST base URI of your installed package (Setup > Apps > Installed Packages), https://mc0123….rest.marketingcloudapis.com"
	sameAddress  = "can't listen where public.listen does: set another port"
	noSetting    = "is not the variable of a setting; docs/reference/configuration.md says which settings have one"
	sampleHint   = "must be a number above 0 and up to 1, without quotes: the share of traces that are recorded"
	notReference = "is not a valid reference: use ${env:NAME}, ${file:/path} or ${vault:secret/data/path#key}"
)

// Mistakes that look like values.
func wrongLookalikes() []wrong {
	return []wrong{
		{"references", `marketing_cloud: { subdomain: mc0, client_id: $SECRET,
  client_secret: "${SECRET}", account_id: "$SECRET" }
database: ${hunter2}
admin: { token: $secret_of_mine }`, []string{"ONRAMP_ENCRYPTION_KEY=$SECRET", "secret_of_mine=x"}, []config.Problem{
			{0, "ONRAMP_ENCRYPTION_KEY", misspelt},
			{1, "marketing_cloud.client_id", misspelt},
			{2, "marketing_cloud.client_secret", misspelt},
			{2, "marketing_cloud.account_id", misspelt},
			{3, "database", notReference},
			{4, "admin.token", strings.Replace(misspelt, "SECRET", "secret_of_mine", 1)},
		}},
		{"variables", shortAccount + `encryption_key: "${env:ONRAMP_KEYS}"
forms: []`, []string{
			"ONRAMP_PUBLIC_LISTNE=:80", "ONRAMP_ADMIN_TOKEN=${env:ONRAMP_PASSWORD_OF_ADMIN}", "ONRAMP_PASSWORD_OF_ADMIN=long-enough-for-a-token",
			"ONRAMP_KEYS=keys", "ONRAMP_PORT=8080", "ONRAMP_ALERTS=slack://x", "ONRAMP_CONFIG=onramp.yaml",
			"ONRAMP_MARKETING_CLOUD_SECRET=x", "ONRAMP_MARKETING_CLOUD_CLIENT_SECRT=x", "onramp_public_listne=x",
		}, []config.Problem{
			{0, "ONRAMP_ALERTS", noSetting},
			{0, "ONRAMP_MARKETING_CLOUD_CLIENT_SECRT", "is not the variable of a setting; did you mean ONRAMP_MARKETING_CLOUD_CLIENT_SECRET?"},
			{0, "ONRAMP_MARKETING_CLOUD_SECRET", noSetting},
			{0, "ONRAMP_PORT", noSetting},
			{0, "ONRAMP_PUBLIC_LISTNE", "is not the variable of a setting; did you mean ONRAMP_PUBLIC_LISTEN?"},
			{3, "forms", "must be a map of keys and values, not a list"},
			{4, "forms", "is set twice, first on line 3"},
		}},
		{"placeholder", "marketing_cloud: { client_id: a, client_secret: b,\n  subdomain: mc0123456789abcdefghijklmnop }", nil, []config.Problem{
			{2, "marketing_cloud.subdomain", placeholder},
		}},
		{"placeholder in the environment", "marketing_cloud: { client_id: a, client_secret: b }", []string{"ONRAMP_MARKETING_CLOUD_SUBDOMAIN=mc0123456789abcdefghijklmnop"}, []config.Problem{
			{0, "ONRAMP_MARKETING_CLOUD_SUBDOMAIN", placeholder},
		}},
		{"one address", shortAccount + "public: { listen: '127.0.0.1:8080' }\nadmin: { listen: 'localhost:08080' }", nil, []config.Problem{
			{3, "admin.listen", sameAddress},
		}},
		{"one address by default", shortAccount + "public: { listen: ':8081' }", nil, []config.Problem{
			{2, "public.listen", "can't listen where admin.listen does (127.0.0.1:8081): set another port"},
		}},
		{"one address of all", shortAccount, []string{"ONRAMP_ADMIN_LISTEN=127.0.0.1:8080"}, []config.Problem{
			{0, "ONRAMP_ADMIN_LISTEN", sameAddress},
		}},
		{"one address of all for IPv4", shortAccount + "public: { listen: '127.0.0.1:1' }\nadmin: { listen: '0.0.0.0:1', token: token-of-the-operator }", nil, []config.Problem{
			{3, "admin.listen", sameAddress},
		}},
		{"one address of all, twice", shortAccount + "public: { listen: '[::]:1' }\nadmin: { listen: '0.0.0.0:1', token: token-of-the-operator }", nil, []config.Problem{
			{3, "admin.listen", sameAddress},
		}},
		{"one address by name", shortAccount + "public: { listen: '0.0.0.0:1' }\nadmin: { listen: 'Host:1', token: token-of-the-operator }", nil, []config.Problem{
			{3, "admin.listen", sameAddress},
		}},
	}
}

func wrongValues() []wrong {
	return []wrong{
		{"admin without token", shortAccount + "admin: { listen: ':8081' }", nil, []config.Problem{
			{2, "admin.listen", "is reachable from other machines: set admin.token, or listen on 127.0.0.1"},
		}},
		{"durations and words", shortAccount + `delivery:
  give_up_after: -1h
  timeout: 0s
  senders: 257
drain_timeout: soon
log:
  level: warning
  format: xml
  colour: true
public: { max_connections: 15 }`, nil, []config.Problem{
			{3, "delivery.give_up_after", "must be greater than zero"},
			{4, "delivery.timeout", "must be greater than zero"},
			{5, "delivery.senders", "must be a whole number from 1 to 256, without quotes"},
			{6, "drain_timeout", durationHint},
			{8, "log.level", `"warning" is not known; use debug, info, warn or error`},
			{9, "log.format", `"xml" is not known; use json or text`},
			{10, "log.colour", "unknown key; use level or format"},
			{11, "public.max_connections", "must be a whole number from 16 to 1000000, without quotes"},
		}},
		{"watch", shortAccount + `watch:
  oldest: 15
  disk_free: 5
  interval: 1s`, []string{"ONRAMP_WATCH_DISK_FREE="}, []config.Problem{
			{3, "watch.oldest", durationHint},
			{4, "watch.disk_free", spaceHint},
			{5, "watch.interval", "unknown key; use oldest, disk_free, events, canary, canary_form, canary_email, canary_timeout, sample, schema, confirmations or usual"},
		}},
		{"tracing", shortAccount + `tracing:
  endpoint: localhost:4318
  sample: 0
  trust_parent: always
  headers: { "a b": c }
  protocol: grpc`, nil, []config.Problem{
			{3, "tracing.endpoint", "must be the absolute http or https URL of a collector that takes OTLP over HTTP, such as http://localhost:4318"},
			{4, "tracing.sample", sampleHint},
			{5, "tracing.trust_parent", "must be true or false, without quotes"},
			{6, "tracing.headers", "a header name can contain only letters, digits, - and _; is a colon, or the space after it, missing?"},
			{7, "tracing.protocol", "unknown key; use endpoint, sample, trust_parent or headers"},
		}},
		{"password of a collector", shortAccount + "tracing: { endpoint: \"https://user:hidden@otlp.example.com\", sample: 1.5 }", nil, []config.Problem{
			{2, "tracing.endpoint", "must not contain a user or a password: send them in a header, such as headers: { Authorization: … }"}, {2, "tracing.sample", sampleHint},
		}},
		{"no sample", shortAccount, []string{"ONRAMP_TRACING_SAMPLE=NaN"}, []config.Problem{{0, "ONRAMP_TRACING_SAMPLE", sampleHint}}},
		{"no reserve", shortAccount + "storage: { disk_reserve: 0%, per_address: 2, total: 99kB, exempt: [example.com] }", nil, []config.Problem{
			{2, "storage.per_address", rateHint},
			{2, "storage.total", rateHint},
			{2, "storage.disk_reserve", spaceHint + ", or off"},
			{2, "storage.exempt[0]", `"example.com" must be an IP address or a CIDR prefix, such as 10.0.0.0/8`},
		}},
		{"no space", shortAccount + "watch: { disk_free: 0% }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"all space", shortAccount + "watch: { disk_free: 100% }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"no amount", shortAccount + "watch: { disk_free: 0GB }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"no unit", shortAccount + "watch: { disk_free: 500M }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"space in the environment", shortAccount, []string{"ONRAMP_WATCH_DISK_FREE=much"}, []config.Problem{{0, "ONRAMP_WATCH_DISK_FREE", spaceHint}}},
		{"no events", shortAccount + "watch: { events: never }", nil, []config.Problem{{2, "watch.events", durationHint + ", or off"}}},
		{"events at once", shortAccount, []string{"ONRAMP_WATCH_EVENTS=0s"}, []config.Problem{{0, "ONRAMP_WATCH_EVENTS", "must be greater than zero, or off"}}},
		{"canary", shortAccount + `watch:
  canary: 1
  canary_form: nowhere
  canary_email: nobody
  canary_timeout: off
  sample: daily
  usual: "true"`, nil, []config.Problem{
			{3, "watch.canary", durationHint + ", or off"},
			{4, "watch.canary_form", "there is no such form: use f"},
			{5, "watch.canary_email", "must be an email address that gets mail also with +TAG before the @"},
			{6, "watch.canary_timeout", durationHint},
			{7, "watch.sample", durationHint + ", or off"},
			{8, "watch.usual", "must be true or false, without quotes"},
		}},
		{"encryption key", shortAccount + "encryption_key: { primaryKeyId: 1, key: [hunter2] }\nsink: x", nil, []config.Problem{
			{2, "encryption_key", "must be a single value, not a map"},
			{3, "sink", "unknown key; did you mean sinks?"},
		}},
		{"alerts", shortAccount + `alerts:
  - slack://hook:T00000000-B00000000-hunter2hunter2hunter2hun@webhook
  - "${env:SLACK}"
  - hunter2
  - https//hunter2
  - smtp://
  - "hunter2 ://a"
  - smtp://user:hunter2@%zz
  - "${env:EMPTY}"
  - "${env:NOT_SET}"
  - -
  - [slack://hunter2]
  -`, []string{"SLACK=slack://hook:T00000000-B00000000-hunter2hunter2hunter2hun@webhook", "EMPTY="}, []config.Problem{
			{4, "alerts[1]", "is listed twice: remove one"},
			{5, "alerts[2]", alertHint},
			{6, "alerts[3]", alertHint},
			{7, "alerts[4]", alertHint},
			{8, "alerts[5]", alertHint},
			{9, "alerts[6]", "the smtp URL is not valid: percent-encode special characters in names and passwords, such as %40 for @"},
			{10, "alerts[7]", "is empty: set a value or remove the line"},
			{11, "alerts[8]", "the environment variable NOT_SET is not set"},
			{12, "alerts[9]", "must be a single value, not a list"},
			{13, "alerts[10]", "must be a single value, not a list"},
			{14, "alerts[11]", "is empty: fill it in or remove the line"},
		}},
		{"services of alerts", shortAccount + `alerts:
  - slak://hook:hunter2@webhook
  - "${env:TEAM}"
  - genric+https://hunter2.example.com
  - https://hunter2.example.com
  - hunter2://hunter2
  - slack://hook:hunter2@webhook
  - smtp+https://user:hunter2@mail.example.com
`, []string{"TEAM=team://hunter2"}, []config.Problem{
			{3, "alerts[0]", "names an unknown service; did you mean slack://?"},
			{4, "alerts[1]", "names an unknown service; did you mean teams://?"},
			{5, "alerts[2]", "names an unknown service; did you mean generic+https://?"},
			{6, "alerts[3]", "names an unknown service; for a webhook write generic+https://…"},
			{7, "alerts[4]", "names an unknown service; https://shoutrrr.nickfedor.com lists them"},
			{8, "alerts[5]", "slack: invalid slack token format"},
			{9, "alerts[6]", "smtp: this service does not support URLs with a +"},
		}},
		{"alerts are no list", shortAccount + "alerts: slack://hook:hunter2@webhook", nil, []config.Problem{
			{2, "alerts", "must be a list, not a single value"},
		}},
		{"short admin token", shortAccount + "admin: { token: b }", nil, []config.Problem{
			{2, "admin.token", "must have at least 16 characters; onramp keys new admin creates one"},
		}},
		{"almost long enough admin token", shortAccount + `admin: { token: "fifteen letters" }`, []string{"ONRAMP_ADMIN_TOKEN=äääääääääääääää"}, []config.Problem{
			{0, "ONRAMP_ADMIN_TOKEN", "must have at least 16 characters; onramp keys new admin creates one"},
		}},
		{"environment", shortAccount + "admin: { token: a }\npublic: { listen: nowhere }", []string{
			"ONRAMP_DELIVERY_SENDERS=many", "ONRAMP_PUBLIC_LISTEN=8080", "ONRAMP_ADMIN_TOKEN=${env:NOT_SET}", "ONRAMP_MARKETING_CLOUD_SUBDOMAIN=a.b",
		}, []config.Problem{
			{0, "ONRAMP_PUBLIC_LISTEN", listenHint},
			{0, "ONRAMP_ADMIN_TOKEN", "the environment variable NOT_SET is not set"},
			{0, "ONRAMP_MARKETING_CLOUD_SUBDOMAIN", labelHint},
			{0, "ONRAMP_DELIVERY_SENDERS", "must be a whole number from 1 to 256, without quotes"},
		}},
		{"admin from the environment", shortAccount, []string{"ONRAMP_ADMIN_LISTEN=0.0.0.0:1"}, []config.Problem{
			{0, "ONRAMP_ADMIN_LISTEN", "is reachable from other machines: set admin.token, or listen on 127.0.0.1"},
		}},
		{"account from the environment", "", []string{
			"ONRAMP_MARKETING_CLOUD_SUBDOMAIN=a", "ONRAMP_MARKETING_CLOUD_AUTH_URL=http://a",
			"ONRAMP_MARKETING_CLOUD_CLIENT_ID=a", "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET=a",
		}, []config.Problem{
			{0, "ONRAMP_MARKETING_CLOUD_AUTH_URL", "subdomain and auth_url can't both be set: remove auth_url, unless you use the sandbox"},
		}},
		{"references", `marketing_cloud:
  subdomain: "${env:NOT_SET}"
  client_id: "${env:EMPTY}"
  client_secret: "${file:/does/not/exist}"
  account_id: "${file:relative}"
database: x-${env:EMPTY}
public:
  url: "${vault:x}"
  trusted_proxies: ["${env:}", "${env:PROXY}"]
admin: { token: "${file:/}" }`, []string{"EMPTY=", "PROXY=p"}, []config.Problem{
			{2, "marketing_cloud.subdomain", "the environment variable NOT_SET is not set"},
			{3, "marketing_cloud.client_id", "is empty: set a value or remove the key"},
			{4, "marketing_cloud.client_secret", `the file "/does/not/exist" can't be read: no such file or directory`},
			{5, "marketing_cloud.account_id", `the path of a ${file:…} reference must be absolute, not "relative"`},
			{6, "database", "a reference must be the whole value: move the rest of the text into the variable, file or secret"},
			{8, "public.url", "is not a valid reference to Vault: use ${vault:secret/data/path#key}"},
			{9, "public.trusted_proxies[0]", "is not a valid reference: use ${env:NAME}, ${file:/path} or ${vault:secret/data/path#key}"},
			{9, "public.trusted_proxies[1]", "the value of ${env:PROXY} must be an IP address or a CIDR prefix, such as 10.0.0.0/8"},
			{10, "admin.token", `the file "/" can't be read: it is not a regular file`},
		}},
	}
}

// rightRoute and rightFields complete a form of which something else is wrong.
const (
	rightRoute  = "    route: [ { data_extension: { key: K } } ]\n"
	rightFields = "    fields: [ { name: email, column: Email, type: email, required: true } ]\n"
	rightEmail  = "      - { name: email, column: Email, type: email, required: true }\n"
)

func wrongForms() []wrong {
	const nameHint = "a form name must start with a lower-case letter or a digit, and contain only these, _ and -, at most 63 characters"
	return []wrong{
		{"no forms", "forms:\n", nil, []config.Problem{
			{2, "forms", "no form is defined: add at least one (onramp init writes an example)"},
		}},
		{"forms are empty", "\nforms: {}\n", nil, []config.Problem{
			{3, "forms", "no form is defined: add at least one (onramp init writes an example)"},
		}},
		{"forms are a list", "forms:\n  - name: a\n", nil, []config.Problem{
			{2, "forms", "must be a map of keys and values, not a list"},
		}},
		{"empty forms", "forms:\n  a:\n  b: {}\n  c: x\n  d: { fields: [], route: ~ }\n  e: { fields: email, route: { journey: x } }\n", nil, []config.Problem{
			{3, "forms.a.fields", "a form needs at least one field"},
			{3, "forms.a.route", "a form needs at least one step, such as data_extension: { key: Web_Registrations }"},
			{4, "forms.b.fields", "a form needs at least one field"},
			{4, "forms.b.route", "a form needs at least one step, such as data_extension: { key: Web_Registrations }"},
			{5, "forms.c", "must be a map of keys and values, not a single value"},
			{6, "forms.d.fields", "a form needs at least one field"},
			{6, "forms.d.route", "a form needs at least one step, such as data_extension: { key: Web_Registrations }"},
			{7, "forms.e.fields", "must be a list, not a single value"},
			{7, "forms.e.route", "must be a list, not a map"},
		}},
		{"names", "forms:\n  Sign Up:\n" + rightFields + rightRoute + "  _a:\n" + rightFields + rightRoute + "  1:\n" + rightFields + rightRoute + "  1:\n", nil, []config.Problem{
			{3, `forms["Sign Up"]`, nameHint},
			{6, "forms._a", nameHint},
			{12, "forms.1", "is set twice, first on line 9"},
		}},
		{"keys, origins and URLs", "forms:\n  a:\n" + rightFields + rightRoute + `    titel: x
    title: [x]
    success_url: thanks
    origins:
      - https://example.com/form
      - example.com
      - null
  b:
` + rightFields + rightRoute + `    success_url: //example.com/thanks
    origins: https://example.com
    opt_in_twice: true
`, nil, []config.Problem{
			{6, "forms.a.titel", "unknown key; did you mean title?"},
			{7, "forms.a.title", "must be a single value, not a list"},
			{8, "forms.a.success_url", "must be an absolute http or https URL or a path that starts with /"},
			{10, "forms.a.origins[0]", `"https://example.com/form" must be an origin without a path, such as https://www.example.com`},
			{11, "forms.a.origins[1]", `"example.com" must begin with https:// or http://, such as https://www.example.com, or be "*"`},
			{12, "forms.a.origins[2]", "is empty: fill it in or remove the line"},
			{16, "forms.b.success_url", "must be an absolute http or https URL or a path that starts with /"},
			{17, "forms.b.origins", "must be a list, not a single value"},
			{18, "forms.b.opt_in_twice", "unknown key; use title, success_url, origins, allowed_headers, once_per, idempotency_field, subscriber_key, country, page, fields, on_existing, route, screen, unknown_fields, double_opt_in, decimal_comma, time_zone, retention, consent or on_event"},
		}},
		{"origins that can't match", "forms:\n  a:\n    origins:\n" + lines("      - ", `"null"`, "https://example.com?a", "https://example.com#a", `'https://example.com\a'`,
			"https://ana@example.com", "ftp://example.com", "https:/example.com", "http://*", "https://*:*", "https://*.com", "https://*.co.uk", "https://www.*.example.com",
			"https://*example.com", "https://*.192.0.2.1", "https://example.com:0", "https://example.com:65536", "https://example.com:8o", "http://localhost:81:*", "http://::1",
			`"*:*"`, "https://", `"https://:443"`, "https://a..example.com", "https://.example.com", "https://exa mple.com", "https://192.0.2", "https://192.0.02.1", "http://[fe80::1%eth0]",
			"http://[::1", "http://[192.0.2.1]", "https://xn--a.example.com") + rightFields + rightRoute, nil, []config.Problem{
			{5, "forms.a.origins[0]", `"null" can't be listed: null is what all pages send that hide their origin; use "*" to allow all`},
			{6, "forms.a.origins[1]", `"https://example.com?a" must be an origin without a query, such as https://www.example.com`},
			{7, "forms.a.origins[2]", `"https://example.com#a" must be an origin without a fragment, such as https://www.example.com`},
			{8, "forms.a.origins[3]", `"https://example.com\\a" must be an origin without a path, such as https://www.example.com`},
			{9, "forms.a.origins[4]", `"https://ana@example.com" must be an origin without a user name, such as https://www.example.com`},
			{10, "forms.a.origins[5]", `"ftp://example.com" ` + originHint},
			{11, "forms.a.origins[6]", `"https:/example.com" ` + originHint},
			{12, "forms.a.origins[7]", `"http://*" can never match: to allow all sites, use "*" alone`},
			{13, "forms.a.origins[8]", `"https://*:*" can never match: to allow all sites, use "*" alone`},
			{14, "forms.a.origins[9]", `"https://*.com" would allow everybody's sites below com: name your own domain`},
			{15, "forms.a.origins[10]", `"https://*.co.uk" would allow everybody's sites below co.uk: name your own domain`},
			{16, "forms.a.origins[11]", `"https://www.*.example.com" ` + wildcardHint},
			{17, "forms.a.origins[12]", `"https://*example.com" ` + wildcardHint},
			{18, "forms.a.origins[13]", `"https://*.192.0.2.1" ` + wildcardHint},
			{19, "forms.a.origins[14]", `"https://example.com:0" ` + portHint},
			{20, "forms.a.origins[15]", `"https://example.com:65536" ` + portHint},
			{21, "forms.a.origins[16]", `"https://example.com:8o" ` + portHint},
			{22, "forms.a.origins[17]", `"http://localhost:81:*" must have at most one port, and brackets around an IPv6 address, such as http://[::1]:8080`},
			{23, "forms.a.origins[18]", `"http://::1" must have at most one port, and brackets around an IPv6 address, such as http://[::1]:8080`},
			{24, "forms.a.origins[19]", `"*:*" ` + originHint},
			{25, "forms.a.origins[20]", `"https://" has no valid host name or address`},
			{26, "forms.a.origins[21]", `"https://:443" has no valid host name or address`},
			{27, "forms.a.origins[22]", `"https://a..example.com" has no valid host name or address`},
			{28, "forms.a.origins[23]", `"https://.example.com" has no valid host name or address`},
			{29, "forms.a.origins[24]", `"https://exa mple.com" has no valid host name or address`},
			{30, "forms.a.origins[25]", `"https://192.0.2" has no valid host name or address`},
			{31, "forms.a.origins[26]", `"https://192.0.02.1" has no valid host name or address`},
			{32, "forms.a.origins[27]", `"http://[fe80::1%eth0]" has no valid host name or address`},
			{33, "forms.a.origins[28]", `"http://[::1" must have at most one port, and brackets around an IPv6 address, such as http://[::1]:8080`},
			{34, "forms.a.origins[29]", `"http://[192.0.2.1]" has no valid host name or address`},
			{35, "forms.a.origins[30]", `"https://xn--a.example.com" has no valid host name or address`},
		}},
		{"headers of scripts", "forms:\n  a:\n    origins: ['*']\n    allowed_headers:\n" + lines("      - ", "X-Api-Version", "x-api-version", `"*"`, `"X Y"`, "Cookie", "sec-fetch-site", "X-Api-Version") + rightFields + rightRoute +
			"  b:\n    allowed_headers: [X-Api-Version]\n" + rightFields + rightRoute, nil, []config.Problem{
			{9, "forms.a.allowed_headers[3]", `"X Y" must be the name of a header, such as X-Api-Version, or "*"`},
			{10, "forms.a.allowed_headers[4]", `"Cookie" can't be sent by a script: browsers set this header themselves`},
			{11, "forms.a.allowed_headers[5]", `"sec-fetch-site" can't be sent by a script: browsers set this header themselves`},
			{12, "forms.a.allowed_headers[6]", "is listed twice: remove one"},
			{16, "forms.b.allowed_headers", "has no effect without origins: add them, or remove it"},
		}},
		{"key by e-mail", "forms:\n  a:\n    fields: [ { name: email, column: E } ]\n" + rightRoute +
			"  b:\n    fields:\n      - { name: n, column: N }\n      - { name: email, column: E, type: email }\n    subscriber_key: email\n" + rightRoute, nil, []config.Problem{
			{3, "forms.a.subscriber_key", "email needs a field with type: email; add one, or use uuid or field:NAME"},
			{9, "forms.b.fields[1].required", "this email address is the subscriber key: add required: true"},
		}},
		{"key by field", `forms:
  a:
    subscriber_key: field:nobody
    fields: [ { name: n, column: N } ]
` + rightRoute + `  b:
    subscriber_key: field:n
    fields: [ { name: n, column: N } ]
` + rightRoute + `  c:
    subscriber_key: field:n
    fields: [ { name: n, column: N, type: integer, required: true } ]
` + rightRoute + `  d:
    subscriber_key: "field:"
    fields: [ { from: uuid, column: N } ]
` + rightRoute + `  e:
    subscriber_key: mail
    fields: [ { from: uuid, column: N } ]
` + rightRoute + `  f:
    subscriber_key: [email]
    fields: [ { from: uuid, column: N } ]
` + rightRoute, nil, []config.Problem{
			{4, "forms.a.subscriber_key", "no field has this name: use field:NAME with the name of one of the form's fields"},
			{9, "forms.b.fields[0].required", "this field is the subscriber key: add required: true"},
			{12, "forms.c.subscriber_key", "a field of type integer can't be the subscriber key: use one that holds text"},
			{16, "forms.d.subscriber_key", "no field has this name: use field:NAME with the name of one of the form's fields"},
			{20, "forms.e.subscriber_key", `"mail" is not known; use email, uuid or field:NAME`},
			{24, "forms.f.subscriber_key", "must be a single value, not a list"},
		}},
		{"no follow-on about the key", `forms:
  a:
    fields:
      - { name: email, column: E, tpye: email, required: true }
` + rightRoute + `  b:
    fields:
      - { name: email, column: E, type: email, required: yes }
` + rightRoute + `  c:
    subscriber_key: field:email
    fields:
      - { nmae: email, column: E, type: email, required: true }
` + rightRoute, nil, []config.Problem{
			{5, "forms.a.fields[0].tpye", "unknown key; did you mean type?"},
			{9, "forms.b.fields[0].required", "must be true or false, without quotes"},
			{14, "forms.c.fields[0].nmae", "unknown key; did you mean name?"},
			{14, "forms.c.fields[0]", "needs a name, if the visitor fills it in, or from, if Onramp does"},
		}},
	}
}

func wrongFields() []wrong {
	const head = "forms:\n  f:\n" + rightRoute + "    fields:\n" + rightEmail // five lines: what follows begins in line 7
	const form = "forms.f.fields"
	return []wrong{
		{"columns and names", head + `      - { name: first }
      - { from: ip }
      - { name: last, column: EMAIL }
      - { name: email, column: Other }
      - { name: key, column: subscriberkey }
      - { column: Nameless }
      - { name: both, from: ip, column: Both }
      - { name: "", column: Empty }
      - { name: blank, column: "" }
      -
      - text
`, nil, []config.Problem{
			{7, form + "[1].column", "is missing: set it to the data extension column that this field fills"},
			{8, form + "[2].column", "is missing: set it to the data extension column that this field fills"},
			{9, form + "[3].column", "the field on line 6 already has this column"},
			{10, form + "[4].name", "the field on line 6 already has this name"},
			{11, form + "[5].column", "is the key_column of data_extension:K, which receives the subscriber key: remove the field, use another column, or write key_column: SubscriberKey in the step if this field is to fill it"},
			{12, form + "[6]", "needs a name, if the visitor fills it in, or from, if Onramp does"},
			{13, form + "[7].from", "a field has either a name, if the visitor fills it in, or from, if Onramp does: remove one"},
			{14, form + "[8]", "needs a name, if the visitor fills it in, or from, if Onramp does"},
			{15, form + "[9].column", "is missing: set it to the data extension column that this field fills"},
			{16, form + "[10]", "is empty: fill it in or remove the line"},
			{17, form + "[11]", "must be a map of keys and values, not a single value"},
		}},
		{"filled in", head + `      - { column: A, from: constant }
      - { column: B, from: referer }
      - { column: C, from: receivedat }
      - { column: D, from: ip, value: x, required: true, label: l, type: text }
      - { column: E, from: uuid, max: 10 }
      - { column: F, from: constant, value: 0x10 }
      - { column: G, from: constant, value: [a] }
      - { column: H, from: constant, value: "a\x01b" }
      - { column: I, from: [ip] }
      - { column: J, from: page_url, max: 4001, pattern: x, choices: [], default: 1 }
      - { column: K, from: page_url, query: [a, "u*m", "", a] }
      - { column: L, from: utm_source, query: [a] }
      - { name: m, column: M, query: [] }
`, nil, []config.Problem{
			{7, form + "[1].value", "is missing: set it to the constant"},
			{8, form + "[2].from", `"referer" is not known; did you mean referrer?`},
			{9, form + "[3].from", `"receivedat" is not known; did you mean received_at?`},
			{10, form + "[4].label", "applies only to fields with a name; Onramp fills this one in"},
			{10, form + "[4].type", "applies only to fields with a name; Onramp fills this one in"},
			{10, form + "[4].required", "applies only to fields with a name; Onramp fills this one in"},
			{10, form + "[4].value", "applies only to from: constant"},
			{11, form + "[5].max", "has no effect with from: uuid; remove it"},
			{12, form + "[6].value", "must be a plain number, such as 12 or 12.5; put it in quotes if it is text"},
			{13, form + "[7].value", "must be a single value, not a list"},
			{14, form + "[8].value", "must not contain control characters"},
			{15, form + "[9].from", "must be a single value, not a list"},
			{16, form + "[10].pattern", "applies only to fields with a name; Onramp fills this one in"},
			{16, form + "[10].choices", "applies only to fields with a name; Onramp fills this one in"},
			{16, form + "[10].default", "applies only to fields with a name; Onramp fills this one in"},
			{16, form + "[10].max", "must be a whole number from 1 to 4000, without quotes"},
			{17, form + "[11].query[1]", `"u*m" must be the name of a query parameter, with * only at its end, such as utm_*`},
			{17, form + "[11].query[2]", `"" must be the name of a query parameter, with * only at its end, such as utm_*`},
			{17, form + "[11].query[3]", "is listed twice: remove one"},
			{18, form + "[12].query", "applies only to from: page_url, referrer and landing_page"},
			{19, form + "[13].query", "applies only to from: page_url, referrer and landing_page"},
		}},
	}
}

func wrongTypes() []wrong {
	const head = "forms:\n  f:\n" + rightRoute + "    fields:\n" + rightEmail // as in wrongFields
	const form = "forms.f.fields"
	const maxHint = "must be a whole number from 1 to 4000, without quotes"
	const numberHint = "must be a plain number, such as 12 or 12.5; put it in quotes if it is text"
	return []wrong{
		{"types and limits", head + `      - { name: a, column: A, type: txt }
      - { name: b, column: B, type: password, max: 0, pattern: "(" }
      - { name: c, column: C, max: 4001, required: "true" }
      - { name: d, column: D, max: ten }
      - { name: e, column: E, type: boolean, max: 5 }
      - { name: f, column: F, type: date, pattern: x }
      - { name: g, column: G, pattern: "a)(b" }
      - { name: h, column: H, pattern: [x], max: "5", label: {}, value: v }
      - { name: i, column: I, type: email, multiline: true }
      - { name: j, column: J, multiline: "yes" }
      - { column: K, from: ip, multiline: true }
`, nil, []config.Problem{
			{7, form + "[1].type", `"txt" is not known; did you mean text?`},
			{8, form + "[2].type", `"password" is not known; use text, email, boolean, integer, decimal, date, phone, locale, choice or choices`},
			{8, form + "[2].max", maxHint},
			{8, form + "[2].pattern", "is not a valid regular expression (missing closing )); see https://pkg.go.dev/regexp/syntax"},
			{9, form + "[3].required", "must be true or false, without quotes"},
			{9, form + "[3].max", maxHint},
			{10, form + "[4].max", maxHint},
			{11, form + "[5].max", "applies only to text, but this is a boolean field: remove it"},
			{12, form + "[6].pattern", "applies only to text, but this is a date field: remove it"},
			{13, form + "[7].pattern", "is not a valid regular expression (unexpected )); see https://pkg.go.dev/regexp/syntax"},
			{14, form + "[8].label", "is empty: set a text or remove the key"},
			{14, form + "[8].max", maxHint},
			{14, form + "[8].pattern", "must be a single value, not a list"},
			{14, form + "[8].value", "applies only to from: constant; for a value that the visitor can change, use default"},
			{15, form + "[9].multiline", "applies only to type: text, not to email: remove it"},
			{16, form + "[10].multiline", "must be true or false, without quotes"},
			{17, form + "[11].multiline", "applies only to fields with a name; Onramp fills this one in"},
		}},
		{"countries", `forms:
  a:
    country: UK
    fields:
` + rightEmail + `      - { name: p, column: P, type: phone, default: "030 123456" }
` + rightRoute + `  b:
    country: de
    fields:
` + rightEmail + rightRoute + `  c:
    country: DE
    fields:
` + rightEmail + rightRoute + `  d:
    country: [DE]
    fields:
` + rightEmail + `      - { name: p, column: P, type: phone }
` + rightRoute + `  e:
    country: NO
    fields:
` + rightEmail + `      - { name: p, column: P, type: phone, default: "1234" }
` + rightRoute, nil, []config.Problem{
			{4, "forms.a.country", `"UK" is not a country code; use two capital letters (ISO 3166), such as DE or US`},
			{10, "forms.b.country", `"de" is not a country code; use two capital letters (ISO 3166), such as DE or US`},
			{15, "forms.c.country", "has no effect, since no field of this form has type: phone; remove it"},
			{20, "forms.d.country", "must be a single value, not a list"},
			{29, "forms.e.fields[1].default", "is not a valid value of this field: it must be a complete phone number, with the area code"},
		}},
		{"choices", head + `      - { name: a, column: A, type: choice, default: x }
      - { name: b, column: B, type: choice, choices: [] }
      - { name: c, column: C, choices: [a] }
      - { name: d, column: D, type: choice, choices: a }
      - { name: e, column: E, type: choice, max: 2, choices: [a, b, " a", abc, [d]] }
      - { name: f, column: F, type: choice, choices: [a], default: b }
`, nil, []config.Problem{
			{7, form + "[1].choices", "is missing: list the permitted values"},
			{8, form + "[2].choices", "is missing: list the permitted values"},
			{9, form + "[3].choices", "applies only to fields with type: choice or choices"},
			{10, form + "[4].choices", "must be a list, not a single value"},
			{11, form + "[5].choices[4]", "must be a single value, not a list"},
			{11, form + "[5].choices[2]", `" a" is listed twice`},
			{11, form + "[5].choices[3]", "must be at most 2 characters"},
			{12, form + "[6].default", "is not a valid value of this field: it must be one of the choices"},
		}},
		{"several choices", head + `      - { name: a, column: A, type: choices }
      - { name: b, column: B, type: choices, choices: [a, "b, c", "d,e"] }
      - { name: c, column: C, type: choices, choices: [a, b], separator: "" }
      - { name: d, column: D, type: choices, choices: [a, b], separator: "123456789" }
      - { name: e, column: E, type: choices, choices: [a, b], separator: "\n" }
      - { name: f, column: F, type: choices, choices: [abc, def], max: 7 }
      - { name: g, column: G, type: choices, choices: [a, b], default: "a, c" }
      - { name: h, column: H, type: choices, choices: [a, b], pattern: x }
      - { name: i, column: I, type: choice, choices: [a, b], separator: ";" }
      - { column: J, from: ip, separator: ";" }
`, nil, []config.Problem{
			{7, form + "[1].choices", "is missing: list the permitted values"},
			{8, form + "[2].choices[1]", "contains the separator \", \": choose another separator"},
			{8, form + "[2].choices[2]", "contains the separator \", \": choose another separator"},
			{9, form + "[3].separator", separatorHint},
			{10, form + "[4].separator", separatorHint},
			{11, form + "[5].separator", separatorHint},
			{12, form + "[6].choices", "together, the choices are longer than the field can hold: shorten them, or raise max to the length of the column"},
			{13, form + "[7].default", "is not a valid value of this field: it must be one of the choices"},
			{14, form + "[8].pattern", "applies only to text, but this is a choices field: remove it"},
			{15, form + "[9].separator", "applies only to fields with type: choices"},
			{16, form + "[10].separator", "applies only to fields with a name; Onramp fills this one in"},
		}},
		{"how values are written", "forms:\n  f:\n    time_zone: Europe/Berlinn\n    decimal_comma: maybe\n    unknown_fields: drop\n" + rightFields + rightRoute +
			"  g:\n    time_zone: Local\n    decimal_comma: [true]\n    unknown_fields: true\n" + rightFields + rightRoute +
			"  h:\n    time_zone: ''\n" + rightFields + rightRoute, nil, []config.Problem{
			{4, "forms.f.time_zone", `"Europe/Berlinn" is not a time zone of the IANA database, such as Europe/Berlin or UTC`},
			{5, "forms.f.decimal_comma", "must be true or false, without quotes"},
			{6, "forms.f.unknown_fields", `"drop" is not known; use refuse or ignore`},
			{10, "forms.g.time_zone", `"Local" is not a time zone of the IANA database, such as Europe/Berlin or UTC`},
			{11, "forms.g.decimal_comma", "must be a single value, not a list"},
			{12, "forms.g.unknown_fields", `"true" is not known; use refuse or ignore`},
			{16, "forms.h.time_zone", `"" is not a time zone of the IANA database, such as Europe/Berlin or UTC`},
		}},
		{"defaults", head + `      - { name: a, column: A, type: boolean, default: "false" }
      - { name: b, column: B, type: boolean, default: no }
      - { name: c, column: C, type: integer, default: 1.5 }
      - { name: d, column: D, type: integer, default: 0x10 }
      - { name: e, column: E, default: 5 }
      - { name: f, column: F, max: 3, default: abcd }
      - { name: g, column: G, pattern: "[a-z]+", default: abC }
      - { name: h, column: H, required: true, default: x }
      - { name: i, column: I, type: email, default: nobody }
      - { name: j, column: J, type: decimal, default: .inf }
      - { name: k, column: K, type: boolean, default: "${env:MAYBE}" }
      - { name: l, column: L, default: { a: b } }
`, []string{"MAYBE=maybe"}, []config.Problem{
			{7, form + "[1].default", "is not a valid value of this field: it must be true or false"},
			{8, form + "[2].default", "is not a valid value of this field: it must be true or false"},
			{9, form + "[3].default", "is not a valid value of this field: it must be a whole number between -2147483648 and 2147483647"},
			{10, form + "[4].default", numberHint},
			{11, form + "[5].default", "is not a valid value of this field: it must be text"},
			{12, form + "[6].default", "is not a valid value of this field: it must be at most 3 characters"},
			{13, form + "[7].default", "is not a valid value of this field: it does not have the required format"},
			{14, form + "[8].default", "a required field never uses its default: remove one of the two"},
			{15, form + "[9].default", "is not a valid value of this field: it must be a valid email address"},
			{16, form + "[10].default", numberHint},
			{17, form + "[11].default", "is not a valid value of this field: it must be true or false"},
			{18, form + "[12].default", "must be a single value, not a map"},
		}},
	}
}

func wrongRoutes() []wrong {
	const head = "forms:\n  f:\n" + rightFields + "    route:\n" // what follows begins in line 6
	const route = "forms.f.route"
	const insertHint = "Marketing Cloud has no synchronous insert: use mode: async or auto with on_existing: skip"
	const putHint = "put would update rows that on_existing: skip must not change: remove it, or use post"
	const requiredHint = "messages are sent to this email address: add required: true"
	return []wrong{
		{"steps", head + `      - data_extension:
      - data_extension: { key: "", key_column: "", mode: asinc }
      - data_extension: { key: A, mode: fast }
      - { data_extension: { key: B }, journey: { event_definition_key: e } }
      - message: { key: welcome, batch: 501 }
      - data_extention: { key: C }
      - {}
      - journey: { event_definition_key: a.b }
      - journey: { establish_contact_key: maybe, mode: sync }
      - Web_Registrations
      - data_extension: D
      - journey: [e]
      - ~
`, nil, []config.Problem{
			{6, route + "[0].data_extension.key", "is missing: set it to the external key of the data extension"},
			{7, route + "[1].data_extension.key", "is missing: set it to the external key of the data extension"},
			{7, route + "[1].data_extension.key_column", "is missing: set it to the column that holds the subscriber key"},
			{7, route + "[1].data_extension.mode", `"asinc" is not known; did you mean async?`},
			{8, route + "[2].data_extension.mode", `"fast" is not known; use auto, sync or async`},
			{9, route + "[3]", "a step has exactly one kind, but this one has data_extension and journey: split it into one step of each"},
			{10, route + "[4].message.key", "unknown key; use definition_key, to, batch or when"},
			{10, route + "[4].message.definition_key", "is missing: set it to the definition key of the transactional message"},
			{10, route + "[4].message.batch", "must be a whole number from 1 to 500, without quotes"},
			{11, route + "[5].data_extention", "unknown key; did you mean data_extension?"},
			{12, route + "[6]", "a step needs a kind: data_extension, journey or message"},
			{13, route + "[7].journey.event_definition_key", "must not contain a period: Marketing Cloud can't find such an event definition"},
			{14, route + "[8].journey.mode", "unknown key; use event_definition_key, establish_contact_key, key_column, on_unknown, batch or when"},
			{14, route + "[8].journey.event_definition_key", "is missing: copy it from the journey's API event"},
			{14, route + "[8].journey.establish_contact_key", "must be true or false, without quotes"},
			{15, route + "[9]", "must be a map of keys and values, not a single value"},
			{16, route + "[10].data_extension", "must be a map of keys and values, not a single value"},
			{17, route + "[11].journey", "must be a map of keys and values, not a list"},
			{18, route + "[12]", "is empty: fill it in or remove the line"},
		}},
		{"same destination", head + `      - data_extension: { key: K }
      - data_extension: { key: K, mode: sync }
      - journey: { event_definition_key: K }
  b:
` + rightFields + `    route:
      - data_extension: { key: K, key_column: Id, mode: auto }
      - journey: { event_definition_key: K, establish_contact_key: false }
  a:
` + rightFields + `    route:
      - data_extension: { key: K, mode: sync }
      - data_extension: { key: k }
`, nil, []config.Problem{
			{7, route + "[1]", "data_extension:K is already in this route, on line 6: remove one"},
			{12, "forms.b.route[0]", "data_extension:K has a different key_column on line 6: use the same in both"},
			{13, "forms.b.route[1]", "journey:K has a different establish_contact_key on line 8: use the same in both"},
			{17, "forms.a.route[0]", "data_extension:K has a different mode on line 6: use the same in both"},
		}},
		{"all settings of a destination", `forms:
  a:
    fields: [ { name: a, column: A, type: email, required: true }, { name: b, column: B, type: email, required: true } ]
    route:
      - data_extension: { key: K, mode: async, async_method: post, batch: 2 }
      - data_extension: { key: L, mode: async }
      - data_extension: { key: M, mode: async, on_existing: skip }
      - journey: { event_definition_key: K, on_unknown: retry }
      - message: { definition_key: K, to: b, batch: 3 }
      - message: { definition_key: L, to: b }
  b:
    on_existing: skip
    fields: [ { name: b, column: B, type: email, required: true } ]
    route:
      - data_extension: { key: K, mode: async, on_existing: update }
      - data_extension: { key: L, mode: async, key_column: Id }
      - data_extension: { key: M, mode: async }
      - journey: { event_definition_key: K, on_unknown: hold }
      - message: { definition_key: K, batch: 2 }
      - message: { definition_key: L }
  c:
    fields: [ { name: a, column: A, type: email, required: true } ]
    route: [ { message: { definition_key: L } } ]
`, nil, []config.Problem{
			{16, "forms.b.route[0]", "data_extension:K has a different async_method and a different batch on line 6: use the same in both"},
			{17, "forms.b.route[1]", "data_extension:L has a different key_column and a different on_existing on line 7: use the same in both"},
			{19, "forms.b.route[3]", "journey:K has a different on_unknown on line 9: use the same in both"},
			{20, "forms.b.route[4]", "message:K has a different batch on line 10: use the same in both"},
			{24, "forms.c.route[0]", "message:L has a different to on line 11: use the same in both"},
		}},
		{"existing rows", head + `      - data_extension: { key: A, mode: sync, on_existing: skip }
      - data_extension: { key: B, async_method: put, on_existing: skip }
      - data_extension: { key: C, on_existing: overwrite }
      - data_extension: { key: D, async_method: patch }
      - data_extension: { key: E, mode: sync, async_method: post }
      - data_extension: { key: F, mode: sync, async_method: put, on_existing: skip }
      - data_extension: { key: G, on_existing: [new] }
  g:
    on_existing: skip
` + rightFields + `    route:
      - data_extension: { key: H, mode: sync }
      - data_extension: { key: I, async_method: put }
      - data_extension: { key: J, mode: sync, on_existing: update }
  h:
    on_existing: never
` + rightFields + `    route: [ { data_extension: { key: O, mode: sync } } ]
  i:
    on_existing: new
` + rightFields + `    route: [ { journey: { event_definition_key: e } } ]
  j:
    on_existing: new
    fields: [ { name: id, column: SubscriberKey } , { name: email, column: E, type: email, required: true } ]
    route: [ { data_extension: { key: P } } ]
`, nil, []config.Problem{
			{6, route + "[0].data_extension.mode", insertHint},
			{7, route + "[1].data_extension.async_method", putHint},
			{8, route + "[2].data_extension.on_existing", `"overwrite" is not known; use update, skip or new`},
			{9, route + "[3].data_extension.async_method", `"patch" is not known; use put or post`},
			{10, route + "[4].data_extension.async_method", "has no effect with mode: sync; remove it"},
			{11, route + "[5].data_extension.mode", insertHint},
			{12, route + "[6].data_extension.on_existing", "must be a single value, not a list"},
			{17, "forms.g.route[0].data_extension.mode", insertHint},
			{18, "forms.g.route[1].data_extension.async_method", putHint},
			{21, "forms.h.on_existing", `"never" is not known; use update, skip or new`},
			{25, "forms.i.on_existing", "has no effect without a data_extension step; remove it"},
			{30, "forms.j.fields[0].column", "is the key_column of data_extension:P, which receives the registration's id: remove the field, use another column, or write key_column: SubscriberKey in the step if this field is to fill it"},
		}},
		{"batches", head + `      - data_extension: { key: A, batch: 501 }
      - data_extension: { key: B, mode: sync, batch: -1 }
      - data_extension: { key: C, mode: async, batch: 30001 }
      - data_extension: { key: D, mode: fast, batch: 501 }
      - data_extension: { key: E, batch: "50" }
      - journey: { event_definition_key: e, batch: 101 }
      - journey: { event_definition_key: f, batch: [1], on_unknown: again }
      - message: { definition_key: m, batch: 501 }
`, nil, []config.Problem{
			{6, route + "[0].data_extension.batch", "must be a whole number from 1 to 500 with mode: auto, without quotes"},
			{7, route + "[1].data_extension.batch", "must be a whole number from 1 to 500 with mode: sync, without quotes"},
			{8, route + "[2].data_extension.batch", "must be a whole number from 1 to 30000 with mode: async, without quotes"},
			{9, route + "[3].data_extension.mode", `"fast" is not known; use auto, sync or async`},
			{10, route + "[4].data_extension.batch", "must be a whole number from 1 to 500 with mode: auto, without quotes"},
			{11, route + "[5].journey.batch", "must be a whole number from 1 to 100, without quotes"},
			{12, route + "[6].journey.on_unknown", `"again" is not known; use hold or retry`},
			{12, route + "[6].journey.batch", "must be a single value, not a list"},
			{13, route + "[7].message.batch", "must be a whole number from 1 to 500, without quotes"},
		}},
		{"messages", `forms:
  a:
    subscriber_key: uuid
    fields: [ { name: n, column: N }, { column: I, from: ip }, { name: mail, column: Mail, type: email } ]
    route:
      - message: { definition_key: a, to: Nobody }
      - message: { definition_key: b, to: N }
      - message: { definition_key: c, to: I }
      - message: { definition_key: d, to: Mail }
      - message: { definition_key: e, to: [Mail] }
      - message: { definition_key: f, to: mail, key_column: Id }
      - message:
  b:
    subscriber_key: uuid
    fields: [ { name: n, column: N } ]
    route: [ { message: { definition_key: g } }, { message: welcome } ]
  c:
    subscriber_key: uuid
    fields: [ { name: mail, column: Mail, tpye: email, required: true } ]
    route: [ { message: { definition_key: h } }, { message: { definition_key: i, to: Nobody } }, { message: { definition_key: j, to: Mail } } ]
`, nil, []config.Problem{
			{5, "forms.a.fields[2].required", requiredHint},
			{5, "forms.a.fields[2].required", requiredHint},
			{5, "forms.a.fields[2].required", requiredHint},
			{7, "forms.a.route[0].message.to", "no field has this column: use the column of a field with type: email"},
			{8, "forms.a.route[1].message.to", "must be the column of a field with type: email, which holds the address"},
			{9, "forms.a.route[2].message.to", "must be the column of a field with type: email, which holds the address"},
			{11, "forms.a.route[4].message.to", "must be a single value, not a list"},
			{12, "forms.a.route[5].message.key_column", "unknown key; use definition_key, to, batch or when"},
			{13, "forms.a.route[6].message.definition_key", "is missing: set it to the definition key of the transactional message"},
			{17, "forms.b.route[0].message.to", "is missing, and the form has no field with type: email: add one"},
			{17, "forms.b.route[1].message", "must be a map of keys and values, not a single value"},
			{20, "forms.c.fields[0].tpye", "unknown key; did you mean type?"},
		}},
		{"conditions", `forms:
  a:
    fields:
      - { name: email, column: Email, type: email, required: true }
      - { name: opt_in, column: OptIn, type: boolean }
      - { name: country, column: Country, type: choice, choices: [DE, AT] }
      - { name: age, column: Age, type: integer }
      - { column: Source, from: constant, value: Web }
    route:
      - { message: { definition_key: a }, when: opted_in }
      - { message: { definition_key: b }, when: country }
      - { message: { definition_key: c }, when: { field: country, in: [DE, FR] } }
      - { message: { definition_key: d }, when: { field: country } }
      - { message: { definition_key: e }, when: { in: [DE] } }
      - { message: { definition_key: f }, when: { field: country, is: DE, not_in: [AT] } }
      - { message: { definition_key: g }, when: { field: age, in: [18, 18, old] } }
      - { message: { definition_key: h }, when: { field: opt_in, is: yes } }
      - { message: { definition_key: i }, when: Source }
      - { message: { definition_key: j }, when: OptIn }
      - { message: { definition_key: k }, when: [] }
      - { message: { definition_key: l }, when: [opt_in, [opt_in]] }
      - { message: { definition_key: m, when: opt_in }, when: opt_in }
      - { message: { definition_key: n }, when: { feild: opt_in, is: true } }
      - { message: { definition_key: o }, when: { field: country, in: DE } }
      - { message: { definition_key: p }, when: { field: country, in: [] } }
      - when: opt_in
      - { message: { definition_key: q }, when: { field: nobody, in: [1] } }
      - { message: { definition_key: r }, when: { field: opt_in, is: "${env:NOTHING}" } }
  b:
    fields: [ { name: email, column: Email, type: email, required: true }, { name: opt_in, column: O, type: bool } ]
    route: [ { message: { definition_key: s }, when: opt_in }, { message: { definition_key: t }, when: other } ]
`, nil, []config.Problem{
			{11, "forms.a.route[0].when", `the form has no field "opted_in"; did you mean opt_in?`},
			{12, "forms.a.route[1].when", "country is a choice field: name its values, such as { field: country, in: [a, b] }; only a boolean can stand alone"},
			{13, "forms.a.route[2].when.in[1]", "is not a valid value of this field: it must be one of the choices"},
			{14, "forms.a.route[3].when", "says nothing about the field: add is, in or not_in, such as in: [a, b]"},
			{15, "forms.a.route[4].when.field", "is missing: set it to the name of a field of this form"},
			{16, "forms.a.route[5].when", "has is and not_in: use one of them"},
			{17, "forms.a.route[6].when.in[1]", "is listed twice: remove one"},
			{17, "forms.a.route[6].when.in[2]", "is not a valid value of this field: it must be a whole number between -2147483648 and 2147483647"},
			{18, "forms.a.route[7].when.is", "is not a valid value of this field: it must be true or false"},
			{19, "forms.a.route[8].when", "is filled in by Onramp: a condition is about what the visitor submits"},
			{20, "forms.a.route[9].when", "is a column: use the name of its field, opt_in"},
			{21, "forms.a.route[10].when", "is empty: name a field, or remove it"},
			{22, "forms.a.route[11].when[1]", "must be the name of a field or a map, not a list"},
			{23, "forms.a.route[12].message.when", "is set twice, also on line 23: remove one"},
			{24, "forms.a.route[13].when.feild", "unknown key; did you mean field?"},
			{24, "forms.a.route[13].when.field", "is missing: set it to the name of a field of this form"},
			{25, "forms.a.route[14].when.in", "must be a list, not a single value"},
			{26, "forms.a.route[15].when.in", "is empty: list the values"},
			{27, "forms.a.route[16]", "a step needs a kind: data_extension, journey or message"},
			{28, "forms.a.route[17].when.field", `the form has no field "nobody"; use email, opt_in, country or age`},
			{29, "forms.a.route[18].when.is", "the environment variable NOTHING is not set"},
			{31, "forms.b.fields[1].type", `"bool" is not known; use text, email, boolean, integer, decimal, date, phone, locale, choice or choices`},
		}},
		{"key columns", `forms:
  a:
    fields:
      - { name: email, column: Email, type: email, required: true }
      - { name: id, column: ID }
      - { column: CONTACT, from: uuid }
      - { column: Page, from: page_url }
      - { column: Empty, from: constant, value: "" }
      - { name: brand, column: Brand, default: "" }
    route:
      - data_extension: { key: A, key_column: Id }
      - data_extension: { key: B, key_column: [SubscriberKey, id] }
      - data_extension: { key: C, key_column: [SubscriberKey, Other, Email] }
      - data_extension: { key: D, key_column: [] }
      - data_extension: { key: E, key_column: [Email, EMAIL, ""] }
      - data_extension: { key: F, key_column: [Email, [x]] }
      - data_extension: { key: G, key_column: { a: b } }
      - data_extension: { key: H, key_column: [page, empty, brand] }
      - data_extension: { key: I, key_column: Email, on_existing: new }
      - data_extension: { key: J, key_column: [Email, Contact, Key], on_existing: new }
      - journey: { event_definition_key: E, key_column: Contact }
      - journey: { event_definition_key: F, key_column: [Key, Empty, Further] }
    on_event:
      - { type: EngagementEvents.EmailUnsubscribe, column: contact, value: "x" }
`, nil, []config.Problem{
			{6, "forms.a.fields[1].required", "this field is in the key_column of data_extension:A, and can't be empty: add required: true, or a default"},
			{8, "forms.a.fields[3].column", "is in the key_column of data_extension:H, and can be empty, since it is filled in from page_url: use another column"},
			{9, "forms.a.fields[4].value", "this constant is in the key_column of data_extension:H, and can't be empty"},
			{10, "forms.a.fields[5].required", "this field is in the key_column of data_extension:H, and can't be empty: add required: true, or a default"},
			{14, "forms.a.route[2].data_extension.key_column", "no field fills SubscriberKey and Other: only one column can receive the subscriber key; add fields for the others"},
			{15, "forms.a.route[3].data_extension.key_column", "is empty: list the columns of the primary key"},
			{16, "forms.a.route[4].data_extension.key_column[1]", "is listed twice: remove one"},
			{16, "forms.a.route[4].data_extension.key_column[2]", "is empty: fill it in or remove it"},
			{17, "forms.a.route[5].data_extension.key_column[1]", "must be a single value, not a list"},
			{18, "forms.a.route[6].data_extension.key_column", "must be a single value, not a map"},
			{20, "forms.a.route[8].data_extension.key_column", "with on_existing: new one key column receives the registration's id, but fields fill all of them: add a column that no field fills"},
			{23, "forms.a.route[11].journey.key_column", "no field fills Key and Further: only one column can receive the subscriber key; add fields for the others"},
			{25, "forms.a.on_event[0].column", "is the key_column of data_extension:J, which identifies the row: use another column"},
		}},
	}
}

const (
	originHint   = `must begin with https:// or http://, such as https://www.example.com, or be "*"`
	wildcardHint = "can have * only in the place of a whole name before a domain, such as https://*.example.com, or of the port"
	portHint     = "must have a port from 1 to 65535, or * for any port, such as http://localhost:*"
)

// lines writes a list in YAML.
func lines(before string, items ...string) string {
	return before + strings.Join(items, "\n"+before) + "\n"
}
