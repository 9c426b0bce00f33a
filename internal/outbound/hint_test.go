package outbound_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// The hints of the table, as operators read them.
const (
	hintRowScope     = "Marketing Cloud admin: give the installed package the scope data_extensions_write; if it has that, allow this machine's IP address in the account's login allowlist; see onramp check --only scopes"
	hintReadScope    = "Marketing Cloud admin: give the installed package the scope data_extensions_read; if it has that, allow this machine's IP address in the account's login allowlist; see onramp check --only scopes"
	hintEventScope   = "Marketing Cloud admin: give the installed package the scope journeys_read and list_and_subscribers_read; if it has that, allow this machine's IP address in the account's login allowlist; see onramp check --only scopes"
	hintMailScope    = "Marketing Cloud admin: give the installed package the scope email_send; if it has that, allow this machine's IP address in the account's login allowlist; see onramp check --only scopes"
	hintFresh        = "Marketing Cloud admin: give the installed package the scope data_extensions_write; if it has that, the operator checks marketing_cloud.client_id, client_secret and account_id: a new token was refused as well; see onramp check --only scopes"
	hintFreshEvent   = "Marketing Cloud admin: give the installed package the scope journeys_read and list_and_subscribers_read; if it has that, the operator checks marketing_cloud.client_id, client_secret and account_id: a new token was refused as well; see onramp check --only scopes"
	hintStack        = "operator: set marketing_cloud.subdomain to that of the account that the client ID belongs to: the token is not valid on this stack; see onramp check --only credentials"
	hintLegacy       = "operator: remove marketing_cloud.auth_url and set marketing_cloud.subdomain: the address leads to the legacy endpoint /v1/requestToken, which does not serve this installed package; see onramp check --only credentials"
	hintAccount      = "Marketing Cloud admin: give the installed package access to the business unit of marketing_cloud.account_id, or have the operator set the MID of one that it has access to; see onramp check --only credentials"
	hintClientID     = "operator: set marketing_cloud.client_id to the client ID of the installed package (Setup, Apps, Installed Packages) of the account with this subdomain; see onramp check --only credentials"
	hintClientSecret = "operator: set marketing_cloud.client_secret to the current secret of the installed package, and ask a Marketing Cloud admin whether the package is enabled; see onramp check --only credentials"
	hintIntegration  = "Marketing Cloud admin: give the installed package an API integration of the kind Server-to-Server; this one is of another kind; see onramp check --only credentials"
	hintNoExtension  = "operator: set data_extension.key to the external key (not the name) of a data extension in the business unit of marketing_cloud.account_id: it has none with the key DE1; see onramp check --only data-extension"
	hintKeyColumn    = "operator: set key_column to the primary key of the data extension DE1: it has none that is called SubscriberKey; see onramp check --only data-extension"
	hintNoPrimary    = "Marketing Cloud admin: make SubscriberKey the primary key of the data extension DE1, which has none; see onramp check --only data-extension"
	hintNoColumn     = "operator: correct the columns of the form's fields: the data extension DE1 has none of them; see onramp check --only data-extension"
	hintAddress      = "operator: correct the address in the column EmailAddress of this registration with onramp deliveries edit, then retry it"
	hintPhone        = "operator: correct the number in the column Mobile of this registration with onramp deliveries edit, then retry it"
	hintLength       = "operator: set max of the form's field for the column FirstName to the length that this column has in the data extension DE1, shorten the value with onramp deliveries edit, then retry it; see onramp check --only data-extension"
	hintNull         = "web developer: always send a value for the column contactkey, which the data extension DE1 requires; the operator makes its field required, adds the value with onramp deliveries edit, and retries it; see onramp check --only data-extension"
	hintMissing      = "operator: compare key_column (SubscriberKey) and the required columns of the data extension DE1 with what was sent (onramp deliveries show), add what is missing, then retry it; see onramp check --only data-extension"
	hintDuplicate    = "operator: discard this delivery, or set on_existing to update and retry it: the data extension DE1 has a row with this key"
	hintType         = "operator: give the form's field for the column OptInStatus the type that this column has in the data extension DE1, correct the value with onramp deliveries edit, then retry it; see onramp check --only data-extension"
	hintNameless     = "operator: give the form's field for the column that the answer names the type that this column has in the data extension DE1, correct the value with onramp deliveries edit, then retry it; see onramp check --only data-extension"
	hintNoEvent      = "operator: set event_definition_key to the key of the API event that the journey starts with (not the journey's id): the business unit has none with the key APIEvent-1; see onramp check --only event-definition"
	hintPeriod       = "operator: set event_definition_key to the key of the journey's API event, which has no period; APIEvent-1 is not one; see onramp check --only event-definition"
	hintEventMissing = "operator: have the form send every required column of the data extension behind the event APIEvent-1, the column LastName among them, add the value with onramp deliveries edit, then retry it; see onramp check --only event-definition"
	hintEventType    = "operator: give the form's field for the column OptInStatus the type and length of this column in the data extension behind the event APIEvent-1, correct the value with onramp deliveries edit, then retry it; see onramp check --only event-definition"
	hintEventColumn  = "Marketing Cloud admin: add the column Shoe_Size to the data extension behind the event APIEvent-1, or have the operator remove it from the form; see onramp check --only event-definition"
	hintNoMessage    = "operator: set the message's definition key to that of an active email definition in the business unit of marketing_cloud.account_id: it has none with the key welcome; see onramp check --only message"
	hintTo           = "operator: set to_column to the column with the email address, which is required in the form, correct this one with onramp deliveries edit, then retry it"
	hintContact      = "operator: choose another subscriber_key for the form, one that is never empty: Marketing Cloud does not take this one for the message welcome"
	hintAttribute    = "operator: remove the columns from the form that the message welcome has no attribute for, or have a Marketing Cloud admin add them; see onramp check --only message"
)

// TestHints is the table of hints: what an operator is told about each answer that
// Marketing Cloud documents, or is known to give.
func TestHints(t *testing.T) {
	t.Parallel()
	token := reply{status: 200, body: goodToken}
	row := func(message string) reply {
		return reply{status: 400, body: `{"message":"Unable to save rows","errorcode":10006,"additionalErrors":[{"message":"` + message + `","errorcode":10000}]}`}
	}
	for _, c := range []struct {
		name        string
		to          onramp.Destination
		token, call reply
		want        string
	}{
		{"legacy endpoint", dataExtension, reply{status: 400, body: `{"message":"This integration is not eligible to use the legacy /v1/requestToken endpoint.","errorcode":10007,"documentation":""}`}, reply{}, hintLegacy},
		{"another business unit", dataExtension, reply{status: 400, body: `{"error":"invalid_request","error_description":"The client is not accessible for this account."}`}, reply{}, hintAccount},
		{"another business unit, RFC 6749", journey, reply{status: 400, body: `{"error":"unauthorized_client"}`}, reply{}, hintAccount},
		{"client ID", dataExtension, reply{status: 401, body: `{"error":"invalid_client","error_description":"Invalid client ID. Use the client ID in Marketing Cloud Installed Packages."}`}, reply{}, hintClientID},
		{"client secret", dataExtension, reply{status: 401, body: `{"error":"invalid_client","error_description":"Client authentication failed."}`}, reply{}, hintClientSecret},
		{"integration of another kind", dataExtension, reply{status: 400, body: `{"error":"unsupported_grant_type"}`}, reply{}, hintIntegration},
		{"token refused otherwise", dataExtension, reply{status: 400, body: `{"error":"invalid_request"}`}, reply{}, hintToken},

		{"stack", dataExtension, token, reply{status: 403, body: `{"message":"Token invalid","errorcode":40002}`}, hintStack},
		{"scope, row", dataExtension, token, reply{status: 403, body: `{"message":"Insufficient privileges to complete this action."}`}, hintRowScope},
		{"scope or credentials, row", dataExtension, token, reply{status: 401, body: `{"message":"Not Authorized","errorcode":0}`}, hintFresh},
		{"scope, event", journey, token, reply{status: 403, body: `{"message":"Insufficient Privileges","errorcode":20002}`}, hintEventScope},
		{"scope or credentials, event", journey, token, reply{status: 401}, hintFreshEvent},
		{"scope, message", mail, token, reply{status: 403}, hintMailScope},

		{"unknown data extension", dataExtension, token, reply{status: 404, body: `{"message":"Object Not Found","errorcode":30003}`}, hintNoExtension},
		{"unknown data extension, asynchronous", dataExtension, token, reply{status: 400, body: `{"requestId":"1","resultMessages":[{"resultType":"Validation","resultClass":"Error","resultCode":"CustomObjectNotFound","message":"Failed to resolve"}]}`}, hintNoExtension},
		{"key taken for an id", dataExtension, token, reply{status: 400, body: `{"message":"Parameter {guid} is invalid.","errorcode":10001}`}, hintNoExtension},
		{"primary key", dataExtension, token, reply{status: 400, body: `{"message":"Primary key 'subscriberkey' does not exist.","errorcode":10000}`}, hintKeyColumn},
		{"no primary key", dataExtension, token, row("This Data Extension does not have any primary keys defined."), hintNoPrimary},
		{"no known column", dataExtension, token, row("At least one existing field is required in the values property"), hintNoColumn},
		{"email address", dataExtension, token, row("EmailAddress: The value for column [EmailAddress] is not a valid email address. Parse error [InvalidEmailAddress]"), hintAddress},
		{"phone number", dataExtension, token, row("Mobile: The value for column [Mobile] is not a valid phone number. Parse error [ExactTarget]"), hintPhone},
		{"length", dataExtension, token, row("FirstName: The value for column [FirstName] exceeds the column's maximum length."), hintLength},
		{"required column", dataExtension, token, row("Column [contactkey] does not allow null value."), "operator: add a field or a constant for the column contactkey to the form: DE1 requires it; what waits goes out by itself; see onramp check --only data-extension"},
		{"required keys", dataExtension, token, row("Cannot locate the existing record. Required keys are missing."), hintMissing},
		{"existing row", dataExtension, token, row("Violation of PRIMARY KEY constraint. Cannot insert duplicate key in object 'C1'."), hintDuplicate},
		{"type", dataExtension, token, row("OptInStatus: The value for column [OptInStatus] is not a valid boolean."), hintType},
		{"a value in the place of a column", dataExtension, token, row("The value for column [ana@example.org] is not a valid number."), hintNameless},
		{"unknown code", dataExtension, token, reply{status: 400, body: `{"message":"no","errorcode":30001}`}, hintData},
		{"bare 10006", dataExtension, token, reply{status: 400, body: `{"message":"Unable to save rows","errorcode":10006}`}, ""},
		{"server error", dataExtension, token, reply{status: 500, body: `{"message":"Object Not Found","errorcode":30003}`}, ""},

		{"unknown event definition", journey, token, reply{status: 400, body: `{"message":"Event Definition not found: APIEvent-1","errorcode":30003}`}, hintNoEvent},
		{"unknown event definition, another code", journey, token, reply{status: 400, body: `{"message":"Event Definition not found","errorcode":10000}`}, hintNoEvent},
		{"event definition key with a period", journey, token, reply{status: 400, body: `{"message":"no","errorcode":10003}`}, hintPeriod},
		{"missing column of an event", journey, token, reply{status: 400, body: `{"message":"The field LastName is required by the data extension of the event definition.","errorcode":10002}`}, hintEventMissing},
		{"bad value of an event", journey, token, reply{status: 400, body: `{"message":"OptInStatus: The value for column [OptInStatus] is not a valid boolean.","errorcode":10001}`}, hintEventType},
		{"unknown column of an event", journey, token, reply{status: 400, body: `{"message":"The field Shoe_Size does not exist in the data extension of the event definition.","errorcode":10005}`}, hintEventColumn},

		{"unknown message definition", mail, token, reply{status: 400, body: `{"message":"MCMS_UTM_Validation_InvalidValue_definitionKey: The definition does not exist.","errorcode":109111}`}, hintNoMessage},
		{"no address", mail, token, reply{status: 400, body: `{"message":"MCMS_UTM_Validation_MissingRequiredField_to: Invalid subscriber","errorcode":109106}`}, hintTo},
		{"no contact", mail, token, reply{status: 400, body: `{"message":"MCMS_UTM_Validation_MissingRequiredField_subscriberKey","errorcode":109105}`}, hintContact},
		{"unknown attribute", mail, token, reply{status: 400, body: `{"message":"MCMS_UTM_Validation_UnknownFieldName: no","errorcode":109122}`}, hintAttribute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.call.status == 0 {
				c.call.status = http.StatusOK
			}
			got := newSender(t, cloud(t, c.token, c.call), 0).Send(t.Context(), one(c.to))
			if diff := cmp.Diff([]string{c.want}, []string{got[0].Hint}); diff != "" {
				t.Error(diff)
			}
		})
	}
}
