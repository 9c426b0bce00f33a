package health

import (
	"crypto/x509"
	"time"
)

// Certificate is how it stands with a certificate that one of our listeners shows.
type Certificate struct {
	Listener  string    `json:"listener"`            // public or admin
	Hosts     []string  `json:"hosts"`               // that it is for
	State     string    `json:"state"`               // ok, expiring, failed: it has expired, or there is none, or unknown: an authority is being asked for it
	Urgent    bool      `json:"urgent,omitempty"`    // it expires within days
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: there is none
	Reason    string    `json:"reason,omitempty"`    // why there is none, or no newer one
	Hint      string    `json:"hint,omitempty"`      // what to do about that
}

const (
	stateExpiring = "expiring"
	// CertificateAsked is the state of one that an authority is being asked for.
	CertificateAsked = stateUnknown
)

// How long before its end a certificate is told of. Of one that lives for less than
// eight weeks it is the last quarter, and the last sixteenth, since those are renewed late.
const (
	soon, soonPart     = 14 * 24 * time.Hour, 4
	urgent, urgentPart = 3 * 24 * time.Hour, 16
)

// NewCertificate is how it stands with a certificate at a time; nil: there is none.
func NewCertificate(listener string, leaf *x509.Certificate, now time.Time) Certificate {
	c := Certificate{Listener: listener, State: stateFailed}
	if leaf == nil {
		return c
	}
	c.Hosts, c.ExpiresAt = hostsOf(leaf), leaf.NotAfter
	life, left := leaf.NotAfter.Sub(leaf.NotBefore), leaf.NotAfter.Sub(now)
	c.Urgent = left < min(urgent, life/urgentPart)
	switch {
	case now.Before(leaf.NotBefore):
		c.Reason = "it is not valid before " + leaf.NotBefore.UTC().Format(time.RFC3339)
	case left <= 0:
	case left < min(soon, life/soonPart):
		c.State = stateExpiring
	default:
		c.State = stateOK
	}
	return c
}

// hostsOf are the names and addresses that a certificate is for.
func hostsOf(leaf *x509.Certificate) []string {
	hosts := append([]string{}, leaf.DNSNames...)
	for _, address := range leaf.IPAddresses {
		hosts = append(hosts, address.String())
	}
	return hosts
}

// Expiring says that its end is near.
func (c *Certificate) Expiring() bool { return c.State == stateExpiring }

// Failed says that nobody can connect.
func (c *Certificate) Failed() bool { return c.State == stateFailed }
