package outbound

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// hint is a row of the table of hints: what an answer of Marketing Cloud has to be,
// and the sentence that says whose turn it is and what puts it right.
type hint struct {
	ops    []string               // of the call; none: any
	to     onramp.DestinationKind // 0: any
	status int                    // 0: any below 500 but 429
	codes  []int                  // none: any
	text   string                 // the code where it is no number; "": any
	says   string                 // a part of one of the messages; "": any
	advice string                 // with {key}, {key_column} and {column} still to be filled in
	own    bool                   // it is about this one delivery: no check tells more
}

// SeeCheck stands between a hint and the name of the check that tells more.
const SeeCheck = "; see onramp check --only "

// check is what tells more: a reference to a check, or nothing.
func (h *hint) check() string {
	isToken := slices.Contains(h.ops, sfmc.OpToken) || h.ops == nil && h.to == 0
	switch {
	case h.own:
		return ""
	case isToken:
		return SeeCheck + "credentials"
	case h.status == http.StatusForbidden || h.status == http.StatusUnauthorized:
		return SeeCheck + "scopes"
	case h.to == onramp.Journey:
		return SeeCheck + "event-definition"
	case h.to == onramp.Message:
		return SeeCheck + "message"
	}
	return SeeCheck + "data-extension"
}

// hints is searched from the top: the first row that fits counts. The words stand
// on the vendor's pages or in recorded answers; where an answer has none, the row
// goes by status and code. It only picks the sentence that people read.
var hints = []hint{
	// The token endpoint (vendor page "Access Token Request Parameters").
	{
		ops: forToken, codes: []int{10007},
		advice: "operator: remove marketing_cloud.auth_url and set marketing_cloud.subdomain: the address leads to the legacy endpoint /v1/requestToken, which does not serve this installed package",
	},
	{
		ops: forToken, says: "not accessible for this account",
		advice: "Marketing Cloud admin: give the installed package access to the business unit of marketing_cloud.account_id, or have the operator set the MID of one that it has access to",
	},
	{
		ops: forToken, text: "unauthorized_client",
		advice: "Marketing Cloud admin: give the installed package access to the business unit of marketing_cloud.account_id, or have the operator set the MID of one that it has access to",
	},
	{
		ops: forToken, text: "invalid_client", says: "Invalid client ID",
		advice: "operator: set marketing_cloud.client_id to the client ID of the installed package (Setup, Apps, Installed Packages) of the account with this subdomain",
	},
	{
		ops: forToken, text: "invalid_client",
		advice: "operator: set marketing_cloud.client_secret to the current secret of the installed package, and ask a Marketing Cloud admin whether the package is enabled",
	},
	{
		ops: forToken, text: "unsupported_grant_type",
		advice: "Marketing Cloud admin: give the installed package an API integration of the kind Server-to-Server; this one is of another kind",
	},

	// Scopes (vendor page "REST API Permission IDs and Scopes"). A 401 that survives
	// a fresh token may be one, too.
	{status: http.StatusForbidden, codes: []int{40002}, advice: "operator: set marketing_cloud.subdomain to that of the account that the client ID belongs to: the token is not valid on this stack"},
	{ops: forContacts, status: http.StatusForbidden, advice: lackingContacts},
	{ops: forContacts, status: http.StatusUnauthorized, advice: lackingContacts},
	{ops: forResults, status: http.StatusForbidden, advice: lackingScope("data_extensions_read")},
	{ops: forResults, status: http.StatusUnauthorized, advice: refusedToken("data_extensions_read")},
	{to: onramp.DataExtension, status: http.StatusForbidden, advice: lackingScope("data_extensions_write")},
	{to: onramp.DataExtension, status: http.StatusUnauthorized, advice: refusedToken("data_extensions_write")},
	{to: onramp.Journey, status: http.StatusForbidden, advice: lackingScope("journeys_read and list_and_subscribers_read")},
	{to: onramp.Journey, status: http.StatusUnauthorized, advice: refusedToken("journeys_read and list_and_subscribers_read")},
	{to: onramp.Message, status: http.StatusForbidden, advice: lackingScope("email_send")},
	{to: onramp.Message, status: http.StatusUnauthorized, advice: refusedToken("email_send")},

	// Data extensions: the whole (vendor pages "Upsert a Data Extension Rowset by
	// Key" and "Data Extensions Asynchronous API").
	{to: onramp.DataExtension, codes: []int{sfmc.CodeNotFound}, advice: noDataExtension},
	{to: onramp.DataExtension, status: http.StatusNotFound, advice: noDataExtension},
	{to: onramp.DataExtension, text: sfmc.CodeTextNoDataExtension, advice: noDataExtension},
	{to: onramp.DataExtension, codes: []int{sfmc.CodeInvalidType}, says: "Parameter {", advice: noDataExtension},
	{
		to: onramp.DataExtension, says: "Primary key '",
		advice: "operator: set key_column to the primary key of the data extension {key}: it has none that is called {key_column}",
	},
	{
		to: onramp.DataExtension, says: "does not have any primary keys defined",
		advice: "Marketing Cloud admin: make {key_column} the primary key of the data extension {key}, which has none",
	},
	{
		to: onramp.DataExtension, says: "At least one existing field is required",
		advice: "operator: correct the columns of the form's fields: the data extension {key} has none of them",
	},

	// Data extensions: single values.
	{
		to: onramp.DataExtension, says: "is not a valid email address", own: true,
		advice: "operator: correct the address in {column} of this registration with onramp deliveries edit, then retry it",
	},
	{
		to: onramp.DataExtension, says: "is not a valid phone number", own: true,
		advice: "operator: correct the number in {column} of this registration with onramp deliveries edit, then retry it",
	},
	{
		to: onramp.DataExtension, says: "exceeds the column's maximum length",
		advice: "operator: set max of the form's field for {column} to the length that this column has in the data extension {key}, shorten the value with onramp deliveries edit, then retry it",
	},
	{
		to: onramp.DataExtension, says: "does not allow null value",
		advice: "web developer: always send a value for {column}, which the data extension {key} requires; the operator makes its field required, adds the value with onramp deliveries edit, and retries it",
	},
	{
		to: onramp.DataExtension, says: "Cannot locate the existing record. Required keys are missing",
		advice: "operator: compare key_column ({key_column}) and the required columns of the data extension {key} with what was sent (onramp deliveries show), add what is missing, then retry it",
	},
	{
		to: onramp.DataExtension, says: "Cannot insert duplicate key", own: true,
		advice: "operator: discard this delivery, or set on_existing to update and retry it: the data extension {key} has a row with this key",
	},
	{
		to: onramp.DataExtension, says: "is not a valid",
		advice: "operator: give the form's field for {column} the type that this column has in the data extension {key}, correct the value with onramp deliveries edit, then retry it",
	},

	// Journeys (vendor page "Fire Entry Event", which names these failures but no words).
	{to: onramp.Journey, codes: []int{sfmc.CodeNotFound}, advice: noEventDefinition},
	{to: onramp.Journey, status: http.StatusNotFound, advice: noEventDefinition},
	{to: onramp.Journey, says: "Event Definition not found", advice: noEventDefinition},
	{
		to: onramp.Journey, codes: []int{10003},
		advice: "operator: set event_definition_key to the key of the journey's API event, which has no period; {key} is not one",
	},
	{
		to: onramp.Journey, codes: []int{10002},
		advice: "operator: have the form send every required column of the data extension behind the event {key}, {column} among them, add the value with onramp deliveries edit, then retry it",
	},
	{
		to: onramp.Journey, codes: []int{sfmc.CodeInvalidType}, says: "The value for column [",
		advice: "operator: give the form's field for {column} the type and length of this column in the data extension behind the event {key}, correct the value with onramp deliveries edit, then retry it",
	},
	{
		to: onramp.Journey, codes: []int{10005},
		advice: "Marketing Cloud admin: add {column} to the data extension behind the event {key}, or have the operator remove it from the form",
	},

	// Messages (vendor page "Transactional API Response Level Error Codes").
	{to: onramp.Message, codes: []int{109107, 109111, sfmc.CodeNotFound}, advice: noMessageDefinition},
	{
		to: onramp.Message, codes: []int{109106, 109121}, own: true,
		advice: "operator: set to_column to the column with the email address, which is required in the form, correct this one with onramp deliveries edit, then retry it",
	},
	{
		to: onramp.Message, codes: []int{109105, 109109}, own: true,
		advice: "operator: choose another subscriber_key for the form, one that is never empty: Marketing Cloud does not take this one for the message {key}",
	},
	{
		to: onramp.Message, codes: []int{109122},
		advice: "operator: remove the columns from the form that the message {key} has no attribute for, or have a Marketing Cloud admin add them",
	},
}

var (
	forToken   = []string{sfmc.OpToken}
	forResults = []string{sfmc.OpAsyncStatus, sfmc.OpAsyncResults}

	forContacts = []string{sfmc.OpFindContacts, sfmc.OpDeleteContacts, sfmc.OpRestrictContacts, sfmc.OpFindDeletion, sfmc.OpFindRestriction}
)

const (
	lackingContacts = "Marketing Cloud admin: give the installed package the scopes list_and_subscribers_read and list_and_subscribers_write, and the permission to delete contacts (Contact Builder)"

	noDataExtension     = "operator: set data_extension.key to the external key (not the name) of a data extension in the business unit of marketing_cloud.account_id: it has none with the key {key}"
	noEventDefinition   = "operator: set event_definition_key to the key of the API event that the journey starts with (not the journey's id): the business unit has none with the key {key}"
	noMessageDefinition = "operator: set the message's definition key to that of an active email definition in the business unit of marketing_cloud.account_id: it has none with the key {key}"
)

func lackingScope(scope string) string {
	return "Marketing Cloud admin: give the installed package the scope " + scope + "; if it has that, allow this machine's IP address in the account's login allowlist"
}

func refusedToken(scope string) string {
	return "Marketing Cloud admin: give the installed package the scope " + scope + "; if it has that, the operator checks marketing_cloud.client_id, client_secret and account_id: a new token was refused as well"
}

// advise gives the hint for an answer of Marketing Cloud, or the other one when the
// table has none.
func advise(e *sfmc.Error, to onramp.Destination, otherwise string) string {
	if e.Err != nil || e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests {
		return otherwise // it says nothing of what was sent
	}
	messages := append([]string{e.Message}, texts(e.Additional)...)
	at := slices.IndexFunc(hints, func(h hint) bool { return h.fits(e, to, messages) })
	if at < 0 {
		return otherwise
	}
	return strings.NewReplacer("{key}", to.Key, "{key_column}", strings.Join(to.KeyColumns, ", "), "{column}", columnOf(e, messages)).Replace(hints[at].advice) + hints[at].check()
}

func (h *hint) fits(e *sfmc.Error, to onramp.Destination, messages []string) bool {
	ops := len(h.ops) == 0 && e.Op != sfmc.OpToken || slices.Contains(h.ops, e.Op)
	answer := (h.status == 0 || h.status == e.Status) && (len(h.codes) == 0 || slices.Contains(h.codes, e.Code)) && (h.text == "" || h.text == e.CodeText)
	says := h.says == "" || slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, h.says) })
	return ops && answer && says && (h.to == 0 || h.to == to.Kind)
}

// columnName finds the column that a message is about, in the vendor's ways to
// name one.
var columnName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:column \[|Column \[|[Ff]ield |^)([A-Za-z_][A-Za-z0-9_]{0,127})(?:\]|: The value| (?:does not exist|is required))`)
})

// columnOf is the column that an answer is about. Only what looks like a column's
// name is taken: hints stand in alerts, and a message may quote what a visitor typed.
func columnOf(e *sfmc.Error, messages []string) string {
	for _, m := range messages {
		if found := columnName().FindStringSubmatch(m); found != nil {
			return "the column " + found[1]
		}
	}
	for _, d := range e.Additional {
		if found := columnName().FindStringSubmatch("column [" + d.Name + "]"); found != nil {
			return "the column " + found[1]
		}
	}
	return "the column that the answer names"
}

// Explain tells what an error of a call to Marketing Cloud that concerns a
// destination means. It is for calls that change nothing there.
func Explain(err error, to onramp.Destination) onramp.Outcome { return judge(err, to, false) }
