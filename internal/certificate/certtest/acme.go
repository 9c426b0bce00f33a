package certtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// ACME is a certificate authority as RFC 8555 has it, as far as one account at a time
// needs it: it takes all signatures for good, and has a server prove that a host is its.
type ACME struct {
	*Authority
	*httptest.Server
	Challenge string // that is offered: tls-alpn-01 or http-01

	led     chan struct{} // closed when the addresses are known
	https   string
	http    string
	mu      sync.Mutex
	prints  []string // of the accounts' keys
	orders  []*order
	refusal string
}

// order is a host whose certificate is asked for.
type order struct {
	host, token, status string // pending, ready, invalid, valid
	why                 string // it is invalid
	account             int
	chain               [][]byte
}

// NewACME starts an authority. It verifies nothing before it is led.
func NewACME(t *testing.T, challenge string) *ACME {
	t.Helper()
	a := &ACME{Authority: New(t), Challenge: challenge, led: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /directory", a.directory)
	mux.HandleFunc("/nonce", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /account", a.account)
	mux.HandleFunc("POST /orders", a.newOrder)
	for path, answer := range map[string]func(http.ResponseWriter, int, *order, []byte){
		"/order/": a.showOrder, "/authorization/": a.authorization, "/challenge/": a.verify, "/finalize/": a.finalize, "/certificate/": a.certificate,
	} {
		mux.HandleFunc("POST "+path+"{n}", func(w http.ResponseWriter, r *http.Request) {
			var n int
			_, _ = fmt.Sscan(r.PathValue("n"), &n)
			_, payload := read(r)
			a.mu.Lock()
			defer a.mu.Unlock()
			answer(w, n, a.orders[n], payload)
		})
	}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Replay-Nonce", "nonce")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// Lead tells it where the hosts lead: the URLs of a server by https and by http.
func (a *ACME) Lead(https, http string) {
	a.https, a.http = strings.TrimPrefix(https, "https://"), strings.TrimPrefix(http, "http://")
	close(a.led)
}

// Refuse has it refuse all hosts from now on, for a reason; "": as they prove.
func (a *ACME) Refuse(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusal = why
}

// Orders are the hosts that certificates were asked for, in their order.
func (a *ACME) Orders() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var hosts []string
	for _, o := range a.orders {
		hosts = append(hosts, o.host)
	}
	return hosts
}

func (a *ACME) directory(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, map[string]any{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/orders", "meta": map[string]string{"termsOfService": a.URL}})
}

func (a *ACME) account(w http.ResponseWriter, r *http.Request) {
	protected, _ := read(r)
	x, _ := base64.RawURLEncoding.DecodeString(protected.JWK.X)
	y, _ := base64.RawURLEncoding.DecodeString(protected.JWK.Y)
	var thumbprint string
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err == nil {
		thumbprint, err = acme.JWKThumbprint(key)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.prints = append(a.prints, thumbprint)
	w.Header().Set("Location", fmt.Sprintf("%s/account/%d", a.URL, len(a.prints)-1))
	write(w, http.StatusCreated, map[string]string{"status": "valid"})
}

func (a *ACME) newOrder(w http.ResponseWriter, r *http.Request) {
	protected, payload := read(r)
	var asked struct{ Identifiers []struct{ Value string } }
	o := &order{status: "pending"}
	if err := json.Unmarshal(payload, &asked); err != nil || len(asked.Identifiers) != 1 {
		http.Error(w, "one host at a time", http.StatusBadRequest)
		return
	}
	_, _ = fmt.Sscan(protected.KID[strings.LastIndex(protected.KID, "/")+1:], &o.account)
	a.mu.Lock()
	defer a.mu.Unlock()
	o.host, o.token = asked.Identifiers[0].Value, fmt.Sprintf("token-%d", len(a.orders))
	a.orders = append(a.orders, o)
	w.Header().Set("Location", fmt.Sprintf("%s/order/%d", a.URL, len(a.orders)-1))
	a.writeOrder(w, http.StatusCreated, len(a.orders)-1, o)
}

func (a *ACME) showOrder(w http.ResponseWriter, n int, o *order, _ []byte) {
	a.writeOrder(w, http.StatusOK, n, o)
}

func (a *ACME) writeOrder(w http.ResponseWriter, status, n int, o *order) {
	w.Header().Set("Location", fmt.Sprintf("%s/order/%d", a.URL, n))
	write(w, status, map[string]any{
		"status": o.status, "identifiers": []any{map[string]string{"type": "dns", "value": o.host}},
		"authorizations": []string{fmt.Sprintf("%s/authorization/%d", a.URL, n)},
		"finalize":       fmt.Sprintf("%s/finalize/%d", a.URL, n), "certificate": fmt.Sprintf("%s/certificate/%d", a.URL, n),
	})
}

func (a *ACME) authorization(w http.ResponseWriter, n int, o *order, _ []byte) {
	status := o.status
	if status == "ready" {
		status = "valid"
	}
	write(w, http.StatusOK, map[string]any{"status": status, "identifier": map[string]string{"type": "dns", "value": o.host}, "challenges": []any{a.challenge(n, o)}})
}

func (a *ACME) challenge(n int, o *order) map[string]any {
	c := map[string]any{"type": a.Challenge, "url": fmt.Sprintf("%s/challenge/%d", a.URL, n), "token": o.token, "status": o.status}
	if o.why != "" {
		c["error"] = map[string]any{"type": "urn:ietf:params:acme:error:unauthorized", "detail": o.why, "status": 403}
	}
	return c
}

func (a *ACME) verify(w http.ResponseWriter, n int, o *order, _ []byte) {
	if o.why = a.refusal; o.why == "" {
		<-a.led
		prove := a.proveByTLS
		if a.Challenge == "http-01" {
			prove = a.proveByHTTP
		}
		if err := prove(o.host, o.token, o.token+"."+a.prints[o.account]); err != nil {
			o.why = err.Error()
		}
	}
	if o.status = "ready"; o.why != "" {
		o.status = "invalid"
	}
	write(w, http.StatusOK, a.challenge(n, o))
}

// proveByTLS looks for the proof in a certificate (RFC 8737).
func (a *ACME) proveByTLS(host, _, key string) error {
	ctx, end := context.WithTimeout(context.Background(), 10*time.Second)
	defer end()
	d := tls.Dialer{Config: &tls.Config{ServerName: host, NextProtos: []string{acme.ALPNProto}, InsecureSkipVerify: true}}
	c, err := d.DialContext(ctx, "tcp", a.https)
	if err != nil {
		return err
	}
	defer c.Close()
	digest := sha256.Sum256([]byte(key))
	want, err := asn1.Marshal(digest[:])
	if err != nil {
		return err
	}
	for _, e := range c.(*tls.Conn).ConnectionState().PeerCertificates[0].Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.31" && bytes.Equal(e.Value, want) {
			return nil
		}
	}
	return errors.New("the certificate has no proof")
}

// proveByHTTP looks for the proof at its address on port 80.
func (a *ACME) proveByHTTP(host, token, key string) error {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, a.http)
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Get("http://" + host + "/.well-known/acme-challenge/" + token)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != key {
		return fmt.Errorf("answered %s %q, %w", answer.Status, body, err)
	}
	return nil
}

func (a *ACME) finalize(w http.ResponseWriter, n int, o *order, payload []byte) {
	var asked struct{ CSR string }
	_ = json.Unmarshal(payload, &asked)
	der, _ := base64.RawURLEncoding.DecodeString(asked.CSR)
	request, err := x509.ParseCertificateRequest(der)
	if err != nil || o.status != "ready" || len(request.DNSNames) != 1 || request.DNSNames[0] != o.host {
		http.Error(w, "this can't be signed", http.StatusForbidden)
		return
	}
	o.chain, o.status = a.Sign(request.PublicKey, 90*Day, o.host), "valid"
	a.writeOrder(w, http.StatusOK, n, o)
}

func (a *ACME) certificate(w http.ResponseWriter, _ int, o *order, _ []byte) {
	w.Header().Set("Content-Type", "application/pem-certificate-chain")
	_, _ = w.Write(ChainPEM(o.chain))
}

// protected is the signed header of a request.
type protected struct {
	KID string
	JWK struct{ X, Y string }
}

// read takes a request apart (RFC 8555, 6.2).
func read(r *http.Request) (head protected, payload []byte) {
	var parts struct{ Protected, Payload string }
	_ = json.NewDecoder(r.Body).Decode(&parts)
	text, _ := base64.RawURLEncoding.DecodeString(parts.Protected)
	_ = json.Unmarshal(text, &head)
	payload, _ = base64.RawURLEncoding.DecodeString(parts.Payload)
	return head, payload
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
