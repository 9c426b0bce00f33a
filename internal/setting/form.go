package setting

// Form is one form.
func Form() Section {
	return Section{Title: "A form", Path: "forms.NAME", Keys: []Key{
		{Name: "title", Without: "from the form's name", Meaning: "heading of the hosted form: a text, or one for each language"},
		{Name: "success_url", Without: "a thank-you page", Meaning: "where a browser is sent after a plain form post: a URL or a path"},
		{Name: "origins", Without: "no request is refused for where it comes from", Meaning: "the sites whose pages may submit the form, such as `https://www.example.com`, `https://*.example.com` for all names below a domain, or `http://localhost:*` for any port; see [Origins](../configuration.md#origins)"},
		{Name: "allowed_headers", Meaning: "request headers that the scripts of these sites may send beside [those that they always may](../forms.md#origins-and-addresses); `[\"*\"]` allows all"},
		{Name: "once_per", Meaning: "equal submissions of one person within this time, 1s to 24h, are one registration; see [Once and not twice](../forms.md#once-and-not-twice)"},
		{Name: "idempotency_field", Meaning: "the input in which a plain form sends its key; see [By a key](../forms.md#by-a-key)"},
		{Name: "subscriber_key", Default: "email", Meaning: "how Marketing Cloud identifies the person: `email` (the form's first email field), `uuid` (generated, and the same again for a returning email address) or `field:NAME`"},
		{Name: "country", Meaning: "whose phone numbers come without a country code, such as `DE`: they are stored as E.164; see [Phone numbers](../forms.md#phone-numbers)"},
		{Name: "page", Meaning: "how the [hosted form](#page) looks and which languages it speaks"},
		{Name: "fields", Meaning: "list of [fields](#a-field); at least one"},
		{Name: "on_existing", Default: "update", Meaning: "what to do if a row with the same key exists: `update` it, `skip` the new one, or `new`: add a row whose key is the registration's id. A step can override it"},
		{Name: "route", Meaning: "list of [steps](#a-step); at least one"},
		{Name: "screen", Without: "as at the top", Meaning: "the keys of [screen](#screen), for this form: each replaces that at the top, `off` all of them"},
		{Name: "unknown_fields", Without: "refused in JSON, ignored in a form post", Meaning: "what to do with inputs that are no field: `refuse` or `ignore` them; see [What a field takes](../forms.md#what-a-field-takes)"},
		{Name: "double_opt_in", Without: "registrations are sent at once", Meaning: "registrations wait until their persons [confirm](#double_opt_in) them"},
		{Name: "decimal_comma", Default: "false", Meaning: "`true`: a text such as `12,50` is taken for the number 12.50"},
		{Name: "time_zone", Without: "such a value is refused", Meaning: "IANA name, such as `Europe/Berlin`, of the zone of a date and time that comes without one"},
		{Name: "retention", Several: true, Without: "as at the [top](#retention)", Meaning: "how long [registrations of this form](#formsnameretention) are kept"},
		{Name: "consent", Meaning: "the [consent](#a-forms-consent) that the form asks for, which is kept in the [consent log](../consent.md)"},
		{Name: "on_event", Meaning: "list of [rules](#a-rule): what events change in the person's row"},
	}}
}

// DoubleOptIn is how registrations are confirmed.
func DoubleOptIn() Section {
	return Section{Title: "double_opt_in", Path: "forms.NAME.double_opt_in", About: "Needs `public.url`, and one of `message`, `journey` and `smtp`; see [Double opt-in](../double-opt-in.md).", Keys: []Key{
		{Name: "message", Meaning: "a transactional [message](#double_opt_in-message) carries the link"},
		{Name: "journey", Meaning: "a [journey](#double_opt_in-journey) carries it"},
		{Name: "smtp", Meaning: "`true`: an email by the [mail server](#smtp) does, in Onramp's own words"},
		{Name: "include", Meaning: "names of fields whose values may stand in the confirmation. A value that has a link, markup or characters that can't be seen is left out all the same"},
		{Name: "expire_after", Default: "168h", Meaning: "a registration that is not confirmed by then is erased, 1h to 2160h"},
		{Name: "link_expires_after", Default: "72h", Meaning: "how long a link works, 10m to `expire_after`. From then on its page offers to send another one"},
		{Name: "remind_after", Default: "off", Meaning: "whoever has not confirmed by then is asked once more: 1h to `expire_after`, or `off`"},
		{Name: "success_url", Without: "a page of Onramp's", Meaning: "where whoever has confirmed is sent: a URL or a path"},
		{Name: "limits", Meaning: "how many confirmations go out [at most](#limits)"},
	}}
}

// ConfirmationMessage is a message that asks for a confirmation.
func ConfirmationMessage() Section {
	return Section{Title: "double_opt_in: message", Path: "forms.NAME.double_opt_in.message", Keys: []Key{
		{Name: "definition_key", Meaning: "definition key of the transactional message; required. No route may have it as a step"},
	}}
}

// ConfirmationJourney is a journey that asks for one.
func ConfirmationJourney() Section {
	return Section{Title: "double_opt_in: journey", Path: "forms.NAME.double_opt_in.journey", Keys: []Key{
		{Name: "event_definition_key", Meaning: "from the journey's API event; required. No route may have it as a step"},
		{Name: "establish_contact_key", Default: "true", Meaning: "create the contact if it doesn't exist"},
		{Name: "key_column", Default: "SubscriberKey", Meaning: "the primary key in the event's data; `\"\"` for none"},
		{Name: "on_unknown", Default: "hold", Meaning: "what to do if the answer was lost: `hold` or `retry`, as in a [step](#journey)"},
	}}
}

// ConfirmationLimits are how many confirmations go out.
func ConfirmationLimits() Section {
	return Section{
		Title: "limits", Path: "forms.NAME.double_opt_in.limits",
		About: "What is over a limit is accepted and answered like the rest, but no confirmation goes out for it; see [Limits](../double-opt-in.md#limits).",
		Keys: []Key{
			{Name: "per_person", Default: "1", Meaning: "to one address in 24 hours, for this form"},
			{Name: "per_person_all_forms", Default: "3", Meaning: "to one address in 24 hours, for all forms"},
			{Name: "per_domain", Default: "500", Meaning: "to the addresses of one domain in an hour; ten times as many to those of large providers"},
			{Name: "per_form", Default: "5000", Meaning: "for this form in an hour. The second half is for visitors who have had none in that hour"},
		},
	}
}

// FormRetention is how long registrations of a form are kept.
func FormRetention() Section {
	return Section{Title: "forms.NAME.retention", Path: "forms.NAME.retention", About: "What is left out is as in [retention](#retention).", Keys: policy()}
}

// policy are the periods of registrations.
func policy() []Key {
	const since = " since their last delivery was settled"
	return []Key{
		{Name: "delivered", Without: "for ever", Meaning: "registrations that are delivered," + since + ": a number of days such as `30d`, at least `1d`, or `off`"},
		{Name: "dead", Without: "for ever", Meaning: "those with a dead letter, likewise"},
		{Name: "unknown", Without: "for ever", Meaning: "those with a delivery whose answer was lost, likewise"},
		{Name: "discarded", Without: "for ever", Meaning: "those with a delivery that was discarded, likewise"},
		{Name: "held", Without: "for ever", Meaning: "those that are held under suspicion, since they came"},
	}
}

// Page is how a hosted form looks and speaks.
func Page() Section {
	return Section{Title: "page", Path: "forms.NAME.page", About: "See [The hosted form](../forms.md#the-hosted-form).", Keys: []Key{
		{Name: "lang", Without: "`en`", Meaning: "a language or a list, the default first. de, en, es, fr, it, ja, nl, pl and pt are built in; others need all of their `texts`"},
		{Name: "texts", Meaning: "replaces built-in texts, by their names; a mistake lists them"},
		{Name: "logo", Meaning: "URL of an image"},
		{Name: "logo_text", Meaning: "what stands for the logo where it can't be seen"},
		{Name: "colors", Meaning: "the page's [colours](#colors)"},
		{Name: "stylesheet", Meaning: "URL of a style sheet of yours"},
		{Name: "frame_ancestors", Without: "only its own", Meaning: "the sites that may show the page in a frame"},
	}}
}

// Colors are those of a hosted form.
func Colors() Section {
	return Section{Title: "colors", Path: "forms.NAME.page.colors", About: "Colours get as light or dark as it takes to be read.", Keys: append(colors(),
		Key{Name: "dark", Meaning: "the same three for browsers in dark mode"})}
}

// DarkColors are those for browsers in dark mode.
func DarkColors() Section {
	return Section{Title: "dark", Path: "forms.NAME.page.colors.dark", Keys: colors()}
}

func colors() []Key {
	return []Key{
		{Name: "accent", Meaning: "of the button and of links, such as `\"#0b5cab\"`"},
		{Name: "background", Meaning: "of the page"},
		{Name: "text", Meaning: "of the text"},
	}
}

// Field is one field of a form.
func Field() Section {
	return Section{
		Title: "A field", Path: "forms.NAME.fields[]",
		About: "A field has either a `name`, if the visitor fills it in, or `from`, if Onramp does. [forms.md](../forms.md#what-a-field-takes) says what the types accept, and what is stored.",
		Keys: []Key{
			{Name: "name", Meaning: "the field's name in the request"},
			{Name: "label", Without: "made from the name", Meaning: "the label in the hosted form: a text, or one for each language; may have links and emphasis, as in Markdown"},
			{Name: "column", Meaning: "the data extension column; each field needs its own"},
			{Name: "type", Default: "text", Meaning: "`text`, `email`, `boolean`, `integer`, `decimal`, `date`, `phone`, `locale`, `choice` (one of a list) or `choices` (several of a list)"},
			{Name: "required", Default: "false", Meaning: "a required `boolean` must be true, as a check box that must be ticked; with `input: radio` or `select` it must be answered"},
			{Name: "max", Without: "4000; 254 for `email`", Meaning: "maximum length of a text, 1 to 4000 characters"},
			{Name: "pattern", Meaning: "a regular expression that the whole text must match"},
			{Name: "no_urls", Default: "false", Meaning: "for `text`: `true` refuses a text with a link in it, such as a name that advertises"},
			{Name: "choices", Meaning: "for `choice` and `choices`: the permitted values"},
			{Name: "separator", Default: `", "`, Meaning: "for `choices`: what stands between them in the column, 1 to 8 characters. No choice may contain it, and the column needs room for all of them at once"},
			{Name: "default", Meaning: "the value sent if the visitor leaves the field empty"},
			{Name: "from", Meaning: "`received_at`, `constant`, `ip` (the [visitor's address](../forms.md#the-visitors-address)), `user_agent`, `page_url`, `uuid`, `form`, `consent_version`, `consent_text` or `consent_at` (of the [consent](../consent.md#a-forms-consent) that was given), `confirmed_at` and `confirmed_ip` (of the [confirmation](../double-opt-in.md)), or where the visitor came from: " +
				"`referrer`, `landing_page`, `utm_source`, `gclid` and [others](../forms.md#where-a-visitor-came-from)"},
			{Name: "value", Meaning: "for `from: constant`: the value"},
			{Name: "query", Without: "campaign parameters only", Meaning: "for `from: page_url`: the query parameters to keep, `*` at the end for any text, such as `[utm_*, ref]`; `[\"*\"]` keeps all, `[]` none. " +
				"Campaign parameters are `utm_*`, `gclid`, `gbraid`, `wbraid`, `dclid`, `fbclid`, `msclkid`, `ttclid`, `twclid`, `li_fat_id`, `yclid`, `rdt_cid`, `epik`, `sccid`; others can be secrets. " +
				"The fragment and any user name or password are always dropped"},
			{Name: "multiline", Default: "false", Meaning: "for `text`: `true` keeps line breaks; otherwise they become blanks"},
			{Name: "choice_labels", Meaning: "what the visitor reads in place of a choice, by choice"},
			{Name: "input", Without: "by the type", Meaning: "what the hosted form asks with: `hidden`, `radio`, `select` or `checkbox`"},
			{Name: "prefill", Default: "false", Meaning: "`true` or a name: this parameter of the page's URL fills the field in"},
		},
	}
}

// FormConsent is the consent that a form asks for.
func FormConsent() Section {
	return Section{Title: "A form's consent", Path: "forms.NAME.consent", About: "See [Consent](../consent.md#a-forms-consent).", Keys: []Key{
		{Name: "field", Meaning: "name of the `boolean` field by which a person agrees; it can have no `default`; required"},
		{Name: "text", Meaning: "what the person agrees to, as the form shows it: a text, or one for each language; required"},
		{Name: "version", Meaning: "version of the text, such as `2026-06`; another text needs another version; required"},
	}}
}

// Rule is what an event changes.
func Rule() Section {
	return Section{Title: "A rule", Path: "forms.NAME.on_event[]", About: "See [Rules](../events.md#rules).", Keys: []Key{
		{Name: "type", Meaning: "the event's type; `*` matches any text"},
		{Name: "where", Meaning: "values that the event must have, by their names"},
		{Name: "column", Meaning: "the column that is set in the person's row"},
		{Name: "value", Meaning: "the value that it gets"},
	}}
}

const when = "a [condition](#when): the step is skipped for people for whom it does not hold"

// Step is one step of a route.
func Step() Section {
	return Section{Title: "A step", Path: "forms.NAME.route[]", About: "One of the three kinds, and perhaps a condition. A step starts when the one before it is delivered or skipped; see [Steps](../configuration.md#steps).", Keys: []Key{
		{Name: "data_extension", Meaning: "stores a [row](#data_extension)"},
		{Name: "journey", Meaning: "lets the person enter a [journey](#journey)"},
		{Name: "message", Meaning: "sends a transactional [message](#message)"},
		{Name: "when", Meaning: when + ". It may also stand among the settings of the kind"},
	}}
}

const batch = "maximum deliveries per call"

// DataExtension is a step that stores a row.
func DataExtension() Section {
	return Section{Title: "data_extension", Path: "forms.NAME.route[].data_extension", Keys: []Key{
		{Name: "key", Meaning: "external key of the data extension; required"},
		{Name: "key_column", Default: "SubscriberKey", Meaning: "the primary key of the data extension: one column or a list, see [Keys](../configuration.md#keys)"},
		{Name: "mode", Default: "auto", Meaning: "`sync`, `async` (thousands of rows per call) or `auto`, which chooses by the length of the queue"},
		{Name: "async_method", Default: "put", Meaning: "what an asynchronous call does: `put` upserts, `post` only inserts"},
		{Name: "on_existing", Without: "that of the form", Meaning: "`update`, `skip` or `new`"},
		{Name: "batch", Without: "50; 3000 by the asynchronous route", Meaning: batch + ", 1 to 500; 1 to 30000 with `mode: async`"},
		{Name: "when", Meaning: when},
	}}
}

// Journey is a step that lets a person enter a journey.
func Journey() Section {
	return Section{Title: "journey", Path: "forms.NAME.route[].journey", Keys: []Key{
		{Name: "event_definition_key", Meaning: "from the journey's API event; required"},
		{Name: "establish_contact_key", Default: "true", Meaning: "create the contact if it doesn't exist"},
		{Name: "key_column", Default: "SubscriberKey", Meaning: "the primary key in the event's data, as for a data extension; `\"\"` for none"},
		{Name: "on_unknown", Default: "hold", Meaning: "what to do if the answer was lost: `hold` leaves the delivery `unknown` until you decide, `retry` sends it again, which can mean a second email"},
		{Name: "batch", Without: "100", Meaning: batch + ", 1 to 100"},
		{Name: "when", Meaning: when},
	}}
}

// Message is a step that sends a transactional message.
func Message() Section {
	return Section{Title: "message", Path: "forms.NAME.route[].message", Keys: []Key{
		{Name: "definition_key", Meaning: "definition key of the transactional message; required"},
		{Name: "to", Without: "the first `email` field's column", Meaning: "the column with the email address"},
		{Name: "batch", Without: "500", Meaning: batch + ", 1 to 500"},
		{Name: "when", Meaning: when},
	}}
}

// When is one term of a condition.
func When() Section {
	return Section{
		Title: "when", Path: "forms.NAME.route[].when",
		About: "The name of a boolean field, these keys, or a list of both, of which all must hold; see [Conditions](../forms.md#conditions).",
		Keys: []Key{
			{Name: "field", Meaning: "the name of a field of this form; required"},
			{Name: "is", Meaning: "the value that it must have"},
			{Name: "in", Meaning: "a list of values, one of which it must have"},
			{Name: "not_in", Meaning: "a list of values that it must not have"},
		},
	}
}
