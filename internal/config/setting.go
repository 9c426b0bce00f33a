package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"onramp/internal/listen"
	"onramp/internal/setting"
)

// single is a setting with one value, outside lists and forms. It can be given in the
// file and in the environment, which wins.
type single struct {
	path string
	set  func(c *Config, s scalar) error // the error says what the value must be
}

func (s single) split() (section, key string) {
	at := strings.LastIndex(s.path, ".")
	return s.path[:max(at, 0)], s.path[at+1:]
}

// variablePrefix begins the names of all variables.
const variablePrefix = "ONRAMP_"

// variable is the name of the setting in the environment.
func (s single) variable() string { return setting.Variable(s.path) }

func settings() []single {
	return append([]single{
		{"database", setDatabase},
		{"encryption_key", func(c *Config, s scalar) error { return setText(&c.EncryptionKey, s) }},
		{"public.listen", func(c *Config, s scalar) error { return setListen(&c.Public.Listen, s) }},
		{"public.url", func(c *Config, s scalar) error { return setURL(&c.Public.URL, s) }},
		{"public.max_connections", setMaxConnections},
		{"public.client_ip_header", setClientIPHeader},
		{"storage.per_address", func(c *Config, s scalar) error { return setRate(&c.Storage.PerAddress, s) }},
		{"storage.total", func(c *Config, s scalar) error { return setRate(&c.Storage.Total, s) }},
		{"storage.disk_reserve", setDiskReserve},
		{"egress.private", func(c *Config, s scalar) error { return setSwitch(&c.Egress.Private, s) }},
		{"admin.listen", func(c *Config, s scalar) error { return setListen(&c.Admin.Listen, s) }},
		{"admin.token", setAdminToken},
		{"marketing_cloud.subdomain", setSubdomain},
		{"marketing_cloud.auth_url", func(c *Config, s scalar) error { return setURL(&c.MarketingCloud.AuthURL, s) }},
		{"marketing_cloud.client_id", func(c *Config, s scalar) error { return setText(&c.MarketingCloud.ClientID, s) }},
		{"marketing_cloud.client_secret", func(c *Config, s scalar) error { return setText(&c.MarketingCloud.ClientSecret, s) }},
		{"marketing_cloud.account_id", setAccountID},
		{"marketing_cloud.calls_per_year", setCallsPerYear},
		{"marketing_cloud.contract_start", setContractStart},
		{"oauth.token_lifetime", setTokenLifetime},
		{"delivery.give_up_after", func(c *Config, s scalar) error { return setDuration(&c.Delivery.GiveUpAfter, s) }},
		{"delivery.senders", setSenders},
		{"delivery.timeout", func(c *Config, s scalar) error { return setDuration(&c.Delivery.Timeout, s) }},
		{"delivery.longest_call", func(c *Config, s scalar) error { return setDuration(&c.Delivery.LongestCall, s) }},
		{"smtp.url", setMailServer},
		{"smtp.from", setSender},
		{"drain_timeout", func(c *Config, s scalar) error { return setDuration(&c.Drain, s) }},
		{"log.level", func(c *Config, s scalar) error { return setWord(&c.Log.Level, s, "debug", "info", "warn", "error") }},
		{"log.format", func(c *Config, s scalar) error { return setWord(&c.Log.Format, s, "json", "text") }},
		{"consent.anchor_file", func(c *Config, s scalar) error { return setText(&c.Consent.AnchorFile, s) }},
		{"tracing.endpoint", setCollector},
		{"tracing.sample", setSample},
		{"tracing.trust_parent", func(c *Config, s scalar) error { return setSwitch(&c.Tracing.TrustParent, s) }},
		{"privacy.encrypt", func(c *Config, s scalar) error { return setSwitch(&c.Privacy.Encrypt, s) }},
		{"watch.oldest", func(c *Config, s scalar) error { return setDuration(&c.Watch.Oldest, s) }},
		{"watch.disk_free", setDiskFree},
		{"watch.events", func(c *Config, s scalar) error { return setDurationOrOff(&c.Watch.Events, s) }},
		{"watch.canary", func(c *Config, s scalar) error { return setDurationOrOff(&c.Watch.Canary.Every, s) }},
		{"watch.canary_form", func(c *Config, s scalar) error { return setText(&c.Watch.Canary.Form, s) }},
		{"watch.canary_email", setCanaryEmail},
		{"watch.canary_timeout", func(c *Config, s scalar) error { return setDuration(&c.Watch.Canary.Timeout, s) }},
		{"watch.sample", func(c *Config, s scalar) error { return setDurationOrOff(&c.Watch.Sample, s) }},
		{"watch.schema", func(c *Config, s scalar) error { return setDurationOrOff(&c.Watch.Schema, s) }},
		{"watch.confirmations", setReturned},
		{"watch.usual", func(c *Config, s scalar) error { return setSwitch(&c.Watch.Usual, s) }},
	}, slices.Concat(tlsSettings(), topScreenSettings(), retentionSettings())...)
}

// apply gives a setting its value, if there is one. An empty variable counts
// as none, since compose files can't leave one out; an empty value in the file
// is a mistake, most often a reference to an empty variable.
func (r *reader) apply(c *Config, s single, v value) {
	var in scalar
	var ok bool
	if text := r.environ[s.variable()]; text != "" {
		r.given[s.path] = position{path: s.variable()}
		in, ok = r.resolve(scalar{position: position{path: s.variable()}, text: text})
	} else if v.isSet() {
		r.given[s.path] = v.position
		in, ok = r.scalar(v)
	}
	if !ok {
		return
	}
	if in.text == "" {
		r.report(in.position, "is empty: set a value or remove the key")
		return
	}
	if err := s.set(c, in); err != nil {
		r.report(in.position, "%v", err)
	}
}

func setText[T ~string](to *T, s scalar) error {
	*to = T(s.text)
	return nil
}

func setWord(to *string, s scalar, known ...string) error {
	if err := s.oneOf(known...); err != nil {
		return err
	}
	*to = s.text
	return nil
}

// clientIPHeaders are the headers that package web reads, the default first.
var clientIPHeaders = []string{"X-Forwarded-For", "Forwarded", "X-Real-IP"}

func setClientIPHeader(c *Config, s scalar) error {
	for _, name := range clientIPHeaders {
		if strings.EqualFold(name, s.text) { // as in HTTP
			c.Public.ClientIPHeader = name
			return nil
		}
	}
	return s.oneOf(clientIPHeaders...)
}

func setSwitch(to *bool, s scalar) error {
	on, ok := s.boolean()
	if !ok {
		return errors.New("must be true or false, without quotes")
	}
	*to = on
	return nil
}

func setDuration(to *time.Duration, s scalar) error {
	d, err := time.ParseDuration(s.text)
	if err != nil {
		return errors.New("must be a duration with a unit, such as 30s, 5m or 72h")
	}
	if d <= 0 {
		return errors.New("must be greater than zero")
	}
	*to = d
	return nil
}

// minAdminToken is the length of the shortest admin token, in characters. The admin
// API changes and shows everything, and a shorter one can be guessed.
const minAdminToken = 16

func setAdminToken(c *Config, s scalar) error {
	if utf8.RuneCountInString(s.text) < minAdminToken {
		return fmt.Errorf("must have at least %d characters; onramp keys new admin creates one", minAdminToken)
	}
	return setText(&c.Admin.Token, s)
}

// The limits of a token's lifetime: a shorter one is asked for with each call, a
// longer one can't be taken back for too long.
const (
	minTokenLifetime = time.Minute
	maxTokenLifetime = 24 * time.Hour
)

func setTokenLifetime(c *Config, s scalar) error {
	if err := setDuration(&c.OAuth.TokenLifetime, s); err != nil {
		return err
	}
	if d := c.OAuth.TokenLifetime; d < minTokenLifetime || d > maxTokenLifetime {
		return errors.New("must be from 1m to 24h")
	}
	return nil
}

func setDurationOrOff(to *time.Duration, s scalar) error {
	if s.text == "off" {
		*to = 0
		return nil
	}
	if err := setDuration(to, s); err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	return nil
}

func setListen(to *string, s scalar) error {
	if !listen.Valid(s.text) {
		return errors.New("must be host:port, such as 127.0.0.1:8080, or :8080 for all addresses")
	}
	*to = s.text
	return nil
}

func setURL(to *string, s scalar) error {
	if !isAbsoluteURL(s.text) {
		return errors.New("must be an absolute http or https URL, such as https://signup.example.com")
	}
	*to = s.text
	return nil
}

func isPostgres(database string) bool {
	scheme, _, isURL := strings.Cut(database, "://")
	return isURL && (scheme == "postgres" || scheme == "postgresql")
}

func setDatabase(c *Config, s scalar) error {
	if strings.Contains(s.text, "://") && !isPostgres(s.text) {
		return errors.New("must be a file name or a postgres:// URL")
	}
	c.Database = s.text
	return nil
}

var dnsLabel = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

func setSubdomain(c *Config, s scalar) error {
	switch {
	case strings.ContainsAny(s.text, "./:"):
		return errors.New("must be only the tenant subdomain: mc0123… of mc0123….rest.marketingcloudapis.com")
	case !dnsLabel.MatchString(s.text):
		return errors.New("must be one DNS label: letters, digits and hyphens, at most 63 characters")
	}
	c.MarketingCloud.Subdomain = s.text
	return nil
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func setAccountID(c *Config, s scalar) error {
	if !digits.MatchString(s.text) {
		return errors.New("must be the MID of the business unit, which consists of digits")
	}
	c.MarketingCloud.AccountID = s.text
	return nil
}

// maxCalls keeps sums and percentages far from what a number can hold.
const maxCalls = 1_000_000_000_000

func setCallsPerYear(c *Config, s scalar) error {
	n, ok := s.integer()
	if !ok || n < 0 || int64(n) > maxCalls {
		return fmt.Errorf("must be a whole number from 0 to %d, without quotes", int64(maxCalls))
	}
	c.MarketingCloud.CallsPerYear = int64(n)
	return nil
}

func setContractStart(c *Config, s scalar) error {
	t, err := time.Parse("01-02", s.text)
	if err != nil || t.Month() == time.February && t.Day() == 29 {
		return errors.New("must be a month and a day of every year, such as 04-01 for 1 April")
	}
	c.MarketingCloud.ContractStart = MonthDay{t.Month(), t.Day()}
	return nil
}

func setMaxConnections(c *Config, s scalar) error {
	n, ok := s.integer()
	if !ok || n < 16 || n > 1_000_000 {
		return errors.New("must be a whole number from 16 to 1000000, without quotes")
	}
	c.Public.MaxConnections = n
	return nil
}

const maxSenders = 256

func setSenders(c *Config, s scalar) error {
	n, ok := s.integer()
	if !ok || n < 1 || n > maxSenders {
		return fmt.Errorf("must be a whole number from 1 to %s, without quotes", strconv.Itoa(maxSenders))
	}
	c.Delivery.Senders = n
	return nil
}

var (
	percentage = regexp.MustCompile(`^([0-9]{1,2}(?:\.[0-9]+)?) ?%$`)
	amount     = regexp.MustCompile(`^([0-9]{1,9}) ?([kKMGT]i?)B$`)
	units      = map[string]uint64{
		"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
)

func setDiskFree(c *Config, s scalar) error { return setSpace(&c.Watch.DiskFree, s) }

func setDiskReserve(c *Config, s scalar) error {
	if s.text == "off" {
		c.Storage.Reserve = Space{}
		return nil
	}
	if err := setSpace(&c.Storage.Reserve, s); err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	return nil
}

func setSpace(to *Space, s scalar) error {
	var space Space
	if m := percentage.FindStringSubmatch(s.text); m != nil {
		space.Percent, _ = strconv.ParseFloat(m[1], 64)
	} else {
		space.Bytes = bytesOf(s.text)
	}
	if space == (Space{}) {
		return errors.New("must be a percentage of the disk or a size with a unit, such as 5% or 500MB")
	}
	*to = space
	return nil
}

// bytesOf reads a size with a unit; 0: it is none.
func bytesOf(text string) uint64 {
	m := amount.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseUint(m[1], 10, 64)
	return n * units[m[2]]
}

// The limits of what may be stored in a minute: less would refuse single registrations,
// more is no limit.
const (
	minRate = 100e3
	maxRate = 1e15
)

func setRate(to *int64, s scalar) error {
	if s.text == "off" {
		*to = 0
		return nil
	}
	bytes := bytesOf(s.text)
	if bytes < minRate || bytes > maxRate {
		return errors.New("must be a size with a unit, from 100kB, such as 2MB, or off")
	}
	*to = int64(bytes)
	return nil
}

func setReturned(c *Config, s scalar) error {
	if s.text == "off" {
		c.Watch.Confirmations = 0
		return nil
	}
	m := percentage.FindStringSubmatch(s.text)
	if m == nil {
		return errors.New("must be a percentage, such as 10%, or off")
	}
	c.Watch.Confirmations, _ = strconv.ParseFloat(m[1], 64)
	if c.Watch.Confirmations == 0 {
		return errors.New("must be greater than zero, or off")
	}
	return nil
}

// checkMarketingCloud checks what no single setting shows. Of subdomain and
// auth_url the one from the environment wins over the other from the file, so
// that one variable points a configuration at the sandbox.
func (r *reader) checkMarketingCloud(c *Config, section value) {
	if section.isSet() && section.target().Kind != yaml.MappingNode {
		return // it is reported, and nothing in it can be read
	}
	subdomain, hasSubdomain := r.given["marketing_cloud.subdomain"]
	authURL, hasURL := r.given["marketing_cloud.auth_url"]
	switch {
	case !hasSubdomain && !hasURL:
		r.report(section.key("subdomain"), "is missing: set it to your tenant subdomain (or set auth_url for the sandbox)")
	case !hasSubdomain || !hasURL:
	case subdomain.line > 0 && authURL.line == 0:
		c.MarketingCloud.Subdomain = ""
	case subdomain.line == 0 && authURL.line > 0:
		c.MarketingCloud.AuthURL = ""
	default:
		r.report(authURL, "subdomain and auth_url can't both be set: remove auth_url, unless you use the sandbox")
	}
	if c.MarketingCloud.Subdomain == placeholder {
		r.report(subdomain, "is still the placeholder: set your tenant subdomain, mc0123… in the REST base URI of your installed package "+
			"(Setup > Apps > Installed Packages), https://mc0123….rest.marketingcloudapis.com")
	}
	for _, key := range []string{"client_id", "client_secret"} {
		if _, ok := r.given["marketing_cloud."+key]; !ok {
			r.report(section.key(key), "is missing: copy it from the installed package, or set ONRAMP_MARKETING_CLOUD_%s", strings.ToUpper(key))
		}
	}
}

// placeholder is the subdomain in the file that onramp init writes.
const placeholder = "mc0123456789abcdefghijklmnop"

// checkAdmin refuses an admin API that strangers could reach without a token.
func (r *reader) checkAdmin(c *Config) {
	_, hasToken := r.given["admin.token"]
	if !hasToken && len(c.Admin.Tokens) == 0 && !r.blamed("admin.tokens") && !listen.IsLoopback(c.Admin.Listen) {
		// only a given address can be other than loopback
		r.report(r.given["admin.listen"], "is reachable from other machines: set admin.token, or listen on 127.0.0.1")
	}
}

// checkListeners refuses an address that both listeners would need.
func (r *reader) checkListeners(c *Config) {
	public, publicGiven := r.given["public.listen"]
	admin, adminGiven := r.given["admin.listen"]
	// a wrong one is reported, and c has the default in its place
	if r.reported(public) || r.reported(admin) || !listen.Overlap(c.Public.Listen, c.Admin.Listen) {
		return
	}
	switch {
	case adminGiven:
		r.report(admin, "can't listen where public.listen does: set another port")
	case publicGiven:
		r.report(public, "can't listen where admin.listen does (%s): set another port", c.Admin.Listen)
	}
}

// reported says that something is wrong with a value.
func (r *reader) reported(at position) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return at.path != "" && p.Path == at.path })
}
