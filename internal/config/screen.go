package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"onramp/internal/onramp"
	"onramp/internal/screen"
	"onramp/internal/setting"
)

// screenSetting is a single value of the section screen, at the top or in a form.
type screenSetting struct {
	path string // in the section
	set  func(to *screen.Settings, s scalar) error
}

func screenSettings() []screenSetting {
	return []screenSetting{
		{"limits.address", func(to *screen.Settings, s scalar) error { return setSubmissionRate(&to.Limits.Address, s) }},
		{"limits.form", func(to *screen.Settings, s scalar) error { return setSubmissionRate(&to.Limits.Form, s) }},
		{"limits.person", func(to *screen.Settings, s scalar) error { return setSubmissionRate(&to.Limits.Person, s) }},
		{"min_fill_time", func(to *screen.Settings, s scalar) error { return setDurationUpTo(&to.MinFillTime, time.Minute, s) }},
		{"fill_time", setFillTime},
		{"blocked_file", func(to *screen.Settings, s scalar) error { return setText(&to.BlockedFile, s) }},
		{"disposable", func(to *screen.Settings, s scalar) error { return setSwitch(&to.Disposable, s) }},
		{"disposable_file", func(to *screen.Settings, s scalar) error { return setText(&to.DisposableFile, s) }},
		{"proof_of_work", setProof},
		{"mx", func(to *screen.Settings, s scalar) error { return setSwitch(&to.MX, s) }},
		{"captcha.provider", setProvider},
		{"captcha.site_key", func(to *screen.Settings, s scalar) error { return setText(&to.Captcha.SiteKey, s) }},
		{"captcha.secret", func(to *screen.Settings, s scalar) error { return setText(&to.Captcha.Secret, s) }},
		{"captcha.verify_url", func(to *screen.Settings, s scalar) error { return setURL(&to.Captcha.VerifyURL, s) }},
		{"captcha.action", func(to *screen.Settings, s scalar) error { return setText(&to.Captcha.Action, s) }},
		{"captcha.min_score", setMinScore},
		{"captcha.on_error", func(to *screen.Settings, s scalar) error { return setOnError(&to.Captcha.OnError, s) }},
		{"captcha.timeout", func(to *screen.Settings, s scalar) error {
			return setDurationUpTo(&to.Captcha.Timeout, longestQuestion, s)
		}},
		{"identical.addresses", setIdentical},
		{"hook.url", func(to *screen.Settings, s scalar) error { return setURL(&to.Hook.URL, s) }},
		{"hook.secret", setHookSecret},
		{"hook.timeout", func(to *screen.Settings, s scalar) error {
			return setDurationUpTo(&to.Hook.Timeout, longestQuestion, s)
		}},
		{"hook.on_error", func(to *screen.Settings, s scalar) error { return setOnError(&to.Hook.OnError, s) }},
		{"hook.private_addresses", func(to *screen.Settings, s scalar) error { return setSwitch(&to.Hook.Private, s) }},
	}
}

// longestQuestion is how long a visitor may have to wait for another service.
const longestQuestion = 10 * time.Second

// topScreenSettings are those at the top, which variables can set, too.
func topScreenSettings() []single {
	var all []single
	for _, s := range screenSettings() {
		all = append(all, single{"screen." + s.path, func(c *Config, v scalar) error { return s.set(&c.Screen, v) }})
	}
	return all
}

var rateForm = regexp.MustCompile(`^([1-9][0-9]{0,5})/([smhd])$`)

func setSubmissionRate(to *screen.Rate, s scalar) error {
	if s.text == "off" {
		*to = screen.Rate{}
		return nil
	}
	m := rateForm.FindStringSubmatch(s.text)
	if m == nil {
		return errors.New("must be a number and s, m, h or d, such as 20/m for twenty a minute, or off")
	}
	to.Count, _ = strconv.Atoi(m[1])
	to.Per = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
	return nil
}

func setDurationUpTo(to *time.Duration, most time.Duration, s scalar) error {
	if err := setDuration(to, s); err != nil {
		return err
	}
	if *to > most {
		return fmt.Errorf("must be at most %s", most)
	}
	return nil
}

func setFillTime(to *screen.Settings, s scalar) error {
	err := s.oneOf("required", "optional")
	to.OptionalTime = s.text == "optional"
	return err
}

func setProof(to *screen.Settings, s scalar) error {
	if s.text == "off" {
		to.ProofOfWork = screen.ProofOff
		return nil
	}
	to.ProofOfWork = screen.Proof(s.text)
	return s.oneOf("off", string(screen.ProofAuto), string(screen.ProofAlways))
}

func setProvider(to *screen.Settings, s scalar) error {
	to.Captcha.Provider = screen.Provider(s.text)
	return s.oneOf(screen.Providers()...)
}

func setMinScore(to *screen.Settings, s scalar) error {
	score, err := strconv.ParseFloat(s.text, 64)
	if err != nil || s.tag == "!!str" || !(score > 0 && score <= 1) {
		return errors.New("must be a number above 0 and up to 1, without quotes")
	}
	to.Captcha.MinScore = score
	return nil
}

func setOnError(to *screen.OnError, s scalar) error {
	*to = screen.OnError(s.text)
	return s.oneOf(string(screen.FailOpen), string(screen.FailClosed))
}

func setIdentical(to *screen.Settings, s scalar) error {
	n, ok := s.integer()
	if !ok || n < 2 || n > screen.MaxIdentical {
		return fmt.Errorf("must be a whole number from 2 to %d, without quotes", screen.MaxIdentical)
	}
	to.Identical.Addresses = n
	return nil
}

func setHookSecret(to *screen.Settings, s scalar) error {
	if _, ok := onramp.ParseWebhookSecret(onramp.Secret(s.text)); !ok {
		return errors.New("must be whsec_ and the base64 of 24 to 64 bytes; onramp keys new webhook creates one")
	}
	return setText(&to.Hook.Secret, s)
}

// screenTop reads what is no single value at the top, and checks it all.
func (r *reader) screenTop(c *Config, sections map[string]map[string]value) {
	keys := func(section string) map[string]value { return sections[strings.TrimSuffix("screen."+section, ".")] }
	r.screenLists(&c.Screen, keys)
	r.checkScreen(&c.Screen, keys)
}

// screenLists reads the lists of a section screen. keys gives those of a section in it.
func (r *reader) screenLists(to *screen.Settings, keys func(section string) map[string]value) {
	if v := keys("")["honeypot"]; v.isSet() {
		to.Honeypots = r.honeypots(v)
	}
	if v := keys("")["blocked"]; v.isSet() {
		to.Blocked = r.unique(r.texts(v), func(s scalar) string {
			if err := screen.ParseEntry(s.text); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	if v := keys("")["trusted_keys"]; v.isSet() {
		to.TrustedKeys = r.trustedKeys(v)
	}
	if v := keys("captcha")["hostnames"]; v.isSet() {
		to.Captcha.Hostnames = r.unique(r.texts(v), func(s scalar) string {
			if s.text == "" || s.text != strings.ToLower(s.text) || strings.ContainsAny(s.text, "/: ") {
				return "must be a host in lower case, such as www.example.com"
			}
			return ""
		})
	}
	if v := keys("identical")["fields"]; v.isSet() {
		to.Identical.Fields = r.unique(r.texts(v), func(scalar) string { return "" })
	}
}

var inputName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)

// honeypots reads the name of an input, or a list of them.
func (r *reader) honeypots(v value) []string {
	texts := []scalar(nil)
	if one, ok := r.single(v); ok {
		texts = append(texts, one)
	} else {
		texts = r.texts(v)
	}
	return r.unique(texts, func(s scalar) string {
		switch {
		case !inputName.MatchString(s.text):
			return "must start with a letter, and contain only letters, digits, _ and -, at most 63 characters"
		case slices.Contains(reservedInputs, s.text):
			return s.quoted() + " is a name that Onramp's own pages use: choose another one"
		}
		return ""
	})
}

// minTrustedKey is the length of the shortest key, in characters: whoever guesses one is
// not screened.
const minTrustedKey = 24

func (r *reader) trustedKeys(v value) []onramp.Secret {
	var keys []onramp.Secret
	for _, s := range r.texts(v) {
		if len(s.text) < minTrustedKey || strings.ContainsAny(s.text, " \t\r\n") {
			r.report(s.position, "must have at least %d characters and no blanks; onramp keys new admin creates one", minTrustedKey)
			continue
		}
		keys = append(keys, onramp.Secret(s.text))
	}
	return keys
}

// checkScreen checks what no single setting shows.
func (r *reader) checkScreen(s *screen.Settings, keys func(section string) map[string]value) {
	captcha, hook, identical := keys("")["captcha"], keys("")["hook"], keys("")["identical"]
	if captcha.isSet() || s.Captcha.Secret != "" || s.Captcha.SiteKey != "" {
		r.require(captcha.position, "provider", string(s.Captcha.Provider), "name the service: turnstile, hcaptcha or recaptcha")
		r.require(captcha.position, "site_key", s.Captcha.SiteKey, "copy it from the service's page")
		r.require(captcha.position, "secret", s.Captcha.Secret.Reveal(), "copy it from the service's page")
	}
	if hook.isSet() || s.Hook.Secret != "" {
		r.require(hook.position, "url", s.Hook.URL, "set it to the URL of your check")
		r.require(hook.position, "secret", s.Hook.Secret.Reveal(), "onramp keys new webhook creates one")
	}
	if identical.isSet() && s.Identical.Addresses == 0 {
		r.require(identical.position, "addresses", "", "set it to the number of email addresses that one value may come with")
	}
	r.checkList(keys("")["blocked_file"], s.BlockedFile)
	r.checkList(keys("")["disposable_file"], s.DisposableFile)
}

// require reports a key that is missing, unless something was said of it.
func (r *reader) require(section position, key, text, hint string) {
	if at := section.key(key); text == "" && !r.reported(at) && !r.reported(section) {
		r.report(at, "is missing: %s", hint)
	}
}

// checkList reads a file of a list, if all of the configuration must be right.
func (r *reader) checkList(v value, path string) {
	if path == "" || !r.readsFiles || r.reported(v.position) {
		return
	}
	if err := screen.ReadListFile(path); err != nil {
		r.report(v.position, "%v", err)
	}
}

// formScreen reads how a form is screened: as at the top, but for what it says itself. ok is
// false when it is not screened at all.
func (r *reader) formScreen(v value, top screen.Settings, f *onramp.Form) (screen.Settings, bool) {
	if s, single := r.single(v); single {
		if s.text != "off" && s.text != "false" {
			r.report(s.position, "must be off, or a map with the keys of screen")
		}
		return screen.Settings{}, false
	}
	own := top
	keys, ok := r.mapping(v, setting.Screen().Names()...)
	if !ok {
		return own, true
	}
	sections := map[string]map[string]value{"": keys}
	for _, s := range []setting.Section{setting.ScreenLimits(), setting.ScreenCaptcha(), setting.ScreenIdentical(), setting.ScreenHook()} {
		name := strings.TrimPrefix(s.Path, "screen.")
		sections[name], _ = r.mapping(keys[name], s.Names()...)
	}
	for _, one := range screenSettings() {
		section, key, nested := strings.Cut(one.path, ".")
		if !nested {
			section, key = "", one.path
		}
		if s, ok := r.scalar(sections[section][key]); ok {
			if err := one.set(&own, s); err != nil {
				r.report(s.position, "%v", err)
			}
		}
	}
	of := func(section string) map[string]value { return sections[section] }
	r.screenLists(&own, of)
	if v.isSet() {
		r.checkScreen(&own, of)
	}
	r.checkScreenFields(&own, v, sections, f)
	return own, true
}

// checkScreenFields compares the names of inputs with those of the form's fields.
func (r *reader) checkScreenFields(s *screen.Settings, v value, sections map[string]map[string]value, f *onramp.Form) {
	isField := func(name string) bool {
		return slices.ContainsFunc(f.Fields, func(field onramp.Field) bool { return field.Name == name })
	}
	for _, name := range s.Honeypots {
		if isField(name) {
			r.report(sections[""]["honeypot"].position, "%q is a field of this form: choose a name that no field has", name)
		}
	}
	if !sections["identical"]["fields"].isSet() {
		return
	}
	for _, name := range s.Identical.Fields {
		if !isField(name) {
			r.report(sections["identical"]["fields"].position, "%q is not a field of this form", name)
		}
	}
}

// screens reads how the forms are screened.
func (r *reader) screens(v value, c *Config) map[string]screen.Settings {
	if !v.isSet() || v.target().Kind != yaml.MappingNode {
		return nil // it is reported
	}
	screens := map[string]screen.Settings{}
	n := v.target()
	for i := 0; i+1 < len(n.Content); i += 2 {
		form := value{position{n.Content[i].Line, v.path}.key(n.Content[i].Value), n.Content[i].Value, n.Content[i+1]}
		at := slices.IndexFunc(c.Forms, func(f onramp.Form) bool { return f.Name == form.name })
		if at < 0 {
			continue
		}
		if s, ok := r.formScreen(form.member("screen"), c.Screen, &c.Forms[at]); ok && !reflect.DeepEqual(s, screen.Default()) {
			screens[form.name] = s
		}
	}
	if len(screens) == 0 {
		return nil
	}
	return screens
}

// member is the value of a key in a map that was read before.
func (v value) member(key string) value {
	found := value{position: v.key(key), name: key}
	n := v.target()
	if n == nil || n.Kind != yaml.MappingNode {
		return found
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			found.node, found.line = n.Content[i+1], n.Content[i].Line
		}
	}
	return found
}
