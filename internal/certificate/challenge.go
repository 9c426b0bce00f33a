package certificate

import (
	"net"
	"net/http"
	"strings"

	"onramp/internal/onramp"
)

// ChallengePath is where the authority asks for a proof, on port 80 (RFC 8555, 8.3).
const ChallengePath = "/.well-known/acme-challenge/"

// ServeChallenge answers the authority. Its error is that there is nothing at the address.
func (a *ACME) ServeChallenge(w http.ResponseWriter, r *http.Request) error {
	host := Hostname(r.Host)
	if !a.Has(host) {
		return notFound()
	}
	asked := r.Clone(r.Context())
	asked.Host = host
	proof := &proof{header: http.Header{}}
	a.manager.HTTPHandler(nil).ServeHTTP(proof, asked)
	if proof.refused {
		return notFound() // the manager's own answer shows internals
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write(proof.body) // an authority that has gone away asks again
	return nil
}

func notFound() error {
	return &onramp.Error{Kind: onramp.NotFound, Message: "there is nothing at this address"}
}

// Has says whether a host has a certificate here, or is to have one.
func (a *ACME) Has(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hosts[host] != nil
}

// Hostname is the host of a request, without its port and in lower case.
func Hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// proof takes what the manager answers.
type proof struct {
	header  http.Header
	body    []byte
	refused bool
}

// Header has what nobody reads.
func (p *proof) Header() http.Header { return p.header }

// WriteHeader notes a refusal.
func (p *proof) WriteHeader(status int) { p.refused = status >= 300 }

// Write keeps the answer.
func (p *proof) Write(b []byte) (int, error) {
	p.body = append(p.body, b...)
	return len(b), nil
}
