package config_test

import "onramp/internal/config"

const (
	listenHint   = "must be host:port, such as 127.0.0.1:8080, or :8080 for every address"
	urlHint      = "must be an absolute http or https URL, such as https://signup.example.com"
	durationHint = "must be a duration with its unit, such as 30s, 5m or 72h"
	labelHint    = "give only the first label, mc0123…, of mc0123….rest.marketingcloudapis.com"
	spaceHint    = "must be a percentage of the disk or an amount with its unit, such as 5% or 500MB"
	alertHint    = "must be the URL of a service, such as slack://…, smtp://…, teams://…, pagerduty://… or generic+https://…"
)

func wrongYAML() []wrong {
	return []wrong{
		{"nothing", "", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", "is missing: give the first label of the account's host names (or auth_url for the sandbox)"},
			{1, "marketing_cloud.client_id", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_ID"},
			{1, "marketing_cloud.client_secret", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_SECRET"},
			{1, "forms", "there is no form: describe at least one (onramp init writes an example)"},
		}},
		{"syntax", "a: 1\nb: 'x\nc: 2\n", nil, []config.Problem{
			{4, "", "is not valid YAML: found unexpected end of stream (while scanning a quoted scalar that begins in line 2)"},
		}},
		{"unknown anchor", "\nclient_secret: *abc\n", nil, []config.Problem{
			{2, "", "is not valid YAML: a value that begins with * or ! must stand in quotes"},
		}},
		{"two documents", shortAccount + shortForms + "---\n" + shortForms, nil, []config.Problem{
			{3, "", "a second YAML document begins here: a configuration is one document"},
		}},
		{"wrong second document", shortAccount + shortForms + "---\n- [\n", nil, []config.Problem{
			{5, "", "is not valid YAML: did not find expected node content (while parsing a flow node that begins in line 5)"},
		}},
		{"latin 1", "a: 1\nb: \xe4\n", nil, []config.Problem{{2, "", "is not UTF-8 text"}}},
		{"control character", "a: 1\n\nb: \x01\n", nil, []config.Problem{{3, "", "has a control character"}}},
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
			{6, "marketing_cloud.client_id", "is given twice, first in line 3"},
			{7, "database", "is given twice, first in line 2"},
			{8, "entirely", "unknown key; use database, encryption_key, public, admin, marketing_cloud, oauth, delivery, drain_timeout, log, watch, alerts, forms, ens or sinks"},
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
			{7, "log.level", "has a YAML tag that is not supported: put the value in quotes"},
			{7, "log.format", "has a YAML tag that is not supported: put the value in quotes"},
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
admin: { listen: "127.0.0.1:99999" }
marketing_cloud: { client_id: a, client_secret: b,
  auth_url: "ftp://127.0.0.1" }
database: mysql://db/x`, nil, []config.Problem{
			{2, "public.listen", listenHint},
			{3, "public.url", urlHint},
			{6, "public.trusted_proxies[1]", `"10.0.0.0/33" must be an IP address or a CIDR prefix, such as 10.0.0.0/8`},
			{7, "public.trusted_proxies[2]", `"proxy.example.com" must be an IP address or a CIDR prefix, such as 10.0.0.0/8`},
			{8, "public.trusted_proxies[3]", "is empty: fill it in or take the line out"},
			{9, "public.trusted_proxies[4]", "must be a single value, not a list"},
			{10, "admin.listen", listenHint},
			{12, "marketing_cloud.auth_url", urlHint},
			{13, "database", "must be a file name or a postgres:// URL"},
		}},
		{"account is missing", "log: { level: info }\nmarketing_cloud:\n  account_id: 51x", nil, []config.Problem{
			{2, "marketing_cloud.subdomain", "is missing: give the first label of the account's host names (or auth_url for the sandbox)"},
			{2, "marketing_cloud.client_id", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_ID"},
			{2, "marketing_cloud.client_secret", "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_CLIENT_SECRET"},
			{3, "marketing_cloud.account_id", "must be the business unit's MID, which has only digits"},
		}},
		{"subdomain and auth_url", "marketing_cloud:\n  auth_url: http://127.0.0.1:8090\n  subdomain: mc0\n  client_id: a\n  client_secret: ''", nil, []config.Problem{
			{2, "marketing_cloud.auth_url", "only one of subdomain and auth_url can hold: leave auth_url out, unless this is the sandbox"},
			{5, "marketing_cloud.client_secret", "is empty: give a value, or leave the key out"},
		}},
		{"subdomain is a host name", "marketing_cloud: { subdomain: mc0.rest.marketingcloudapis.com, client_id: a, client_secret: b }", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", labelHint},
		}},
		{"subdomain is a URL", "marketing_cloud: { subdomain: 'https://mc0', client_id: a, client_secret: b }", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", labelHint},
		}},
		{"subdomain is no label", "marketing_cloud: { subdomain: -mc0_, client_id: a, client_secret: b }", nil, []config.Problem{
			{1, "marketing_cloud.subdomain", "must be one DNS label: letters, digits and hyphens, at most 63"},
		}},
	}
}

func wrongValues() []wrong {
	return []wrong{
		{"admin without token", shortAccount + "admin: { listen: ':8081' }", nil, []config.Problem{
			{2, "admin.listen", "is open to other machines: set admin.token too, or listen on 127.0.0.1"},
		}},
		{"durations and words", shortAccount + `delivery:
  give_up_after: -1h
  timeout: 0s
  senders: 257
drain_timeout: soon
log:
  level: warning
  format: xml
  colour: true`, nil, []config.Problem{
			{3, "delivery.give_up_after", "must be longer than zero"},
			{4, "delivery.timeout", "must be longer than zero"},
			{5, "delivery.senders", "must be a whole number from 1 to 256, without quotes"},
			{6, "drain_timeout", durationHint},
			{8, "log.level", `"warning" is not known; use debug, info, warn or error`},
			{9, "log.format", `"xml" is not known; use json or text`},
			{10, "log.colour", "unknown key; use level or format"},
		}},
		{"watch", shortAccount + `watch:
  oldest: 15
  disk_free: 5
  interval: 1s`, []string{"ONRAMP_WATCH_DISK_FREE="}, []config.Problem{
			{3, "watch.oldest", durationHint},
			{4, "watch.disk_free", spaceHint},
			{5, "watch.interval", "unknown key; use oldest, disk_free or events"},
		}},
		{"no space", shortAccount + "watch: { disk_free: 0% }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"all space", shortAccount + "watch: { disk_free: 100% }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"no amount", shortAccount + "watch: { disk_free: 0GB }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"no unit", shortAccount + "watch: { disk_free: 500M }", nil, []config.Problem{{2, "watch.disk_free", spaceHint}}},
		{"space in the environment", shortAccount, []string{"ONRAMP_WATCH_DISK_FREE=much"}, []config.Problem{{0, "ONRAMP_WATCH_DISK_FREE", spaceHint}}},
		{"no events", shortAccount + "watch: { events: never }", nil, []config.Problem{{2, "watch.events", durationHint + ", or off"}}},
		{"events at once", shortAccount, []string{"ONRAMP_WATCH_EVENTS=0s"}, []config.Problem{{0, "ONRAMP_WATCH_EVENTS", "must be longer than zero, or off"}}},
		{"encryption key", shortAccount + "encryption_key: { primaryKeyId: 1, key: [hunter2] }\nsink: x", nil, []config.Problem{
			{2, "encryption_key", "must be a single value, not a map"},
			{3, "sink", "unknown key; did you mean sinks?"},
		}},
		{"alerts", shortAccount + `alerts:
  - slack://hook:hunter2@webhook
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
  -`, []string{"SLACK=slack://hook:hunter2@webhook", "EMPTY="}, []config.Problem{
			{4, "alerts[1]", "is in the list already: leave one out"},
			{5, "alerts[2]", alertHint},
			{6, "alerts[3]", alertHint},
			{7, "alerts[4]", alertHint},
			{8, "alerts[5]", alertHint},
			{9, "alerts[6]", "the smtp URL can't be read: write special characters in names and passwords as %XX, such as %40 for @"},
			{10, "alerts[7]", "is empty: give a value, or leave the line out"},
			{11, "alerts[8]", "the environment variable NOT_SET is not set"},
			{12, "alerts[9]", "must be a single value, not a list"},
			{13, "alerts[10]", "must be a single value, not a list"},
			{14, "alerts[11]", "is empty: fill it in or take the line out"},
		}},
		{"alerts are no list", shortAccount + "alerts: slack://hook:hunter2@webhook", nil, []config.Problem{
			{2, "alerts", "must be a list, not a single value"},
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
			{0, "ONRAMP_ADMIN_LISTEN", "is open to other machines: set admin.token too, or listen on 127.0.0.1"},
		}},
		{"account from the environment", "", []string{
			"ONRAMP_MARKETING_CLOUD_SUBDOMAIN=a", "ONRAMP_MARKETING_CLOUD_AUTH_URL=http://a",
			"ONRAMP_MARKETING_CLOUD_CLIENT_ID=a", "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET=a",
		}, []config.Problem{
			{0, "ONRAMP_MARKETING_CLOUD_AUTH_URL", "only one of subdomain and auth_url can hold: leave auth_url out, unless this is the sandbox"},
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
			{3, "marketing_cloud.client_id", "is empty: give a value, or leave the key out"},
			{4, "marketing_cloud.client_secret", `the file "/does/not/exist" can't be read: no such file or directory`},
			{5, "marketing_cloud.account_id", `the path of a ${file:…} reference must be absolute, not "relative"`},
			{6, "database", "a reference must be the whole value: put the rest of the text into it too"},
			{8, "public.url", "is not a reference: write ${env:NAME} or ${file:/path}"},
			{9, "public.trusted_proxies[0]", "is not a reference: write ${env:NAME} or ${file:/path}"},
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
	const nameHint = "a form's name must begin with a lower-case letter or a digit and have only those, _ and -, at most 63"
	return []wrong{
		{"no forms", "forms:\n", nil, []config.Problem{
			{2, "forms", "there is no form: describe at least one (onramp init writes an example)"},
		}},
		{"forms are empty", "\nforms: {}\n", nil, []config.Problem{
			{3, "forms", "there is no form: describe at least one (onramp init writes an example)"},
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
			{12, "forms.1", "is given twice, first in line 9"},
		}},
		{"keys, origins and URLs", "forms:\n  a:\n" + rightFields + rightRoute + `    titel: x
    title: [x]
    success_url: thanks
    origins:
      - https://example.com/
      - example.com
      - null
  b:
` + rightFields + rightRoute + `    success_url: //example.com/thanks
    origins: https://example.com
    double_opt_in: true
`, nil, []config.Problem{
			{6, "forms.a.titel", "unknown key; did you mean title?"},
			{7, "forms.a.title", "must be a single value, not a list"},
			{8, "forms.a.success_url", "must be an absolute http or https URL or a path that begins with /"},
			{10, "forms.a.origins[0]", `"https://example.com/" must be an origin without a path, such as https://www.example.com, or *`},
			{11, "forms.a.origins[1]", `"example.com" must be an origin without a path, such as https://www.example.com, or *`},
			{12, "forms.a.origins[2]", "is empty: fill it in or take the line out"},
			{16, "forms.b.success_url", "must be an absolute http or https URL or a path that begins with /"},
			{17, "forms.b.origins", "must be a list, not a single value"},
			{18, "forms.b.double_opt_in", "unknown key; use subscriber_key, title, success_url, origins, fields, on_existing, route or on_event"},
		}},
		{"key by e-mail", "forms:\n  a:\n    fields: [ { name: email, column: E } ]\n" + rightRoute +
			"  b:\n    fields:\n      - { name: n, column: N }\n      - { name: email, column: E, type: email }\n    subscriber_key: email\n" + rightRoute, nil, []config.Problem{
			{3, "forms.a.subscriber_key", "email needs a field with type: email; add one, or use uuid or field:NAME"},
			{9, "forms.b.fields[1].required", "the subscriber key is this e-mail address: add required: true"},
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
			{4, "forms.a.subscriber_key", "there is no field with this name; write field:NAME with the name of one of the form's fields"},
			{9, "forms.b.fields[0].required", "this field is the subscriber key: add required: true"},
			{12, "forms.c.subscriber_key", "a field of the type integer can't be the subscriber key: use one that holds a text"},
			{16, "forms.d.subscriber_key", "there is no field with this name; write field:NAME with the name of one of the form's fields"},
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
			{14, "forms.c.fields[0]", "needs a name when the visitor fills it in, or from when onramp does"},
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
			{7, form + "[1].column", "is missing: name the data extension column that this field fills"},
			{8, form + "[2].column", "is missing: name the data extension column that this field fills"},
			{9, form + "[3].column", "the field in line 6 has this column already"},
			{10, form + "[4].name", "the field in line 6 has this name already"},
			{11, form + "[5].column", "is the key_column of data_extension:K, which gets the subscriber key: leave the field out, or name another column"},
			{12, form + "[6]", "needs a name when the visitor fills it in, or from when onramp does"},
			{13, form + "[7].from", "a field has a name when the visitor fills it in, or from when onramp does: leave one out"},
			{14, form + "[8]", "needs a name when the visitor fills it in, or from when onramp does"},
			{15, form + "[9].column", "is missing: name the data extension column that this field fills"},
			{16, form + "[10]", "is empty: fill it in or take the line out"},
			{17, form + "[11]", "must be a map of keys and values, not a single value"},
		}},
		{"filled in", head + `      - { column: A, from: constant }
      - { column: B, from: referer }
      - { column: C, from: receivedat }
      - { column: D, from: ip, value: x, required: true, label: l, type: text }
      - { column: E, from: uuid, max: 10 }
      - { column: F, from: constant, value: 0x10 }
      - { column: G, from: constant, value: [a] }
      - { column: H, from: constant, value: "a\tb" }
      - { column: I, from: [ip] }
      - { column: J, from: page_url, max: 4001, pattern: x, choices: [], default: 1 }
`, nil, []config.Problem{
			{7, form + "[1].value", "is missing: write the constant here"},
			{8, form + "[2].from", `"referer" is not known; use received_at, constant, ip, user_agent, page_url, uuid or form`},
			{9, form + "[3].from", `"receivedat" is not known; did you mean received_at?`},
			{10, form + "[4].label", "is only for a field with a name; onramp fills this one in"},
			{10, form + "[4].type", "is only for a field with a name; onramp fills this one in"},
			{10, form + "[4].required", "is only for a field with a name; onramp fills this one in"},
			{10, form + "[4].value", "is only for from: constant"},
			{11, form + "[5].max", "has no effect with from: uuid; leave it out"},
			{12, form + "[6].value", "write the number plainly, such as 12 or 12.5, or in quotes if it is a text"},
			{13, form + "[7].value", "must be a single value, not a list"},
			{14, form + "[8].value", "must not contain control characters"},
			{15, form + "[9].from", "must be a single value, not a list"},
			{16, form + "[10].pattern", "is only for a field with a name; onramp fills this one in"},
			{16, form + "[10].choices", "is only for a field with a name; onramp fills this one in"},
			{16, form + "[10].default", "is only for a field with a name; onramp fills this one in"},
			{16, form + "[10].max", "must be a whole number from 1 to 4000, without quotes"},
		}},
	}
}

func wrongTypes() []wrong {
	const head = "forms:\n  f:\n" + rightRoute + "    fields:\n" + rightEmail // as in wrongFields
	const form = "forms.f.fields"
	const maxHint = "must be a whole number from 1 to 4000, without quotes"
	const numberHint = "write the number plainly, such as 12 or 12.5, or in quotes if it is a text"
	return []wrong{
		{"types and limits", head + `      - { name: a, column: A, type: txt }
      - { name: b, column: B, type: password, max: 0, pattern: "(" }
      - { name: c, column: C, max: 4001, required: "true" }
      - { name: d, column: D, max: ten }
      - { name: e, column: E, type: boolean, max: 5 }
      - { name: f, column: F, type: date, pattern: x }
      - { name: g, column: G, pattern: "a)(b" }
      - { name: h, column: H, pattern: [x], max: "5", label: {}, value: v }
`, nil, []config.Problem{
			{7, form + "[1].type", `"txt" is not known; did you mean text?`},
			{8, form + "[2].type", `"password" is not known; use text, email, boolean, integer, decimal, date, phone, locale or choice`},
			{8, form + "[2].max", maxHint},
			{8, form + "[2].pattern", "is not a regular expression (missing closing )); see https://pkg.go.dev/regexp/syntax"},
			{9, form + "[3].required", "must be true or false, without quotes"},
			{9, form + "[3].max", maxHint},
			{10, form + "[4].max", maxHint},
			{11, form + "[5].max", "is only for texts, and this is a boolean field: leave it out"},
			{12, form + "[6].pattern", "is only for texts, and this is a date field: leave it out"},
			{13, form + "[7].pattern", "is not a regular expression (unexpected )); see https://pkg.go.dev/regexp/syntax"},
			{14, form + "[8].label", "must be a single value, not a map"},
			{14, form + "[8].max", maxHint},
			{14, form + "[8].pattern", "must be a single value, not a list"},
			{14, form + "[8].value", "is only for from: constant; for a value that the visitor may change use default"},
		}},
		{"choices", head + `      - { name: a, column: A, type: choice, default: x }
      - { name: b, column: B, type: choice, choices: [] }
      - { name: c, column: C, choices: [a] }
      - { name: d, column: D, type: choice, choices: a }
      - { name: e, column: E, type: choice, max: 2, choices: [a, b, " a", abc, [d]] }
      - { name: f, column: F, type: choice, choices: [a], default: b }
`, nil, []config.Problem{
			{7, form + "[1].choices", "is missing: list what the visitor can choose from"},
			{8, form + "[2].choices", "is missing: list what the visitor can choose from"},
			{9, form + "[3].choices", "is only for fields with type: choice"},
			{10, form + "[4].choices", "must be a list, not a single value"},
			{11, form + "[5].choices[4]", "must be a single value, not a list"},
			{11, form + "[5].choices[2]", `" a" is listed twice`},
			{11, form + "[5].choices[3]", "must be at most 2 characters"},
			{12, form + "[6].default", "the field itself refuses this value: it must be one of the choices"},
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
			{7, form + "[1].default", "the field itself refuses this value: it must be true or false"},
			{8, form + "[2].default", "the field itself refuses this value: it must be true or false"},
			{9, form + "[3].default", "the field itself refuses this value: it must be a whole number between -2147483648 and 2147483647"},
			{10, form + "[4].default", numberHint},
			{11, form + "[5].default", "the field itself refuses this value: it must be a text"},
			{12, form + "[6].default", "the field itself refuses this value: it must be at most 3 characters"},
			{13, form + "[7].default", "the field itself refuses this value: it does not have the required form"},
			{14, form + "[8].default", "a required field never uses its default: leave one of the two out"},
			{15, form + "[9].default", "the field itself refuses this value: it must be an e-mail address"},
			{16, form + "[10].default", numberHint},
			{17, form + "[11].default", "the field itself refuses this value: it must be true or false"},
			{18, form + "[12].default", "must be a single value, not a map"},
		}},
	}
}

func wrongRoutes() []wrong {
	const head = "forms:\n  f:\n" + rightFields + "    route:\n" // what follows begins in line 6
	const route = "forms.f.route"
	const insertHint = "Marketing Cloud has no synchronous insert: use mode: async or auto with on_existing: skip"
	const putHint = "put would update the row that is to be skipped: leave it out, or write post, with on_existing: skip"
	const requiredHint = "a message is sent to this e-mail address: add required: true"
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
			{6, route + "[0].data_extension.key", "is missing: give the external key of the data extension"},
			{7, route + "[1].data_extension.key", "is missing: give the external key of the data extension"},
			{7, route + "[1].data_extension.key_column", "is missing: name the column that holds the subscriber key"},
			{7, route + "[1].data_extension.mode", `"asinc" is not known; did you mean async?`},
			{8, route + "[2].data_extension.mode", `"fast" is not known; use auto, sync or async`},
			{9, route + "[3]", "a step has one kind, and this has data_extension and journey: make a step of each"},
			{10, route + "[4].message.key", "unknown key; use definition_key, to or batch"},
			{10, route + "[4].message.definition_key", "is missing: give the definition key of the transactional message"},
			{10, route + "[4].message.batch", "must be a whole number from 1 to 500, without quotes"},
			{11, route + "[5].data_extention", "unknown key; did you mean data_extension?"},
			{12, route + "[6]", "a step needs a kind: data_extension, journey or message"},
			{13, route + "[7].journey.event_definition_key", "must not contain a period: Marketing Cloud finds no such event definition"},
			{14, route + "[8].journey.mode", "unknown key; use event_definition_key, establish_contact_key, key_column, on_unknown or batch"},
			{14, route + "[8].journey.event_definition_key", "is missing: copy it from the journey's API event"},
			{14, route + "[8].journey.establish_contact_key", "must be true or false, without quotes"},
			{15, route + "[9]", "must be a map of keys and values, not a single value"},
			{16, route + "[10].data_extension", "must be a map of keys and values, not a single value"},
			{17, route + "[11].journey", "must be a map of keys and values, not a list"},
			{18, route + "[12]", "is empty: fill it in or take the line out"},
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
			{7, route + "[1]", "data_extension:K is in this route already, in line 6: leave one out"},
			{12, "forms.b.route[0]", "data_extension:K has another key_column in line 6: write the same in both"},
			{13, "forms.b.route[1]", "journey:K has another establish_contact_key in line 8: write the same in both"},
			{17, "forms.a.route[0]", "data_extension:K has another mode in line 6: write the same in both"},
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
			{16, "forms.b.route[0]", "data_extension:K has another async_method and another batch in line 6: write the same in both"},
			{17, "forms.b.route[1]", "data_extension:L has another key_column and another on_existing in line 7: write the same in both"},
			{19, "forms.b.route[3]", "journey:K has another on_unknown in line 9: write the same in both"},
			{20, "forms.b.route[4]", "message:K has another batch in line 10: write the same in both"},
			{24, "forms.c.route[0]", "message:L has another to in line 11: write the same in both"},
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
			{10, route + "[4].data_extension.async_method", "has no effect with mode: sync; leave it out"},
			{11, route + "[5].data_extension.mode", insertHint},
			{12, route + "[6].data_extension.on_existing", "must be a single value, not a list"},
			{17, "forms.g.route[0].data_extension.mode", insertHint},
			{18, "forms.g.route[1].data_extension.async_method", putHint},
			{21, "forms.h.on_existing", `"never" is not known; use update, skip or new`},
			{25, "forms.i.on_existing", "has no effect without a data_extension step; leave it out"},
			{30, "forms.j.fields[0].column", "is the key_column of data_extension:P, which gets the registration's id: leave the field out, or name another column"},
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
			{7, "forms.a.route[0].message.to", "there is no field for this column; name the column of a field with type: email"},
			{8, "forms.a.route[1].message.to", "is not the column of a field with type: email, which the address must come from"},
			{9, "forms.a.route[2].message.to", "is not the column of a field with type: email, which the address must come from"},
			{11, "forms.a.route[4].message.to", "must be a single value, not a list"},
			{12, "forms.a.route[5].message.key_column", "unknown key; use definition_key, to or batch"},
			{13, "forms.a.route[6].message.definition_key", "is missing: give the definition key of the transactional message"},
			{17, "forms.b.route[0].message.to", "is missing, and the form has no field with type: email: add one"},
			{17, "forms.b.route[1].message", "must be a map of keys and values, not a single value"},
			{20, "forms.c.fields[0].tpye", "unknown key; did you mean type?"},
		}},
		{"key columns", `forms:
  a:
    fields:
      - { name: email, column: Email, type: email, required: true }
      - { name: id, column: ID }
      - { column: CONTACT, from: uuid }
    route:
      - data_extension: { key: K, key_column: Id }
      - journey: { event_definition_key: E, key_column: Contact }
      - journey: { event_definition_key: F, key_column: Contact }
`, nil, []config.Problem{
			{6, "forms.a.fields[1].column", "is the key_column of data_extension:K, which gets the subscriber key: leave the field out, or name another column"},
			{7, "forms.a.fields[2].column", "is the key_column of journey:E, which gets the subscriber key: leave the field out, or name another column"},
		}},
	}
}
