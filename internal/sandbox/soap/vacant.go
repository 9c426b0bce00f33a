package soap

// vacantKinds are the object types of which the sandbox has none, with the scope that
// reading them takes: a Retrieve finds nothing, whatever is asked for. Programs read them
// on their way to what there is, such as those that a journey's activities can name.
// Scopes: vendor page "Permission IDs and Scopes"; Undocumented: that of Role.
func vacantKinds() map[string]string {
	kinds := map[string]string{}
	for scope, names := range map[string][]string{
		"accounts_read":             {"SendAdditionalAttribute", "PrivateDomain"},
		"automations_read":          {"Automation", "DataExtract", "FileTrigger", "FilterDefinition", "ImportDefinition", "ImportResultsSummary", "Program", "QueryDefinition"},
		"data_extensions_read":      {"DataExtensionTemplate"},
		"documents_and_images_read": {"Portfolio"},
		"email_read": {
			"ContentArea", "Email", "EmailSendDefinition", "LinkSend", "ListSend", "ReplyMailManagementConfiguration", "Send", "SendClassification",
			"SendSummary", "SenderProfile", "Template", "TriggeredSendDefinition", "TriggeredSendSummary",
		},
		"list_and_subscribers_read": {"Group", "Publication", "PublicationSubscriber", "SuppressionListDefinition"},
		"tracking_events_read": {
			"BounceEvent", "ClickEvent", "ForwardedEmailEvent", "ForwardedEmailOptInEvent", "NotSentEvent", "OpenEvent", "SentEvent", "SubscriberSendResult",
			"SurveyEvent", "UnsubEvent",
		},
		"users_read": {"Role"},
	} {
		for _, name := range names {
			kinds[name] = scope
		}
	}
	return kinds
}
