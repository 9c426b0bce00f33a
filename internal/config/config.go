// Package config reads onramp.yaml: what the gateway listens on, which
// Marketing Cloud account it talks to, the forms with their routes, the
// callbacks for events, and where events are forwarded to.
//
// Use Load first; it returns either a configuration in which every value has
// been checked, or an *Error that lists every mistake with its line. The
// package doesn't ask whether the names in it exist in Marketing Cloud, and it
// doesn't make the forms ready to accept (onramp.NewForm does).
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/retention"
	"onramp/internal/screen"
	"onramp/internal/setting"
)

// Config is the whole configuration. Each field's comment gives its key in the
// file and what holds when the key is left out.
type Config struct {
	Database       string                     // database: a file name or a postgres:// URL; "onramp.db"
	EncryptionKey  onramp.Secret              // encryption_key: a keyset, see package keyset; "" is only possible with a file as the database or without callbacks
	Public         Public                     // public
	Storage        Storage                    // storage
	Egress         Egress                     // egress
	Admin          Admin                      // admin
	MarketingCloud MarketingCloud             // marketing_cloud
	OAuth          OAuth                      // oauth
	Delivery       Delivery                   // delivery
	SMTP           SMTP                       // smtp
	Drain          time.Duration              // drain_timeout: how long a stop waits for work in hand; 25s
	Log            Log                        // log
	Consent        Consent                    // consent
	Privacy        Privacy                    // privacy
	Tracing        Tracing                    // tracing
	Watch          Watch                      // watch
	Retention      retention.Policies         // retention: how long what is stored is kept; for ever
	Screen         screen.Settings            // screen, for all forms; nothing
	Alerts         []onramp.Secret            // alerts: URLs to send alerts to, such as slack://…; secret, since they hold credentials; none
	Forms          []onramp.Form              // forms, sorted by name; at least one, except from Default
	Screens        map[string]screen.Settings // forms.NAME.screen over screen, by form; forms that are not screened have none
	Callbacks      []onramp.Callback          // ens.callbacks, sorted by name; none
	Sinks          []onramp.Sink              // sinks, in the order of the file; none
}

// Public is the listener for visitors and sites.
type Public struct {
	Listen         string   // listen: host:port; ":8080"
	URL            string   // url: the absolute http(s) URL under which the world sees it; ""
	TrustedProxies []string // trusted_proxies: IP addresses and CIDR prefixes whose client_ip_header counts; none
	ClientIPHeader string   // client_ip_header: where they pass on the visitor's address: X-Forwarded-For, Forwarded or X-Real-IP; "X-Forwarded-For"
	TLS            TLS      // tls: cert and key; none
	ACME           ACME     // tls.acme, in place of them; none
	MaxConnections int      // max_connections: so many at once; 0: as many as the limit of open files allows, at most 4096
}

// Storage is how much strangers can make the gateway store.
type Storage struct {
	PerAddress int64    // per_address: bytes a minute of one client address; 2MB, or 0 with "off"
	Total      int64    // total: bytes a minute of all; 256MB, or 0 with "off"
	Exempt     []string // exempt: IP addresses and CIDR prefixes that per_address is not for; none
	Reserve    Space    // disk_reserve: what stays free on the database's disk; 2%; zero with "off"
}

// Egress is where outgoing calls may lead, beside public addresses.
type Egress struct {
	Private bool     // private: whether names may lead to private addresses; true
	Allow   []string // allow: IP addresses and CIDR prefixes that may be called in any case; none
}

// Privacy says how what is stored of persons is protected.
type Privacy struct {
	Encrypt bool // encrypt: with a key of each person's own, as far as there is an encryption key; true
}

// Admin is the listener for operators.
type Admin struct {
	Listen string        // listen: host:port; "127.0.0.1:8081"
	Token  onramp.Secret // token: what callers must send, who may do everything then; "": only tokens count
	Tokens []AdminToken  // tokens: others, with names and roles; with no token at all Listen is a loopback address
	TLS    TLS           // tls: cert and key; none
}

// AdminToken is an admin token with what it may do.
type AdminToken struct {
	Name  string        // name: what the audit log calls it
	Token onramp.Secret // token: as that of Admin
	Roles []onramp.Role // roles: one or more
}

// MarketingCloud is the account and the installed package. Exactly one of
// Subdomain and AuthURL is set.
type MarketingCloud struct {
	Subdomain    string        // subdomain: the first label of the account's host names
	AuthURL      string        // auth_url: a whole http(s) URL instead, for the sandbox
	ClientID     string        // client_id; required
	ClientSecret onramp.Secret // client_secret; required
	AccountID    string        // account_id: the business unit's MID, digits; "" for the package's own

	CallsPerYear  int64    // calls_per_year: what the contract allots; 0: not known
	ContractStart MonthDay // contract_start: when the contract's year begins; zero: 1 January
}

// MonthDay is a day of every year.
type MonthDay struct {
	Month time.Month
	Day   int
}

// SameAccount says whether calls go to the same account in the same way.
func (m MarketingCloud) SameAccount(other MarketingCloud) bool {
	other.CallsPerYear, other.ContractStart = m.CallsPerYear, m.ContractStart
	return m == other
}

// OAuth is the token endpoint for Marketing Cloud, and who may use it. A
// callback can use a client that isn't here, since the gateway keeps some itself.
type OAuth struct {
	TokenLifetime time.Duration        // token_lifetime: how long an access token works, 1m to 24h; 20m
	Clients       []onramp.TokenClient // clients, each with one secret or two; none
	Users         []onramp.TokenUser   // users, each with one password or two; none
}

// Delivery is how registrations are sent on.
type Delivery struct {
	GiveUpAfter time.Duration // give_up_after: how long a failing delivery is tried; 72h
	Senders     int           // senders: how many requests run at once, 1 to 256; 16
	Timeout     time.Duration // timeout: the longest time for one request; 30s
	LongestCall time.Duration // longest_call: how long Marketing Cloud may take to carry out a request whose answer was lost; 2m
}

// SMTP is the mail server that takes confirmations.
type SMTP struct {
	URL  onramp.Secret // url: smtps:// or smtp://, with user and password; ""
	From string        // from: an address, perhaps with a name; ""
}

// Log is what the gateway writes about itself.
type Log struct {
	Level  string // level: debug, info, warn or error; "info"
	Format string // format: json or text; "json"
}

// Consent is how the consent log and the audit log are kept.
type Consent struct {
	AnchorFile string // anchor_file: where the signed heads of both are appended, one a day; "": only the database has them
}

// Tracing is where distributed traces are sent, by OTLP over HTTP. What is left out the
// variables OTEL_* say.
type Tracing struct {
	Endpoint    string                   // endpoint: the collector's base URL; "": off, unless the variables name one
	Sample      float64                  // sample: the share of traces, above 0 and up to 1; 0: all
	TrustParent bool                     // trust_parent: whether a caller's traceparent decides that its trace is recorded; false
	Headers     map[string]onramp.Secret // headers: sent with every export; none
}

// Watch is when operators are alerted, in addition to the conditions that always
// alert.
type Watch struct {
	Oldest        time.Duration // oldest: the age of an undelivered registration; 15m
	DiskFree      Space         // disk_free: the free space on the database's disk; 5%
	Events        time.Duration // events: how long no event comes while messages go out; 1h, or 0 with "off"
	Canary        Canary
	Sample        time.Duration // sample: how often some of what was delivered is read back and compared; 24h, or 0 with "off"
	Schema        time.Duration // schema: how often the columns of the data extensions are read; 1h, or 0 with "off"
	Confirmations float64       // confirmations: which share of those of a form may come back, in percent; 10, or 0 with "off"
	Usual         bool          // usual: whether a form is held against its own usual rate; true
}

// Canary is the registration that Onramp submits to its own forms, to see it arrive.
type Canary struct {
	Every   time.Duration // canary: how often; 0, or "off": never
	Timeout time.Duration // canary_timeout: how long one may take to arrive; 10m
	Form    string        // canary_form: the form; "": each
	Email   string        // canary_email: the address it is made from; "": one that gets no mail
}

// Space is an amount of disk space: one of the two is set.
type Space struct {
	Percent float64
	Bytes   uint64
}

// Default returns what holds without a file. It has no forms and no
// credentials: enough for a command that only needs the admin address.
func Default() *Config {
	return &Config{
		Database: "onramp.db",
		Public:   Public{Listen: ":8080", ClientIPHeader: clientIPHeaders[0]},
		Storage:  Storage{PerAddress: 2e6, Total: 256e6, Reserve: Space{Percent: 2}},
		Egress:   Egress{Private: true},
		Admin:    Admin{Listen: "127.0.0.1:8081"},
		OAuth:    OAuth{TokenLifetime: 20 * time.Minute},
		Delivery: Delivery{GiveUpAfter: 72 * time.Hour, Senders: 16, Timeout: 30 * time.Second, LongestCall: 2 * time.Minute},
		Drain:    25 * time.Second,
		Log:      Log{Level: "info", Format: "json"},
		Privacy:  Privacy{Encrypt: true},
		Screen:   screen.Default(),
		Watch:    Watch{Oldest: 15 * time.Minute, DiskFree: Space{Percent: 5}, Events: time.Hour, Canary: Canary{Timeout: 10 * time.Minute}, Sample: 24 * time.Hour, Schema: time.Hour, Usual: true, Confirmations: 10},
	}
}

// Load reads the file at path and overlays it with the ONRAMP_ variables of
// environ, which has the form of os.Environ. The error is an *Error when the
// file is wrong, and wraps fs.ErrNotExist when there is none.
func Load(path string, environ []string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, environ)
}

// LoadAdmin reads as much of the configuration as a command needs that talks to
// a running gateway: mistakes elsewhere, such as a secret that only the gateway
// can read, are none of its business. Its errors are those of Load, but with
// optional a missing file is as good as an empty one.
func LoadAdmin(path string, optional bool, environ []string) (Admin, error) {
	c, err := loadSection("admin", path, optional, environ)
	if err != nil {
		return Admin{}, err
	}
	return c.Admin, nil
}

// LoadAccount reads the account in Marketing Cloud, and nothing else, as LoadAdmin does.
func LoadAccount(path string, optional bool, environ []string) (*Config, error) {
	return loadSection("marketing_cloud", path, optional, environ)
}

// loadSection reads a configuration of which only one section must be right.
func loadSection(name, path string, optional bool, environ []string) (*Config, error) {
	data, err := readFile(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		data, err = []byte("{}"), nil
	}
	if err != nil {
		return nil, err
	}
	r := newReader(environ)
	c := r.parse(data)
	problems := slices.DeleteFunc(r.problems, func(p Problem) bool {
		section, _, _ := strings.Cut(p.Path, ".")
		// without a path it is the file as a whole that can't be understood
		return p.Path != "" && section != name && !strings.HasPrefix(p.Path, variablePrefix+strings.ToUpper(name)+"_")
	})
	if len(problems) > 0 {
		return nil, newError(path, problems)
	}
	return c, nil
}

func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration at %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// Parse is Load for a file that was already read; name stands for it in
// errors. It still reads the files that ${file:…} references and tls name.
func Parse(name string, data []byte, environ []string) (*Config, error) {
	r := newReader(environ)
	r.readsFiles = true
	c := r.parse(data)
	if len(r.problems) > 0 {
		return nil, newError(name, r.problems)
	}
	return c, nil
}

func newReader(environ []string) *reader {
	return &reader{
		environ: environment(environ), steps: map[string]step{}, confirmations: map[string]placed{}, given: map[string]position{}, literals: map[string]string{},
	}
}

// parse gives what could be read; what is wrong with the rest stands in problems.
func (r *reader) parse(data []byte) *Config {
	c := Default()
	if root, ok := r.document(data); ok {
		r.config(c, root)
		r.checkVariables(string(data))
	}
	return c
}

func environment(environ []string) map[string]string {
	vars := make(map[string]string, len(environ))
	for _, v := range environ {
		name, text, _ := strings.Cut(v, "=")
		vars[name] = text
	}
	return vars
}

// config fills c from the file's root and the environment.
func (r *reader) config(c *Config, root value) {
	all := settings()
	known := knownKeys()
	sections := map[string]map[string]value{}
	if !r.sections("", root, known, sections) {
		return
	}
	top := sections[""]
	for _, s := range all {
		section, key := s.split()
		r.apply(c, s, sections[section][key])
	}
	c.Public.TrustedProxies = r.networks(sections["public"]["trusted_proxies"])
	c.Egress.Allow = r.networks(sections["egress"]["allow"])
	c.Storage.Exempt = r.networks(sections["storage"]["exempt"])
	r.checkMarketingCloud(c, top["marketing_cloud"])
	c.Admin.Tokens = r.adminTokens(c, sections["admin"]["tokens"])
	r.checkAdmin(c)
	r.checkListeners(c)
	r.checkTLS(c, sections)
	c.Alerts = r.alerts(top["alerts"])
	r.publicURL = c.Public.URL
	r.screenTop(c, sections)
	r.kept = c.Retention
	c.Forms = r.forms(top["forms"])
	c.Retention = r.kept
	r.checkOptIns(c, sections)
	c.Screens = r.screens(top["forms"], c)
	r.checkCanary(c)
	c.OAuth.Clients = r.clients(sections["oauth"]["clients"])
	c.OAuth.Users = r.users(sections["oauth"]["users"])
	c.Callbacks = r.callbacks(top["ens"], grantees{c.OAuth, !r.blamed("oauth")})
	r.checkCallbacks(c, sections["public"]["url"], top["encryption_key"])
	c.Sinks = r.sinks(top["sinks"])
	c.Tracing.Headers = r.headers(sections["tracing"]["headers"])
}

// blamed says that something in a section is wrong.
func (r *reader) blamed(section string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool {
		of, _, _ := strings.Cut(p.Path, ".")
		of, _, _ = strings.Cut(of, "[")
		return of == section
	})
}

// sections reads a section and those in it, by their paths. It is false when the value is
// no map.
func (r *reader) sections(path string, v value, known map[string][]string, into map[string]map[string]value) bool {
	keys, ok := r.mapping(v, known[path]...)
	into[path] = keys
	for _, key := range known[path] {
		if inner := strings.TrimPrefix(path+"."+key, "."); known[inner] != nil {
			r.sections(inner, keys[key], known, into)
		}
	}
	return ok
}

// knownKeys gives the keys of the sections that belong to the gateway as a whole, and of the
// root under "".
func knownKeys() map[string][]string {
	known := map[string][]string{}
	for _, s := range setting.Sections() {
		if !s.IsSingle() || slices.Contains(known[""], s.Path) {
			continue // it is read where it stands
		}
		known[s.Path] = s.Names()
		if s.Path != "" && !strings.Contains(s.Path, ".") {
			known[""] = append(known[""], s.Path)
		}
	}
	return known
}
