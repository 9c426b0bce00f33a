// Package pemfile reads a TLS certificate and its key from PEM files, and says which of
// the two is wrong, and how. Use Read first. No error quotes what stands in a file.
package pemfile

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Pair is what stands in the file of a certificate and in that of its key.
type Pair struct {
	cert, key       []byte
	certErr, keyErr error // why a file can't be read
}

// Read reads the files. What can't be read shows when the pair is parsed.
func Read(cert, key string) (p Pair) {
	p.cert, p.certErr = read(cert)
	p.key, p.keyErr = read(key)
	return p
}

func read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%s can't be read: %w", path, e.Err)
	}
	return data, err
}

// Equal says that nothing has changed.
func (p Pair) Equal(other Pair) bool {
	return bytes.Equal(p.cert, other.cert) && bytes.Equal(p.key, other.key) &&
		text(p.certErr) == text(other.certErr) && text(p.keyErr) == text(other.keyErr)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Parse gives the certificate, with its chain and its Leaf, or what is wrong with each of
// the files. That a key does not belong to the certificate is the key's error.
func (p Pair) Parse() (parsed *tls.Certificate, certErr, keyErr error) {
	chain, certErr := Chain(p.cert)
	signer, keyErr := parseKey(p.key)
	if p.certErr != nil {
		certErr = p.certErr
	}
	if p.keyErr != nil {
		keyErr = p.keyErr
	}
	if certErr != nil || keyErr != nil {
		return nil, certErr, keyErr
	}
	own, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !own.Equal(chain[0].PublicKey) {
		return nil, nil, errors.New("the key does not belong to the certificate")
	}
	parsed = &tls.Certificate{PrivateKey: signer, Leaf: chain[0]}
	for _, c := range chain {
		parsed.Certificate = append(parsed.Certificate, c.Raw)
	}
	return parsed, nil, nil
}

// Chain reads certificates: first one's own, then those that vouch for it.
func Chain(data []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("it has a certificate that is damaged")
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("it has no certificate in PEM format (-----BEGIN CERTIFICATE-----)")
	}
	return chain, nil
}

// parseKey reads a key as openssl, certbot and others write it.
func parseKey(data []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return nil, errors.New("its key is encrypted with a passphrase: remove that, such as with openssl pkey -in FILE -out NEW")
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			return parseDER(block.Bytes)
		}
	}
	return nil, errors.New("it has no private key in PEM format (-----BEGIN PRIVATE KEY-----)")
}

func parseDER(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if signer, ok := key.(crypto.Signer); ok && err == nil {
		return signer, nil
	}
	return nil, errors.New("its private key is damaged, or of a kind that TLS can't use")
}
