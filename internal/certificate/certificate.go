// Package certificate gives our listeners the certificates that they show: from files,
// which it loads again when they change, or from a certificate authority by ACME
// (RFC 8555), such as Let's Encrypt.
//
// Use [OpenFiles] or [NewACME], give Config to the listener, and Run it beside. What goes
// wrong later costs no connection: the certificate before stays in use, and Status and
// the log say why.
package certificate

import (
	"context"
	"crypto/tls"

	"onramp/internal/health"
)

// Source is where a listener's certificates come from.
type Source interface {
	// Config is for the listener.
	Config() *tls.Config
	// Run keeps the certificates fresh until ctx ends.
	Run(ctx context.Context)
	// Look loads what has changed, at once.
	Look()
	// Status returns at once.
	Status() []health.Certificate
}

// newConfig shows what get returns, to clients that speak TLS 1.2 at least.
func newConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
}
