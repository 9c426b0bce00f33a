// Package vault reads secrets from HashiCorp Vault, or OpenBao: from the key-value engine,
// version 2, by one GET for each path. Use New, then Read. It knows where Vault is by the
// standard variables, and keeps what it has read for as long as the client lives: one
// reading of a configuration.
package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"onramp/internal/egress"
	"onramp/internal/onramp"
)

// The variables that say where Vault is and how to log in. The first four are Vault's own.
const (
	variableAddress   = "VAULT_ADDR"
	variableToken     = "VAULT_TOKEN"
	variableNamespace = "VAULT_NAMESPACE"
	variableCAFile    = "VAULT_CACERT"
	variableTokenFile = "VAULT_TOKEN_FILE"
	variableRole      = "VAULT_KUBERNETES_ROLE"
	variableMount     = "VAULT_KUBERNETES_MOUNT"
	variableJWTFile   = "VAULT_KUBERNETES_TOKEN_FILE"

	defaultMount   = "kubernetes"
	defaultJWTFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
)

const (
	within     = 10 * time.Second // for one call
	mostAnswer = 1 << 20          // bytes; Vault takes no larger secret
	mostFile   = 64 << 10
)

// Client reads secrets. It is for one goroutine.
type Client struct {
	environ func(name string) string
	http    *http.Client
	base    *url.URL
	token   onramp.Secret

	setUp bool
	err   error                        // why nothing can be read; nil: it can
	read  map[string]map[string]string // by path
}

// New makes a client by the variables of an environment. It calls nobody.
func New(environ func(name string) string) *Client {
	return &Client{environ: environ, read: map[string]map[string]string{}}
}

// Read returns the value of a key at a path, such as secret/data/onramp. An error names
// path and key, and no value. Once Vault could not be reached or has refused the log-in,
// nothing more is asked.
func (c *Client) Read(ctx context.Context, path, key string) (onramp.Secret, error) {
	if !c.setUp {
		c.setUp, c.err = true, c.start(ctx)
	}
	if c.err != nil {
		return "", c.err
	}
	values, known := c.read[path]
	if !known {
		var err error
		if values, err = c.get(ctx, path); err != nil {
			return "", err
		}
		c.read[path] = values
	}
	value, ok := values[key]
	if !ok {
		return "", fmt.Errorf("the secret %s in Vault has no text %q", path, key)
	}
	return onramp.Secret(value), nil
}

// start finds Vault, and logs in where there is no token.
func (c *Client) start(ctx context.Context) (err error) {
	address := c.environ(variableAddress)
	if address == "" {
		return errors.New("the address of Vault is not known: set " + variableAddress)
	}
	c.base, err = url.Parse(strings.TrimRight(address, "/"))
	if err != nil || c.base.Host == "" || c.base.Scheme != "https" && c.base.Scheme != "http" || c.base.User != nil {
		return errors.New(variableAddress + " must be an http or https URL, such as https://vault.example.com:8200")
	}
	if c.http, err = newHTTP(c.environ(variableCAFile)); err != nil {
		return err
	}
	switch file, role := c.environ(variableTokenFile), c.environ(variableRole); {
	case c.environ(variableToken) != "":
		c.token = onramp.Secret(c.environ(variableToken))
	case file != "":
		c.token, err = readFile(variableTokenFile, file)
	case role != "":
		err = c.logIn(ctx, role)
	default:
		err = fmt.Errorf("there is no token for Vault: set %s, %s or %s", variableToken, variableTokenFile, variableRole)
	}
	return err
}

// newHTTP makes a client that goes only where it is sent, by no proxy.
func newHTTP(caFile string) (*http.Client, error) {
	guard := egress.New(egress.Policy{})
	network := &http.Transport{DialContext: guard.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	guard.Requests(network)
	if caFile != "" {
		pem, err := readFile(variableCAFile, caFile)
		if err != nil {
			return nil, err
		}
		network.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !network.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(pem.Reveal())) {
			return nil, errors.New("the file of " + variableCAFile + " has no certificate")
		}
	}
	return &http.Client{Transport: network, Timeout: within}, nil
}

// readFile reads the file that a variable names, without white space at its ends.
func readFile(variable, path string) (onramp.Secret, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("the file of %s can't be read: %w", variable, errors.Unwrap(err))
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, mostFile))
	if text := strings.TrimSpace(string(content)); err == nil && text != "" {
		return onramp.Secret(text), nil
	}
	return "", fmt.Errorf("the file of %s is empty or can't be read", variable)
}

// logIn gets a token for the service account of a pod in Kubernetes.
func (c *Client) logIn(ctx context.Context, role string) error {
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	jwt, err := readFile(variableJWTFile, or(c.environ(variableJWTFile), defaultJWTFile))
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"role": role, "jwt": jwt.Reveal()})
	if err != nil {
		return err
	}
	var answer struct {
		Auth struct {
			ClientToken onramp.Secret `json:"client_token"`
		} `json:"auth"`
	}
	mount := or(strings.Trim(c.environ(variableMount), "/"), defaultMount)
	if err := c.call(ctx, http.MethodPost, "auth/"+mount+"/login", body, &answer); err != nil {
		return fmt.Errorf("log in to Vault: %w", err)
	}
	if c.token = answer.Auth.ClientToken; c.token == "" {
		return errors.New("log in to Vault: the answer has no token")
	}
	return nil
}

// get reads a secret of the key-value engine, version 2.
func (c *Client) get(ctx context.Context, path string) (map[string]string, error) {
	var answer struct {
		Data struct {
			Data map[string]any `json:"data"`
		} `json:"data"`
	}
	if err := c.call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return nil, fmt.Errorf("read %s in Vault: %w", path, err)
	}
	if answer.Data.Data == nil {
		return nil, fmt.Errorf("read %s in Vault: there is no secret of the key-value engine, version 2; its path has data/ behind the mount, such as secret/data/onramp", path)
	}
	texts := map[string]string{}
	for key, value := range answer.Data.Data {
		if text, ok := value.(string); ok {
			texts[key] = text
		}
	}
	return texts, nil
}

// call makes one call. What Vault says of an error is not repeated: it may quote what was sent.
func (c *Client) call(ctx context.Context, method, path string, body []byte, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath("v1", path).String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("this is no path")
	}
	r.Header.Set("X-Vault-Request", "true")
	if namespace := c.environ(variableNamespace); namespace != "" {
		r.Header.Set("X-Vault-Namespace", namespace)
	}
	if c.token != "" {
		r.Header.Set("X-Vault-Token", c.token.Reveal())
	}
	response, err := c.http.Do(r)
	if err != nil {
		c.err = fmt.Errorf("no connection to Vault at %s: %w", c.base.Host, cause(err))
		return c.err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	switch status := response.StatusCode; {
	case status == http.StatusForbidden:
		return errors.New("403: the token is not valid, or its policy doesn't allow it")
	case status == http.StatusNotFound:
		return errors.New("404: there is no such secret, or it was deleted")
	case status == http.StatusServiceUnavailable:
		return errors.New("503: Vault is sealed, or in maintenance")
	case status != http.StatusOK:
		return fmt.Errorf("it answered %d", status)
	case err != nil:
		return errors.New("the answer could not be read completely")
	case json.Unmarshal(answer, into) != nil:
		return errors.New("the answer is not Vault's")
	}
	return nil
}

// cause is why a call failed, without its URL, which is known.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
