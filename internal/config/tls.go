package config

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"onramp/internal/certificate/pemfile"
	"onramp/internal/listen"
)

// TLS is the certificate that a listener shows; the zero value: none.
type TLS struct {
	Cert string // cert: a PEM file with the certificate and its chain
	Key  string // key: a PEM file with its private key
}

// ACME is a certificate authority that gives certificates by itself (RFC 8555).
type ACME struct {
	Hosts       []string // hosts: in lower case and ASCII; the host of public.url
	Email       string   // email: where the authority writes to; "": nowhere
	Directory   string   // directory: the authority's URL; that of Let's Encrypt
	HTTPListen  string   // http_listen: host:port, port 80 to the world, for the challenge http-01 and for redirects to https; "": not at all
	AcceptTerms bool     // accept_terms: the authority's; required
}

// Used says that certificates come from an authority.
func (a *ACME) Used() bool { return len(a.Hosts) > 0 }

// Secure says that the listener speaks https.
func (p *Public) Secure() bool { return p.TLS.Cert != "" || p.ACME.Used() }

func tlsSettings() []single {
	return []single{
		{"public.tls.cert", func(c *Config, s scalar) error { return setText(&c.Public.TLS.Cert, s) }},
		{"public.tls.key", func(c *Config, s scalar) error { return setText(&c.Public.TLS.Key, s) }},
		{"public.tls.acme.email", setACMEEmail},
		{"public.tls.acme.directory", func(c *Config, s scalar) error { return setURL(&c.Public.ACME.Directory, s) }},
		{"public.tls.acme.http_listen", func(c *Config, s scalar) error { return setListen(&c.Public.ACME.HTTPListen, s) }},
		{"public.tls.acme.accept_terms", setAcceptTerms},
		{"admin.tls.cert", func(c *Config, s scalar) error { return setText(&c.Admin.TLS.Cert, s) }},
		{"admin.tls.key", func(c *Config, s scalar) error { return setText(&c.Admin.TLS.Key, s) }},
	}
}

func setACMEEmail(c *Config, s scalar) error {
	if at := strings.LastIndex(s.text, "@"); at < 1 || at == len(s.text)-1 || strings.ContainsAny(s.text, " <>,") {
		return errors.New("must be an email address, such as admin@example.com")
	}
	return setText(&c.Public.ACME.Email, s)
}

func setAcceptTerms(c *Config, s scalar) error {
	if s.text != "true" {
		return errors.New(acceptTerms)
	}
	c.Public.ACME.AcceptTerms = true
	return nil
}

const acceptTerms = "must be true: read the terms of the certificate authority and accept them (those of Let's Encrypt are at https://letsencrypt.org/repository/)"

// checkTLS checks what no single setting shows. It reads the files, if all of the
// configuration must be right.
func (r *reader) checkTLS(c *Config, sections map[string]map[string]value) {
	public, acme := sections["public"]["tls"], sections["public.tls"]["acme"]
	r.checkPair(&c.Public.TLS, public)
	r.checkPair(&c.Admin.TLS, sections["admin"]["tls"])
	hasFiles := r.isGiven("public.tls.cert") || r.isGiven("public.tls.key")
	wantsACME := acme.isSet() || slices.ContainsFunc(tlsSettings(), func(s single) bool { return strings.HasPrefix(s.path, acme.path+".") && r.isGiven(s.path) })
	switch {
	case wantsACME && hasFiles:
		r.report(acme.position, "can't be set together with cert and key: remove one of the two")
	case wantsACME:
		r.checkACME(c, acme.position, sections["public.tls.acme"])
	case public.isSet() && !hasFiles && !r.reported(public.position):
		r.report(public.position, "is empty: set cert and key, or acme, or remove it")
	}
	if at, given := r.given["public.url"]; given && c.Public.Secure() && strings.HasPrefix(c.Public.URL, "http://") {
		r.report(at, "must begin with https://, since public.tls is set")
	}
}

func (r *reader) isGiven(path string) bool {
	_, given := r.given[path]
	return given
}

// checkPair checks the files of a certificate and of its key.
func (r *reader) checkPair(t *TLS, section value) {
	cert, certGiven := r.given[section.key("cert").path]
	key, keyGiven := r.given[section.key("key").path]
	switch {
	case certGiven && !keyGiven:
		r.report(section.key("key"), "is missing: name the file with the private key of tls.cert")
	case keyGiven && !certGiven:
		r.report(section.key("cert"), "is missing: name the file with the certificate and its chain")
	case section.isSet() && !certGiven && section.path == "admin.tls" && !r.reported(section.position):
		r.report(section.position, "is empty: set cert and key, or remove it")
	case t.Cert == "" || t.Key == "" || !r.readsFiles:
	default:
		_, certErr, keyErr := pemfile.Read(t.Cert, t.Key).Parse()
		if certErr != nil {
			r.report(cert, "%v", certErr)
		}
		if keyErr != nil {
			r.report(key, "%v", keyErr)
		}
	}
}

// checkACME checks what a certificate authority needs.
func (r *reader) checkACME(c *Config, at position, keys map[string]value) {
	a := &c.Public.ACME
	if !a.AcceptTerms && !r.isGiven("public.tls.acme.accept_terms") {
		r.report(at.key("accept_terms"), "is missing, and %s", acceptTerms)
	}
	u, _ := url.Parse(c.Public.URL)
	switch own, err := hostOf(u); {
	case keys["hosts"].isSet():
		a.Hosts = r.acmeHosts(keys["hosts"])
		if len(a.Hosts) > 0 && own != "" && !slices.Contains(a.Hosts, own) {
			r.report(keys["hosts"].position, "must have %s, the host of public.url", own)
		}
	case own == "":
		r.report(at.key("hosts"), "is missing: set it, or public.url, to the host that the certificate is for")
	case err != nil:
		r.report(r.given["public.url"], "%v", err)
	default:
		a.Hosts = []string{own}
	}
	for _, other := range []string{"public.listen", "admin.listen"} {
		address := map[string]string{"public.listen": c.Public.Listen, "admin.listen": c.Admin.Listen}[other]
		if a.HTTPListen != "" && listen.Overlap(a.HTTPListen, address) {
			r.report(r.given["public.tls.acme.http_listen"], "can't listen where %s does (%s): set another port", other, address)
		}
	}
	if isPostgres(c.Database) && !r.isGiven("encryption_key") {
		r.report(at, "needs encryption_key: with PostgreSQL, all processes share the certificates, which are stored encrypted; onramp keys new encryption creates one")
	}
}

// hostOf gives the host of a URL, in ASCII, and why it can have no certificate; "": there
// is none.
func hostOf(u *url.URL) (string, error) {
	if u == nil || u.Hostname() == "" {
		return "", nil
	}
	return acmeHost(u.Hostname())
}

func (r *reader) acmeHosts(v value) []string {
	var hosts []string
	for _, s := range r.texts(v) {
		host, err := acmeHost(s.text)
		switch {
		case err != nil:
			r.report(s.position, "%s %v", s.quoted(), err)
		case slices.Contains(hosts, host):
			r.report(s.position, "is listed twice: remove one")
		default:
			hosts = append(hosts, host)
		}
	}
	if items, ok := r.list(v); ok && len(items) == 0 {
		r.report(v.position, "is empty: list a host, or remove it")
	}
	return hosts
}

// acmeHost writes a host as certificates have it. The error says why an authority gives
// it none by a challenge over TLS or HTTP.
func acmeHost(name string) (string, error) {
	host, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
	_, notAddress := netip.ParseAddr(strings.Trim(name, "[]"))
	switch {
	case notAddress == nil:
		return host, errors.New("is an IP address: a certificate authority needs a host name, such as signup.example.com")
	case strings.HasPrefix(name, "*."):
		return host, errors.New("has a wildcard: list each host, or use a certificate from files")
	case err != nil || strings.ContainsAny(name, "/:"):
		return host, errors.New("must be a host name, such as signup.example.com")
	case !strings.Contains(host, "."), strings.HasSuffix(host, ".localhost"), strings.HasSuffix(host, ".local"), strings.HasSuffix(host, ".internal"):
		return host, errors.New("is not a public host name: no certificate authority of the internet can reach it; use a certificate from files")
	}
	return strings.ToLower(host), nil
}
