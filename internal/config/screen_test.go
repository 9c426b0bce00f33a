package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/screen"
)

// A form is screened as at the top, but for what it says itself; variables set what is at
// the top.
func TestScreens(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "blocked.txt")
	if err := os.WriteFile(file, []byte("spam.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	form := func(name, keys string) string { return "  " + name + ":\n" + rightFields + rightRoute + keys }
	c, err := config.Parse("onramp.yaml", []byte(shortAccount+`screen:
  limits: { address: 20/m, form: 300/h, person: 2/d }
  honeypot: [website, fax]
  blocked_file: `+file+`
  proof_of_work: auto
  captcha: { provider: turnstile, site_key: a, secret: b, hostnames: [www.example.com], on_error: closed }
  hook: { url: "https://www.example.com/check", secret: `+secret+` }
  trusted_keys: [0123456789abcdef01234567]
forms:
`+form("a", "")+form("b", "    screen: off\n")+form("c", "    screen: { limits: { address: off, person: 9/s }, honeypot: url, proof_of_work: off, mx: true, identical: { addresses: 20, fields: [email] } }\n")),
		[]string{"ONRAMP_SCREEN_MIN_FILL_TIME=3s", "ONRAMP_SCREEN_LIMITS_FORM=500/h"})
	if err != nil {
		t.Fatal(err)
	}
	top := screen.Default()
	top.Limits = screen.Limits{Address: screen.Rate{Count: 20, Per: time.Minute}, Form: screen.Rate{Count: 500, Per: time.Hour}, Person: screen.Rate{Count: 2, Per: 24 * time.Hour}}
	top.Honeypots, top.BlockedFile, top.ProofOfWork, top.MinFillTime = []string{"website", "fax"}, file, screen.ProofAuto, 3*time.Second
	top.Captcha = screen.Captcha{
		Provider: screen.Turnstile, SiteKey: "a", Secret: "b", Hostnames: []string{"www.example.com"}, OnError: screen.FailClosed, Timeout: 3 * time.Second,
	}
	top.Hook = screen.Hook{URL: "https://www.example.com/check", Secret: secret, Timeout: 2 * time.Second, OnError: screen.FailOpen}
	top.TrustedKeys = []onramp.Secret{"0123456789abcdef01234567"}
	own := top
	own.Limits.Address, own.Limits.Person = screen.Rate{}, screen.Rate{Count: 9, Per: time.Second}
	own.Honeypots, own.ProofOfWork, own.MX = []string{"url"}, screen.ProofOff, true
	own.Identical = screen.Identical{Addresses: 20, Fields: []string{"email"}}
	if diff := cmp.Diff(map[string]screen.Settings{"a": top, "c": own}, c.Screens); diff != "" {
		t.Errorf("screens (-want +got):\n%s", diff)
	}
}

func wrongScreens() []wrong {
	const rateHint = "must be a number and s, m, h or d, such as 20/m for twenty a minute, or off"
	return []wrong{
		{"limits, times and words of the screening", shortAccount + `screen:
  limits: { address: "20", form: 0/m, person: [1] }
  honeypot: "not a name"
  min_fill_time: 2m
  fill_time: never
  proof_of_work: sometimes
  mx: "yes"
  blocked: [203.0.113.0/24, 203.0.113.0/24, nonsense]
  trusted_keys: [short]
  captcha: { provider: friendly, min_score: 2, timeout: 1m }
  identical: { fields: [email] }
  hook: { secret: whsec_x, on_error: maybe }
`, nil, []config.Problem{
			{3, "screen.limits.address", rateHint},
			{3, "screen.limits.form", rateHint},
			{3, "screen.limits.person", "must be a single value, not a list"},
			{4, "screen.honeypot", "must start with a letter, and contain only letters, digits, _ and -, at most 63 characters"},
			{5, "screen.min_fill_time", "must be at most 1m0s"},
			{6, "screen.fill_time", `"never" is not known; use required or optional`},
			{7, "screen.proof_of_work", `"sometimes" is not known; use off, auto or always`},
			{8, "screen.mx", "must be true or false, without quotes"},
			{9, "screen.blocked[1]", "is listed twice: remove one"},
			{9, "screen.blocked[2]", "must be an IP address, a prefix such as 203.0.113.0/24, or a domain"},
			{10, "screen.trusted_keys[0]", "must have at least 24 characters and no blanks; onramp keys new admin creates one"},
			{11, "screen.captcha.provider", `"friendly" is not known; use turnstile, hcaptcha or recaptcha`},
			{11, "screen.captcha.min_score", "must be a number above 0 and up to 1, without quotes"},
			{11, "screen.captcha.timeout", "must be at most 10s"},
			{11, "screen.captcha.site_key", "is missing: copy it from the service's page"},
			{11, "screen.captcha.secret", "is missing: copy it from the service's page"},
			{12, "screen.identical.addresses", "is missing: set it to the number of email addresses that one value may come with"},
			{13, "screen.hook.secret", "must be whsec_ and the base64 of 24 to 64 bytes; onramp keys new webhook creates one"},
			{13, "screen.hook.on_error", `"maybe" is not known; use open or closed`},
			{13, "screen.hook.url", "is missing: set it to the URL of your check"},
		}},
		{"a file that is not there", shortAccount + "screen: { blocked_file: nowhere.txt }\n", nil, []config.Problem{
			{2, "screen.blocked_file", "open nowhere.txt: no such file or directory"},
		}},
	}
}

func wrongFormScreens() []wrong {
	form := func(name, keys string) string {
		return "  " + name + ":\n" + rightFields + rightRoute + "    " + keys + "\n"
	}
	return []wrong{
		{"the screening of a form", "forms:\n" + form("a", "screen: on") + form("b", "screen: { honeypot: email }") + form("c", "screen: { identical: { addresses: 5, fields: [phone] } }") +
			form("d", "screen: { hook: { url: ftp://x } }") + form("e", "screen: { honeypots: x }"), nil, []config.Problem{
			{6, "forms.a.screen", "must be off, or a map with the keys of screen"},
			{10, "forms.b.screen.honeypot", `"email" is a field of this form: choose a name that no field has`},
			{14, "forms.c.screen.identical.fields", `"phone" is not a field of this form`},
			{18, "forms.d.screen.hook.url", "must be an absolute http or https URL, such as https://signup.example.com"},
			{18, "forms.d.screen.hook.secret", "is missing: onramp keys new webhook creates one"},
			{22, "forms.e.screen.honeypots", "unknown key; did you mean honeypot?"},
		}},
	}
}
