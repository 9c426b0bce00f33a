package hosted_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"onramp/internal/browsertest"
	"onramp/internal/screen"
)

// suspicions are what the stored registrations are suspected of, by email address.
func (s *site) suspicions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range s.stored(t) {
		whole, err := s.store.FindRegistration(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		all[r.SubscriberKey] = whole.Hold.Detail
	}
	return all
}

func screening() map[string]screen.Settings {
	s := screen.Default()
	s.Honeypots, s.MinFillTime, s.ProofOfWork = []string{"website"}, time.Millisecond, screen.ProofAlways
	return map[string]screen.Settings{"registration": s}
}

// The hosted form brings what it is asked for: in a browser with script its registration
// goes out, without script it is held and not lost, and a program that fills everything in
// is caught. The policy stays strict.
func TestScreenedPage(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	s := newScreenedSite(t, forms(), screening())
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	page := do(t, s, "GET", "/f/registration", "", nil)
	policy := page.Header.Get("Content-Security-Policy")
	if want := "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action *; base-uri 'none'; frame-ancestors 'self'"; policy != want &&
		!strings.HasPrefix(policy, strings.TrimSuffix(want, " 'self'")) {
		t.Errorf("the policy is %s", policy)
	}
	submit := chromedp.CSS(`button[type="submit"]`)
	steps(t, browser, "register",
		chromedp.Navigate(server.URL+"/f/registration"),
		chromedp.SendKeys(chromedp.CSS("#email"), "jane@example.org"),
		chromedp.Click(submit),
		chromedp.WaitVisible(chromedp.CSS(".thanks")))
	if !strings.Contains(page.Body, `<div class="unseen" aria-hidden="true"><label>Please leave this field empty <input name="website" tabindex="-1" autocomplete="off">`) {
		t.Error("the page has no honeypot")
	}
	stamp := between(t, page.Body, `name="_time" value="`, `"`)
	for person, more := range map[string]string{"noscript": "", "bot": "&website=x"} {
		got := do(t, s, "POST", "/v1/forms/registration/registrations", "email="+person+"%40example.org&_time="+stamp+more, asBrowser)
		if got.Status != 303 {
			t.Errorf("%s is answered with %d", person, got.Status)
		}
	}
	want := map[string]string{"jane@example.org": "", "noscript@example.org": "proof_of_work", "bot@example.org": "honeypot"}
	if diff := cmp.Diff(want, s.suspicions(t)); diff != "" {
		t.Errorf("suspected (-want +got):\n%s", diff)
	}
}

// So does the embedded form, on a page of another origin with a strict policy.
func TestScreenedEmbed(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{"/": `<div data-onramp="registration"></div><script nonce="r4nd0m" src="GATEWAY/embed/registration.js"></script>`}, unchanged)
	all := forms()
	for i := range all {
		all[i].Origins = []string{w.origin}
	}
	w.site = newScreenedSite(t, all, screening())
	steps(t, browser, "register",
		chromedp.Navigate(w.origin+"/"),
		chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "jane@example.org"),
		chromedp.Click(chromedp.CSS(`.onramp-button`)),
		chromedp.WaitVisible(chromedp.CSS(".onramp-success")))
	w.sees(t, browser, "submit registration ", "success registration queued")
	if diff := cmp.Diff(map[string]string{"jane@example.org": ""}, w.suspicions(t)); diff != "" {
		t.Errorf("suspected (-want +got):\n%s", diff)
	}
	if n := browsertest.Ask(t, browser, chromedp.Evaluate[int](`document.querySelectorAll('[aria-hidden] [name="website"]').length`)); n != 1 {
		t.Errorf("there are %d honeypots", n)
	}
}

// The widget of a captcha is there, and its addresses are allowed, only where it is configured.
func TestCaptchaWidget(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		provider       screen.Provider
		class, sources string
	}{
		{screen.Turnstile, "cf-turnstile", "https://challenges.cloudflare.com"},
		{screen.HCaptcha, "h-captcha", "https://hcaptcha.com https://*.hcaptcha.com"},
		{screen.ReCaptcha, "g-recaptcha", "https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/ https://recaptcha.google.com/recaptcha/"},
		{"", "", ""},
	} {
		t.Run(string(row.provider), func(t *testing.T) {
			t.Parallel()
			settings := screen.Default()
			settings.Captcha.Provider, settings.Captcha.SiteKey, settings.Captcha.Action = row.provider, "site<key", "register"
			s := newScreenedSite(t, forms(), map[string]screen.Settings{"registration": settings})
			page := do(t, s, "GET", "/f/registration", "", nil)
			policy := page.Header.Get("Content-Security-Policy")
			script := do(t, s, "GET", "/embed/registration.js", "", nil).Body
			if row.provider == "" {
				if strings.Contains(policy, "https:") || strings.Contains(page.Body, "data-sitekey") || strings.Contains(script, "site") && strings.Contains(script, "captcha") {
					t.Errorf("there is a captcha: %s", policy)
				}
				return
			}
			for _, directive := range []string{"script-src 'self' ", "frame-src ", "connect-src ", "style-src 'self' "} {
				if !strings.Contains(policy, directive+row.sources+";") {
					t.Errorf("%s%s is not in %s", directive, row.sources, policy)
				}
			}
			if want := fmt.Sprintf(`<div class="field %s" data-sitekey="site&lt;key" data-action="register"></div>`, row.class); !strings.Contains(page.Body, want) {
				t.Errorf("the page lacks %s", want)
			}
			if !strings.Contains(script, `"class":"`+row.class+`"`) {
				t.Error("the script lacks the widget")
			}
			other := do(t, s, "GET", "/f/our-survey_2026", "", nil)
			if strings.Contains(other.Header.Get("Content-Security-Policy"), "https:") || strings.Contains(other.Body, "data-sitekey") {
				t.Error("another form has it, too")
			}
		})
	}
}

func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, before)
	value, _, ended := strings.Cut(rest, after)
	if !found || !ended {
		t.Fatalf("%q is not there", before)
	}
	return value
}
