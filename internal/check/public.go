package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"onramp/internal/onramp"
)

const (
	soonExpired = 14 * 24 * time.Hour // certificates are renewed a month ahead
	maxOwnPage  = 1 << 20
)

// publicURL checks the address under which visitors and Marketing Cloud reach the gateway,
// as far as that can be told from this machine.
func (c *Checks) publicURL(ctx context.Context) []Finding {
	address := c.cfg.PublicURL
	if address == "" {
		if len(c.cfg.Callbacks) > 0 {
			return []Finding{failure("", "public.url is not set: Marketing Cloud needs an address to call").mend(Operator, "set public.url to the https address of this gateway")}
		}
		return []Finding{ok("", "it is not set, and nothing needs it")}
	}
	u, err := url.Parse(address)
	if err != nil {
		return []Finding{failure("", "it is not a URL").mend(Operator, "correct public.url")}
	}
	if found := c.callable(u); found != nil {
		return found
	}
	host, err := resolve(ctx, address)
	if err != nil {
		return []Finding{failure(address, "its host name does not resolve: "+plain(err)).mend(Operator, "add "+host+" to the DNS")}
	}
	if u.Scheme == "https" {
		if found := certificate(ctx, address, u); found != nil {
			return found
		}
	}
	return []Finding{c.answersAsOurs(ctx, address)}
}

// callable checks what Marketing Cloud asks of a callback's address. A sandbox takes any.
func (c *Checks) callable(u *url.URL) []Finding {
	if len(c.cfg.Callbacks) == 0 || c.cfg.AuthURL != "" {
		return nil
	}
	private := func() bool {
		ip, err := netip.ParseAddr(u.Hostname())
		return err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()) || u.Hostname() == "localhost"
	}
	f := failure(u.String(), "")
	switch {
	case u.Scheme != "https":
		f.Message = "Marketing Cloud calls https addresses only"
	case u.Port() != "":
		f.Message = "Marketing Cloud calls port 443 only, and takes no address with a port"
	case private():
		f.Message = "Marketing Cloud can't reach an address of a private network"
	default:
		return nil
	}
	return []Finding{f.mend(Operator, "set public.url to an https address without a port that is reachable from the internet")}
}

// certificate checks that a connection can be made, and the certificate; nil: all is well.
func certificate(ctx context.Context, address string, u *url.URL) []Finding {
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); proxy != nil && err == nil {
		return nil // the request will tell
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	dialer := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return []Finding{unconnected(address, port, err)}
	}
	defer conn.Close()
	leaf := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	if left := time.Until(leaf.NotAfter); left < soonExpired {
		return []Finding{warning(address, fmt.Sprintf("its certificate expires in %d days", int(left.Hours()/24))).mend(Operator, "renew the certificate")}
	}
	return nil
}

func unconnected(address, port string, err error) Finding {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherHost := errors.AsType[x509.HostnameError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		return failure(address, "its certificate has expired, or is not valid yet").mend(Operator, "renew the certificate")
	case unknown:
		return failure(address, "its certificate is signed by an authority that is not known, or a certificate of the chain is missing").
			mend(Operator, "have the server send the whole chain, up to a public authority")
	case otherHost:
		return failure(address, "its certificate is for another host name").mend(Operator, "use a certificate for this host name")
	case isInvalid:
		return failure(address, "its certificate is not valid").mend(Operator, "use a certificate of a public authority")
	}
	return warning(address, fmt.Sprintf("no connection to port %s from this machine: %s", port, plain(err))).
		mend(Operator, "start what serves the address, and let port "+port+" through from the internet; from outside it may look different")
}

// answersAsOurs checks that the address leads to an Onramp.
func (c *Checks) answersAsOurs(ctx context.Context, address string) Finding {
	elsewhere := func(message string) Finding {
		f := warning(address, message+", as seen from this machine")
		if c.running == nil {
			return f.mend(Operator, "start onramp serve, then check again: none is running here")
		}
		return f.mend(Operator, "lead the address, with all of its paths, to the public listener of this gateway")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/openapi.json", nil)
	if err != nil {
		return failure(address, "it is not a URL").mend(Operator, "correct public.url")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return elsewhere("nothing answers: " + plain(err))
	}
	defer answer.Body.Close()
	var document struct {
		OpenAPI string                     `json:"openapi"`
		Paths   map[string]json.RawMessage `json:"paths"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxOwnPage)).Decode(&document)
	if answer.StatusCode != http.StatusOK || err != nil || document.OpenAPI == "" {
		return elsewhere(fmt.Sprintf("what answers is no Onramp: %d at /openapi.json", answer.StatusCode))
	}
	return ok(address, "it leads to an Onramp, as seen from this machine")
}

// sinks checks that the systems answer to which events go on.
func (c *Checks) sinks(ctx context.Context) []Finding {
	if c.cfg.ReachSink == nil {
		return nil
	}
	found := make([]Finding, len(c.cfg.Sinks))
	var made sync.WaitGroup
	for i := range c.cfg.Sinks {
		made.Go(func() { found[i] = c.sink(ctx, c.cfg.Sinks[i].Name) })
	}
	made.Wait()
	return found
}

// mailServer tries the mail server that takes confirmations.
func (c *Checks) mailServer(ctx context.Context) []Finding {
	if err := c.cfg.ReachMail(ctx); err != nil {
		return []Finding{failure("", oneLine(err.Error())).mend(Operator, "correct smtp.url, or see to the mail server; registrations wait to be confirmed until it takes the confirmations")}
	}
	return []Finding{ok("", "the mail server answers, and takes the user and password")}
}

func (c *Checks) sink(ctx context.Context, name string) Finding {
	o := c.cfg.ReachSink(ctx, name)
	if o.Verdict == onramp.Delivered {
		return ok(name, oneLine(o.Detail))
	}
	_, what := turn(o.Hint)
	if what == "" {
		what = "see to the system that the sink leads to; events wait until it answers"
	}
	return failure(name, oneLine(o.Detail)).mend(Operator, what)
}

// alerts sends a test alert to each receiver, if that is asked for. Their URLs were
// checked when the configuration was read.
func (c *Checks) alerts(ctx context.Context) []Finding {
	if c.cfg.Alerts == 0 {
		return []Finding{ok("", "nobody receives any: they are in the log only (see alerts in the configuration)")}
	}
	if c.cfg.SendTestAlert == nil {
		return []Finding{ok("", "the configuration has "+several(c.cfg.Alerts, "receiver")+"; --send-test-alert sends one")}
	}
	found := make([]Finding, c.cfg.Alerts)
	for i := range found {
		object := fmt.Sprintf("alerts[%d]", i)
		found[i] = ok(object, "the service has taken a test alert")
		if err := c.cfg.SendTestAlert(ctx, i); err != nil {
			found[i] = failure(object, "a test alert could not be sent: "+oneLine(err.Error())).mend(Operator, "correct the URL of this receiver")
		}
	}
	return found
}
