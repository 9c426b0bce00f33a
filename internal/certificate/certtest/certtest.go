// Package certtest issues certificates for tests, from an authority that only the test
// trusts. Only tests import it.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Day is what lives and ends of certificates are counted in.
const Day = 24 * time.Hour

// Authority signs certificates.
type Authority struct {
	t    *testing.T
	root *x509.Certificate
	key  crypto.Signer
}

// New makes an authority.
func New(t *testing.T) *Authority {
	t.Helper()
	a := &Authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-400 * Day), NotAfter: time.Now().Add(400 * Day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = NewKey(t)
	a.root = a.sign(template, template, a.key.Public())
	return a
}

// NewKey makes a private key.
func NewKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *Authority) sign(template, by *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, by, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// Pool trusts the authority and nobody else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// Sign gives the chain of a certificate for a key and hosts, in DER, that ends after left.
func (a *Authority) Sign(public crypto.PublicKey, left time.Duration, hosts ...string) [][]byte {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-100 * Day), NotAfter: time.Now().Add(left),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return [][]byte{a.sign(template, a.root, public).Raw, a.root.Raw}
}

// Pair is a certificate with its chain, and its key, in PEM.
type Pair struct{ Cert, Key []byte }

// Issue makes a key, and a certificate of it that ends after left.
func (a *Authority) Issue(left time.Duration, hosts ...string) Pair {
	a.t.Helper()
	key := NewKey(a.t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return Pair{ChainPEM(a.Sign(key.Public(), left, hosts...)), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

// ChainPEM writes a chain as files have it.
func ChainPEM(chain [][]byte) []byte {
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// Write puts a pair into cert.pem and key.pem of a folder, which it makes.
func (p Pair) Write(t *testing.T, folder string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{cert: p.Cert, key: p.Key} {
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
