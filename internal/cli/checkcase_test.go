package cli_test

import "time"

// checkCase is a fault, and what onramp check is to say of it.
type checkCase struct {
	name  string
	plant func(w *checked)
	want  string
}

func checkCases(account func(string) func(*checked), config func(old, wanted string) func(*checked)) []checkCase {
	without := func(scope string) func(*checked) { return func(w *checked) { w.revoke(scope) } }
	return []checkCase{
		{"all is well", func(*checked) {}, ""},
		{"scope for rows", without("data_extensions_write"), `
failure scopes data_extensions_write: the installed package lacks this scope, which is needed to write rows
	admin: give the package Data | Data Extensions: Write
	Setup → Apps → Installed Packages → (the package) → API Integration → Edit → Data → Data Extensions → Write
`},
		{"scope for results", without("data_extensions_read"), `
failure scopes data_extensions_read: the installed package lacks this scope, which is needed to read the results of asynchronous calls (mode: auto or async), and rows back
	admin: give the package Data | Data Extensions: Read
	Setup → Apps → Installed Packages → (the package) → API Integration → Edit → Data → Data Extensions → Read
not checked: data-extension
`},
		{"scope for journeys", without("journeys_read"), `
failure scopes journeys_read: the installed package lacks this scope, which is needed to send events to journeys
	admin: give the package Automation | Journeys: Read
	Setup → Apps → Installed Packages → (the package) → API Integration → Edit → Automation → Journeys → Read
not checked: event-definition
`},
		{"scope for contacts", without("list_and_subscribers_read"), `
failure scopes list_and_subscribers_read: the installed package lacks this scope, which is needed to send events to journeys
	admin: give the package Contacts | List and Subscribers: Read
	Setup → Apps → Installed Packages → (the package) → API Integration → Edit → Contacts → List and Subscribers → Read
`},
		{"scope for messages", without("email_send"), `
failure scopes email_send: the installed package lacks this scope, which is needed to send transactional emails
	admin: give the package Channels | Email: Send
	Setup → Apps → Installed Packages → (the package) → API Integration → Edit → Channels → Email → Send
`},
		{"scope for definitions", without("email_read"), `
warning scopes email_read: the installed package lacks this scope, which is needed to read the message definitions for this check
	admin: give the package Channels | Email: Read
	Setup → Apps → Installed Packages → (the package) → API Integration → Edit → Channels → Email → Read
not checked: message
`},
		{"wrong type", account(extension(tableColumns(map[string]string{"FirstName": `"type":"Number","nullable":true`}))), `
failure data-extension Web_Registrations, column FirstName: its type is Number, but the form registration sends values for a column of the type Text (field first_name)
	admin: a column's type can't be changed: delete it and create it again with the type Text and the length 100, or have the operator change the form's type
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"too short", account(extension(tableColumns(map[string]string{"FirstName": `"type":"Text","length":50,"nullable":true`}))), `
failure data-extension Web_Registrations, column FirstName: its length is 50, but the form registration sends up to 100 characters (field first_name): longer values are refused with their row
	admin: set its length to 100, or have the operator set max: 50 for field first_name
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"too short for what is filled in", account(extension(tableColumns(map[string]string{"IPAddress": `"type":"Text","length":15,"nullable":true`}))), `
failure data-extension Web_Registrations, column IPAddress: its length is 15, but the form registration sends up to 45 characters (from: ip): longer values are refused with their row
	admin: set its length to 45
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"too short for addresses", account(extension(tableColumns(map[string]string{"EmailAddress": `"type":"EmailAddress","length":80`}))), `
failure data-extension Web_Registrations, column EmailAddress: its length is 80, but the form registration sends up to 254 characters (field email): longer values are refused with their row
	admin: set its length to 254
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"missing column", account(extension(tableColumns(map[string]string{"LastName": ""}))), `
failure data-extension Web_Registrations, column LastName: it doesn't exist, but the form registration sends it (field last_name): the value is lost, or the row refused
	admin: add the column LastName with the type Text and the length 100, or have the operator correct column in the form
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"misspelt column", account(extension(tableColumns(map[string]string{"LastName": ""}, `{"name":"LastNam","type":"Text","length":100,"nullable":true}`))), `
failure data-extension Web_Registrations, column LastName: it doesn't exist, but the form registration sends it (field last_name): the value is lost, or the row refused; did you mean LastNam?
	admin: add the column LastName with the type Text and the length 100, or have the operator correct column in the form
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"additional required column", account(extension(tableColumns(nil, `{"name":"Country","type":"Text","length":2}`))), `
failure data-extension Web_Registrations, column Country: it is required and has no default, but the form registration doesn't send it
	operator: add a field with column: Country to the form registration, or ask the admin to make the column nullable or give it a default
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"required column that is optional in the form", account(extension(tableColumns(map[string]string{"FirstName": `"type":"Text","length":100`}))), `
failure data-extension Web_Registrations, column FirstName: it is required and has no default, but the form registration doesn't always have a value for it (field first_name)
	operator: set required: true or a default for field first_name, or ask the admin to make the column nullable
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"not sendable", account(extension(`"sendable":{"column":""}`)), `
failure data-extension Web_Registrations: it is not sendable: no email can be sent to its rows, and no journey can use it
	admin: tick Is Sendable, and relate SubscriberKey to Subscriber Key
	Contact Builder → Data Extensions → Web_Registrations → Edit → Is Sendable
`},
		{"other send relationship", account(extension(`"sendable":{"column":"SubscriberKey","subscriber":"_SubscriberID"}`)), `
failure data-extension Web_Registrations: its send relationship leads to _SubscriberID, not to Subscriber Key
	admin: relate SubscriberKey to Subscriber Key
	Contact Builder → Data Extensions → Web_Registrations → Edit → Send Relationship
`},
		{"send relationship of another column", account(extension(`"sendable":{"column":"EmailAddress"}`)), `
failure data-extension Web_Registrations: its send relationship begins at the column EmailAddress, but the subscriber key is in SubscriberKey
	admin: relate SubscriberKey to Subscriber Key
	Contact Builder → Data Extensions → Web_Registrations → Edit → Send Relationship
`},
		{"retention", account(extension(`"retention":{"days":30,"rows":true}`)), `
warning data-extension Web_Registrations: its retention policy says that each row is deleted after 30 days
	admin: turn the retention policy off, unless that is what you want
	Contact Builder → Data Extensions → Web_Registrations → Edit → Retention Policy
`},
		{"no primary key", account(extension(tableColumns(map[string]string{"SubscriberKey": `"type":"Text","length":254`}))), `
failure data-extension Web_Registrations: it has no primary key, so that no row can be updated
	admin: make SubscriberKey the primary key
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"another primary key", account(extension(tableColumns(map[string]string{"SubscriberKey": `"type":"Text","length":254`, "EmailAddress": `"type":"EmailAddress","length":254,"primary_key":true`}))), `
failure data-extension Web_Registrations: its primary key is EmailAddress, but key_column is SubscriberKey
	operator: set key_column: [EmailAddress] for this step, or ask the admin to make SubscriberKey the primary key
	Contact Builder → Data Extensions → Web_Registrations → Fields
`},
		{"no data extension", config("key: Web_Registrations", "key: Web_Registration"), `
failure data-extension Web_Registration: the business unit has no data extension with this external key; did you mean Web_Registrations?
	operator: set data_extension.key to the external key (not the name) of a data extension, or have onramp provision --apply create it
	Contact Builder → Data Extensions → External Key
`},
		{"journey draft", account(`{"journeys":{"APIEvent-sandbox-welcome":{"status":"Draft"}}}`), `
failure event-definition APIEvent-sandbox-welcome: no journey that begins with this event is running: Welcome (version 1) is draft
	admin: publish the journey Welcome, or a new version of it
	Journey Builder → Welcome → Activate
`},
		{"journey stopped", account(`{"journeys":{"APIEvent-sandbox-welcome":{"status":"Stopped"}}}`), `
failure event-definition APIEvent-sandbox-welcome: no journey that begins with this event is running: Welcome (version 1) is stopped
	admin: publish the journey Welcome, or a new version of it
	Journey Builder → Welcome → Activate
`},
		{"journey paused", account(`{"journeys":{"APIEvent-sandbox-welcome":{"status":"Paused"}}}`), `
warning event-definition APIEvent-sandbox-welcome: no journey that begins with this event is running: Welcome (version 1) is paused
	admin: resume the journey Welcome
	Journey Builder → Welcome → Resume
`},
		{"no journey", account(`{"journeys":{"APIEvent-sandbox-welcome":{"status":"None"}}}`), `
failure event-definition APIEvent-sandbox-welcome: no journey begins with this event: nobody would enter one
	admin: create a journey with this API event as its entry source, and publish it
	Journey Builder → Create New Journey → Multi-Step → API Event
`},
		{"no event definition", config("APIEvent-sandbox-welcome", "APIEvent-other"), `
failure event-definition APIEvent-other: the business unit has no event definition with this key
	operator: set event_definition_key to the key of the API event that the journey starts with, which is not the journey's id
	Journey Builder → Entry Sources → API Event → Event Definition Key
`},
		{"columns of the event", account(`{"data_extensions":{"Behind":{"columns":[{"name":"SubscriberKey","type":"Text","length":254,"primary_key":true},{"name":"EmailAddress","type":"EmailAddress","length":254},` +
			`{"name":"FirstName","type":"Text","length":100,"nullable":true},{"name":"LastName","type":"Text","length":100,"nullable":true},{"name":"OptInStatus","type":"Boolean"},{"name":"RegistrationTimestamp","type":"Date"},` +
			`{"name":"Source","type":"Text","length":10,"nullable":true},{"name":"IPAddress","type":"Text","length":45,"nullable":true},{"name":"UserAgent","type":"Text","length":255,"nullable":true}` +
			`]}},"journeys":{"APIEvent-sandbox-welcome":{"data_extension":"Behind"}}}`), `
failure event-definition APIEvent-sandbox-welcome, data extension Behind, column Source: its length is 10, but the form registration sends up to 20 characters (from: constant): longer values are refused with their row
	admin: set its length to 20
	Contact Builder → Data Extensions → Behind → Fields
failure event-definition APIEvent-sandbox-welcome, data extension Behind, column PageURL: it doesn't exist, but the form registration sends it (from: page_url): the value is lost, or the row refused
	admin: add the column PageURL with the type Text and the length 500, or have the operator correct column in the form
	Contact Builder → Data Extensions → Behind → Fields
failure event-definition APIEvent-sandbox-welcome, data extension Behind: it is not sendable: no email can be sent to its rows, and no journey can use it
	admin: tick Is Sendable, and relate the column with the subscriber key to Subscriber Key
	Contact Builder → Data Extensions → Behind → Edit → Is Sendable
`},
		{"message inactive", account(`{"message_definitions":{"welcome":{"status":"Inactive"}}}`), `
failure message welcome: its status is Inactive: messages are taken and stay queued
	admin: activate the message definition
	Journey Builder → Transactional Messaging → welcome → Activate
`},
		{"no message definition", account(`{"message_definitions":{"welcome":null}}`), `
failure message welcome: the business unit has no message definition with this key
	operator: set definition_key to that of a transactional email
	Journey Builder → Transactional Messaging
`},
		{"wrong MID", config(`"510000001"`, `"510000002"`), `
failure account 510000002: no access token: 400 unauthorized_client: The client is not accessible for this account.
	admin: give the installed package access to the business unit of marketing_cloud.account_id, or have the operator set the MID of one that it has access to
	Setup → Apps → Installed Packages → (the package) → API Integration
not checked: account, scopes, data-extension, event-definition, message
`},
		{"token for another business unit", otherUnit, `
failure account 510000001: the access token is for the business unit 510000099, not 510000001
	operator: set marketing_cloud.account_id to the MID of the business unit with the data extensions, and ask the admin whether the package has access to it
	Setup → Apps → Installed Packages → (the package) → Access → Business Units
not checked: data-extension, event-definition, message
`},
		{"wrong secret", func(w *checked) { w.environ = []string{"SECRET=another"} }, `
failure credentials : no access token: 401 invalid_client: Client authentication failed. Make sure that the client ID and client secret are valid and that the package is installed and enabled.
	operator: set marketing_cloud.client_secret to the current secret of the installed package, and ask a Marketing Cloud admin whether the package is enabled
	Setup → Apps → Installed Packages → (the package) → API Integration
not checked: account, scopes, data-extension, event-definition, message
`},
		{"wrong client", config("sandbox-client", "another-client"), `
failure credentials : no access token: 401 invalid_client: Invalid client ID. Use the client ID in Marketing Cloud Installed Packages.
	operator: set marketing_cloud.client_id to the client ID of the installed package (Setup, Apps, Installed Packages) of the account with this subdomain
	Setup → Apps → Installed Packages → (the package) → API Integration
not checked: account, scopes, data-extension, event-definition, message
`},
		{"clock ahead", clockAhead(45 * time.Second), `
warning clock : Marketing Cloud's clock is 45s ahead of this machine's
	operator: let this machine take its time from a time server (NTP): tokens, signatures and the order of events depend on it
`},
		{"clock far behind", clockAhead(-time.Hour), `
failure clock : Marketing Cloud's clock is 1h0m0s behind this machine's
	operator: let this machine take its time from a time server (NTP): tokens, signatures and the order of events depend on it
`},
		{"a name that does not resolve", config("CLOUD", "http://sandbox.invalid"), `
failure subdomain sandbox.invalid: its host name does not resolve: no such host
	operator: correct marketing_cloud.subdomain (or auth_url), or this machine's DNS
	Setup → Apps → Installed Packages → (the package) → API Integration → REST Base URI
not checked: credentials, clock, account, scopes, data-extension, event-definition, message
`},
		{"a whole URL as the subdomain", config(`auth_url: "CLOUD"`, `subdomain: "https://mc0123.rest.marketingcloudapis.com"`), `
failure configuration : DIR/onramp.yaml:5: marketing_cloud.subdomain: must be only the tenant subdomain: mc0123… of mc0123….rest.marketingcloudapis.com
	operator: correct this line; onramp init writes a configuration with examples
not checked: gateway, files, disk, database, encryption-key, backup, subdomain, credentials, clock, account, scopes, data-extension, event-definition, message, smtp, ens, certificates, public-url, quiet, sinks, alerts
`},
		{"Marketing Cloud is away", func(w *checked) { w.control("PUT faults", `[{"status":503}]`) }, `
failure credentials : no access token: 503 50300: Service Unavailable
	operator: check marketing_cloud.subdomain or auth_url, the network, and Marketing Cloud's status
not checked: account, scopes, data-extension, event-definition, message
`},
	}
}
