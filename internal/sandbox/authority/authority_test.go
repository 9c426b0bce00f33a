package authority_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/authority"
)

const tenant = "mc0123456789abcdefghijklmnop"

// A program that trusts the authority, and nothing else, is served under the vendor's
// host names and this machine's, whatever tenant it names.
func TestNames(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir(), nil)
	got, want := map[string]bool{}, map[string]bool{
		tenant + ".auth.marketingcloudapis.com": true,
		tenant + ".rest.marketingcloudapis.com": true,
		tenant + ".soap.marketingcloudapis.com": true,
		"MC-other.auth.marketingcloudapis.com":  true,
		"localhost":                             true,
		"127.0.0.1":                             true,
		"::1":                                   true,
		"marketingcloudapis.com":                false,
		"auth.marketingcloudapis.com":           false,
		"a.b.auth.marketingcloudapis.com":       false,
		tenant + ".auth.example.com":            false,
		"login.salesforce.com":                  false,
		"127.0.0.2":                             false,
		"192.0.2.1":                             false,
	}
	for name := range want {
		_, err := shake(t, a.TLS(), trusting(t, a, nil), name)
		got[name] = err == nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

// Whoever has the authority's key can't pose as others to those who trust it.
func TestForgedCertificate(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir(), nil)
	names := func(names ...string) x509.Certificate { return x509.Certificate{DNSNames: names} }
	for name, row := range map[string]struct {
		leaf x509.Certificate
		host string
		ok   bool
	}{
		"the vendor's":                       {names(tenant + ".rest.marketingcloudapis.com"), tenant + ".rest.marketingcloudapis.com", true},
		"another domain":                     {names("www.example.com"), "www.example.com", false},
		"another domain beside the vendor's": {names("www.example.com", tenant+".rest.marketingcloudapis.com"), tenant + ".rest.marketingcloudapis.com", false},
		"any name":                           {names("*.com"), "example.com", false},
		"a name that ends alike":             {names("www.notmarketingcloudapis.com"), "www.notmarketingcloudapis.com", false},
		"below localhost":                    {names("www.localhost"), "www.localhost", true}, // which leads to this machine
		"another address":                    {x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, "192.0.2.1", false},
		"a loopback address":                 {x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 1, 2, 3)}}, "127.1.2.3", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := shake(t, &tls.Config{Certificates: []tls.Certificate{sign(t, a, row.leaf)}}, trusting(t, a, nil), row.host)
			if (err == nil) != row.ok {
				t.Errorf("got %v, served: want %v", err, row.ok)
			}
			invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
			if !row.ok && (!ok || invalid.Reason != x509.CANotAuthorizedForThisName) {
				t.Errorf("refused for %v", err)
			}
		})
	}
}

// Java does not look at the limits of what it trusts, only at those of the authorities
// below: the one whose key is kept is such a one, and the key of the root is nowhere.
func TestIssuer(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir(), nil)
	pair, err := tls.LoadX509KeyPair(a.KeyFile(), a.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	issuer := pair.Leaf
	published, _ := pem.Decode([]byte(read(t, a.CertificateFile())))
	root, err := x509.ParseCertificate(published.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if issuer.CheckSignatureFrom(root) != nil || root.PublicKey.(*ecdsa.PublicKey).Equal(issuer.PublicKey) {
		t.Errorf("the issuer %s is not below the root %s", issuer.Subject, root.Subject)
	}
	for _, c := range []*x509.Certificate{root, issuer} {
		got := []any{c.PermittedDNSDomainsCritical, c.PermittedDNSDomains, fmt.Sprint(c.PermittedIPRanges), c.ExtKeyUsage}
		want := []any{true, []string{"marketingcloudapis.com", "localhost"}, "[127.0.0.0/8 ::1/128]", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limits of %s (-want +got):\n%s", c.Subject, diff)
		}
	}
	if root.MaxPathLen != 1 || issuer.MaxPathLen != 0 || !issuer.MaxPathLenZero {
		t.Errorf("path lengths %d and %d", root.MaxPathLen, issuer.MaxPathLen)
	}
}

// The authority stays the same, and so does what programs trust, while the certificates
// that it makes are replaced before they expire.
func TestRenewal(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	start := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	now := start
	clock := func() time.Time { return now }
	first := open(t, folder, clock)
	trust := trusting(t, first, clock)
	serials := map[string]bool{}
	days := 0
	for ; days < 10*365; days += 13 {
		now = start.AddDate(0, 0, days)
		leaf, err := shake(t, first.TLS(), trust, "localhost")
		if err != nil {
			t.Fatalf("after %d days: %v", days, err)
		}
		if left := leaf.NotAfter.Sub(now); left < 10*24*time.Hour {
			t.Errorf("after %d days it is valid for %v", days, left)
		}
		serials[leaf.SerialNumber.String()] = true
	}
	if len(serials) != days/26 && len(serials) != days/26+1 { // each lasts for 20 days, which are two looks
		t.Errorf("%d certificates in %d days", len(serials), days)
	}
	now = start.AddDate(5, 0, 0)
	if _, err := shake(t, open(t, folder, clock).TLS(), trust, "localhost"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// Its files are those of one authority, however many processes start at once, and only
// their owner can read the key.
func TestFiles(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new", "folder")
	var all sync.WaitGroup
	opened := make([]*authority.Authority, 8)
	for i := range opened {
		all.Go(func() { opened[i], _ = authority.Open(folder, nil) })
	}
	all.Wait()
	again := open(t, folder, nil)
	for i, a := range opened {
		if a == nil {
			t.Fatalf("process %d did not open it", i)
		}
		if _, err := shake(t, a.TLS(), trusting(t, again, nil), "localhost"); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
	}
	got := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = info.Mode().String()
	}
	if diff := cmp.Diff(map[string]string{"ca-key.pem": "-rw-------", "ca.pem": "-rw-r--r--"}, got); diff != "" && runtime.GOOS != "windows" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := read(t, again.CertificateFile()); strings.Contains(text, "PRIVATE") {
		t.Error("the certificate's file holds a private key")
	}
}

// What is not as it was made is an error that says what to do, and stays as it is.
func TestWrongFolder(t *testing.T) {
	t.Parallel()
	const restore = "; restore it, or remove ca-key.pem and ca.pem, start again and have programs trust the new certificate"
	for name, row := range map[string]struct {
		harm func(t *testing.T, folder string)
		want string
	}{
		"no key": {
			func(t *testing.T, folder string) { remove(t, folder, "ca-key.pem") },
			"DIR/ca.pem is there, but not its key ca-key.pem: put the key back, or remove the certificate, start again and have programs trust the new one",
		},
		"an empty key": {
			func(t *testing.T, folder string) { write(t, folder, "ca-key.pem", "") },
			"DIR/ca-key.pem was left unchanged: it is damaged, or does not hold a certificate and its key" + restore,
		},
		"half a key": {
			func(t *testing.T, folder string) {
				text := read(t, filepath.Join(folder, "ca-key.pem"))
				write(t, folder, "ca-key.pem", text[:len(text)-100])
			},
			"DIR/ca-key.pem was left unchanged: it is damaged, or does not hold a certificate and its key" + restore,
		},
		"the key of another": {
			func(t *testing.T, folder string) {
				other := read(t, open(t, t.TempDir(), nil).KeyFile())
				_, key, _ := strings.Cut(other, "-----BEGIN PRIVATE KEY-----")
				certificate := read(t, filepath.Join(folder, "ca.pem"))
				write(t, folder, "ca-key.pem", certificate+"-----BEGIN PRIVATE KEY-----"+key)
			},
			"DIR/ca-key.pem was left unchanged: it is damaged, or does not hold a certificate and its key" + restore,
		},
		"another authority": {
			func(t *testing.T, folder string) {
				write(t, folder, "ca-key.pem", read(t, open(t, t.TempDir(), nil).KeyFile()))
			},
			"DIR/ca.pem does not hold the certificate of ca-key.pem: remove it, and the next start writes it again",
		},
		"an authority without limits": {
			func(t *testing.T, folder string) { write(t, folder, "ca-key.pem", unlimited(t)) },
			"DIR/ca-key.pem was left unchanged: it is not an authority that Onramp has made" + restore,
		},
		"damaged certificate": {
			func(t *testing.T, folder string) { write(t, folder, "ca.pem", "x") },
			"DIR/ca.pem does not hold the certificate of ca-key.pem: remove it, and the next start writes it again",
		},
		"expired": {
			func(t *testing.T, folder string) {
				remove(t, folder, "ca-key.pem")
				remove(t, folder, "ca.pem")
				open(t, folder, func() time.Time { return time.Date(2006, 1, 5, 0, 0, 0, 0, time.UTC) })
			},
			"DIR/ca-key.pem was left unchanged: it expired on 2016-01-03" + restore,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			open(t, folder, nil)
			row.harm(t, folder)
			before := contents(t, folder)
			_, err := authority.Open(folder, nil)
			got := "no error"
			if err != nil {
				got = strings.ReplaceAll(filepath.ToSlash(err.Error()), filepath.ToSlash(folder), "DIR")
			}
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
			if diff := cmp.Diff(before, contents(t, folder)); diff != "" {
				t.Errorf("the folder was changed (-before +after):\n%s", diff)
			}
		})
	}
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		write(t, filepath.Dir(file), "file", "")
		if _, err := authority.Open(file, nil); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v", err)
		}
	})
}

// What is only missing is written again, and others may stand in the same file.
func TestCertificateFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	written := read(t, open(t, folder, nil).CertificateFile())
	remove(t, folder, "ca.pem")
	if got := read(t, open(t, folder, nil).CertificateFile()); got != written {
		t.Errorf("got %s, want %s", got, written)
	}
	bundle := read(t, open(t, t.TempDir(), nil).CertificateFile()) + written
	write(t, folder, "ca.pem", bundle)
	if got := read(t, open(t, folder, nil).CertificateFile()); got != bundle {
		t.Errorf("got %s, want %s", got, bundle)
	}
}

// open opens an authority, which must work.
func open(t *testing.T, folder string, now func() time.Time) *authority.Authority {
	t.Helper()
	a, err := authority.Open(folder, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// trusting is a client that trusts what stands in the authority's file, and nothing else.
func trusting(t *testing.T, a *authority.Authority, now func() time.Time) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, a.CertificateFile()))) {
		t.Fatal("there is no certificate in the authority's file")
	}
	return &tls.Config{RootCAs: pool, Time: now}
}

// shake connects a client to a server under a name, and returns the certificate.
func shake(t *testing.T, server, client *tls.Config, name string) (*x509.Certificate, error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			_ = c.(*tls.Conn).HandshakeContext(t.Context()) // the client tells what is wrong
			_ = c.Close()
		}
	}()
	client = client.Clone()
	client.ServerName = name
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	_ = l.Close()
	<-done
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// sign makes a certificate with the authority's own key.
func sign(t *testing.T, a *authority.Authority, leaf x509.Certificate) tls.Certificate {
	t.Helper()
	parent, err := tls.LoadX509KeyPair(a.KeyFile(), a.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	leaf.NotBefore, leaf.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &leaf, parent.Leaf, key.Public(), parent.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, parent.Certificate[0]}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// unlimited is an authority, as in a file, that can vouch for any name.
func unlimited(t *testing.T) string {
	t.Helper()
	key := newKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "of a company"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der) + block("PRIVATE KEY", private)
}
