package setting

// Screen is how submissions are screened for abuse.
func Screen() Section {
	return Section{
		Title: "screen", Path: "screen",
		About: "How the submissions of all forms are screened for abuse; a form's own `screen` has the same keys. See [Abuse](../abuse.md).",
		Keys: []Key{
			{Name: "limits", Several: true, Meaning: "how many submissions are [taken](#screenlimits)"},
			{Name: "honeypot", Several: true, Meaning: "the name of an input that visitors don't see, or a list: whoever fills one in is held"},
			{Name: "min_fill_time", Without: "any time", Meaning: "the shortest time from the page to its submission, such as `3s`, up to `1m`"},
			{Name: "fill_time", Default: "required", Meaning: "`optional`: a submission that doesn't say when its page was loaded passes, as those of your own pages and programs"},
			{Name: "blocked", Several: true, Meaning: "list of IP addresses, prefixes such as `203.0.113.0/24`, and domains of email addresses that are held"},
			{Name: "blocked_file", Meaning: "a file with more of them, one a line; it is read again when it changes"},
			{Name: "disposable", Default: "false", Meaning: "`true` holds email addresses of services that give them for minutes, by a short built-in list"},
			{Name: "disposable_file", Meaning: "a file with more such domains, one a line; it is read again when it changes"},
			{Name: "proof_of_work", Default: "off", Meaning: "a task for the visitor's browser, by the protocol of ALTCHA: `auto` asks for it while a form gets far more submissions than usual, `always` each time"},
			{Name: "captcha", Several: true, Meaning: "a [captcha](#screencaptcha) that each visitor must pass"},
			{Name: "mx", Default: "false", Meaning: "`true` holds email addresses whose domain takes no mail, as the DNS says"},
			{Name: "identical", Several: true, Meaning: "[one value](#screenidentical) with many different email addresses"},
			{Name: "hook", Several: true, Meaning: "your own [check](#screenhook)"},
			{Name: "trusted_keys", Several: true, Meaning: "list of secrets of at least 24 characters. Whoever sends one, as `Authorization: Bearer KEY`, is not screened: for your own servers only"},
		},
	}
}

const rate = "such as `20/m`: so many at once, and so many within each `s`, `m`, `h` or `d`"

// ScreenLimits are the limits of submissions.
func ScreenLimits() Section {
	return Section{Title: "screen.limits", Path: "screen.limits", About: "Each one is counted for each form by itself.", Keys: []Key{
		{Name: "address", Without: "no limit", Meaning: "of an IPv4 address or an IPv6 /64, " + rate + ". Beyond it the answer is 429; an IPv6 /48 has ten times as many"},
		{Name: "form", Without: "no limit", Meaning: "of the form, the same. What is beyond it is held, unless it brings a proof of work or has passed the captcha"},
		{Name: "person", Without: "no limit", Meaning: "of a mailbox, the same; what follows a `+`, and in Gmail's addresses the dots, make no difference. What is beyond it is held"},
	}}
}

const onError = "what becomes of a registration while the service can't be asked: `open` lets it pass, `closed` holds it"

// ScreenCaptcha is a captcha service.
func ScreenCaptcha() Section {
	return Section{Title: "screen.captcha", Path: "screen.captcha", Keys: []Key{
		{Name: "provider", Meaning: "`turnstile`, `hcaptcha` or `recaptcha`; required"},
		{Name: "site_key", Meaning: "the key that pages show; required"},
		{Name: "secret", Meaning: "the key that the service is asked with; required"},
		{Name: "verify_url", Without: "the service's", Meaning: "the URL that is asked"},
		{Name: "hostnames", Several: true, Without: "any", Meaning: "list of the hosts whose pages the visitor may have solved it on"},
		{Name: "action", Without: "any", Meaning: "the action that the answer must name (Turnstile, reCAPTCHA v3)"},
		{Name: "min_score", Without: "any", Meaning: "the lowest score, above `0` and up to `1` (reCAPTCHA v3)"},
		{Name: "on_error", Default: "open", Meaning: onError},
		{Name: "timeout", Default: "3s", Meaning: "how long the service may take, up to `10s`"},
	}}
}

// ScreenIdentical is one value with many addresses.
func ScreenIdentical() Section {
	return Section{Title: "screen.identical", Path: "screen.identical", Keys: []Key{
		{Name: "addresses", Meaning: "email addresses that one value may come with in about an hour, 2 to 300. Values of fewer than 10 characters are not looked at"},
		{Name: "fields", Several: true, Without: "those of type `text` and `phone`", Meaning: "list of the fields that are looked at"},
	}}
}

// ScreenHook is the site's own check.
func ScreenHook() Section {
	return Section{Title: "screen.hook", Path: "screen.hook", About: "See [Your own check](../abuse.md#your-own-check).", Keys: []Key{
		{Name: "url", Meaning: "the http or https URL that is asked about each registration; required"},
		{Name: "secret", Meaning: "signs the questions; `onramp keys new webhook` creates one; required"},
		{Name: "timeout", Default: "2s", Meaning: "how long it may take, up to `10s`"},
		{Name: "on_error", Default: "open", Meaning: onError},
		{Name: "private_addresses", Default: "false", Meaning: "`true`: the URL may lead to an address that is not public, such as one of your own network"},
	}}
}
