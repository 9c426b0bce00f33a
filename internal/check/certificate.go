package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"onramp/internal/health"
)

// Shown is a certificate that a listener is to show.
type Shown struct {
	Setting string            // that says so
	Leaf    *x509.Certificate // nil: an authority is asked for it
	Hosts   []string          // that it must be for
}

// certificates checks what the listeners are to show, and what a running gateway says of it.
func (c *Checks) certificates(context.Context) []Finding {
	var found []Finding
	for _, s := range c.cfg.Certificates {
		if s.Leaf != nil {
			found = append(found, s.check(time.Now()))
		}
	}
	asked := slices.ContainsFunc(c.cfg.Certificates, func(s Shown) bool { return s.Leaf == nil })
	switch {
	case c.running != nil:
		found = append(found, shown(c.running.Certificates, asked)...)
	case asked:
		found = append(found, ok("public.tls.acme", "the gateway gets the certificate while it runs; none is running here"))
	}
	return found
}

// check looks at a certificate from a file.
func (s *Shown) check(now time.Time) Finding {
	is := health.NewCertificate("", s.Leaf, now)
	for _, host := range s.Hosts {
		if s.Leaf.VerifyHostname(host) != nil {
			return failure(s.Setting, "the certificate is for "+strings.Join(is.Hosts, ", ")+", not for "+host).mend(Operator, "use a certificate for this host name")
		}
	}
	until := s.Leaf.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case is.Failed():
		return failure(s.Setting, "the certificate has expired, or is not valid yet: it is valid from "+s.Leaf.NotBefore.UTC().Format(time.DateOnly)+" to "+until).mend(Operator, "renew the certificate")
	case is.Expiring():
		return warning(s.Setting, fmt.Sprintf("the certificate expires in %d days, on %s", int(s.Leaf.NotAfter.Sub(now).Hours()/24), until)).mend(Operator, "renew the certificate")
	}
	return ok(s.Setting, "the certificate is valid until "+until)
}

// shown is what a running gateway says of its certificates, as far as the files don't
// tell; asked says that there are others than from files.
func shown(all []health.Certificate, asked bool) []Finding {
	var found []Finding
	for _, is := range all {
		object := is.Listener + " " + strings.Join(is.Hosts, ", ")
		_, what := turn(is.Hint)
		switch {
		case is.Reason != "" && is.Failed():
			found = append(found, failure(object, "the running gateway has no certificate: "+oneLine(is.Reason)).mend(Operator, what))
		case is.Reason != "":
			found = append(found, warning(object, "the running gateway has no newer certificate: "+oneLine(is.Reason)).mend(Operator, what))
		case asked && is.Listener == "public":
			found = append(found, ok(object, "the running gateway has a certificate until "+is.ExpiresAt.UTC().Format(time.DateOnly)))
		}
	}
	return found
}
