package screen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// service is what differs between the captcha services.
type service struct {
	input     string // that holds the visitor's token
	verifyURL string
	script    string   // that makes the widget
	class     string   // of the element that becomes the widget
	sources   []string // that the widget loads from, for a Content-Security-Policy
}

// services are the captcha services, as their documentation has them:
// https://developers.cloudflare.com/turnstile/get-started/server-side-validation/,
// https://docs.hcaptcha.com/#verify-the-user-response-server-side,
// https://developers.google.com/recaptcha/docs/verify.
func services(p Provider) service {
	switch p {
	case Turnstile:
		return service{
			"cf-turnstile-response", "https://challenges.cloudflare.com/turnstile/v0/siteverify", "https://challenges.cloudflare.com/turnstile/v0/api.js", "cf-turnstile",
			[]string{"https://challenges.cloudflare.com"},
		}
	case HCaptcha:
		return service{
			"h-captcha-response", "https://api.hcaptcha.com/siteverify", "https://js.hcaptcha.com/1/api.js", "h-captcha",
			[]string{"https://hcaptcha.com", "https://*.hcaptcha.com"},
		}
	case ReCaptcha:
		return service{
			"g-recaptcha-response", "https://www.google.com/recaptcha/api/siteverify", "https://www.google.com/recaptcha/api.js", "g-recaptcha",
			[]string{"https://www.google.com/recaptcha/", "https://www.gstatic.com/recaptcha/", "https://recaptcha.google.com/recaptcha/"},
		}
	}
	return service{}
}

// Providers lists the captcha services.
func Providers() []string { return []string{string(Turnstile), string(HCaptcha), string(ReCaptcha)} }

// Widget is what a page needs to show a captcha.
type Widget struct {
	Script, Class, SiteKey, Action string
	Sources                        []string // that it loads from, for a Content-Security-Policy
}

const (
	captchaLife = 10 * time.Minute // no service takes a token that is older
	maxToken    = 8 << 10          // bytes; reCAPTCHA's have about two thousand
	maxVerdict  = 64 << 10         // bytes that are read of an answer
)

// siteVerdict is the answer to siteverify, as far as the services agree on it.
type siteVerdict struct {
	Success  bool     `json:"success"`
	Hostname string   `json:"hostname"`
	Action   string   `json:"action"`
	Score    *float64 `json:"score"`
	Errors   []string `json:"error-codes"`
}

var errMisconfigured = errors.New("the captcha service refuses the secret")

// verify asks the service about a visitor's token. The error says that it could not be asked.
func (c *Captcha) verify(ctx context.Context, client *http.Client, token, ip string) (passed bool, err error) {
	if token == "" || len(token) > maxToken {
		return false, nil
	}
	ctx, stop := context.WithTimeout(ctx, c.Timeout)
	defer stop()
	form := url.Values{"secret": {c.Secret.Reveal()}, "response": {token}}
	if ip != "" {
		form.Set("remoteip", ip)
	}
	if c.Provider == HCaptcha {
		form.Set("sitekey", c.SiteKey)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.verifyURL(), strings.NewReader(form.Encode()))
	if err != nil {
		return false, errors.New("verify_url can't be asked")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(r)
	if err != nil {
		return false, withoutURL(err)
	}
	defer response.Body.Close()
	var v siteVerdict
	if err := json.NewDecoder(io.LimitReader(response.Body, maxVerdict)).Decode(&v); err != nil || response.StatusCode >= http.StatusInternalServerError {
		return false, fmt.Errorf("the captcha service answered with status %d", response.StatusCode)
	}
	if slices.ContainsFunc(v.Errors, func(code string) bool { return strings.HasSuffix(code, "-input-secret") }) {
		return false, errMisconfigured
	}
	return c.accepts(&v), nil
}

func (c *Captcha) verifyURL() string {
	if c.VerifyURL != "" {
		return c.VerifyURL
	}
	return services(c.Provider).verifyURL
}

func (c *Captcha) accepts(v *siteVerdict) bool {
	switch {
	case !v.Success:
		return false
	case c.Hostnames != nil && !slices.Contains(c.Hostnames, strings.ToLower(v.Hostname)):
		return false
	case c.Action != "" && v.Action != c.Action:
		return false
	}
	return c.MinScore == 0 || v.Score != nil && *v.Score >= c.MinScore
}

// withoutURL leaves the URL out of an error of net/http: it may hold a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
