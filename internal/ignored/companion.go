package ignored

import (
	"slices"
	"strings"
)

// companions are what browsers, frameworks and captchas send along with a form's fields,
// in lower case.
var companions = []string{
	"utf8", "_charset_", "isindex", "x", "y", "submit", "commit", "button", "action", "_method", "method", "nonce", "captcha",
	"authenticity_token", "csrf_token", "csrftoken", "csrfmiddlewaretoken", "csrf", "xsrf", "_token", "_csrf", "_csrf_token",
	"__requestverificationtoken", "__viewstate", "__viewstategenerator", "__eventvalidation", "__eventtarget", "__eventargument",
	"g-recaptcha-response", "h-captcha-response", "cf-turnstile-response", "frc-captcha-solution", "frc-captcha-response", "altcha",
	"form_id", "form_build_id", "form_token", "form-name", "formid", "bot-field", "honeypot", "website_url",
}

// beginnings and endings are those of companions.
var (
	beginnings = []string{"_wp", "_wpcf7", "__", "gform_", "wpforms", "recaptcha", "cf-", "utm_", "ak_", "_gl"}
	endings    = []string{".x", ".y", ".dir", "_token", "-token"}
)

// IsCompanion says that a name is one of those that come along with forms, and so none
// that somebody has misspelt.
func IsCompanion(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains(companions, name) ||
		slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(name, b) }) ||
		slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) })
}
