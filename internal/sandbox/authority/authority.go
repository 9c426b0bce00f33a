// Package authority is a certificate authority of one machine, by which programs under
// test trust the sandbox under Marketing Cloud's own host names. It can vouch for
// nothing else: its certificate names the few names and addresses that it is for, and
// whoever verifies a certificate refuses any other.
//
// Java does not look at such limits of what it trusts, only at those of the authorities
// below. So programs trust a root, which has signed the certificate of one authority
// below it, with the same limits, and nothing more: its key is never kept.
//
// Begin with Open, serve with TLS, and tell people what Guide says.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"onramp/internal/durable"
)

const (
	domain     = "marketingcloudapis.com"
	keyName    = "ca-key.pem" // of the authority below the root; holds both certificates, too, so that they can't be parted
	publicName = "ca.pem"     // the root's certificate
	life       = 10 * 365 * 24 * time.Hour
	// early is how long a certificate was valid before it was made: clocks differ.
	early = 24 * time.Hour
)

// Hosts are the names that the certificates are for, beside loopback addresses; a * at
// the beginning stands for any one label.
func Hosts() []string {
	return []string{"*.auth." + domain, "*.rest." + domain, "*.soap." + domain, "localhost"}
}

// DefaultFolder is where a user's authority is kept, so that all of their projects share
// it: in the folder for settings that the system gives them. The error is the system's.
func DefaultFolder() (string, error) {
	settings, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(settings, "onramp", "sandbox-tls"), nil
}

// permittedDomains and permittedAddresses are all that the authority can vouch for.
func permittedDomains() []string { return []string{domain, "localhost"} }

func permittedAddresses() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
}

// Authority is a certificate authority that is kept in a folder. It is safe for
// concurrent use.
type Authority struct {
	folder string
	root   []byte            // what programs trust
	issuer *x509.Certificate // below the root
	key    crypto.PrivateKey // the issuer's
	now    func() time.Time

	mu   sync.Mutex
	leaf *tls.Certificate // what the sandbox shows; nil: none was asked for yet
}

// Open opens the authority in a folder, and makes both when there are none. Processes
// that do so at once end with the same one, which is valid for ten years. now is the
// time; nil means time.Now. What is damaged, incomplete or expired is an error that says
// what to do, and stays as it is.
func Open(folder string, now func() time.Time) (*Authority, error) {
	folder, err := filepath.Abs(folder) // it is shown to people, for programs that run elsewhere
	if err != nil {
		return nil, err
	}
	a := &Authority{folder: folder, now: now}
	if a.now == nil {
		a.now = time.Now
	}
	// Looked for before the key, which others write first.
	published := exists(a.CertificateFile())
	text, err := os.ReadFile(a.KeyFile())
	if errors.Is(err, fs.ErrNotExist) {
		if published {
			return nil, fmt.Errorf("%s is there, but not its key %s: put the key back, or remove the certificate, start again and have programs trust the new one",
				a.CertificateFile(), keyName)
		}
		text, err = a.create()
	}
	if err != nil {
		return nil, fmt.Errorf("the sandbox's certificate authority: %w", err)
	}
	if err := a.read(text); err != nil {
		return nil, fmt.Errorf("%s was left unchanged: %w; restore it, or remove %s and %s, start again and have programs trust the new certificate",
			a.KeyFile(), err, keyName, publicName)
	}
	return a, a.publish()
}

// CertificateFile is the file that programs are to trust.
func (a *Authority) CertificateFile() string { return filepath.Join(a.folder, publicName) }

// KeyFile is the file with the authority's private key and certificates. Only its owner may read it.
func (a *Authority) KeyFile() string { return filepath.Join(a.folder, keyName) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// create makes a new authority, unless another process does so first, and returns what
// is in its file then.
func (a *Authority) create() ([]byte, error) {
	text, err := a.generate()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(a.folder, 0o700); err != nil {
		return nil, err
	}
	if err := durable.CreateFile(a.KeyFile(), text, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(a.KeyFile())
}

// generate makes the content of the authority's file. The root's key ends with it.
func (a *Authority) generate() ([]byte, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	name := "Onramp sandbox " + rand.Text()[:8] // two of them in one trust store must not bear the same name
	template := a.limited(name)
	template.MaxPathLen = 1
	root, err := x509.CreateCertificate(rand.Reader, template, template, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	below := a.limited(name + " issuer")
	below.MaxPathLenZero = true
	issuer, err := x509.CreateCertificate(rand.Reader, below, template, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(certificateText(issuer), certificateText(root), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), nil
}

// limited is an authority's certificate that is yet to be signed.
func (a *Authority) limited(name string) *x509.Certificate {
	now := a.now()
	return &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Onramp"}, CommonName: name},
		NotBefore: now.Add(-early), NotAfter: now.Add(life),
		BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: permittedDomains(), PermittedIPRanges: permittedAddresses(),
	}
}

func certificateText(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// read takes the authority from the content of its file.
func (a *Authority) read(text []byte) error {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return errors.New("it is damaged, or does not hold a certificate and its key")
	}
	if !isLimited(pair.Leaf) || len(pair.Certificate) != 2 { // which people are told
		return errNotOurs
	}
	root, err := x509.ParseCertificate(pair.Certificate[1])
	if err != nil || pair.Leaf.CheckSignatureFrom(root) != nil {
		return errNotOurs
	}
	if end := pair.Leaf.NotAfter; a.now().After(end) {
		return fmt.Errorf("it expired on %s", end.UTC().Format(time.DateOnly))
	}
	a.root, a.issuer, a.key = root.Raw, pair.Leaf, pair.PrivateKey
	return nil
}

var errNotOurs = errors.New("it is not an authority that Onramp has made")

// isLimited says whether a certificate is an authority's that can vouch only for what
// it is for.
func isLimited(c *x509.Certificate) bool {
	same := func(a, b *net.IPNet) bool { return a.String() == b.String() }
	return c.IsCA && c.PermittedDNSDomainsCritical &&
		slices.Equal(c.PermittedDNSDomains, permittedDomains()) && slices.EqualFunc(c.PermittedIPRanges, permittedAddresses(), same)
}

// publish writes the certificate to a file of its own, unless it is there. Others may
// stand beside it, for programs that trust nothing but that file.
func (a *Authority) publish() error {
	text, err := os.ReadFile(a.CertificateFile())
	if errors.Is(err, fs.ErrNotExist) {
		err = durable.CreateFile(a.CertificateFile(), certificateText(a.root), 0o644)
		if err == nil || errors.Is(err, fs.ErrExist) { // another process has written the same
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("the sandbox's certificate authority: %w", err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if bytes.Equal(block.Bytes, a.root) {
			return nil
		}
	}
	return fmt.Errorf("%s does not hold the certificate of %s: remove it, and the next start writes it again", a.CertificateFile(), keyName)
}
