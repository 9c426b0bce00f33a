package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/certificate/pemfile"
	"onramp/internal/config"
	"onramp/internal/listen"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// adminClient calls the admin API of a gateway that is running.
type adminClient struct {
	base  string
	token onramp.Secret
	http  *http.Client
}

// adminAddress is the value of --admin.
type adminAddress string

func (a *adminAddress) String() string { return string(*a) }

// Type is what help calls the value.
func (a *adminAddress) Type() string { return "url" }

// Set takes the URL of a listener: without a path.
func (a *adminAddress) Set(s string) error {
	s = strings.TrimSuffix(s, "/")
	if u, ok := onramp.ParseWebURL(s); !ok || s != u.Scheme+"://"+u.Host {
		return errors.New("must be a URL without a path, such as http://127.0.0.1:8081")
	}
	*a = adminAddress(s)
	return nil
}

// adminFlag lets commands, and those under them, ask a gateway elsewhere.
func (c *command) adminFlag(commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.PersistentFlags().Var(&c.adminURL, "admin", "address of the running gateway's admin API (default: admin.listen of the configuration)")
	}
}

// admin finds the running gateway by --admin or the configuration; without a file,
// by the default address, which is the demo's. The token is the configuration's.
func (c *command) admin() (*adminClient, error) {
	named := c.configFile != "" || c.getenv(configEnv) != ""
	cfg, err := config.LoadAdmin(c.configPath(), !named, c.Environ)
	if err != nil {
		return nil, c.missing(err)
	}
	client := &adminClient{string(c.adminURL), cfg.Token, &http.Client{Timeout: time.Minute}}
	if client.base == "" {
		client.base = listen.URL(cfg.Listen)
	}
	if cfg.TLS.Cert == "" {
		return client, nil
	}
	return client, client.trust(cfg.TLS.Cert, c.adminURL == "")
}

// trust has it speak https and take the listener's own certificate, whoever has signed
// it. On this machine it is for another name than the address.
func (a *adminClient) trust(file string, here bool) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("admin.tls.cert: %w", err)
	}
	chain, err := pemfile.Chain(data)
	if err != nil {
		return fmt.Errorf("admin.tls.cert: %s: %w", file, err)
	}
	trusted, err := x509.SystemCertPool()
	if err != nil {
		trusted = x509.NewCertPool()
	}
	for _, c := range chain {
		trusted.AddCert(c)
	}
	cfg := &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	if here {
		a.base = "https" + strings.TrimPrefix(a.base, "http")
		cfg.ServerName = anyName(chain[0])
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = cfg
	a.http.Transport = transport
	return nil
}

// anyName is one of the names that a certificate is for.
func anyName(c *x509.Certificate) string {
	for _, name := range c.DNSNames {
		return strings.Replace(name, "*", "onramp", 1)
	}
	for _, address := range c.IPAddresses {
		return address.String()
	}
	return ""
}

func (a *adminClient) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return a.call(ctx, http.MethodGet, path, nil, into)
}

// call sends a body as JSON, unless it is nil, and reads the answer.
func (a *adminClient) call(ctx context.Context, method, path string, send, into any) error {
	client := web.Client{Base: a.base, Token: a.token, HTTP: a.http}
	err := client.Call(ctx, method, path, send, into)
	if _, unreached := errors.AsType[*url.Error](err); unreached {
		return fmt.Errorf("no gateway answers at %s (is onramp serve or demo running?): %w", a.base, err)
	}
	return err
}
